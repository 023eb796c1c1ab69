/** The pool: members that share load, and how one is chosen (api-ref "Pools"). */
import Type from 'typebox';
import { type Fields, identity, IdRefs, NullableIp, nullableText, NullableUuid, oneOf, type RowOf, Tags, Uuid } from './field.ts';
import { alpnProtocols, tlsVersions } from './listener.ts';

/** The protocols that a pool speaks to its members. */
export const poolProtocols = ['TCP', 'HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'UDP', 'SCTP'] as const;

/** How a member is chosen for a new connection. */
export const lbAlgorithms = ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP', 'SOURCE_IP_PORT'] as const;

/** How connections of one client stay on one member. */
export const SessionPersistence = Type.Object({
  type: oneOf(['SOURCE_IP', 'HTTP_COOKIE', 'APP_COOKIE']),
  cookie_name: Type.Union([Type.String({ maxLength: 255, pattern: String.raw`^[^\s,;\\]+$` }), Type.Null()]),
  persistence_timeout: Type.Union([Type.Integer(), Type.Null()]),
  persistence_granularity: NullableIp,
});

/** The fields of a pool. */
export const poolFields = {
  ...identity,
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  loadbalancer_id: { schema: Uuid, post: 'optional', hidden: true },
  protocol: { schema: oneOf(poolProtocols), post: 'mandatory' },
  lb_algorithm: { schema: oneOf(lbAlgorithms), post: 'mandatory', put: true },
  session_persistence: { schema: Type.Union([SessionPersistence, Type.Null()]), post: 'optional', put: true, fallback: null },
  tls_enabled: { schema: Type.Boolean(), post: 'optional', put: true, fallback: false },
  tls_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  ca_tls_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  crl_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  tls_ciphers: { schema: nullableText(2048), post: 'optional', put: true, fallback: null },
  tls_versions: { schema: Type.Union([Type.Array(oneOf(tlsVersions)), Type.Null()]), post: 'optional', put: true, fallback: null },
  alpn_protocols: { schema: Type.Union([Type.Array(oneOf(alpnProtocols)), Type.Null()]), post: 'optional', put: true, fallback: null },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
  listener_id: { schema: NullableUuid, post: 'optional', computed: true, hidden: true },
  loadbalancers: { schema: IdRefs, computed: true },
  listeners: { schema: IdRefs, computed: true },
  members: { schema: IdRefs, computed: true },
  healthmonitor_id: { schema: NullableUuid, computed: true },
} as const satisfies Fields;

/** A pool as it is stored. */
export type Pool = RowOf<typeof poolFields>;
