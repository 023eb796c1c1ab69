/** The listener: a port of the VIP and how traffic on it is treated (api-ref "Listeners"). */
import Type from 'typebox';
import {
  Cidr,
  type Fields,
  identity,
  IdRefs,
  integer,
  nullableInteger,
  nullableText,
  NullableUuid,
  oneOf,
  type RowOf,
  Tags,
  text,
  Uuid,
} from './field.ts';

/** The protocols of a listener. */
export const listenerProtocols = ['TCP', 'HTTPS', 'HTTP', 'TERMINATED_HTTPS', 'UDP', 'SCTP', 'PROMETHEUS'] as const;

/** The longest time-out of a listener: 24 days in milliseconds. */
export const maxTimeoutMs = 2_073_600_000;

/** The TLS versions that a listener or pool may offer. */
export const tlsVersions = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** The application protocols that a listener or pool may offer. */
export const alpnProtocols = ['http/1.0', 'http/1.1', 'h2'] as const;

/** The fields of a listener. */
export const listenerFields = {
  ...identity,
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  protocol: { schema: oneOf(listenerProtocols), post: 'mandatory' },
  protocol_port: { schema: integer(1, 65_535), post: 'mandatory' },
  connection_limit: { schema: integer(-1), post: 'optional', put: true, fallback: -1 },
  default_tls_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  sni_container_refs: { schema: Type.Array(text(255)), post: 'optional', put: true, fallback: [] },
  default_pool_id: { schema: NullableUuid, post: 'optional', put: true, fallback: null },
  insert_headers: { schema: Type.Record(Type.String(), nullableText(255)), post: 'optional', put: true, fallback: {} },
  timeout_client_data: {
    schema: integer(0, maxTimeoutMs),
    post: 'optional',
    put: true,
    fallback_option: 'haproxy_amphora.timeout_client_data',
  },
  timeout_member_connect: {
    schema: integer(0, maxTimeoutMs),
    post: 'optional',
    put: true,
    fallback_option: 'haproxy_amphora.timeout_member_connect',
  },
  timeout_member_data: {
    schema: integer(0, maxTimeoutMs),
    post: 'optional',
    put: true,
    fallback_option: 'haproxy_amphora.timeout_member_data',
  },
  timeout_tcp_inspect: {
    schema: integer(0, maxTimeoutMs),
    post: 'optional',
    put: true,
    fallback_option: 'haproxy_amphora.timeout_tcp_inspect',
  },
  client_ca_tls_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  client_authentication: { schema: oneOf(['NONE', 'OPTIONAL', 'MANDATORY']), post: 'optional', put: true, fallback: 'NONE' },
  client_crl_container_ref: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  allowed_cidrs: { schema: Type.Array(Cidr), post: 'optional', put: true, fallback: [] },
  tls_ciphers: { schema: nullableText(2048), post: 'optional', put: true, fallback: null },
  tls_versions: { schema: Type.Union([Type.Array(oneOf(tlsVersions)), Type.Null()]), post: 'optional', put: true, fallback: null },
  alpn_protocols: { schema: Type.Union([Type.Array(oneOf(alpnProtocols)), Type.Null()]), post: 'optional', put: true, fallback: null },
  hsts_max_age: { schema: nullableInteger(0), post: 'optional', put: true, fallback: null },
  hsts_include_subdomains: { schema: Type.Boolean(), post: 'optional', put: true, fallback: false },
  hsts_preload: { schema: Type.Boolean(), post: 'optional', put: true, fallback: false },
  loadbalancer_id: { schema: Uuid, post: 'mandatory', hidden: true },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
  loadbalancers: { schema: IdRefs, computed: true },
  l7policies: { schema: IdRefs, computed: true },
} as const satisfies Fields;

/** A listener as it is stored. */
export type Listener = RowOf<typeof listenerFields>;

/** The transport that a listener's protocol uses: two listeners may share a port only if theirs differ. */
export const transportOf = (protocol: Listener['protocol']): 'tcp' | 'udp' | 'sctp' =>
  protocol === 'UDP' ? 'udp' : protocol === 'SCTP' ? 'sctp' : 'tcp';
