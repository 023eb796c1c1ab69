/** Logging in: proofs of who it is (methods) and a wish for what (scope) become the claims of a token. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { unauthorized } from './faults.ts';
import type { Credentials } from './credentials.ts';
import type { Passwords } from '../identity-passwords.ts';
import type { Domains } from './domains.ts';
import type { Projects } from './projects.ts';
import type { ApplicationCredential, Domain, Project, User } from './records.ts';
import type { Roles } from './roles.ts';
import type { Throttle } from './throttle.ts';
import type { TokenClaims } from './token.ts';
import type { Users } from './users.ts';
import type { ValidToken } from './validity.ts';

/** A domain as a client names it. */
export type DomainReference = { readonly id: string } | { readonly name: string };
/** A user or a project as a client names it. */
export type Reference = { readonly id: string } | { readonly name: string; readonly domain: DomainReference };

/** One proof. */
export type AuthMethod =
  | { readonly method: 'password'; readonly user: Reference; readonly password: string }
  | { readonly method: 'token'; readonly token: string }
  | { readonly method: 'application_credential'; readonly credential: CredentialReference; readonly secret: string };

/** An application credential as a client names it. */
export type CredentialReference = { readonly id: string } | { readonly name: string; readonly user: Reference };

/** What a token is wanted for; `default`: the user's default project, or that of the application credential. */
export type ScopeRequest =
  | { readonly type: 'project'; readonly project: Reference }
  | { readonly type: 'domain'; readonly domain: DomainReference }
  | { readonly type: 'system' | 'unscoped' | 'default' };

/** A login: all methods must prove the same user. */
export type AuthRequest = { readonly methods: readonly AuthMethod[]; readonly scope: ScopeRequest };

/** What logging in needs. */
export type LoginContext = {
  readonly clock: Clock;
  readonly token_ms: number;
  readonly passwords: Passwords;
  readonly throttle: { readonly account: Throttle; readonly address: Throttle };
  readonly domains: Domains;
  readonly projects: Projects;
  readonly users: Users;
  readonly roles: Roles;
  readonly credentials: Credentials;
  readonly openValid: (token: string) => Promise<ValidToken>;
};

type Proof = {
  readonly user_id: string;
  readonly methods: readonly string[];
  /** The new token must not live longer. */
  readonly expires_ms: number;
  readonly parent_audit_id: string | null;
  readonly credential: ApplicationCredential | null;
};

type Target = Pick<TokenClaims, 'project_id' | 'domain_id' | 'system'>;
const unscoped: Target = { project_id: null, domain_id: null, system: false };

/** The claims that a login earns; `address` is the client's, for slowing down guesses. Throws `Fault` 401, or 429 or 503 when it is asked too often. */
export async function earnClaims(context: LoginContext, request: AuthRequest, address: string): Promise<TokenClaims> {
  const proofs: Proof[] = [];
  for (const method of request.methods) proofs.push(await prove(context, method, address));
  const [first] = proofs;
  if (first === undefined || proofs.some((proof) => proof.user_id !== first.user_id)) throw unauthorized();
  const credential = proofs.find((proof) => proof.credential !== null)?.credential ?? null;
  return {
    user_id: first.user_id,
    ...(credential === null
      ? await targetOf(context, first.user_id, request.scope)
      : await credentialTarget(context, credential, request.scope)),
    methods: [...new Set(proofs.flatMap((proof) => proof.methods))],
    issued_ms: context.clock.now(),
    expires_ms: Math.min(...proofs.map((proof) => proof.expires_ms)),
    audit_id: randomBytes(16).toString('base64url'),
    parent_audit_id: proofs.find((proof) => proof.parent_audit_id !== null)?.parent_audit_id ?? null,
    application_credential_id: credential?.id ?? null,
  };
}

function prove(context: LoginContext, method: AuthMethod, address: string): Promise<Proof> {
  if (method.method === 'token') return proveToken(context, method.token);
  if (method.method === 'password') return provePassword(context, method, address);
  return proveCredential(context, method, address);
}

async function proveToken(context: LoginContext, token: string): Promise<Proof> {
  const { claims, application_credential } = await context.openValid(token);
  const parent_audit_id = claims.parent_audit_id ?? claims.audit_id;
  // A token made from a token lives no longer than that one, or logging in once would be for ever.
  return {
    user_id: claims.user_id,
    methods: ['token', ...claims.methods],
    expires_ms: claims.expires_ms,
    parent_audit_id,
    credential: application_credential,
  };
}

