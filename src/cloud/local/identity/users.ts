/** Users of the embedded identity. */
import type { Clock } from '../../../lib/clock.ts';
import { Fault } from '../../../model/faults.ts';
import { notFound, refuseDuplicate } from './faults.ts';
import { belongings } from './projects.ts';
import { newIdentityId, ownedKey, userRecord } from './records.ts';
import type { User } from './records.ts';
import type { Passwords } from '../identity-passwords.ts';
import type { RecordStore } from '../record-store.ts';

/** What a user may be given; `password` null: no login by password. */
export type UserSpec = Pick<User, 'name' | 'domain_id' | 'description' | 'email' | 'enabled' | 'default_project_id'> & {
  readonly password: string | null;
};

/** Reads and writes users. */
export interface Users {
  list(): Promise<readonly User[]>;
  find(id: string): Promise<User | null>;
  findByName(domain_id: string, name: string): Promise<User | null>;
  /** Throws `Fault` 409 when the name is taken in the domain, 400 when there is no such domain. */
  create(spec: UserSpec): Promise<User>;
  /** A new password makes every token of the user void. Throws `Fault` 404. */
  update(id: string, change: Partial<Omit<UserSpec, 'domain_id'>>): Promise<User>;
  /** Removes the user's assignments and application credentials too. */
  remove(id: string): Promise<void>;
}

/** What users need beside the store. */
export type UsersContext = { readonly store: RecordStore; readonly clock: Clock; readonly passwords: Passwords };

/** Users in a store. */
export function createUsers({ store, clock, passwords }: UsersContext): Users {
  const find = (id: string): Promise<User | null> => store.get<User>('identity.user', id);
  return {
    find,
    list: () => store.list<User>('identity.user'),
    findByName: async (domain_id, name) => (await store.list<User>('identity.user', { unique_key: ownedKey(domain_id, name) }))[0] ?? null,
    async create({ password, ...spec }) {
      if ((await store.get('identity.domain', spec.domain_id)) === null) throw new Fault(400, `Could not find domain: ${spec.domain_id}.`);
      const password_hash = password === null ? null : await passwords.hash(password);
      const user = { id: newIdentityId(), ...spec, password_hash, valid_from_ms: 0 };
      await refuseDuplicate('user', spec.name, () => store.write([{ action: 'insert', record: userRecord(user) }]));
      return user;
    },
    async update(id, { password, ...change }) {
      // Hashed first: it takes long, and what is read below should not grow old.
      const secret =
        password === undefined
          ? {}
          : { password_hash: password === null ? null : await passwords.hash(password), valid_from_ms: clock.now() };
      const user = { ...((await find(id)) ?? notFound('user', id)), ...change, ...secret };
      await refuseDuplicate('user', user.name, () => store.write([{ action: 'update', record: userRecord(user) }]));
      return user;
    },
    async remove(id) {
      if ((await find(id)) === null) notFound('user', id);
      await store.write([...(await belongings(store, { name: id })), { action: 'delete', kind: 'identity.user', id }]);
    },
  };
}
