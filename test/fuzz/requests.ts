/** Requests made from the tables of fields: mostly right, with something odd in them. */
import {
  type Field,
  type Fields,
  healthmonitorFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../../src/model/index.ts';
import type { Request } from '../conformance/exchange.ts';
import { anyValue, below, hostileTexts, knownIds, nearValue, onceIn, pick, type Random } from './odd-values.ts';

/** A kind of resource: where it is, and a body that is right. */
export type Target = {
  readonly root: string;
  readonly collection: string;
  readonly item: string;
  readonly fields: Fields;
  readonly base: (random: Random) => Record<string, unknown>;
  /** Fields never given odd values. */
  readonly spared?: readonly string[];
};

/** The project of everything that is made. */
export const PROJECT = 'fuzzNONCE00000000000000000000000';
const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const port = (random: Random): number => 1000 + below(random, 60_000);

/** The kinds of resources that requests are made for. */
export const targets: readonly Target[] = [
  {
    root: 'loadbalancer',
    collection: '/loadbalancers',
    item: '/loadbalancers/<loadbalancer1>',
    fields: loadbalancerFields,
    base: () => ({ project_id: PROJECT, vip_subnet_id: SUBNET }),
  },
  {
    root: 'listener',
    collection: '/listeners',
    item: '/listeners/<listener1>',
    fields: listenerFields,
    base: (random) => ({
      loadbalancer_id: '<loadbalancer1>',
      protocol: pick(random, ['HTTP', 'TCP', 'HTTPS', 'UDP']),
      protocol_port: port(random),
    }),
  },
  {
    root: 'pool',
    collection: '/pools',
    item: '/pools/<pool1>',
    fields: poolFields,
    base: (random) => ({
      loadbalancer_id: '<loadbalancer1>',
      protocol: pick(random, ['HTTP', 'TCP', 'UDP', 'PROXY']),
      lb_algorithm: 'ROUND_ROBIN',
    }),
  },
  {
    root: 'member',
    collection: '/pools/<pool1>/members',
    item: '/pools/<pool1>/members/<member1>',
    fields: memberFields,
    base: (random) => ({ address: `192.0.2.${1 + below(random, 250)}`, protocol_port: port(random) }),
  },
  {
    root: 'healthmonitor',
    collection: '/healthmonitors',
    item: '/healthmonitors/<healthmonitor1>',
    fields: healthmonitorFields,
    base: (random) => ({
      pool_id: pick(random, ['<pool1>', '<pool2>']),
      type: pick(random, ['HTTP', 'TCP', 'PING']),
      delay: 5,
      timeout: 3,
      max_retries: 3,
    }),
  },
];

const PREFIX = '/v2/lbaas';

/** What must exist before: a load balancer with a listener, two pools, a member and a health monitor, on free or given ports. */
export const worldRequests: readonly Request[] = [
  post('/loadbalancers', 'loadbalancer', { project_id: PROJECT, vip_subnet_id: SUBNET, name: 'world' }, 'loadbalancer1'),
  post('/listeners', 'listener', { loadbalancer_id: '<loadbalancer1>', protocol: 'HTTP', protocol_port: 80, tags: ['a'] }, 'listener1'),
  post('/pools', 'pool', { listener_id: '<listener1>', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }, 'pool1'),
  post('/pools', 'pool', { loadbalancer_id: '<loadbalancer1>', protocol: 'TCP', lb_algorithm: 'LEAST_CONNECTIONS' }, 'pool2'),
  post('/pools/<pool1>/members', 'member', { address: '192.0.2.1', protocol_port: 80 }, 'member1'),
  post('/healthmonitors', 'healthmonitor', { pool_id: '<pool1>', type: 'HTTP', delay: 5, timeout: 3, max_retries: 3 }, 'healthmonitor1'),
];

function post(path: string, root: string, body: Record<string, unknown>, name: string): Request {
  return { method: 'POST', path: `${PREFIX}${path}`, data: JSON.stringify({ [root]: body }), bind: { [name]: `${root}.id` } };
}

/** JSON text of ASCII characters only, as latin1 carries it. */
export const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replaceAll(/[\u0080-\uffff]/gu, (character) =>
    [...Array(character.length).keys()].map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  );

const fieldOf = (target: Target, name: string): Field | undefined =>
  Object.hasOwn(target.fields, name) ? (target.fields as Readonly<Record<string, Field>>)[name] : undefined;

/** A few fields with odd values: a body that is right but for them. */
function oddFields(random: Random, target: Target, way: 'post' | 'put'): Record<string, unknown> {
  const names = Object.keys(target.fields).filter((name) => target.spared?.includes(name) !== true);
  const may = names.filter((name) => (target.fields[name] as Field)[way] !== undefined);
  const odd: Record<string, unknown> = {};
  for (let count = 1 + below(random, 3); count > 0; count -= 1) {
    const name = onceIn(random, 8) ? pick(random, [...names, 'tenant_id', 'x', '__proto__']) : pick(random, may);
    const field = fieldOf(target, name);
    const value = field === undefined || onceIn(random, 4) ? anyValue(random) : nearValue(random, field.schema);
    Object.defineProperty(odd, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return odd;
}

/** A create request; `<made1>` is what it makes. */
export function createRequest(random: Random, target: Target): Request {
  const body = { ...target.base(random), ...oddFields(random, target, 'post') };
  if (onceIn(random, 12)) delete (body as Record<string, unknown>)[pick(random, Object.keys(body))];
  return {
    method: 'POST',
    path: `${PREFIX}${target.collection}`,
    data: asciiJson({ [target.root]: body }),
    bind: { made1: `${target.root}.id` },
  };
}

/** An update request. */
export function updateRequest(random: Random, target: Target): Request {
  return { method: 'PUT', path: `${PREFIX}${target.item}`, data: asciiJson({ [target.root]: oddFields(random, target, 'put') }) };
}

const special = [
  'limit',
  'marker',
  'sort',
  'sort_key',
  'sort_dir',
  'fields',
  'page_reverse',
  'tags',
  'tags-any',
  'not-tags',
  'not-tags-any',
  'project_id',
  'tenant_id',
  'x',
];

/** A list request with filters, order and page of every kind. */
export function listRequest(random: Random, target: Target): Request {
  const names = [...Object.keys(target.fields), ...special, ...special];
  const args = Array.from({ length: 1 + below(random, 3) }, () => {
    const name = pick(random, names);
    return `${name}=${encodeURIComponent(argumentText(random, target, name))}`;
  });
  const own = target.root === 'member' ? [] : [`project_id=${PROJECT}`];
  const text = [...own, ...args].join('&').replaceAll('%3C', '<').replaceAll('%3E', '>');
  return { method: 'GET', path: `${PREFIX}${target.collection}?${text}` };
}

function argumentText(random: Random, target: Target, name: string): string {
  const field = fieldOf(target, name);
  switch (name) {
    case 'limit':
      return pick(random, ['1', '2', '0', '-1', '1000', '1001', 'x', '', '1.5', '99999999999999999999', ' 1', '+1', '1_0']);
    case 'marker':
      return pick(random, [...knownIds, 'x', '']);
    case 'fields':
    case 'sort_key':
      return pick(random, [...Object.keys(target.fields), 'x', '', 'id,name']);
    case 'sort_dir':
      return pick(random, ['asc', 'desc', 'ASC', 'x', '']);
    case 'sort':
      return (
        pick(random, [...Object.keys(target.fields), 'x', '', 'id', 'name']) +
        pick(random, ['', ':asc', ':desc', ':x', ',id', ':desc,id:asc', ':'])
      );
    case 'page_reverse':
      return pick(random, ['True', 'true', 'False', 'false', '1', 'x', '']);
    default: {
      const value = field === undefined || onceIn(random, 4) ? anyValue(random, 0) : nearValue(random, field.schema);
      return wellFormed(typeof value === 'string' ? value : JSON.stringify(value));
    }
  }
}

const wellFormed = (text: string): string => text.toWellFormed().slice(0, 300);

/** A request to a path or with a method that may not exist. */
export function oddRequest(random: Random): Request {
  const { item, collection } = pick(random, targets);
  const path = pick(random, [
    item,
    collection,
    `${item}/${pick(random, ['status', 'stats', 'failover', 'x', 'name', 'provisioning_status', 'members', '', 'id/x'])}`,
    `${collection}/${encodeURIComponent(wellFormed(String(anyValue(random, 0))))}`,
    `${collection}/`,
    `/${collection}`,
    `${collection}.json`,
    `/quotas/${pick(random, [PROJECT, 'defaults', 'default', `${PROJECT}/default`, 'x/y'])}`,
    `/providers/${pick(random, ['amphora', 'x', 'amphora/flavor_capabilities', 'noop_driver/availability_zone_capabilities', ''])}`,
    `${item}?fields=${pick(random, ['id', 'name', 'x', '', 'id&fields=name'])}`,
  ]);
  const method = pick(random, ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']);
  const isHarmless =
    method !== 'DELETE' && !(method === 'PUT' && path.includes('failover')) && !(method === 'GET' && path.includes('failover'));
  const prefix = pick(random, [PREFIX, '/v2.0/lbaas', '/v2', '/v2.0', PREFIX]);
  return {
    method: isHarmless ? method : 'HEAD',
    path: `${prefix}${path}`,
    ...((method === 'POST' || method === 'PUT') && {
      data: pick(random, ['', '{}', '[]', 'null', '5', '{', '"x"', '{"x":1}', '{"listener":null}']),
    }),
  };
}

/** A hostile header or two. */
export const oddHeaders = (random: Random): Record<string, string> =>
  onceIn(random, 2)
    ? {}
    : {
        [pick(random, ['accept', 'content-type', 'x-auth-token', 'x-project-id', 'x-forwarded-for', 'accept-language'])]: encodeURI(
          pick(random, [...hostileTexts.map(wellFormed), 'application/json', '*/*', 'text/plain']),
        ),
      };