async function provePassword(context: LoginContext, method: AuthMethod & { readonly method: 'password' }, address: string): Promise<Proof> {
  const named = JSON.stringify(method.user);
  const user = await checked(context, `user ${named}`, address, async () => {
    const found = await findUser(context, method.user);
    return (await context.passwords.matches(method.password, found?.password_hash ?? null)) ? found : null;
  });
  return {
    user_id: user.id,
    methods: ['password'],
    expires_ms: context.clock.now() + context.token_ms,
    parent_audit_id: null,
    credential: null,
  };
}

async function proveCredential(
  context: LoginContext,
  method: AuthMethod & { readonly method: 'application_credential' },
  address: string,
): Promise<Proof> {
  const named = JSON.stringify(method.credential);
  const credential = await checked(context, `credential ${named}`, address, async () => {
    const found = await findCredential(context, method.credential);
    return (await context.passwords.matches(method.secret, found?.secret_hash ?? null)) ? found : null;
  });
  const expires_ms = Math.min(context.clock.now() + context.token_ms, credential.expires_ms ?? Number.MAX_SAFE_INTEGER);
  return { user_id: credential.user_id, methods: ['application_credential'], expires_ms, parent_audit_id: null, credential };
}

/** Runs a check of a secret under the throttle, and throws 401 when it yields nobody. */
async function checked<T>({ throttle }: LoginContext, account: string, address: string, check: () => Promise<T | null>): Promise<T> {
  const key = `${account} from ${address}`;
  throttle.account.check(key);
  throttle.address.check(address);
  const found = await check();
  if (found === null) {
    throttle.account.failed(key);
    throttle.address.failed(address);
    throw unauthorized();
  }
  throttle.account.succeeded(key);
  return found;
}

/** An application credential has one project; asking for that one is harmless, for another is refused. */
async function credentialTarget(context: LoginContext, credential: ApplicationCredential, scope: ScopeRequest): Promise<Target> {
  const own = { ...unscoped, project_id: credential.project_id };
  if (scope.type === 'default') return own;
  const asked = scope.type === 'project' ? await findProject(context, scope.project) : null;
  if (asked?.id !== credential.project_id) throw unauthorized();
  return own;
}

async function targetOf(context: LoginContext, user_id: string, scope: ScopeRequest): Promise<Target> {
  switch (scope.type) {
    case 'unscoped':
      return unscoped;
    case 'system':
      return { ...unscoped, system: true };
    case 'domain':
      return { ...unscoped, domain_id: ((await findDomain(context, scope.domain)) ?? refuse()).id };
    case 'project':
      return { ...unscoped, project_id: ((await findProject(context, scope.project)) ?? refuse()).id };
    case 'default':
      return { ...unscoped, project_id: await defaultProject(context, user_id) };
  }
}

/** The user's default project when there is one that the user can use; else none, and the token has no scope. */
async function defaultProject(context: LoginContext, user_id: string): Promise<string | null> {
  const id = (await context.users.find(user_id))?.default_project_id ?? null;
  if (id === null || (await context.projects.find(id))?.enabled !== true) return null;
  return (await context.roles.of(user_id, { type: 'project', id })).length === 0 ? null : id;
}

async function findUser(context: LoginContext, reference: Reference): Promise<User | null> {
  if ('id' in reference) return context.users.find(reference.id);
  const domain = await findDomain(context, reference.domain);
  return domain === null ? null : context.users.findByName(domain.id, reference.name);
}

async function findProject(context: LoginContext, reference: Reference): Promise<Project | null> {
  if ('id' in reference) return context.projects.find(reference.id);
  const domain = await findDomain(context, reference.domain);
  return domain === null ? null : context.projects.findByName(domain.id, reference.name);
}

function findDomain(context: LoginContext, reference: DomainReference): Promise<Domain | null> {
  return 'id' in reference ? context.domains.find(reference.id) : context.domains.findByName(reference.name);
}

async function findCredential(context: LoginContext, reference: CredentialReference): Promise<ApplicationCredential | null> {
  if ('id' in reference) return context.credentials.find(reference.id);
  const user = await findUser(context, reference.user);
  return user === null ? null : context.credentials.findByName(user.id, reference.name);
}

function refuse(): never {
  throw unauthorized();
}
