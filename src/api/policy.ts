/**
 * Who may do what: the rules as data. Two families of roles count side by side: Keystone's default roles (reader, member,
 * admin) and the older `load-balancer_*` ones.
 */
import type { Caller } from '../cloud/identity.ts';
import { Fault } from '../model/index.ts';

/** A group of callers. */
export type Audience =
  | 'anyone'
  | 'admin'
  | 'global-reader'
  | 'reader'
  | 'service-reader'
  | 'writer'
  | 'quota-reader'
  | 'quota-global-reader'
  | 'quota-admin';

/** Roles that let a caller do something in its own project, and roles that let it everywhere. */
type Roles = { readonly own: readonly string[]; readonly everywhere: readonly string[] };

const ADMIN = ['admin', 'load-balancer_admin'];
const READ = ['reader', 'member', 'load-balancer_observer', 'load-balancer_member'];

const audiences: Readonly<Record<Exclude<Audience, 'anyone'>, Roles>> = {
  admin: { own: [], everywhere: ADMIN },
  'global-reader': { own: [], everywhere: [...ADMIN, 'load-balancer_global_observer'] },
  reader: { own: READ, everywhere: [...ADMIN, 'load-balancer_global_observer'] },
  'service-reader': { own: READ, everywhere: [...ADMIN, 'load-balancer_global_observer', 'service'] },
  writer: { own: ['member', 'load-balancer_member'], everywhere: ADMIN },
  'quota-reader': { own: READ, everywhere: [...ADMIN, 'load-balancer_global_observer', 'load-balancer_quota_admin'] },
  'quota-global-reader': { own: [], everywhere: [...ADMIN, 'load-balancer_global_observer', 'load-balancer_quota_admin'] },
  'quota-admin': { own: [], everywhere: [...ADMIN, 'load-balancer_quota_admin'] },
};

const readWrite = {
  get_all: 'reader',
  'get_all-global': 'global-reader',
  get_one: 'reader',
  post: 'writer',
  put: 'writer',
  delete: 'writer',
} as const;

const adminOnly = { get_all: 'admin', 'get_all-global': 'admin', get_one: 'admin', post: 'admin', put: 'admin', delete: 'admin' } as const;

/** `<resource>:<action>` → who may; the names are those of the reference's policy file behind `os_load-balancer_api:`. */
const rules: Readonly<Record<string, Readonly<Record<string, Audience>>>> = {
  loadbalancer: {
    ...readWrite,
    'post:vip_sg_ids': 'writer',
    'put:vip_sg_ids': 'writer',
    get_stats: 'reader',
    get_status: 'reader',
    put_failover: 'admin',
  },
  listener: { ...readWrite, get_stats: 'reader' },
  pool: readWrite,
  member: { ...readWrite, get_all: 'service-reader' },
  healthmonitor: readWrite,
  l7policy: readWrite,
  l7rule: readWrite,
  quota: {
    get_all: 'quota-reader',
    'get_all-global': 'quota-global-reader',
    get_one: 'quota-reader',
    get_defaults: 'quota-reader',
    put: 'quota-admin',
    delete: 'quota-admin',
  },
  amphora: { ...adminOnly, get_stats: 'admin', put_failover: 'admin', put_config: 'admin' },
  provider: { get_all: 'reader', 'get_all-global': 'reader' },
  'provider-flavor': adminOnly,
  'provider-availability-zone': adminOnly,
  flavor: { ...adminOnly, get_all: 'reader', get_one: 'reader' },
  'flavor-profile': adminOnly,
  'availability-zone': { ...adminOnly, get_all: 'reader', get_one: 'reader' },
  'availability-zone-profile': adminOnly,
};

/** May the caller do this in this project (null: in no particular one)? An action without a rule is the administrator's. */
export function isAllowed(caller: Caller, resource: string, action: string, project_id: string | null): boolean {
  if (caller.is_admin) return true;
  const audience = rules[resource]?.[action] ?? 'admin';
  if (audience === 'anyone') return true;
  const { own, everywhere } = audiences[audience];
  if (caller.roles.some((role) => everywhere.includes(role))) return true;
  return project_id !== null && project_id === caller.project_id && caller.roles.some((role) => own.includes(role));
}

/** Throws `Fault` 403 when the caller may not. */
export function enforce(caller: Caller, resource: string, action: string, project_id: string | null): void {
  if (!isAllowed(caller, resource, action, project_id)) throw forbidden();
}

/** The fault of a refused request. */
export const forbidden = (): Fault => new Fault(403, 'Policy does not allow this request to be performed.');

/**
 * Which project a list is limited to: null for all of them. Without the right to see all, it is the caller's own unless
 * the request names one. Throws `Fault` 403.
 */
export function projectOfList(caller: Caller, resource: string, asked: string | null): string | null {
  if (isAllowed(caller, resource, 'get_all-global', asked)) return asked;
  const project_id = asked ?? caller.project_id;
  if (project_id === null) throw forbidden();
  enforce(caller, resource, 'get_all', project_id);
  return project_id;
}
