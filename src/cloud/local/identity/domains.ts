/** Domains of the embedded identity: `default`, made at first start, and those that administrators make. */
import { Fault } from '../../../model/faults.ts';
import { notFound, refuseDuplicate } from './faults.ts';
import { belongings } from './projects.ts';
import { domainRecord, newIdentityId } from './records.ts';
import type { Assignment, Domain, Project, User } from './records.ts';
import type { RecordStore } from '../record-store.ts';

/** Reads and writes domains. */
export interface Domains {
  list(): Promise<readonly Domain[]>;
  find(id: string): Promise<Domain | null>;
  findByName(name: string): Promise<Domain | null>;
  /** Throws `Fault` 409 when the name is taken. */
  create(spec: Omit<Domain, 'id'>): Promise<Domain>;
  /** One that is disabled lets nobody in. Throws `Fault` 404 or 409, 403 for disabling `default`. */
  update(id: string, change: Partial<Omit<Domain, 'id'>>): Promise<Domain>;
  /** Removes its projects and users, too. Throws `Fault` 404, 403 while it is enabled. */
  remove(id: string): Promise<void>;
}

/** The domain of the first start; without it nobody could log in. */
const FIRST = 'default';

/** Domains in a store. */
export function createDomains(store: RecordStore): Domains {
  const find = (id: string): Promise<Domain | null> => store.get<Domain>('identity.domain', id);
  return {
    find,
    list: () => store.list<Domain>('identity.domain'),
    findByName: async (name) => (await store.list<Domain>('identity.domain', { unique_key: name }))[0] ?? null,
    async create(spec) {
      const domain = { id: newIdentityId(), ...spec };
      await refuseDuplicate('domain', spec.name, () => store.write([{ action: 'insert', record: domainRecord(domain) }]));
      return domain;
    },
    async update(id, change) {
      const domain = { ...((await find(id)) ?? notFound('domain', id)), ...change };
      if (id === FIRST && !domain.enabled) throw new Fault(403, 'The default domain cannot be disabled: nobody could log in any more.');
      await refuseDuplicate('domain', domain.name, () => store.write([{ action: 'update', record: domainRecord(domain) }]));
      return domain;
    },
    async remove(id) {
      const domain = (await find(id)) ?? notFound('domain', id);
      if (domain.enabled) throw new Fault(403, 'Cannot delete a domain that is enabled, please disable it first.');
      const projects = (await store.list<Project>('identity.project')).filter((each) => each.domain_id === id);
      const users = (await store.list<User>('identity.user')).filter((each) => each.domain_id === id);
      const grants = (await store.list<Assignment>('identity.assignment')).filter(
        ({ scope }) => scope.type === 'domain' && scope.id === id,
      );
      const owned = [
        ...projects.map((project) => belongings(store, { project_id: project.id })),
        ...users.map((user) => belongings(store, { name: user.id })),
      ];
      await store.write([
        ...(await Promise.all(owned)).flat(),
        ...grants.map((grant) => ({ action: 'delete', kind: 'identity.assignment', id: grant.id }) as const),
        ...projects.map((project) => ({ action: 'delete', kind: 'identity.project', id: project.id }) as const),
        ...users.map((user) => ({ action: 'delete', kind: 'identity.user', id: user.id }) as const),
        { action: 'delete', kind: 'identity.domain', id },
      ]);
    },
  };
}
