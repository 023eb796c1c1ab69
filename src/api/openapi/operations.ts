/** The operations that are not one of the usual five, by method and route; and what the usual five are. */
import type { JsonSchema } from '../request/describe.ts';
import { schemaOf } from '../request/describe.ts';
import { bodies } from '../request/shapes.ts';
import type { Resource } from '../resource.ts';
import { refTo, requestSchema, schemaName } from './schemas.ts';

/** What the document says of an operation. */
export type Operation = {
  readonly summary: string;
  /** A tag: operations of one tag stand together. */
  readonly tag: string;
  /** The actions of the policy that it needs, as `<resource>:<action>`. */
  readonly policy: readonly string[];
  readonly status: number;
  /** The JSON of the answer; absent: it is empty. */
  readonly answer?: JsonSchema;
  readonly body?: JsonSchema;
  /** `show` can be limited to some fields, `read` cannot; `act` has no answer. */
  readonly kind: 'list' | 'show' | 'read' | 'change' | 'act';
  /** Arguments of the query besides those of every list, with a sentence each. */
  readonly query?: Readonly<Record<string, string>>;
};

const rooted = (root: string, schema: JsonSchema): JsonSchema => ({ type: 'object', properties: { [root]: schema }, required: [root] });
const listed = (root: string, name: string): JsonSchema => rooted(root, { type: 'array', items: refTo(name) });
const paged = (root: string, name: string): JsonSchema => {
  const page = listed(root, name);
  return { ...page, properties: { ...(page['properties'] as JsonSchema), [`${root}_links`]: refTo('Links') } };
};
const withHaproxy = (answer: JsonSchema): JsonSchema => ({
  ...answer,
  properties: { ...(answer['properties'] as JsonSchema), amphora_haproxy: refTo('AmphoraHaproxy') },
});
const demanded = (root: string, schema: JsonSchema): JsonSchema => ({ ...rooted(root, schema), additionalProperties: false });

/** One of the usual five on a resource. */
export function usualOperation(resource: Resource, method: string, isCollection: boolean): Operation | null {
  const { title, root, plural, policy } = resource;
  const links = resource.links ?? `${plural}_links`;
  const name = schemaName(resource);
  const of = { tag: title };
  const thing = title.toLowerCase().replace('l7', 'L7');
  const one = /^(?:a|L7)/u.test(thing) ? `an ${thing}` : `a ${thing}`;
  if (isCollection && method === 'GET') {
    const page = rooted(plural, { type: 'array', items: refTo(name) });
    const properties = { ...(page['properties'] as JsonSchema), [links]: refTo('Links') };
    return {
      ...of,
      summary: `List ${manyOf(thing)}`,
      policy: [`${policy}:get_all`],
      status: 200,
      kind: 'list',
      answer: { ...page, properties },
    };
  }
  if (isCollection && method === 'POST') {
    const answer = rooted(root, refTo(root === 'loadbalancer' ? 'LoadBalancerTree' : name));
    const body = demanded(root, refTo(`${name}Create`));
    return { ...of, summary: `Create ${one}`, policy: [`${policy}:post`], status: 201, kind: 'change', answer, body };
  }
  if (isCollection) return null;
  if (method === 'GET')
    return { ...of, summary: `Show ${one}`, policy: [`${policy}:get_one`], status: 200, kind: 'show', answer: rooted(root, refTo(name)) };
  if (method === 'DELETE') {
    const query = root === 'loadbalancer' ? { query: { cascade: 'True: everything in it goes, too.' } } : {};
    return { ...of, summary: `Delete ${one}`, policy: [`${policy}:delete`], status: 204, kind: 'act', ...query };
  }
  if (method !== 'PUT') return null;
  const body = demanded(root, refTo(`${name}Update`));
  return {
    ...of,
    summary: `Change ${one}`,
    policy: [`${policy}:put`],
    status: 200,
    kind: 'change',
    answer: rooted(root, refTo(name)),
    body,
  };
}

const manyOf = (thing: string): string => (thing === 'amphora' ? 'amphorae' : `${thing.replace(/y$/u, 'ie')}s`);

/** The schemas of a resource's requests, by name. */
export const requestSchemas = (resource: Resource): Record<string, JsonSchema> => ({
  [`${schemaName(resource)}Create`]: requestSchema(resource, 'post'),
  [`${schemaName(resource)}Update`]: requestSchema(resource, 'put'),
});

const quotas = { tag: 'Quotas' } as const;
const providers = { tag: 'Providers' } as const;
const quotaAnswer = rooted('quota', refTo('Quota'));
const amphora = { tag: 'Amphora', status: 202, kind: 'act' } as const;

const tree: Operation = {
  summary: 'Show the statuses of a load balancer and of everything in it',
  tag: 'Load Balancer',
  policy: ['loadbalancer:get_status'],
  status: 200,
  kind: 'read',
  answer: rooted('statuses', rooted('loadbalancer', refTo('StatusTree'))),
};

