/** Bodies from the API's own schemas: right ones that name what exists, so that requests come through to the last check. */
import type { JsonSchema } from '../../src/api/request/describe.ts';
import { type Known, references } from './known.ts';
import { below, onceIn, pick, type Random } from './odd-values.ts';
import { definitions } from './routes.ts';

type Loose = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly anyOf?: readonly Loose[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly format?: string;
  readonly items?: Loose;
  readonly properties?: Readonly<Record<string, Loose>>;
  readonly required?: readonly string[];
};

/** What values are made with. */
export type Maker = { readonly random: Random; readonly known: Known };

/** Attributes without which a request is refused, although its schema lets them out: they depend on others. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  loadbalancer: ['vip_subnet_id', 'name'],
  listener: ['loadbalancer_id'],
  pool: ['loadbalancer_id'],
  healthmonitor: ['pool_id'],
  l7policy: ['listener_id'],
};

type Make = (maker: Maker) => unknown;
const oneOf =
  (...words: readonly unknown[]): Make =>
  ({ random }) =>
    pick(random, words);

/** Values that fit the names of attributes. */
const byName: Readonly<Record<string, Make>> = {
  name: ({ random }) => `n${below(random, 1e6)}`,
  description: oneOf('', 'd', 'ünïcode ☃'),
  tags: oneOf([], ['a'], ['a', 'b']),
  provider: oneOf('amphora', 'octavia', 'amphora', 'noop_driver'),
  provider_name: oneOf('amphora', 'octavia', 'noop_driver'),
  protocol: oneOf('HTTP', 'HTTP', 'HTTP', 'TCP', 'UDP', 'PROXY', 'HTTPS', 'TERMINATED_HTTPS', 'SCTP', 'PROMETHEUS', 'PROXYV2'),
  lb_algorithm: oneOf('ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'),
  protocol_port: ({ random }) => 1 + below(random, 65_535),
  monitor_port: ({ random }) => 1 + below(random, 65_535),
  address: ({ random }) => pick(random, [`192.0.2.${1 + below(random, 250)}`, `2001:db8::${(1 + below(random, 9999)).toString(16)}`]),
  monitor_address: oneOf('192.0.2.9', null),
  vip_address: ({ random }) => pick(random, [`198.18.1.${2 + below(random, 250)}`, null, 'fd00:1::77']),
  ip_address: ({ random }) => `198.18.1.${2 + below(random, 250)}`,
  allowed_cidrs: oneOf([], ['0.0.0.0/0'], ['10.0.0.0/8', '192.0.2.0/24']),
  type: oneOf('HTTP', 'TCP', 'PING', 'HTTPS', 'UDP-CONNECT', 'TLS-HELLO', 'PATH', 'HEADER', 'COOKIE', 'HOST_NAME', 'FILE_TYPE'),
  action: oneOf('REJECT', 'REDIRECT_TO_URL', 'REDIRECT_TO_POOL', 'REDIRECT_PREFIX'),
  redirect_url: oneOf('http://example.test/', 'https://example.test/a?b=c'),
  redirect_prefix: oneOf('https://example.test'),
  redirect_http_code: oneOf(301, 302, 303, 307, 308),
  position: ({ random }) => 1 + below(random, 5),
  compare_type: oneOf('EQUAL_TO', 'STARTS_WITH', 'ENDS_WITH', 'CONTAINS', 'REGEX'),
  key: oneOf('x-key', 'k', null),
  value: oneOf('/a', 'a', '.*', 'x'),
  delay: oneOf(5, 10),
  timeout: oneOf(3, 5),
  max_retries: oneOf(1, 3),
  max_retries_down: oneOf(1, 3),
  http_version: oneOf(1, 1.1),
  domain_name: oneOf('example.test', null),
  url_path: oneOf('/', '/health'),
  expected_codes: oneOf('200', '200-204', '200,201'),
  http_method: oneOf('GET', 'HEAD', 'POST'),
  session_persistence: oneOf({ type: 'SOURCE_IP' }, { type: 'HTTP_COOKIE' }, { type: 'APP_COOKIE', cookie_name: 'c' }, null),
  insert_headers: oneOf({}, { 'X-Forwarded-For': 'true' }),
  flavor_data: oneOf('{}', '{"loadbalancer_topology": "SINGLE"}', '{"loadbalancer_topology": "ACTIVE_STANDBY"}'),
  availability_zone_data: oneOf('{}', '{"compute_zone": "nova"}', '{"compute_zone": "a", "valid_vip_networks": []}'),
  tls_versions: oneOf(['TLSv1.2', 'TLSv1.3'], ['TLSv1.2']),
  alpn_protocols: oneOf(['h2', 'http/1.1'], ['http/1.1']),
  default_tls_container_ref: ({ random, known }) => certificateOf(random, known),
  client_ca_tls_container_ref: ({ random, known }) => pick(random, [certificateOf(random, known), null]),
  tls_container_ref: ({ random, known }) => certificateOf(random, known),
  sni_container_refs: ({ random, known }) => pick(random, [[], [certificateOf(random, known)]]),
  l7policies: oneOf([], undefined),
  admin_state_up: oneOf(true, true, false),
  enabled: oneOf(true, true, false),
};

