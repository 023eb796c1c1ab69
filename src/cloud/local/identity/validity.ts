/** Whether a token still stands for somebody, and for what: asked of the records each time, so that a change counts at once. */
import type { Clock } from '../../../lib/clock.ts';
import type { Caller } from '../../identity.ts';
import { unauthorized } from './faults.ts';
import type { ApplicationCredential, Domain, Project, Revocation, Role, Scope, User } from './records.ts';
import { withImplied } from './roles.ts';
import type { Roles } from './roles.ts';
import type { TokenClaims } from './token.ts';
import type { RecordStore } from '../record-store.ts';

/** A token with all that it refers to. */
export type ValidToken = {
  readonly claims: TokenClaims;
  readonly user: User;
  readonly user_domain: Domain;
  readonly project: Project | null;
  readonly project_domain: Domain | null;
  readonly domain: Domain | null;
  /** Empty for a token without scope. */
  readonly roles: readonly Role[];
  readonly application_credential: ApplicationCredential | null;
};

/** What validity is looked up in. */
export type ValidityContext = { readonly store: RecordStore; readonly clock: Clock; readonly roles: Roles };

/**
 * The token of claims. Throws `Fault` 401 when it expired more than `grace_ms` ago, was revoked, or when user, project,
 * domain, application credential or the last role is gone or disabled.
 */
export async function validate(context: ValidityContext, claims: TokenClaims, grace_ms = 0): Promise<ValidToken> {
  const { store, clock } = context;
  if (claims.expires_ms + grace_ms <= clock.now()) throw unauthorized();
  const [revocation, user] = await Promise.all([
    store.get<Revocation>('identity.revocation', claims.audit_id),
    store.get<User>('identity.user', claims.user_id),
  ]);
  if (revocation !== null || user === null || !user.enabled || claims.issued_ms < user.valid_from_ms) throw unauthorized();
  const user_domain = await enabledDomain(store, user.domain_id);
  const project = claims.project_id === null ? null : await enabled(store.get<Project>('identity.project', claims.project_id));
  const domain = claims.domain_id === null ? null : await enabledDomain(store, claims.domain_id);
  const application_credential = await credentialOf(context, claims);
  const roles = await rolesOf(context, claims, application_credential);
  const project_domain = project === null ? null : await enabledDomain(store, project.domain_id);
  return { claims, user, user_domain, project, project_domain, domain, roles, application_credential };
}

/** The caller whom a valid token stands for. */
export function callerOf(token: ValidToken): Caller {
  const roles = token.roles.map((role) => role.name);
  const access_rules = token.application_credential?.access_rules;
  return {
    user_id: token.user.id,
    user_name: token.user.name,
    project_id: token.project?.id ?? null,
    domain_id: token.domain?.id ?? null,
    roles,
    is_admin: roles.includes('admin'),
    system_scope: token.claims.system,
    ...(access_rules !== undefined && { access_rules }),
  };
}

/** The scope of claims; null: none. */
export function scopeOf(claims: TokenClaims): Scope | null {
  if (claims.project_id !== null) return { type: 'project', id: claims.project_id };
  if (claims.domain_id !== null) return { type: 'domain', id: claims.domain_id };
  return claims.system ? { type: 'system' } : null;
}

async function rolesOf(
  { store, roles }: ValidityContext,
  claims: TokenClaims,
  credential: ApplicationCredential | null,
): Promise<readonly Role[]> {
  const scope = scopeOf(claims);
  if (scope === null) return [];
  const held = await roles.of(claims.user_id, scope);
  // A credential never gives what its user has lost since.
  const granted = credential === null ? held : withImplied(credential.role_ids, await store.list<Role>('identity.role'));
  const both = held.filter((role) => granted.some((each) => each.id === role.id));
  if (both.length === 0) throw unauthorized();
  return both;
}

async function credentialOf({ store, clock }: ValidityContext, claims: TokenClaims): Promise<ApplicationCredential | null> {
  if (claims.application_credential_id === null) return null;
  const credential = await store.get<ApplicationCredential>('identity.application_credential', claims.application_credential_id);
  if (credential === null || (credential.expires_ms !== null && credential.expires_ms <= clock.now())) throw unauthorized();
  return credential;
}

function enabledDomain(store: RecordStore, id: string): Promise<Domain> {
  return enabled(store.get<Domain>('identity.domain', id));
}

async function enabled<T extends { readonly enabled: boolean }>(found: Promise<T | null>): Promise<T> {
  const thing = await found;
  if (thing === null || !thing.enabled) throw unauthorized();
  return thing;
}
