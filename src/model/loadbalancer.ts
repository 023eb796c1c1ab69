/** The load balancer: a VIP and everything behind it (api-ref "Load Balancers"). */
import Type, { type Static } from 'typebox';
import { type Fields, identity, IdRefs, NullableIp, NullableUuid, nullableText, oneOf, type RowOf, Tags, Uuid } from './field.ts';

/** A second VIP on the VIP's network, with a port shared with the primary one. */
export const AdditionalVip = Type.Object({
  subnet_id: Uuid,
  ip_address: NullableIp,
  port_id: NullableUuid,
  network_id: Type.Optional(NullableUuid),
});

/** A second VIP as it is stored. */
export type AdditionalVipRow = Static<typeof AdditionalVip>;

/** How many amphorae serve a load balancer: one, or a VRRP pair. */
export const topologies = ['SINGLE', 'ACTIVE_STANDBY'] as const;

/** The fields of a load balancer. */
export const loadbalancerFields = {
  ...identity,
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  vip_address: { schema: NullableIp, post: 'optional', fallback: null },
  vip_port_id: { schema: NullableUuid, post: 'optional', fallback: null },
  vip_subnet_id: { schema: NullableUuid, post: 'optional', fallback: null },
  vip_network_id: { schema: NullableUuid, post: 'optional', fallback: null },
  vip_qos_policy_id: { schema: NullableUuid, post: 'optional', put: true, fallback: null },
  vip_sg_ids: { schema: Type.Array(Uuid), post: 'optional', put: true, fallback: [] },
  vip_vnic_type: { schema: oneOf(['normal', 'direct']) },
  additional_vips: { schema: Type.Array(AdditionalVip), post: 'optional', fallback: [] },
  provider: { schema: nullableText(64), post: 'optional', fallback: null },
  flavor_id: { schema: NullableUuid, post: 'optional', fallback: null },
  availability_zone: { schema: nullableText(255), post: 'optional', fallback: null },
  topology: { schema: oneOf(topologies), hidden: true },
  /** Did we make the VIP's port, so that we delete it too? */
  vip_port_owned: { schema: Type.Boolean(), hidden: true },
  server_group_id: { schema: nullableText(64), hidden: true },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
  listeners: { schema: IdRefs, post: 'optional', fallback: [], computed: true },
  pools: { schema: IdRefs, post: 'optional', fallback: [], computed: true },
} as const satisfies Fields;

/** A load balancer as it is stored. */
export type LoadBalancer = RowOf<typeof loadbalancerFields>;

/** One address that a load balancer answers on, with the subnet it belongs to. */
export type Vip = { readonly ip_address: string; readonly subnet_id: string | null };

/** The VIPs of a load balancer, the primary one first; none while the port is not allocated. */
export const vipsOf = (lb: Pick<LoadBalancer, 'vip_address' | 'vip_subnet_id' | 'additional_vips'>): Vip[] => [
  ...(lb.vip_address === null ? [] : [{ ip_address: lb.vip_address, subnet_id: lb.vip_subnet_id }]),
  ...lb.additional_vips.flatMap((vip) => (vip.ip_address === null ? [] : [{ ip_address: vip.ip_address, subnet_id: vip.subnet_id }])),
];
