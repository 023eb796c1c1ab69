/** What the embedded identity keeps, in Keystone's words, and how each is found in the store. */
import { randomBytes } from 'node:crypto';
import type { AccessRule } from '../../access-rules.ts';
import type { StoredRecord } from '../record-store.ts';

/** A domain: a name space of projects and users. */
export type Domain = { readonly id: string; readonly name: string; readonly description: string; readonly enabled: boolean };

/** A project: who owns load balancers and networks. */
export type Project = {
  readonly id: string;
  readonly name: string;
  readonly domain_id: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly tags: readonly string[];
};

/** A user; `password_hash` null: cannot log in by password. */
export type User = {
  readonly id: string;
  readonly name: string;
  readonly domain_id: string;
  readonly description: string;
  readonly email: string | null;
  readonly enabled: boolean;
  readonly default_project_id: string | null;
  readonly password_hash: string | null;
  /** Tokens issued before this time (milliseconds) are void: the password was changed. */
  readonly valid_from_ms: number;
};

/** A role. */
export type Role = { readonly id: string; readonly name: string; readonly description: string };

/** What a role is granted on. */
export type Scope =
  | { readonly type: 'project'; readonly id: string }
  | { readonly type: 'domain'; readonly id: string }
  | { readonly type: 'system' };

/** A role of a user on a project, a domain or the system. */
export type Assignment = { readonly id: string; readonly role_id: string; readonly user_id: string; readonly scope: Scope };

/** A secret of its own for a program that acts as a user, with a part of that user's roles on one project. */
export type ApplicationCredential = {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly user_id: string;
  readonly project_id: string;
  readonly role_ids: readonly string[];
  readonly secret_hash: string;
  /** Milliseconds since the epoch; null: never. */
  readonly expires_ms: number | null;
  /** Whether its tokens may make and remove application credentials. */
  readonly unrestricted: boolean;
  /** The only requests that it may be used for; absent: any. */
  readonly access_rules?: readonly (AccessRule & { readonly id: string })[];
};

/** A token that was given back before its time; kept until `expires_ms`, when it would be void anyway. */
export type Revocation = { readonly id: string; readonly expires_ms: number };

/** A new identifier in Keystone's form: 32 hexadecimal digits. */
export function newIdentityId(): string {
  return randomBytes(16).toString('hex');
}

/** The record of a domain; names are unique. */
export function domainRecord(domain: Domain): StoredRecord<Domain> {
  return { kind: 'identity.domain', id: domain.id, project_id: null, name: domain.name, unique_key: domain.name, body: domain };
}

/** The record of a project; names are unique within a domain. */
export function projectRecord(project: Project): StoredRecord<Project> {
  const unique_key = ownedKey(project.domain_id, project.name);
  return { kind: 'identity.project', id: project.id, project_id: null, name: project.name, unique_key, body: project };
}

/** The record of a user; names are unique within a domain. */
export function userRecord(user: User): StoredRecord<User> {
  return {
    kind: 'identity.user',
    id: user.id,
    project_id: null,
    name: user.name,
    unique_key: ownedKey(user.domain_id, user.name),
    body: user,
  };
}

/** The record of a role; names are unique. */
export function roleRecord(role: Role): StoredRecord<Role> {
  return { kind: 'identity.role', id: role.id, project_id: null, name: role.name, unique_key: role.name, body: role };
}

/** The record of an assignment: found by its user (as the name) or by its project, and unique as a whole. */
export function assignmentRecord(assignment: Assignment): StoredRecord<Assignment> {
  const { scope, user_id, role_id } = assignment;
  const project_id = scope.type === 'project' ? scope.id : null;
  const unique_key = assignmentKey(user_id, role_id, scope);
  return { kind: 'identity.assignment', id: assignment.id, project_id, name: user_id, unique_key, body: assignment };
}

/** What makes an assignment unique. */
export function assignmentKey(user_id: string, role_id: string, scope: Scope): string {
  return `${user_id}/${scope.type}/${scope.type === 'system' ? 'all' : scope.id}/${role_id}`;
}

/** The record of an application credential: found by its user (as the name); names are unique within a user. */
export function credentialRecord(credential: ApplicationCredential): StoredRecord<ApplicationCredential> {
  const { id, project_id, user_id, name } = credential;
  return { kind: 'identity.application_credential', id, project_id, name: user_id, unique_key: ownedKey(user_id, name), body: credential };
}

/** A name within a domain or a user, as a unique key. */
export function ownedKey(owner_id: string, name: string): string {
  return `${owner_id}/${name}`;
}
