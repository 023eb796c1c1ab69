/** Identity by a Keystone: tokens are validated there (Identity API v3, `GET /auth/tokens`) and remembered for some minutes. */
import type { Clock } from '../../lib/clock.ts';
import { retrying } from '../../lib/backoff.ts';
import type { Logger } from '../../lib/log.ts';
import { Fault } from '../../model/faults.ts';
import { type AccessRule, passOn } from '../access-rules.ts';
import type { Caller, Identity } from '../identity.ts';
import { createCircuit } from './circuit.ts';
import { type Http, type HttpAnswer, Unreachable } from './http.ts';
import { endpointOf, identityRoot, type Session } from './session.ts';
import { createTokenCache, type Remembered } from './token-cache.ts';

/** How tokens are validated; the names are those of `[keystone_authtoken]`. */
export type KeystoneOptions = {
  /** Used when the catalog of the service's token does not name the identity service. */
  readonly auth_url: string;
  readonly interface: string;
  readonly region_name: string | null;
  /** Seconds; 300 at most count, and below 1 nothing is remembered. */
  readonly token_cache_time: number;
  /** A service with one of these roles may pass on a request whose token expired meanwhile. */
  readonly service_token_roles: readonly string[];
  /** Refuse the token of a service that has none of them. */
  readonly service_token_roles_required: boolean;
  readonly http_request_max_retries: number;
};

/** What it works with. */
export type KeystoneParts = {
  readonly session: Session;
  readonly http: Http;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
};

/** The longest that a token is believed without asking, and the longest that a refusal is. */
const LONGEST_CACHE_MS = 300_000;
const REFUSAL_MS = 30_000;
/** More tokens than are in use within the cache time. */
const MAX_TOKENS = 20_000;
/** After this long no further try is begun: somebody waits. */
const PATIENCE_MS = 5_000;

type Verified = { readonly caller: Caller; readonly ends_ms: number };

/** Identity by the Keystone that the session is signed in to. */
export function createKeystoneIdentity(options: KeystoneOptions, parts: KeystoneParts): Identity {
  const { clock, log } = parts;
  const cache_ms = Math.min(LONGEST_CACHE_MS, Math.max(0, options.token_cache_time * 1000));
  const cache = createTokenCache<Verified>(clock, MAX_TOKENS);
  const circuit = createCircuit(clock, parts.random, (reason) =>
    reason === null
      ? log.info({}, 'Keystone answers again')
      : log.error({ err: reason }, 'Keystone cannot be asked: tokens seen within the last minutes count on, others get 503'),
  );
  const find = (token: string, expired_too: boolean) => async (): Promise<Remembered<Verified>> => {
    const answer = await circuit.run(() => askPatiently(options, parts, token, expired_too));
    const value = answer.status === 200 ? readToken(answer.body) : null;
    if (value === null) return { value, until_ms: clock.now() + Math.min(cache_ms, REFUSAL_MS) };
    const until_ms = clock.now() + cache_ms;
    return { value, until_ms: expired_too ? until_ms : Math.min(until_ms, value.ends_ms) };
  };
  const verify = async (token: string, expired_too = false): Promise<Verified> => {
    if (!isSendable(token)) throw unauthorized();
    let verified: Verified | null;
    try {
      verified = await cache.get(`${expired_too ? 'expired too' : 'valid'} ${token}`, find(token, expired_too));
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      throw new Fault(503, 'The identity service cannot be asked at present. Please try again.', {
        cause: error,
        retry_after_seconds: circuit.retry_after_seconds,
      });
    }
    if (verified === null || (!expired_too && verified.ends_ms <= clock.now())) throw unauthorized();
    return verified;
  };
  return {
    async authenticate(token, service_token) {
      if (token === undefined) throw unauthorized();
      if (service_token === undefined) return (await verify(token)).caller;
      const service = (await verify(service_token)).caller;
      const mayPassOn = service.roles.some((role) => options.service_token_roles.includes(role));
      if (!mayPassOn && options.service_token_roles_required) throw unauthorized();
      const { caller } = await verify(token, mayPassOn);
      return passOn(caller, service.roles, mayPassOn);
    },
  };
}

const unauthorized = (): Fault => new Fault(401, 'The request you have made requires authentication.');

/** What can be a token: Keystone would answer something longer with an error of its server. */
const isSendable = (token: string): boolean => /^[\u0021-\u007e]{1,12000}$/u.test(token);

/** The statuses that tell of a token that is none: not found, or too odd to be looked for. */
const refusals: readonly number[] = [404, 400, 413, 414, 431];

/** Asks, and asks again when the connection breaks and there is time. Throws `Unreachable`. */
function askPatiently(options: KeystoneOptions, parts: KeystoneParts, token: string, expired_too: boolean): Promise<HttpAnswer> {
  const begun = parts.clock.now();
  return retrying(() => ask(options, parts, token, expired_too), {
    attempts: 1 + options.http_request_max_retries,
    base_ms: 100,
    max_ms: 1000,
    clock: parts.clock,
    random: parts.random,
    isWorthwhile: (error) => error instanceof Unreachable && parts.clock.now() - begun < PATIENCE_MS,
  });
}

/** Asks with the service's token, and once more with a new one when Keystone does not know that one any more. */
async function ask(options: KeystoneOptions, parts: KeystoneParts, token: string, expired_too: boolean): Promise<HttpAnswer> {
  for (let isSecond = false; ; isSecond = true) {
    const own = await parts.session.current();
    const found = endpointOf(own.catalog, 'identity', { interface: options.interface, region: options.region_name });
    const answer = await parts.http.request({
      method: 'GET',
      url: `${identityRoot(found ?? options.auth_url)}/auth/tokens?nocatalog=1${expired_too ? '&allow_expired=1' : ''}`,
      // Keystone hides tokens with access rules from who does not say that it will judge by them.
      headers: { 'x-auth-token': own.token, 'x-subject-token': token, 'openstack-identity-access-rules': '1.0' },
    });
    if (answer.status === 200 || refusals.includes(answer.status)) return answer;
    if (answer.status !== 401 || isSecond)
      throw new Unreachable(
        `Keystone does not let this service validate tokens (status ${answer.status}): its user needs the role service or admin`,
      );
    parts.session.refuse(own.token);
  }
}

/** The caller whom a token's body tells of; null when it is no token's body. */
function readToken(body: unknown): Verified | null {
  const token = (body as { token?: TokenBody } | undefined)?.token;
  const ends_ms = Date.parse(token?.expires_at ?? '');
  if (token?.user?.id === undefined || Number.isNaN(ends_ms)) return null;
  const roles = (token.roles ?? []).map((role) => role.name);
  const access_rules = token.application_credential?.access_rules;
  const caller: Caller = {
    user_id: token.user.id,
    user_name: token.user.name ?? null,
    project_id: token.project?.id ?? null,
    domain_id: token.domain?.id ?? null,
    roles,
    is_admin: roles.includes('admin'),
    system_scope: token.system?.all === true,
    ...(access_rules !== undefined && access_rules !== null && { access_rules }),
  };
  return { caller, ends_ms };
}

type TokenBody = {
  readonly expires_at?: string;
  readonly user?: { readonly id?: string; readonly name?: string };
  readonly project?: { readonly id?: string };
  readonly domain?: { readonly id?: string };
  readonly system?: { readonly all?: boolean };
  readonly roles?: readonly { readonly name: string }[];
  readonly application_credential?: { readonly access_rules?: readonly AccessRule[] | null };
};
