/** The embedded identity: a subset of Keystone over the record store, for a deployment without a cloud. */
import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { systemClock } from '../../lib/clock.ts';
import type { Clock } from '../../lib/clock.ts';
import { passOn } from '../access-rules.ts';
import type { Caller, Identity } from '../identity.ts';
import { createAccessRules } from './identity/access-rules.ts';
import type { AccessRules } from './identity/access-rules.ts';
import { bootstrapIdentity } from './identity/bootstrap.ts';
import type { Bootstrapped, FirstPasswords } from './identity/bootstrap.ts';
import { createCallerCache } from './identity/cache.ts';
import { createCredentials } from './identity/credentials.ts';
import type { Credentials } from './identity/credentials.ts';
import { unauthorized } from './identity/faults.ts';
import { earnClaims } from './identity/login.ts';
import type { AuthRequest } from './identity/login.ts';
import { createPasswords } from './identity-passwords.ts';
import type { Passwords } from './identity-passwords.ts';
import { createDomains } from './identity/domains.ts';
import type { Domains } from './identity/domains.ts';
import { createProjects } from './identity/projects.ts';
import type { Projects } from './identity/projects.ts';
import type { Revocation } from './identity/records.ts';
import { createRoles } from './identity/roles.ts';
import { createAddedServices } from './identity/services.ts';
import type { AddedServices } from './identity/services.ts';
import type { Roles } from './identity/roles.ts';
import { createThrottle } from './identity/throttle.ts';
import { openToken, sealToken } from './identity/token.ts';
import type { TokenClaims } from './identity/token.ts';
import { createUsers } from './identity/users.ts';
import type { Users } from './identity/users.ts';
import { callerOf, validate } from './identity/validity.ts';
import type { ValidToken } from './identity/validity.ts';
import { RecordConflict } from './record-store.ts';
import type { RecordStore } from './record-store.ts';

/** Issues, checks and takes back tokens. */
export interface Tokens {
  /** Logs in; `address` is the client's. Throws `Fault` 401, 429 or 503. */
  issue(request: AuthRequest, address: string): Promise<{ readonly token: string; readonly valid: ValidToken }>;
  /** Throws `Fault` 401 when the token is not valid; with `expired_too`, one that expired within two days still is. */
  check(token: string | undefined, options?: { readonly expired_too?: boolean }): Promise<ValidToken>;
  /** Makes a valid token void, everywhere within `recheck_ms`. */
  revoke(token: ValidToken): Promise<void>;
}

/** The embedded identity: what `Identity` asks for, and what its HTTP facade needs. */
export type LocalIdentity = Identity & {
  readonly tokens: Tokens;
  readonly domains: Domains;
  readonly projects: Projects;
  readonly users: Users;
  readonly roles: Roles;
  readonly credentials: Credentials;
  readonly accessRules: AccessRules;
  readonly passwords: Passwords;
  readonly added: AddedServices;
  /** Makes what a first start makes; call it at every start. */
  bootstrap(first: FirstPasswords): Promise<Bootstrapped>;
};

/** What the embedded identity is made of. */
export type LocalIdentityOptions = {
  readonly store: RecordStore;
  /** At least 32 random bytes, the same on each controller; tokens are void when it changes. */
  readonly signing_key: Uint8Array;
  /** How long a token lives: 3,600 to 43,200; default 43,200. */
  readonly token_seconds?: number;
  /** How long a verified token is believed without asking the store again: another controller's revocation takes that long. Default 5,000. */
  readonly recheck_ms?: number;
  readonly clock?: Clock;
  /** Cheaper ones in tests. */
  readonly passwords?: Passwords;
};

const DAY_MS = 86_400_000;
const accountLimits = { free: 5, longest_ms: 60_000, forget_ms: 900_000 };
/** Short pauses only: behind one address (a proxy, this machine) may be many who did nothing. */
const addressLimits = { free: 50, longest_ms: 2_000, forget_ms: 900_000 };

