/** The amphora: an instance that runs HAProxy for one load balancer (api-ref "Amphora"). */
import Type from 'typebox';
import {
  type Fields,
  NullableIp,
  nullableInteger,
  nullableOneOf,
  nullableText,
  NullableTimestamp,
  NullableUuid,
  oneOf,
  type RowOf,
  Timestamp,
  Uuid,
} from './field.ts';

/** The fields of an amphora. */
export const amphoraFields = {
  id: { schema: Uuid },
  loadbalancer_id: { schema: NullableUuid },
  compute_id: { schema: nullableText(64) },
  lb_network_ip: { schema: NullableIp },
  vrrp_ip: { schema: NullableIp },
  ha_ip: { schema: NullableIp },
  vrrp_port_id: { schema: NullableUuid },
  ha_port_id: { schema: NullableUuid },
  cert_expiration: { schema: NullableTimestamp },
  cert_busy: { schema: Type.Boolean() },
  role: { schema: nullableOneOf(['STANDALONE', 'MASTER', 'BACKUP']) },
  status: { schema: oneOf(['PENDING_CREATE', 'BOOTING', 'ALLOCATED', 'PENDING_DELETE', 'DELETED', 'ERROR', 'FAILOVER_STOPPED']) },
  vrrp_interface: { schema: nullableText(16) },
  vrrp_id: { schema: nullableInteger(0) },
  vrrp_priority: { schema: nullableInteger(0) },
  cached_zone: { schema: nullableText(255) },
  image_id: { schema: nullableText(36) },
  compute_flavor: { schema: nullableText(255) },
  created_at: { schema: Timestamp },
  updated_at: { schema: NullableTimestamp },
  /** Serial number of the certificate that the amphora's agent was last given; null before the first. */
  cert_serial: { schema: nullableText(64), hidden: true },
  /** When its instance was asked for, in milliseconds since the epoch (BIGINT); null before. A cloud may list it later. */
  boot_started_ms: { schema: nullableInteger(0), hidden: true },
  /** Is its agent to be given its configuration anew? */
  config_due: { schema: Type.Boolean(), hidden: true },
} as const satisfies Fields;

/** An amphora as it is stored. */
export type Amphora = RowOf<typeof amphoraFields>;
