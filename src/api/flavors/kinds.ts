/** Flavors and availability zones: two resources of one kind, each with profiles. What tells them apart is data. */
import type { OfferTable, ProfileTable } from '../../db/profiles.ts';
import { availabilityZoneFields, availabilityZoneProfileFields, flavorFields, flavorProfileFields } from '../../model/index.ts';
import type { Resource } from '../resource.ts';

const plain = { hideDeleted: null, relations: () => [], groupings: [], shown: {}, alsoFilters: [] } as const;

/** What one of the two is made of. */
export type Kind = {
  readonly profiles: Resource & { readonly table: ProfileTable };
  readonly offers: Resource & { readonly table: OfferTable };
  /** The key of an offer. */
  readonly key: 'id' | 'name';
  /** The field of a profile that the provider reads. */
  readonly data: 'flavor_data' | 'availability_zone_data';
  /** The field of an offer that names its profile. */
  readonly profile_id: 'flavor_profile_id' | 'availability_zone_profile_id';
  /** Which of a provider's descriptions of what it understands. */
  readonly metadata: 'flavor' | 'availability_zone';
  /** The reference's messages do not agree with themselves about capitals. */
  readonly profileInMessages: string;
  readonly offerInMessages: string;
};

/** Flavors. */
export const flavors: Kind = {
  profiles: {
    ...plain,
    table: 'flavor_profile',
    root: 'flavorprofile',
    plural: 'flavorprofiles',
    links: 'flavorprofile_links',
    title: 'Flavor Profile',
    argument: 'flavor_profile_',
    policy: 'flavor-profile',
    fields: flavorProfileFields,
  },
  offers: {
    ...plain,
    table: 'flavor',
    root: 'flavor',
    plural: 'flavors',
    title: 'Flavor',
    argument: 'flavor_',
    policy: 'flavor',
    fields: flavorFields,
  },
  key: 'id',
  data: 'flavor_data',
  profile_id: 'flavor_profile_id',
  metadata: 'flavor',
  profileInMessages: 'Flavor profile',
  offerInMessages: 'flavor',
};

/** Availability zones. */
export const availabilityZones: Kind = {
  profiles: {
    ...plain,
    table: 'availability_zone_profile',
    root: 'availability_zone_profile',
    plural: 'availability_zone_profiles',
    links: 'availability_zone_profile_links',
    title: 'Availability Zone Profile',
    argument: 'availability_zone_profile_',
    policy: 'availability-zone-profile',
    fields: availabilityZoneProfileFields,
  },
  offers: {
    ...plain,
    table: 'availability_zone',
    root: 'availability_zone',
    plural: 'availability_zones',
    title: 'Availability Zone',
    argument: 'availability_zone_',
    policy: 'availability-zone',
    fields: availabilityZoneFields,
    idColumn: 'name',
  },
  key: 'name',
  data: 'availability_zone_data',
  profile_id: 'availability_zone_profile_id',
  metadata: 'availability_zone',
  profileInMessages: 'Availability Zone Profile',
  offerInMessages: 'availability zone',
};

/** The key of a row that the reference keeps for deleted load balancers; it is never shown. */
export const NIL_UUID = '00000000-0000-0000-0000-000000000000';
