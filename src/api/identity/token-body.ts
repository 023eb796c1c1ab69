/** A token as `POST` and `GET /v3/auth/tokens` show it. */
import type { Domain } from '../../cloud/local/identity/records.ts';
import type { ValidToken } from '../../cloud/local/identity/validity.ts';
import type { CatalogEntry } from './catalog.ts';

/** The body for a valid token; a token without scope has no catalog, and `catalog` null leaves it out for the others. */
export function tokenBody(token: ValidToken, catalog: readonly CatalogEntry[] | null): object {
  const { claims, project, domain, user } = token;
  const scoped = project !== null || domain !== null || claims.system;
  const credential = token.application_credential;
  // None is another thing than an empty list, by which services would allow nothing.
  const rules = credential?.access_rules === undefined ? {} : { access_rules: credential.access_rules };
  return {
    token: {
      methods: claims.methods,
      user: { id: user.id, name: user.name, domain: shortDomain(token.user_domain), password_expires_at: null },
      audit_ids: claims.parent_audit_id === null ? [claims.audit_id] : [claims.audit_id, claims.parent_audit_id],
      expires_at: instant(claims.expires_ms),
      issued_at: instant(claims.issued_ms),
      ...(project === null
        ? {}
        : { project: { id: project.id, name: project.name, domain: shortDomain(token.project_domain) }, is_domain: false }),
      ...(domain === null ? {} : { domain: shortDomain(domain) }),
      ...(claims.system ? { system: { all: true } } : {}),
      ...(scoped ? { roles: token.roles.map(({ id, name }) => ({ id, name })) } : {}),
      ...(scoped && catalog !== null ? { catalog } : {}),
      ...(credential === null
        ? {}
        : { application_credential: { id: credential.id, name: credential.name, restricted: !credential.unrestricted, ...rules } }),
    },
  };
}

/** A time in Keystone's form: UTC with six decimals. */
export function instant(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

function shortDomain(domain: Domain | null): { readonly id: string; readonly name: string } | null {
  return domain === null ? null : { id: domain.id, name: domain.name };
}
