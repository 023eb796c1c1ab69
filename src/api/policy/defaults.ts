/**
 * The rules that hold without a policy file, in the reference's own words. A rule of a policy file replaces the rule of
 * the same name here.
 */

/** A rule, and what else was enough before Keystone's default roles: it counts unless `enforce_new_defaults` is on. */
export type DefaultRule = string | { readonly now: string; readonly before: string };

/** Who is who: groups of callers that the rules of the API are made of. */
const personas: Readonly<Record<string, DefaultRule>> = {
  'project-member': 'role:member and project_id:%(project_id)s',
  'project-reader': 'role:reader and project_id:%(project_id)s',
  context_is_admin: { now: 'role:admin', before: 'role:admin or role:load-balancer_admin' },
  service: 'role:service',
  'load-balancer:owner': 'project_id:%(project_id)s',
  'load-balancer:admin': { now: 'is_admin:True or role:admin', before: 'is_admin:True or role:admin or role:load-balancer_admin' },
  'load-balancer:global_observer': { now: 'role:admin', before: 'role:load-balancer_global_observer' },
  'load-balancer:member_and_owner': {
    now: 'rule:project-member',
    before: 'role:load-balancer_member and rule:load-balancer:owner',
  },
  'load-balancer:observer_and_owner': {
    now: 'rule:project-reader',
    before: 'role:load-balancer_observer and rule:load-balancer:owner',
  },
  'load-balancer:quota-admin': { now: 'role:admin', before: 'role:load-balancer_quota_admin' },
};

const anyOf = (...names: readonly string[]): string => names.map((name) => `rule:load-balancer:${name}`).join(' or ');

/** What each group may do at all. */
const rights: Readonly<Record<string, DefaultRule>> = {
  'load-balancer:read': anyOf('observer_and_owner', 'global_observer', 'member_and_owner', 'admin'),
  'load-balancer:read-global': anyOf('global_observer', 'admin'),
  'load-balancer:write': anyOf('member_and_owner', 'admin'),
  'load-balancer:read-quota': anyOf('observer_and_owner', 'global_observer', 'member_and_owner', 'quota-admin', 'admin'),
  'load-balancer:read-quota-global': anyOf('global_observer', 'quota-admin', 'admin'),
  'load-balancer:write-quota': anyOf('quota-admin', 'admin'),
};

const read = 'rule:load-balancer:read';
const readGlobal = 'rule:load-balancer:read-global';
const write = 'rule:load-balancer:write';
const admin = 'rule:load-balancer:admin';

const part = { get_all: read, post: write, get_one: read, put: write, delete: write } as const;
const listed = { ...part, 'get_all-global': readGlobal } as const;
const adminsOnly = { get_all: admin, post: admin, get_one: admin, put: admin, delete: admin } as const;
const publicToRead = { ...adminsOnly, get_all: read, get_one: read } as const;

/** Resource → action → rule. */
const actions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  loadbalancer: {
    ...listed,
    'post:vip_sg_ids': write,
    'put:vip_sg_ids': write,
    get_stats: read,
    get_status: read,
    put_failover: admin,
  },
  listener: { ...listed, get_stats: read },
  pool: listed,
  // The telemetry service counts members.
  member: { ...part, get_all: `${read} or rule:service` },
  healthmonitor: listed,
  l7policy: listed,
  l7rule: part,
  quota: {
    get_all: 'rule:load-balancer:read-quota',
    'get_all-global': 'rule:load-balancer:read-quota-global',
    get_one: 'rule:load-balancer:read-quota',
    put: 'rule:load-balancer:write-quota',
    delete: 'rule:load-balancer:write-quota',
    get_defaults: 'rule:load-balancer:read-quota',
  },
  amphora: { get_all: admin, get_one: admin, delete: admin, put_config: admin, put_failover: admin, get_stats: admin },
  provider: { get_all: read },
  'provider-flavor': { get_all: admin },
  'provider-availability-zone': { get_all: admin },
  flavor: publicToRead,
  'flavor-profile': adminsOnly,
  'availability-zone': publicToRead,
  'availability-zone-profile': adminsOnly,
};

/** The name of the rule for an action on a resource. */
export const ruleName = (resource: string, action: string): string => `os_load-balancer_api:${resource}:${action}`;

/** Name → rule: all that hold without a policy file. */
export const defaultRules: ReadonlyMap<string, DefaultRule> = new Map([
  ...Object.entries(personas),
  ...Object.entries(rights),
  ...Object.entries(actions).flatMap(([resource, rules]) =>
    Object.entries(rules).map(([action, rule]): [string, DefaultRule] => [ruleName(resource, action), rule]),
  ),
]);
