/** The rows of the access matrix: every endpoint of the API, the right that the published policies ask for, and a request that succeeds. */
import type { Right } from './expected.ts';

/** An endpoint. In paths and bodies `{listener}` stands for the id of one in the project asked about, `{n}` for a new number. */
export type Endpoint = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly right: Right;
  /** The status of success. */
  readonly ok: number;
  readonly body?: unknown;
  /** What a success uses up: the next call needs another. */
  readonly spends?: string;
  /** It belongs to no project: the caller's own counts. */
  readonly ofNoProject?: true;
};

type More = Partial<Pick<Endpoint, 'spends' | 'ofNoProject' | 'ok'>>;

const get = (path: string, right: Right, more: More = {}): Endpoint => ({ method: 'GET', path, right, ok: 200, ...more });
const post = (path: string, right: Right, body: unknown, more: More = {}): Endpoint => ({
  method: 'POST',
  path,
  right,
  ok: 201,
  body,
  ...more,
});
const put = (path: string, right: Right, body: unknown, more: More = {}): Endpoint => ({
  method: 'PUT',
  path,
  right,
  ok: 200,
  body,
  ...more,
});
const remove = (path: string, right: Right, spends: string, more: More = {}): Endpoint => ({
  method: 'DELETE',
  path,
  right,
  ok: 204,
  spends,
  ...more,
});

const named = (root: string): unknown => ({ [root]: { name: 'n{n}' } });
const ofNoProject = { ofNoProject: true } as const;

/** Things that requests name: where and how an administrator makes one. */
export const things: Readonly<
  Record<string, { readonly path: string; readonly body: unknown; readonly key?: string; readonly global?: true }>
> = {
  loadbalancer: { path: '/loadbalancers', body: { loadbalancer: { vip_subnet_id: '{subnet}', project_id: '{project}' } } },
  listener: { path: '/listeners', body: { listener: { loadbalancer_id: '{loadbalancer}', protocol: 'HTTP', protocol_port: '{n}' } } },
  pool: { path: '/pools', body: { pool: { loadbalancer_id: '{loadbalancer}', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } } },
  member: { path: '/pools/{pool}/members', body: { member: { address: '192.0.2.7', protocol_port: '{n}' } } },
  healthmonitor: {
    path: '/healthmonitors',
    body: { healthmonitor: { pool_id: '{pool}', type: 'HTTP', delay: 5, timeout: 4, max_retries: 2 } },
  },
  l7policy: { path: '/l7policies', body: { l7policy: { listener_id: '{listener}', action: 'REJECT' } } },
  rule: { path: '/l7policies/{l7policy}/rules', body: { rule: { type: 'PATH', compare_type: 'STARTS_WITH', value: '/p{n}' } } },
  flavorprofile: {
    path: '/flavorprofiles',
    body: { flavorprofile: { name: 'n{n}', provider_name: 'amphora', flavor_data: '{"loadbalancer_topology": "SINGLE"}' } },
    global: true,
  },
  flavor: { path: '/flavors', body: { flavor: { name: 'n{n}', flavor_profile_id: '{flavorprofile}' } }, global: true },
  availability_zone_profile: {
    path: '/availabilityzoneprofiles',
    body: {
      availability_zone_profile: { name: 'n{n}', provider_name: 'amphora', availability_zone_data: '{"compute_zone": "nova"}' },
    },
    global: true,
  },
  availability_zone: {
    path: '/availabilityzones',
    body: { availability_zone: { name: 'n{n}', availability_zone_profile_id: '{availability_zone_profile}' } },
    key: 'name',
    global: true,
  },
};

const thing = (name: string): { readonly path: string; readonly body: unknown } => things[name] ?? { path: '', body: {} };
const make = (name: string, right: Right, more: More = {}): Endpoint => post(thing(name).path, right, thing(name).body, more);

/** List, create, show, change and delete of a kind that belongs to a project. */
const owned = (kind: string, plural = `${kind}s`): Endpoint[] => [
  get(`/${plural}?project_id={project}`, 'read'),
  make(kind, 'write'),
  get(`/${plural}/{${kind}}`, 'read'),
  put(`/${plural}/{${kind}}`, 'write', named(kind)),
  remove(`/${plural}/{spare_${kind}}`, 'write', `spare_${kind}`),
];

