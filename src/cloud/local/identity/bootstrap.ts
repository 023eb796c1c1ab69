/** What the embedded identity holds after its first start. */
import type { Clock } from '../../../lib/clock.ts';
import type { Secret } from '../../../lib/secret.ts';
import type { Passwords } from '../identity-passwords.ts';
import { assignmentRecord, domainRecord, newIdentityId, ownedKey, projectRecord, roleRecord, userRecord } from './records.ts';
import type { Project, Role, Scope, User } from './records.ts';
import { roleNames } from './roles.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore, StoredRecord } from '../record-store.ts';

/** The passwords of the two users that the first start makes. */
export type FirstPasswords = { readonly admin: Secret; readonly demo: Secret };

/** What came of it; `created` false: users were there already, and the passwords were not used. */
export type Bootstrapped = { readonly created: boolean; readonly project_ids: Readonly<Record<ProjectName, string>> };

/** What bootstrapping needs. */
export type BootstrapContext = { readonly store: RecordStore; readonly clock: Clock; readonly passwords: Passwords };

type ProjectName = 'admin' | 'demo' | 'service';
const DOMAIN = 'default';
const projectNames: readonly ProjectName[] = ['admin', 'demo', 'service'];

/** Makes domain, projects, users, roles and assignments at the first start, all or nothing; later it adds roles that are new. */
export async function bootstrapIdentity(context: BootstrapContext, first: FirstPasswords): Promise<Bootstrapped> {
  const { store } = context;
  let created = false;
  if ((await store.get('identity.domain', DOMAIN)) === null) {
    const records = await firstRecords(context, first);
    created = await insertAll(store, records);
  }
  await addMissingRoles(store);
  return { created, project_ids: await projectIds(store) };
}

async function firstRecords({ passwords }: BootstrapContext, first: FirstPasswords): Promise<readonly StoredRecord[]> {
  const projects = Object.fromEntries(projectNames.map((name) => [name, newProject(name)])) as Record<ProjectName, Project>;
  const roles = roleNames.map(newRole);
  const admin = newUser('admin', projects.admin, await passwords.hash(first.admin.reveal()));
  const demo = newUser('demo', projects.demo, await passwords.hash(first.demo.reveal()));
  const grant = (user: User, role: string, scope: Scope): StoredRecord =>
    assignmentRecord({ id: newIdentityId(), user_id: user.id, role_id: roles.find((each) => each.name === role)?.id ?? '', scope });
  return [
    domainRecord({ id: DOMAIN, name: 'Default', description: 'The default domain', enabled: true }),
    ...Object.values(projects).map(projectRecord),
    ...roles.map(roleRecord),
    userRecord(admin),
    userRecord(demo),
    grant(admin, 'admin', { type: 'project', id: projects.admin.id }),
    grant(admin, 'admin', { type: 'project', id: projects.demo.id }),
    grant(admin, 'admin', { type: 'domain', id: DOMAIN }),
    grant(admin, 'admin', { type: 'system' }),
    grant(demo, 'member', { type: 'project', id: projects.demo.id }),
    grant(demo, 'load-balancer_member', { type: 'project', id: projects.demo.id }),
  ];
}

function newProject(name: string): Project {
  return { id: newIdentityId(), name, domain_id: DOMAIN, description: '', enabled: true, tags: [] };
}

function newRole(name: string): Role {
  return { id: newIdentityId(), name, description: '' };
}

function newUser(name: string, project: Project, password_hash: string): User {
  const id = newIdentityId();
  return {
    id,
    name,
    domain_id: DOMAIN,
    description: '',
    email: null,
    enabled: true,
    default_project_id: project.id,
    password_hash,
    valid_from_ms: 0,
  };
}

async function addMissingRoles(store: RecordStore): Promise<void> {
  const present = new Set((await store.list<Role>('identity.role')).map((role) => role.name));
  const missing = roleNames.filter((name) => !present.has(name)).map((name) => roleRecord(newRole(name)));
  if (missing.length > 0) await insertAll(store, missing);
}

/** False when somebody else (another controller's first start) was faster. */
async function insertAll(store: RecordStore, records: readonly StoredRecord[]): Promise<boolean> {
  try {
    await store.write(records.map((record) => ({ action: 'insert', record })));
    return true;
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    return false;
  }
}

async function projectIds(store: RecordStore): Promise<Bootstrapped['project_ids']> {
  const found = await Promise.all(
    projectNames.map(async (name) => {
      const [project] = await store.list<Project>('identity.project', { unique_key: ownedKey(DOMAIN, name) });
      // An operator may have removed or renamed it: nothing that belongs to it is visible to anybody then.
      return [name, project?.id ?? name] as const;
    }),
  );
  return Object.fromEntries(found) as Record<ProjectName, string>;
}
