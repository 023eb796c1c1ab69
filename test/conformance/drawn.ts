/** What `sweep.ts` draws: several attributes at once, batches of members, and whole load balancers in one request. */
import type { Field } from '../../src/model/index.ts';
import { below, onceIn, pick, type Random } from '../fuzz/odd-values.ts';
import type { Request } from './exchange.ts';
import { asciiJson, SUBNET, SWEEP_PROJECT, type Swept, wordsOf } from './swept.ts';
import { special } from './swept-values.ts';

type Body = Record<string, unknown>;

/** Fields whose values have more to do with the network than with each other. */
const apart = new Set([
  'vip_address',
  'vip_port_id',
  'vip_network_id',
  'vip_subnet_id',
  'additional_vips',
  'address',
  'provider',
  'subnet_id',
  'monitor_address',
  'tags',
  'vip_qos_policy_id',
  'availability_zone',
  'flavor_id',
]);

const plausible = (name: string, field: Field, random: Random): unknown => {
  const words = [...wordsOf(field), ...(Object.hasOwn(special, name) ? (special[name] ?? []) : [])];
  const { type, anyOf = [] } = field.schema as { type?: string; anyOf?: { type?: string }[] };
  const types = [type, ...anyOf.map((each) => each.type)];
  if (types.includes('boolean')) words.push(true, false);
  if (types.includes('integer')) words.push(1, 5, 80, below(random, 400));
  if (types.includes('string') && words.length === 0) words.push('x', '<pool1>', '<pool2>', '<pool3>', 'http://a.example/');
  if (onceIn(random, 6)) words.push(null, '');
  return pick(random, words);
};

function several(target: Swept, way: 'post' | 'put', random: Random): Body {
  const names = Object.entries(target.fields).flatMap(([name, field]) => (field[way] === undefined || apart.has(name) ? [] : [name]));
  const body: Body = {};
  for (let count = 2 + below(random, 3); count > 0; count -= 1) {
    const name = pick(random, names);
    body[name] = plausible(name, target.fields[name] as Field, random);
  }
  return body;
}

/** A create or update of several attributes at once. */
export function drawSeveral(target: Swept, random: Random): Request {
  if (onceIn(random, 2))
    return { method: 'PUT', path: `/v2/lbaas${target.item}`, data: asciiJson({ [target.root]: several(target, 'put', random) }) };
  return {
    method: 'POST',
    path: `/v2/lbaas${target.collection}`,
    data: asciiJson({ [target.root]: { ...target.base, ...several(target, 'post', random) } }),
    bind: { made1: target.root === 'availability_zone' ? 'availability_zone.name' : `${target.root}.id` },
  };
}

/** A batch of members, some of which may be there already. */
export function drawBatch(random: Random): Request {
  const member = (): Body => ({
    address: `192.0.2.${1 + below(random, 3)}`,
    protocol_port: 80 + below(random, 3),
    ...(onceIn(random, 2) && { weight: pick(random, [0, 1, 5, 256, 257, null]) }),
    ...(onceIn(random, 3) && { name: pick(random, ['x', '', null]) }),
    ...(onceIn(random, 4) && { backup: pick(random, [true, false, null]) }),
    ...(onceIn(random, 4) && { admin_state_up: pick(random, [true, false, null]) }),
    ...(onceIn(random, 5) && { monitor_port: pick(random, [1, 0, null]) }),
    ...(onceIn(random, 5) && { tags: pick(random, [['a'], [], null, ['b', 'a']]) }),
    ...(onceIn(random, 20) && { project_id: pick(random, ['x', null]) }),
    ...(onceIn(random, 20) && { [pick(random, ['id', 'x', 'vnic_type', 'request_sriov'])]: pick(random, [true, false, 'x']) }),
  });
  const members = Array.from({ length: below(random, 5) }, member);
  const args = pick(random, [
    '',
    '',
    '?additive_only=true',
    '?additive_only=True',
    '?additive_only=x',
    '?additive_only=',
    '?additive_only=false',
  ]);
  return { method: 'PUT', path: `/v2/lbaas/pools/<pool2>/members${args}`, data: asciiJson({ members }) };
}