const offered = (kind: string, plural: string, read: Right, change: unknown = named(kind)): Endpoint[] => [
  get(`/${plural}`, read, ofNoProject),
  make(kind, 'admin', ofNoProject),
  get(`/${plural}/{${kind}}`, read, ofNoProject),
  put(`/${plural}/{${kind}}`, 'admin', change, ofNoProject),
  remove(`/${plural}/{spare_${kind}}`, 'admin', `spare_${kind}`, ofNoProject),
];

const vipGroups = { loadbalancer: { vip_subnet_id: '{subnet}', project_id: '{project}', vip_sg_ids: ['{group}'] } };
const monitorOfSpare = { healthmonitor: { pool_id: '{bare_pool}', type: 'HTTP', delay: 5, timeout: 4, max_retries: 2 } };
const batch = { members: [{ address: '192.0.2.9', protocol_port: '{n}' }] };

/** Every endpoint. */
export const endpoints: readonly Endpoint[] = [
  ...owned('loadbalancer'),
  post('/loadbalancers', 'write', vipGroups),
  put('/loadbalancers/{loadbalancer}', 'write', { loadbalancer: { vip_sg_ids: ['{group}'] } }),
  get('/loadbalancers/{loadbalancer}/status', 'read'),
  get('/loadbalancers/{loadbalancer}/statuses', 'read'),
  get('/loadbalancers/{loadbalancer}/stats', 'read'),
  put('/loadbalancers/{loadbalancer}/failover', 'admin', undefined, { ok: 202 }),
  ...owned('listener'),
  get('/listeners/{listener}/stats', 'read'),
  ...owned('pool'),
  get('/pools/{pool}/members', 'list-members'),
  make('member', 'write'),
  put('/pools/{batch_pool}/members', 'write', batch, { ok: 202 }),
  put('/pools/{batch_pool}/members?additive_only=true', 'write', batch, { ok: 202 }),
  get('/pools/{pool}/members/{member}', 'read'),
  put('/pools/{pool}/members/{member}', 'write', named('member')),
  remove('/pools/{pool}/members/{spare_member}', 'write', 'spare_member'),
  get('/healthmonitors?project_id={project}', 'read'),
  post('/healthmonitors', 'write', monitorOfSpare),
  get('/healthmonitors/{healthmonitor}', 'read'),
  put('/healthmonitors/{healthmonitor}', 'write', named('healthmonitor')),
  remove('/healthmonitors/{healthmonitor}', 'write', 'healthmonitor'),
  ...owned('l7policy', 'l7policies'),
  get('/l7policies/{l7policy}/rules', 'read'),
  make('rule', 'write'),
  get('/l7policies/{l7policy}/rules/{rule}', 'read'),
  put('/l7policies/{l7policy}/rules/{rule}', 'write', { rule: { value: '/q{n}' } }),
  remove('/l7policies/{l7policy}/rules/{spare_rule}', 'write', 'spare_rule'),
  get('/quotas', 'read-quota', ofNoProject),
  get('/quotas/{project}', 'read-quota'),
  get('/quotas/{project}/default', 'read-quota'),
  get('/quotas/{project}/usage', 'read-quota'),
  get('/v2/octavia/quotas', 'read-all-quotas', ofNoProject),
  put('/quotas/{project}', 'write-quota', { quota: { pool: 100 } }, { ok: 202 }),
  remove('/quotas/{quota}', 'write-quota', 'quota', { ok: 202 }),
  get('/providers', 'read', ofNoProject),
  get('/providers/amphora/flavor_capabilities', 'admin', ofNoProject),
  get('/providers/amphora/availability_zone_capabilities', 'admin', ofNoProject),
  ...offered('flavor', 'flavors', 'read'),
  ...offered('flavorprofile', 'flavorprofiles', 'admin'),
  ...offered('availability_zone', 'availabilityzones', 'read', { availability_zone: { description: 'd{n}' } }),
  ...offered('availability_zone_profile', 'availabilityzoneprofiles', 'admin'),
  get('/v2/octavia/amphorae', 'admin', ofNoProject),
  get('/v2/octavia/amphorae/{amphora}', 'admin'),
  get('/v2/octavia/amphorae/{amphora}/stats', 'admin'),
  put('/v2/octavia/amphorae/{amphora}/failover', 'admin', undefined, { ok: 202, spends: 'amphora' }),
  put('/v2/octavia/amphorae/{amphora}/config', 'admin', undefined, { ok: 202 }),
  remove('/v2/octavia/amphorae/{broken_amphora}', 'admin', 'broken_amphora'),
];
