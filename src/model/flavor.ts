/** Flavors and their profiles: what an administrator lets tenants choose of a provider (api-ref "Flavors", "Flavor Profiles"). */
import Type from 'typebox';
import { type Fields, nullableText, type RowOf, text, Uuid } from './field.ts';
import type { LoadBalancer } from './loadbalancer.ts';

/** The fields of a flavor profile; `flavor_data` is JSON text that the provider understands. */
export const flavorProfileFields = {
  id: { schema: Uuid },
  name: { schema: text(255), post: 'mandatory', put: true },
  provider_name: { schema: text(255), post: 'mandatory', put: true },
  flavor_data: { schema: text(4096), post: 'mandatory', put: true },
} as const satisfies Fields;

/** A flavor profile as it is stored. */
export type FlavorProfile = RowOf<typeof flavorProfileFields>;

/** The fields of a flavor. */
export const flavorFields = {
  id: { schema: Uuid },
  name: { schema: text(255), post: 'mandatory', put: true },
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  enabled: { schema: Type.Boolean(), post: 'optional', put: true, fallback: true },
  flavor_profile_id: { schema: Uuid, post: 'mandatory' },
} as const satisfies Fields;

/** A flavor as it is stored. */
export type Flavor = RowOf<typeof flavorFields>;

/** What a flavor can say to the amphora provider; what is absent is the deployment's default. */
export type FlavorData = {
  readonly loadbalancer_topology?: LoadBalancer['topology'];
  /** Size of the instances, in the words of the compute service. */
  readonly compute_flavor?: string;
  readonly amp_image_tag?: string;
  /** Is the VIP's port a virtual function of a network card? */
  readonly sriov_vip?: boolean;
  /** May members ask to be reached by a virtual function? */
  readonly allow_member_sriov?: boolean;
};
