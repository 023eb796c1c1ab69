/** Roles of the embedded identity, and who has them where. */
import { Fault } from '../../../model/faults.ts';
import { notFound, refuseDuplicate } from './faults.ts';
import { assignmentKey, assignmentRecord, newIdentityId, roleRecord } from './records.ts';
import type { Assignment, Role, Scope } from './records.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore } from '../record-store.ts';

/** Roles that are always there: Keystone's default ones, those of Octavia's "advanced" policy, and Barbican's. */
export const roleNames: readonly string[] = [
  'admin',
  'member',
  'reader',
  'service',
  'load-balancer_observer',
  'load-balancer_global_observer',
  'load-balancer_member',
  'load-balancer_quota_admin',
  'load-balancer_admin',
  'creator',
  'observer',
  'audit',
];

/** Who has the role on the left has those on the right too, as Keystone's bootstrap has it. */
const implied = new Map<string, readonly string[]>([
  ['admin', ['member', 'reader']],
  ['member', ['reader']],
]);

/** The names of the roles that a role brings with it. Roles have any name, also that of a property that every object has. */
export const impliedBy = (name: string): readonly string[] => implied.get(name) ?? [];

/** Reads roles, and reads and writes assignments. */
export interface Roles {
  list(): Promise<readonly Role[]>;
  /** A role of its own, for rules of policy that name it. Throws `Fault` 409 when the name is taken. */
  create(spec: Omit<Role, 'id'>): Promise<Role>;
  /** Throws `Fault` 404 or 409, 403 for another name of one that is always there. */
  update(id: string, change: Partial<Omit<Role, 'id'>>): Promise<Role>;
  /** Takes it from everybody. Throws `Fault` 404, 403 for one that is always there. */
  remove(id: string): Promise<void>;
  /** All assignments, or those of a user. */
  assignments(user_id?: string): Promise<readonly Assignment[]>;
  /** The roles that a user has on a scope, implied ones too; empty: none. */
  of(user_id: string, scope: Scope): Promise<readonly Role[]>;
  /** Gives a role; one that is there already is success. Throws `Fault` 404 when user, role or target does not exist. */
  grant(user_id: string, role_id: string, scope: Scope): Promise<void>;
  /** Takes a role away. Throws `Fault` 404 when it was not given. */
  revoke(user_id: string, role_id: string, scope: Scope): Promise<void>;
}

/** Roles in a store. */
export function createRoles(store: RecordStore): Roles {
  const list = (): Promise<readonly Role[]> => store.list<Role>('identity.role');
  const assignments = (user_id?: string): Promise<readonly Assignment[]> =>
    store.list<Assignment>('identity.assignment', user_id === undefined ? {} : { name: user_id });
  return {
    list,
    assignments,
    async create(spec) {
      const role = { id: newIdentityId(), ...spec };
      await refuseDuplicate('role', spec.name, () => store.write([{ action: 'insert', record: roleRecord(role) }]));
      return role;
    },
    async update(id, change) {
      const before = (await store.get<Role>('identity.role', id)) ?? notFound('role', id);
      if (change.name !== undefined && change.name !== before.name) refuseFirst(before);
      const role = { ...before, ...change };
      await refuseDuplicate('role', role.name, () => store.write([{ action: 'update', record: roleRecord(role) }]));
      return role;
    },
    async remove(id) {
      refuseFirst((await store.get<Role>('identity.role', id)) ?? notFound('role', id));
      const grants = (await assignments()).filter((each) => each.role_id === id);
      await store.write([
        ...grants.map((grant) => ({ action: 'delete', kind: 'identity.assignment', id: grant.id }) as const),
        { action: 'delete', kind: 'identity.role', id },
      ]);
    },
    async of(user_id, scope) {
      const held = (await assignments(user_id)).filter((each) => isSameScope(each.scope, scope)).map((each) => each.role_id);
      return held.length === 0 ? [] : withImplied(held, await list());
    },
    async grant(user_id, role_id, scope) {
      await requireAll(store, user_id, role_id, scope);
      const record = assignmentRecord({ id: newIdentityId(), user_id, role_id, scope });
      try {
        await store.write([{ action: 'insert', record }]);
      } catch (error) {
        if (!(error instanceof RecordConflict)) throw error;
      }
    },
    async revoke(user_id, role_id, scope) {
      const [found] = await store.list<Assignment>('identity.assignment', { unique_key: assignmentKey(user_id, role_id, scope) });
      if (found === undefined) notFound('role assignment with role', role_id);
      await store.write([{ action: 'delete', kind: 'identity.assignment', id: found.id }]);
    },
  };
}

/** The rules of what may be done are about them, and a start would make them again. */
function refuseFirst(role: Role): void {
  if (roleNames.includes(role.name)) throw new Fault(403, `The role ${role.name} is always there: it cannot be renamed or deleted.`);
}

/** Roles by their ids, with those that they imply; ids of roles that are gone are left out. */
export function withImplied(role_ids: readonly string[], all: readonly Role[]): readonly Role[] {
  const names = all.filter((role) => role_ids.includes(role.id)).flatMap((role) => [role.name, ...impliedBy(role.name)]);
  return all.filter((role) => names.includes(role.name));
}

/** Whether two scopes are the same. */
export function isSameScope(one: Scope, other: Scope): boolean {
  return one.type === other.type && (one.type === 'system' || one.id === (other as { readonly id: string }).id);
}

async function requireAll(store: RecordStore, user_id: string, role_id: string, scope: Scope): Promise<void> {
  if ((await store.get('identity.user', user_id)) === null) notFound('user', user_id);
  if ((await store.get('identity.role', role_id)) === null) notFound('role', role_id);
  if (scope.type === 'system') return;
  const kind = scope.type === 'project' ? 'identity.project' : 'identity.domain';
  if ((await store.get(kind, scope.id)) === null) notFound(scope.type, scope.id);
}