const monitorBody = (random: Random): Body => ({
  type: pick(random, ['HTTP', 'TCP', 'PING', 'HTTPS', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP', 'x']),
  delay: 5,
  timeout: pick(random, [3, 6]),
  max_retries: 3,
  ...(onceIn(random, 4) && { url_path: '/x', http_method: 'HEAD', expected_codes: '200-204' }),
});

const poolBody = (random: Random, names: readonly string[]): Body => ({
  ...(!onceIn(random, 10) && { name: pick(random, names) }),
  protocol: pick(random, ['HTTP', 'HTTP', 'TCP', 'PROXY', 'UDP', 'HTTPS']),
  lb_algorithm: pick(random, ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP']),
  ...(onceIn(random, 3) && { healthmonitor: monitorBody(random) }),
  ...(onceIn(random, 2) && {
    members: Array.from({ length: below(random, 3) }, () => ({ address: `192.0.2.${1 + below(random, 3)}`, protocol_port: 80 })),
  }),
  ...(onceIn(random, 5) && { session_persistence: pick(random, special['session_persistence'] ?? []) }),
  ...(onceIn(random, 8) && { tls_enabled: true }),
});

const ruleBody = (random: Random): Body => ({
  type: pick(random, ['PATH', 'HEADER', 'COOKIE', 'HOST_NAME', 'FILE_TYPE', 'SSL_CONN_HAS_CERT', 'SSL_DN_FIELD']),
  compare_type: pick(random, ['EQUAL_TO', 'STARTS_WITH', 'REGEX']),
  value: pick(random, ['/x', 'True', 'x', '(']),
  ...(onceIn(random, 2) && { key: pick(random, ['X-A', 'CN', 'a b']) }),
});

const policyBody = (random: Random, names: readonly string[]): Body => ({
  action: pick(random, ['REJECT', 'REDIRECT_TO_URL', 'REDIRECT_TO_POOL', 'REDIRECT_PREFIX']),
  ...(onceIn(random, 2) && { redirect_url: 'http://x.example/' }),
  ...(onceIn(random, 2) && { redirect_pool: onceIn(random, 2) ? { name: pick(random, names) } : poolBody(random, names) }),
  ...(onceIn(random, 3) && { redirect_prefix: 'http://x.example' }),
  ...(onceIn(random, 3) && { position: pick(random, [1, 2, 5]) }),
  ...(onceIn(random, 2) && { rules: Array.from({ length: below(random, 3) }, () => ruleBody(random)) }),
});

const listenerBody = (random: Random, names: readonly string[]): Body => {
  const protocol = pick(random, ['HTTP', 'HTTP', 'TCP', 'TERMINATED_HTTPS', 'UDP', 'PROMETHEUS', 'HTTPS']);
  return {
    protocol,
    protocol_port: pick(random, [80, 81, 443]),
    ...(protocol === 'TERMINATED_HTTPS' && !onceIn(random, 5) && { default_tls_container_ref: '11111111-1111-4111-8111-111111111111' }),
    ...(onceIn(random, 2) && { default_pool: onceIn(random, 2) ? { name: pick(random, names) } : poolBody(random, names) }),
    ...(onceIn(random, 3) && { l7policies: Array.from({ length: 1 + below(random, 2) }, () => policyBody(random, names)) }),
    ...(onceIn(random, 5) && { allowed_cidrs: ['10.0.0.0/8'] }),
    ...(onceIn(random, 8) && { insert_headers: { 'X-Forwarded-For': 'true' } }),
  };
};

/** A load balancer with everything in it. */
export function drawTree(random: Random): Request {
  const names = ['p', 'q', 'P'];
  const body: Body = {
    project_id: SWEEP_PROJECT,
    vip_subnet_id: SUBNET,
    ...(onceIn(random, 3) && { name: 'tree' }),
    ...(onceIn(random, 2) && { pools: Array.from({ length: below(random, 3) }, () => poolBody(random, names)) }),
    ...(!onceIn(random, 5) && { listeners: Array.from({ length: 1 + below(random, 2) }, () => listenerBody(random, names)) }),
  };
  return { method: 'POST', path: '/v2/lbaas/loadbalancers', data: asciiJson({ loadbalancer: body }), bind: { made1: 'loadbalancer.id' } };
}
