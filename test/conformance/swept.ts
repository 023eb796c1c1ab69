/** What `sweep.ts` asks: for each resource a world to look at, and every attribute with everything that may be said of it. */
import {
  availabilityZoneFields,
  availabilityZoneProfileFields,
  type Field,
  type Fields,
  flavorFields,
  flavorProfileFields,
  healthmonitorFields,
  l7policyFields,
  l7ruleFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../../src/model/index.ts';
import type { Asked } from './both.ts';
import type { Request } from './exchange.ts';
import { filterWords, harmful, oddValues, relationNames, special } from './swept-values.ts';

/** A resource to go through: where it is, its fields, and a create that is right. */
export type Swept = {
  readonly root: string;
  readonly collection: string;
  readonly item: string;
  readonly fields: Fields;
  readonly base: Readonly<Record<string, unknown>>;
  /** Is there a load balancer to wait for after a change? */
  readonly isBuilt: boolean;
  /** What lists are narrowed to, so that only this run's rows come. */
  readonly own: string;
};

/** The project of everything that is made. */
export const SWEEP_PROJECT = 'sweepNONCE000000000000000000000';
/** The subnet of every address. */
export const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const NETWORK = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1c0001';
const lb = { loadbalancer_id: '<loadbalancer1>' };

/** The resources, each with the path of its collection and of one of it. */
export const swept: readonly Swept[] = [
  built('loadbalancer', 'loadbalancers', loadbalancerFields, { project_id: SWEEP_PROJECT, vip_subnet_id: SUBNET }),
  built('listener', 'listeners', listenerFields, { ...lb, protocol: 'HTTP', protocol_port: 8000 }),
  built('pool', 'pools', poolFields, { ...lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }),
  built('member', 'pools/<pool1>/members', memberFields, { address: '192.0.2.99', protocol_port: 80 }, ''),
  built('healthmonitor', 'healthmonitors', healthmonitorFields, {
    pool_id: '<pool2>',
    type: 'HTTP',
    delay: 5,
    timeout: 3,
    max_retries: 3,
  }),
  built('l7policy', 'l7policies', l7policyFields, { listener_id: '<listener1>', action: 'REJECT' }),
  built('rule', 'l7policies/<l7policy1>/rules', l7ruleFields, { type: 'HEADER', key: 'X-A', compare_type: 'EQUAL_TO', value: 'x' }, ''),
  plain('flavorprofile', 'flavorprofiles', flavorProfileFields, { name: 'fNONCE', provider_name: 'amphora', flavor_data: '{}' }),
  plain('flavor', 'flavors', flavorFields, { name: 'gNONCE', flavor_profile_id: '<flavorprofile1>' }),
  {
    ...plain('availability_zone_profile', 'availabilityzoneprofiles', availabilityZoneProfileFields, {
      name: 'zNONCE',
      provider_name: 'amphora',
      availability_zone_data: '{"compute_zone": "a"}',
    }),
    item: '/availabilityzoneprofiles/<zoneprofile1>',
  },
  {
    ...plain('availability_zone', 'availabilityzones', availabilityZoneFields, {
      name: 'yNONCE',
      availability_zone_profile_id: '<zoneprofile1>',
    }),
    item: '/availabilityzones/zoneNONCE',
  },
];

function built(
  root: string,
  path: string,
  fields: Fields,
  base: Readonly<Record<string, unknown>>,
  own = `project_id=${SWEEP_PROJECT}`,
): Swept {
  return { root, collection: `/${path}`, item: `/${path}/<${root}1>`, fields, base, isBuilt: true, own };
}

function plain(root: string, path: string, fields: Fields, base: Readonly<Record<string, unknown>>): Swept {
  return { root, collection: `/${path}`, item: `/${path}/<${root}1>`, fields, base, isBuilt: false, own: '' };
}

const post = (path: string, root: string, body: Readonly<Record<string, unknown>>, name: string): Request => ({
  method: 'POST',
  path: `/v2/lbaas/${path}`,
  data: asciiJson({ [root]: body }),
  bind: { [name]: `${root}.id` },
});

/** Several of each resource, with values that tell them apart. */
export const sweptWorld: readonly Request[] = [
  post('flavorprofiles', 'flavorprofile', { name: 'Prof NONCE', provider_name: 'amphora', flavor_data: '{}' }, 'flavorprofile1'),
  post('flavorprofiles', 'flavorprofile', { name: 'other NONCE', provider_name: 'octavia', flavor_data: '{}' }, 'flavorprofile2'),
  post('flavors', 'flavor', { name: 'Flav NONCE', description: 'D', flavor_profile_id: '<flavorprofile1>' }, 'flavor1'),
  post(
    'availabilityzoneprofiles',
    'availability_zone_profile',
    { name: 'ZProf NONCE', provider_name: 'amphora', availability_zone_data: '{"compute_zone": "z"}' },
    'zoneprofile1',
  ),
  post('availabilityzones', 'availability_zone', { name: 'zoneNONCE', availability_zone_profile_id: '<zoneprofile1>' }, 'zone1'),
  post(
    'loadbalancers',
    'loadbalancer',
    { project_id: SWEEP_PROJECT, vip_subnet_id: SUBNET, vip_network_id: NETWORK, name: 'World', description: 'Desc', tags: ['a', 'B'] },
    'loadbalancer1',
  ),
  post('pools', 'pool', { ...lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', name: 'P one', tags: ['a'] }, 'pool1'),
  post(
    'pools',
    'pool',
    { ...lb, protocol: 'HTTP', lb_algorithm: 'LEAST_CONNECTIONS', name: 'p two', session_persistence: { type: 'SOURCE_IP' } },
    'pool2',
  ),
  post(
    'pools',
    'pool',
    { ...lb, protocol: 'TCP', lb_algorithm: 'SOURCE_IP', name: 'Ärger', description: 'x y', admin_state_up: false },
    'pool3',
  ),
  post(
    'listeners',
    'listener',
    {
      ...lb,
      protocol: 'HTTP',
      protocol_port: 80,
      name: 'L one',
      default_pool_id: '<pool1>',
      connection_limit: 100,
      insert_headers: { 'X-Forwarded-For': 'true' },
      allowed_cidrs: ['10.0.0.0/8', '192.0.2.0/24'],
      tags: ['a', 'b'],
    },
    'listener1',
  ),
  post(
    'listeners',
    'listener',
    { ...lb, protocol: 'TCP', protocol_port: 81, name: 'l TWO', default_pool_id: '<pool3>', timeout_client_data: 7 },
    'listener2',
  ),
  post(
    'listeners',
    'listener',
    {
      ...lb,
      protocol: 'TERMINATED_HTTPS',
      protocol_port: 443,
      name: 'tls',
      default_tls_container_ref: '11111111-1111-4111-8111-111111111111',
      sni_container_refs: ['22222222-2222-4222-8222-222222222222'],
    },
    'listener3',
  ),
  post('pools/<pool1>/members', 'member', { address: '192.0.2.1', protocol_port: 80, name: 'M one', weight: 3, tags: ['a'] }, 'member1'),
  post(
    'pools/<pool1>/members',
    'member',
    { address: '192.0.2.2', protocol_port: 81, backup: true, monitor_port: 5, monitor_address: '192.0.2.7' },
    'member2',
  ),
  post('pools/<pool1>/members', 'member', { address: '2001:db8::A', protocol_port: 82, weight: 0, admin_state_up: false }, 'member3'),
  post(
    'healthmonitors',
    'healthmonitor',
    { pool_id: '<pool1>', type: 'HTTP', delay: 5, timeout: 3, max_retries: 3, name: 'H', domain_name: 'a.Example', http_version: 1.1 },
    'healthmonitor1',
  ),
  post('healthmonitors', 'healthmonitor', { pool_id: '<pool3>', type: 'TCP', delay: 6, timeout: 4, max_retries: 2 }, 'healthmonitor2'),
  post(
    'l7policies',
    'l7policy',
    {
      listener_id: '<listener1>',
      action: 'REDIRECT_TO_URL',
      redirect_url: 'http://A.example/',
      name: 'one',
      redirect_http_code: 301,
      tags: ['a'],
    },
    'l7policy1',
  ),
  post(
    'l7policies',
    'l7policy',
    { listener_id: '<listener1>', action: 'REDIRECT_TO_POOL', redirect_pool_id: '<pool2>', position: 1 },
    'l7policy2',
  ),
  post(
    'l7policies',
    'l7policy',
    { listener_id: '<listener3>', action: 'REDIRECT_PREFIX', redirect_prefix: 'http://b.example', admin_state_up: false },
    'l7policy3',
  ),
  post(
    'l7policies/<l7policy1>/rules',
    'rule',
    { type: 'HEADER', key: 'X-A', compare_type: 'EQUAL_TO', value: 'Val', tags: ['a'] },
    'rule1',
  ),
  post('l7policies/<l7policy1>/rules', 'rule', { type: 'PATH', compare_type: 'STARTS_WITH', value: '/x', invert: true }, 'rule2'),
  post('l7policies/<l7policy1>/rules', 'rule', { type: 'HOST_NAME', compare_type: 'REGEX', value: '.*', admin_state_up: false }, 'rule3'),
];

const names = (target: Swept): string[] => [...new Set([...Object.keys(target.fields), ...relationNames])];

const get = (target: Swept, args: string, ordered = false): Asked => ({
  method: 'GET',
  path: `/v2/lbaas${target.collection}?${[target.own, args].filter((each) => each !== '').join('&')}`,
  ...(ordered && { ordered: true as const }),
});

const encoded = (text: string): string => (text.startsWith('<') ? text : encodeURIComponent(text));

/** Lists filtered and sorted by each attribute. */
export function* listRequests(target: Swept): Generator<Asked> {
  for (const name of names(target)) {
    for (const word of filterWords) yield get(target, `${name}=${encoded(word)}`);
    yield get(target, `${name}=a&${name}=b`);
    yield get(target, `${name}=a&${name}=a`);
    if (target.own === '' && !target.isBuilt) continue;
    const last = name === 'protocol_port' ? '' : target.root === 'rule' ? ',value' : target.root === 'member' ? ',protocol_port' : ',name';
    for (const way of ['', ':asc', ':desc', ':DESC']) yield get(target, `sort=${name}${way}${last}&fields=id`, true);
    yield get(target, `sort_key=${name}&sort_dir=desc&fields=id`);
    yield get(target, `sort=${name}:desc&limit=1&marker=<${target.root}2>`);
    yield get(target, `fields=${name}`);
    yield get(target, `fields=${name}&fields=id`);
  }
  for (const arg of ['tags', 'tags-any', 'not-tags', 'not-tags-any'])
    for (const word of ['a', 'A', 'a,b', 'a,a', '', ',', 'x', 'a ', 'B', 'a&tags=b', 'a&tags-any=b', 'b&not-tags=a'])
      yield get(target, `${arg}=${word}`);
}

/** Odd paths below one resource and its collection. */
export function* pathRequests(target: Swept): Generator<Asked> {
  const tails = [
    '',
    '/',
    '//',
    '/x',
    '/id',
    '/id/',
    '/x/y',
    '.json',
    '/.json',
    '/stats',
    '/status',
    '/statuses',
    '/failover',
    '/config',
    '/name',
    '/members',
    '/rules',
    '/default',
    '/usage',
  ];
  for (const base of [
    target.item,
    target.collection,
    `${target.collection}/0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff`,
    `${target.collection}/x`,
  ])
    for (const tail of tails)
      for (const method of ['GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'DELETE'] as const) {
        if (method === 'DELETE' && base === target.item && !/^\/[xy]/u.test(tail)) continue;
        if (method === 'PUT' && /failover|config/u.test(tail)) continue;
        const body = method === 'POST' || method === 'PUT' ? { data: '{}' } : {};
        yield { method, path: `/v2/lbaas${base}${tail}`, ...body };
      }
  for (const query of [
    '?x=1',
    '?fields=id',
    '?fields=',
    '?fields=x',
    '?limit=x',
    '?limit=1',
    '?sort=x',
    '?sort=id:x',
    '?marker=x',
    '?cascade=true',
    '?tags=a',
    '?project_id=x',
    '?page_reverse=x',
  ])
    yield { method: 'GET', path: `/v2/lbaas${target.item}${query}` };
}

/** The words of a field that has only some. */
export const wordsOf = (field: Field): readonly unknown[] => {
  const { enum: own, anyOf = [] } = field.schema as { enum?: unknown[]; anyOf?: { enum?: unknown[] }[] };
  return [own, ...anyOf.map((each) => each.enum)].flatMap((each) => each ?? []);
};

/** JSON text of ASCII characters only, as latin1 carries it. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[\u0080-\uffff]/gu, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function* changes(target: Swept, way: 'post' | 'put'): Generator<Record<string, unknown>> {
  const known = Object.entries(target.fields) as [string, Field][];
  for (const [name, field] of known) {
    const may = field[way] !== undefined;
    const odd = !may ? [null, 'x'] : harmful.has(name) ? [null] : oddValues;
    for (const value of [...odd, ...(may ? wordsOf(field) : []), ...(may && Object.hasOwn(special, name) ? (special[name] ?? []) : [])])
      yield { [name]: value };
  }
  yield {};
  yield { x: 1 };
  yield { name: 'a', x: 1, y: 2 };
  yield { tenant_id: SWEEP_PROJECT };
  yield { id: '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff' };
}

/** Updates that set one attribute. */
export function* putRequests(target: Swept): Generator<Request> {
  for (const change of changes(target, 'put'))
    yield { method: 'PUT', path: `/v2/lbaas${target.item}`, data: asciiJson({ [target.root]: change }) };
}

/** Creates that say one attribute otherwise, or leave out one. */
export function* postRequests(target: Swept): Generator<Request> {
  const made = (body: Record<string, unknown>): Request => ({
    method: 'POST',
    path: `/v2/lbaas${target.collection}`,
    data: asciiJson({ [target.root]: body }),
    bind: { made1: target.root === 'availability_zone' ? 'availability_zone.name' : `${target.root}.id` },
  });
  for (const name of Object.keys(target.base)) yield made(Object.fromEntries(Object.entries(target.base).filter(([key]) => key !== name)));
  for (const change of changes(target, 'post')) yield made({ ...target.base, ...change });
}