const certificateOf = (random: Random, known: Known): string =>
  `http://127.0.0.1/key-manager/v1/${pick(random, ['containers', 'secrets'])}/${known.find(random, 'certificates') ?? 'x'}`;

/** A body that the schema allows: what is required and a few things more. */
export function bodyFor(maker: Maker, schema: JsonSchema, isNew: boolean): unknown {
  return valueOf(maker, schema as Loose, '', isNew, 5);
}

function valueOf(maker: Maker, given: Loose, name: string, isNew: boolean, depth: number): unknown {
  const schema = resolved(given);
  const { random, known } = maker;
  const types = [schema.type ?? []].flat();
  if (types.includes('null') && onceIn(random, 12)) return null;
  const collection = references[name];
  if (collection !== undefined && !types.includes('object') && schema.properties === undefined) {
    const id = known.find(random, collection) ?? null;
    return types.includes('array') ? [id].filter((each) => each !== null) : id;
  }
  const make = byName[name];
  if (make !== undefined && depth > 0 && fits(schema, name)) return agreed(schema, make(maker), random);
  if (schema.anyOf !== undefined) return valueOf(maker, pick(random, schema.anyOf), name, isNew, depth);
  if (schema.enum !== undefined) return pick(random, schema.enum);
  if (types.includes('object')) return objectOf(maker, schema, name, isNew, depth);
  if (types.includes('array')) {
    const items = schema.items ?? {};
    return depth <= 0 ? [] : Array.from({ length: below(random, 3) }, () => valueOf(maker, items, '', isNew, depth - 1));
  }
  if (types.includes('integer') || types.includes('number'))
    return (schema.minimum ?? 0) + below(random, Math.min(100, (schema.maximum ?? 100) + 1));
  return types.includes('boolean') ? onceIn(random, 2) : 'x';
}

const fits = (schema: Loose, name: string): boolean => name !== 'tags' || [schema.type ?? []].flat().includes('array');

/** The word when the schema has it, else one that it has. */
function agreed(schema: Loose, value: unknown, random: Random): unknown {
  if (schema.enum === undefined || schema.enum.includes(value)) return value;
  return pick(random, schema.enum);
}

function objectOf(maker: Maker, schema: Loose, name: string, isNew: boolean, depth: number): Record<string, unknown> {
  const { random } = maker;
  const needed = new Set([...(schema.required ?? []), ...(isNew ? (wanted[name] ?? []) : [])]);
  const share = pick(random, [12, 6, 3]);
  const made: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(schema.properties ?? {})) {
    if (key === 'listener_id' && needed.has('loadbalancer_id')) continue;
    if (!needed.has(key) && !onceIn(random, share)) continue;
    const value = valueOf(maker, each, key, isNew, depth - 1);
    if (value !== undefined) made[key] = value;
  }
  return made;
}

function resolved(schema: Loose): Loose {
  return schema.$ref === undefined ? schema : (definitions[schema.$ref.split('/').at(-1) ?? ''] as Loose);
}
