/** Availability zones and their profiles: where a load balancer may live (api-ref "Availability Zones", "Availability Zone Profiles"). */
import Type from 'typebox';
import { type Fields, nullableText, type RowOf, text, Uuid } from './field.ts';

/** The fields of an availability zone profile; `availability_zone_data` is JSON text that the provider understands. */
export const availabilityZoneProfileFields = {
  id: { schema: Uuid },
  name: { schema: text(255), post: 'mandatory', put: true },
  provider_name: { schema: text(255), post: 'mandatory', put: true },
  availability_zone_data: { schema: text(4096), post: 'mandatory', put: true },
} as const satisfies Fields;

/** An availability zone profile as it is stored. */
export type AvailabilityZoneProfile = RowOf<typeof availabilityZoneProfileFields>;

/** The fields of an availability zone, whose name is its key. */
export const availabilityZoneFields = {
  name: { schema: text(255), post: 'mandatory' },
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  enabled: { schema: Type.Boolean(), post: 'optional', put: true, fallback: true },
  availability_zone_profile_id: { schema: Uuid, post: 'mandatory' },
} as const satisfies Fields;

/** An availability zone as it is stored. */
export type AvailabilityZone = RowOf<typeof availabilityZoneFields>;

/** What an availability zone can say to the amphora provider; what is absent is the deployment's default. */
export type ZoneData = {
  /** The zone of the compute service that instances run in. */
  readonly compute_zone?: string;
  readonly volume_zone?: string;
  /** The network that controllers reach amphorae on. */
  readonly management_network?: string;
  /** The only networks a VIP may be on. */
  readonly valid_vip_networks?: readonly string[];
};
