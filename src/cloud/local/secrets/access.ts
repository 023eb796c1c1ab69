/** Who may do what with secrets and containers: Barbican's rules, its older roles and Keystone's side by side. Pure. */
import type { Caller } from '../../identity.ts';
import type { Acl, Entity } from './records.ts';

/** What can be done: see the description, read the payload, change or delete, read the ACL. */
export type Action = 'show' | 'decrypt' | 'change' | 'show_acl' | 'change_acl';

/** Roles that may list what a project has. */
const listing = ['member', 'admin', 'creator', 'observer', 'reader'];
/** Roles that may make something. */
const making = ['member', 'admin', 'creator'];
/** Roles that may read what is not private; `audit` and `reader` see descriptions only. */
const rolesOf: Readonly<Record<Action, readonly string[]>> = {
  show: ['member', 'creator', 'observer', 'audit', 'reader'],
  decrypt: ['member', 'creator', 'observer'],
  change: ['member', 'creator'],
  show_acl: ['member', 'creator', 'observer'],
  change_acl: ['member', 'creator'],
};

const hasRole = (caller: Caller, roles: readonly string[]): boolean => caller.roles.some((role) => roles.includes(role));

/** Without identity everybody may do everything. */
const isOpen = (caller: Caller): boolean => caller.is_admin && caller.user_id === null;

/** May the caller list what its project has? */
export const mayList = (caller: Caller): boolean => isOpen(caller) || hasRole(caller, listing);

/** May the caller make secrets and containers? */
export const mayMake = (caller: Caller): boolean => isOpen(caller) || hasRole(caller, making);

/** May the caller do this? An administrator is one in its own project only: whoever administers the cloud reads no tenant's keys. */
export function may(action: Action, caller: Caller, entity: Entity, acl: Acl | null): boolean {
  if (isOpen(caller)) return true;
  if ((action === 'show' || action === 'decrypt') && caller.user_id !== null && acl?.users.includes(caller.user_id) === true) return true;
  if (caller.project_id === null || caller.project_id !== entity.project_id) return false;
  if (caller.roles.includes('admin')) return true;
  const isOwner = caller.user_id !== null && caller.user_id === entity.creator_id;
  const isPrivate = acl?.project_access === false;
  return (isOwner || !isPrivate || action === 'show_acl') && hasRole(caller, rolesOf[action]);
}

/**
 * May whoever names it in a request have a load balancer use it? Nobody sees the payload by that, so roles of the key manager do not
 * matter: who may change load balancers of the project may use what the project shares, and besides that what it could read itself.
 */
export function mayName(caller: Caller, entity: Entity, acl: Acl | null, loadbalancer_project_id: string | null): boolean {
  if (isOpen(caller) || mayUse(entity, acl, loadbalancer_project_id)) return true;
  if (caller.user_id === null) return false;
  return acl?.users.includes(caller.user_id) === true || (caller.user_id === entity.creator_id && caller.project_id === entity.project_id);
}

/** May load balancers of the project use it without anybody's word? */
export const mayUse = (entity: Entity, acl: Acl | null, project_id: string | null): boolean =>
  entity.project_id === project_id && acl?.project_access !== false;