const capabilities = (root: string, policy: string, summary: string): Operation => ({
  ...providers,
  summary,
  policy: [policy],
  status: 200,
  kind: 'show',
  answer: listed(root, 'Described'),
  query: { name: 'Only this one.', description: 'Only those with this description.' },
});

/** `<METHOD> <route>` → operation. */
export const specialOperations: Readonly<Record<string, Operation>> = {
  'GET /loadbalancers/:id/status': tree,
  'GET /loadbalancers/:id/statuses': { ...tree, summary: 'The same as /status' },
  'GET /loadbalancers/:id/stats': {
    summary: 'Show the counters of a load balancer',
    tag: 'Load Balancer',
    policy: ['loadbalancer:get_stats'],
    status: 200,
    kind: 'read',
    answer: rooted('stats', refTo('Statistics')),
  },
  'PUT /loadbalancers/:id/failover': {
    summary: 'Replace every amphora of a load balancer',
    tag: 'Load Balancer',
    policy: ['loadbalancer:put_failover'],
    status: 202,
    kind: 'act',
  },
  'GET /listeners/:id/stats': {
    summary: 'Show the counters of a listener',
    tag: 'Listener',
    policy: ['listener:get_stats'],
    status: 200,
    kind: 'read',
    answer: rooted('stats', refTo('Statistics')),
  },
  'PUT /pools/:pool_id/members': {
    summary: 'Replace all members of a pool: those that are not named go',
    tag: 'Member',
    policy: ['member:post', 'member:put', 'member:delete'],
    status: 202,
    kind: 'act',
    body: demanded('members', schemaOf(bodies.member.batch)),
    query: { additive_only: 'True: those that are not named stay; member:delete is not needed then.' },
  },
  'GET /quotas': {
    ...quotas,
    summary: 'List the projects whose quotas were set; null is the default',
    policy: ['quota:get_all'],
    status: 200,
    kind: 'list',
    answer: {
      ...listed('quotas', 'Quota'),
      properties: { quotas: { type: 'array', items: refTo('Quota') }, quotas_links: refTo('Links') },
    },
  },
  'GET /quotas/:id': {
    ...quotas,
    summary: 'Show the quotas of a project',
    policy: ['quota:get_one'],
    status: 200,
    kind: 'show',
    answer: quotaAnswer,
  },
  'PUT /quotas/:id': {
    ...quotas,
    summary: 'Set quotas of a project; null is the default',
    policy: ['quota:put'],
    status: 202,
    kind: 'change',
    answer: quotaAnswer,
    body: demanded('quota', schemaOf(bodies.quota)),
  },
  'DELETE /quotas/:id': {
    ...quotas,
    summary: 'Give a project the default quotas again',
    policy: ['quota:delete'],
    status: 202,
    kind: 'act',
  },
  'GET /quotas/:id/default': {
    ...quotas,
    summary: 'Show the default quotas',
    policy: ['quota:get_defaults'],
    status: 200,
    kind: 'read',
    answer: quotaAnswer,
  },
  'GET /quotas/:id/usage': {
    ...quotas,
    summary: 'Show what a project uses beside what it may',
    policy: ['quota:get_one'],
    status: 200,
    kind: 'read',
    answer: rooted('quota_usage', refTo('QuotaUsage')),
  },
  'GET /v2/octavia/quotas': {
    ...quotas,
    summary: 'List what every project uses beside what it may',
    policy: ['quota:get_all-global'],
    status: 200,
    kind: 'read',
    answer: paged('quota_usages', 'QuotaUsage'),
    query: {
      over: 'True: only projects that use more than they may.',
      limit: 'The most projects to look at.',
      marker: 'The last project of the page before.',
    },
  },
  'GET /providers': {
    ...providers,
    summary: 'List the providers',
    policy: ['provider:get_all'],
    status: 200,
    kind: 'show',
    answer: listed('providers', 'Described'),
  },
  'GET /providers/:id/flavor_capabilities': capabilities(
    'flavor_capabilities',
    'provider-flavor:get_all',
    'List what a flavor profile can say to a provider',
  ),
  'GET /providers/:id/availability_zone_capabilities': capabilities(
    'availability_zone_capabilities',
    'provider-availability-zone:get_all',
    'List what an availability zone profile can say to a provider',
  ),
  'GET /amphorae/:id/stats': {
    tag: 'Amphora',
    summary: 'Show the counters of an amphora, by listener',
    policy: ['amphora:get_stats'],
    status: 200,
    kind: 'read',
    answer: withHaproxy(listed('amphora_stats', 'AmphoraStatistics')),
  },
  'PUT /amphorae/:id/failover': { ...amphora, summary: 'Replace an amphora', policy: ['amphora:put_failover'] },
  'PUT /amphorae/:id/config': { ...amphora, summary: "Give an amphora's agent its configuration anew", policy: ['amphora:put_config'] },
};