/** The embedded identity over a store. Throws when the key is too short or the life of a token out of range. */
export function createLocalIdentity(options: LocalIdentityOptions): LocalIdentity {
  const { clock = systemClock, passwords = createPasswords(), token_seconds = 43_200, recheck_ms = 5_000 } = options;
  if (options.signing_key.length < 32) throw new Error('the signing key of tokens needs at least 32 bytes');
  if (!(token_seconds >= 3_600 && token_seconds <= 43_200)) throw new Error('a token lives 3600 to 43200 seconds');
  const key = createSecretKey(options.signing_key);
  const cache = createCallerCache(clock, recheck_ms);
  const store = watched(options.store, () => cache.clear());
  const domains = createDomains(store);
  const directory = {
    domains,
    projects: createProjects(store, domains),
    users: createUsers({ store, clock, passwords }),
    roles: createRoles(store),
  };
  const credentials = createCredentials(store, passwords);
  const validity = { store, clock, roles: directory.roles };
  const openValid = (token: string): Promise<ValidToken> => validate(validity, claimsOf(key, token));
  const throttle = { account: createThrottle(clock, accountLimits), address: createThrottle(clock, addressLimits) };
  const login = { clock, token_ms: token_seconds * 1000, passwords, throttle, ...directory, credentials, openValid };
  return {
    ...directory,
    credentials,
    accessRules: createAccessRules(store),
    passwords,
    added: createAddedServices(store),
    bootstrap: (first) => bootstrapIdentity({ store, clock, passwords }, first),
    async authenticate(token, service_token) {
      if (token === undefined) throw unauthorized();
      if (service_token === undefined) return cache.get(token, () => callerWithEnd(openValid, token));
      const { roles } = await cache.get(service_token, () => callerWithEnd(openValid, service_token));
      // A service may finish what a user began, although the user's token expired meanwhile.
      const isService = roles.includes('service');
      const valid = await validate(validity, claimsOf(key, token), isService ? 2 * DAY_MS : 0);
      return passOn(callerOf(valid), roles, isService);
    },
    tokens: {
      async issue(request, address) {
        const claims = await earnClaims(login, request, address);
        return { token: sealToken(key, claims), valid: await validate(validity, claims) };
      },
      check: async (token = '', { expired_too = false } = {}) => validate(validity, claimsOf(key, token), expired_too ? 2 * DAY_MS : 0),
      revoke: (token) => revoke(store, clock, token.claims),
    },
  };
}

async function callerWithEnd(
  openValid: (token: string) => Promise<ValidToken>,
  token: string,
): Promise<{ readonly caller: Caller; readonly ends_ms: number }> {
  const valid = await openValid(token);
  return { caller: callerOf(valid), ends_ms: valid.claims.expires_ms };
}

function claimsOf(key: KeyObject, token: string): TokenClaims {
  const claims = openToken(key, token);
  if (claims === null) throw unauthorized();
  return claims;
}

/** Lists a token as revoked, and forgets revocations whose tokens have expired by themselves. */
async function revoke(store: RecordStore, clock: Clock, claims: TokenClaims): Promise<void> {
  const listed = await store.list<Revocation>('identity.revocation');
  if (listed.some((each) => each.id === claims.audit_id)) return;
  // Those that `expired_too` may still ask about stay.
  const old = listed.filter((each) => each.expires_ms + 2 * DAY_MS < clock.now());
  const body: Revocation = { id: claims.audit_id, expires_ms: claims.expires_ms };
  try {
    await store.write([
      ...old.map(({ id }) => ({ action: 'delete', kind: 'identity.revocation', id }) as const),
      { action: 'insert', record: { kind: 'identity.revocation', id: body.id, project_id: null, name: null, unique_key: null, body } },
    ]);
  } catch (error) {
    // Somebody gave it back at the same time.
    if (!(error instanceof RecordConflict)) throw error;
  }
}

/** The same store, with a word after each write. */
function watched(store: RecordStore, afterWrite: () => void): RecordStore {
  return {
    get: (kind, id) => store.get(kind, id),
    list: (kind, filter) => store.list(kind, filter),
    async write(changes) {
      try {
        await store.write(changes);
      } finally {
        // Also after an error: a lost connection does not tell whether the commit came through.
        afterWrite();
      }
    },
  };
}
