/** Projects of the embedded identity. */
import type { KeptRule } from './access-rules.ts';
import { Fault } from '../../../model/faults.ts';
import { notFound, refuseDuplicate } from './faults.ts';
import { newIdentityId, ownedKey, projectRecord } from './records.ts';
import type { ApplicationCredential, Assignment, Project, User } from './records.ts';
import type { RecordChange, RecordStore } from '../record-store.ts';

/** What a project may be given. */
export type ProjectSpec = Pick<Project, 'name' | 'domain_id' | 'description' | 'enabled' | 'tags'>;

/** Reads and writes projects; `get…` throw `Fault` 404. */
export interface Projects {
  list(): Promise<readonly Project[]>;
  find(id: string): Promise<Project | null>;
  findByName(domain_id: string, name: string): Promise<Project | null>;
  /** Throws `Fault` 409 when the name is taken in the domain, 400 when there is no such domain. */
  create(spec: ProjectSpec): Promise<Project>;
  update(id: string, change: Partial<Omit<ProjectSpec, 'domain_id'>>): Promise<Project>;
  /** Removes its assignments and application credentials too; tokens for it are void at once. */
  remove(id: string): Promise<void>;
}

/** Projects in a store. */
export function createProjects(store: RecordStore, domains: { find(id: string): Promise<unknown> }): Projects {
  const find = (id: string): Promise<Project | null> => store.get<Project>('identity.project', id);
  return {
    find,
    list: () => store.list<Project>('identity.project'),
    findByName: async (domain_id, name) =>
      (await store.list<Project>('identity.project', { unique_key: ownedKey(domain_id, name) }))[0] ?? null,
    async create(spec) {
      if ((await domains.find(spec.domain_id)) === null) throw new Fault(400, `Could not find domain: ${spec.domain_id}.`);
      const project = { id: newIdentityId(), ...spec };
      await refuseDuplicate('project', spec.name, () => store.write([{ action: 'insert', record: projectRecord(project) }]));
      return project;
    },
    async update(id, change) {
      const project = { ...((await find(id)) ?? notFound('project', id)), ...change };
      await refuseDuplicate('project', project.name, () => store.write([{ action: 'update', record: projectRecord(project) }]));
      return project;
    },
    async remove(id) {
      if ((await find(id)) === null) notFound('project', id);
      await store.write([...(await belongings(store, { project_id: id })), { action: 'delete', kind: 'identity.project', id }]);
    },
  };
}

/** Deletes of the assignments, application credentials and access rules of a project, or of a user (found as the name). */
export async function belongings(
  store: RecordStore,
  of: { readonly project_id: Project['id'] } | { readonly name: User['id'] },
): Promise<readonly RecordChange[]> {
  const assignments = await store.list<Assignment>('identity.assignment', of);
  const credentials = await store.list<ApplicationCredential>('identity.application_credential', of);
  const rules = await store.list<KeptRule>('identity.access_rule', of);
  return [
    ...rules.map(({ id }) => ({ action: 'delete', kind: 'identity.access_rule', id }) as const),
    ...assignments.map(({ id }) => ({ action: 'delete', kind: 'identity.assignment', id }) as const),
    ...credentials.map(({ id }) => ({ action: 'delete', kind: 'identity.application_credential', id }) as const),
  ];
}
