/** The service's own sign-in to Keystone: a token that is renewed in time, and the catalog that comes with it. */
import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import { type Http, Unreachable } from './http.ts';

/** A project or user by name needs its domain, by id or by name. */
export type DomainName = { readonly id: string } | { readonly name: string };

/** What a service proves itself with. */
export type SignIn =
  | {
      readonly type: 'password';
      readonly username: string;
      readonly password: Secret;
      readonly user_domain: DomainName;
      readonly project_name: string;
      readonly project_domain: DomainName;
    }
  | { readonly type: 'application_credential'; readonly id: string; readonly secret: Secret };

/** A service of the catalog. */
export type CatalogService = {
  readonly type: string;
  readonly endpoints: readonly { readonly interface: string; readonly region_id: string | null; readonly url: string }[];
};

/** A token of the service, while it is valid. */
export type ServiceToken = {
  readonly token: string;
  readonly ends_ms: number;
  readonly catalog: readonly CatalogService[];
  /** The service's own user; null: Keystone did not say. */
  readonly user_id: string | null;
};

/** Holds the service's token. */
export interface Session {
  /** The token, made or renewed when it is time. Throws `Unreachable`. */
  current(): Promise<ServiceToken>;
  /** Forgets a token that a service refused. */
  refuse(token: string): void;
}

/** A token that ends within this is not used any more. */
const LAST_MS = 30_000;
/** The last part of a token's life in which the next one is made while this one still serves. */
const RENEW_MS = 600_000;

/** A session with the Keystone at `auth_url` (with its `/v3`). */
export function createSession(auth_url: string, signIn: SignIn, http: Http, clock: Clock): Session {
  let held: ServiceToken | null = null;
  let renewing: Promise<ServiceToken> | null = null;
  const renew = (): Promise<ServiceToken> => {
    renewing ??= issue(auth_url, signIn, http, clock)
      .then((made) => (held = made))
      .finally(() => (renewing = null));
    return renewing;
  };
  return {
    async current() {
      const left = held === null ? 0 : held.ends_ms - clock.now();
      if (held === null || left <= LAST_MS) return renew();
      const serving = held;
      if (left <= RENEW_MS) renew().catch(() => undefined);
      return serving;
    },
    refuse(token) {
      if (held?.token === token) held = null;
    },
  };
}

async function issue(auth_url: string, signIn: SignIn, http: Http, clock: Clock): Promise<ServiceToken> {
  const { status, headers, body } = await http.request({
    method: 'POST',
    url: `${auth_url}/auth/tokens`,
    headers: {},
    body: { auth: authOf(signIn) },
  });
  const token = headers['x-subject-token'];
  if (status !== 201 || token === undefined)
    throw new Unreachable(`Keystone refuses to sign this service in (status ${status}): its user, password or project may be wrong`);
  const { expires_at, catalog, user } = (body as IssuedBody | undefined)?.token ?? {};
  const ends_ms = Date.parse(expires_at ?? '');
  return {
    token,
    ends_ms: Number.isNaN(ends_ms) ? clock.now() + RENEW_MS : ends_ms,
    catalog: Array.isArray(catalog) ? catalog : [],
    user_id: user?.id ?? null,
  };
}

type IssuedBody = {
  readonly token?: { readonly expires_at?: string; readonly catalog?: readonly CatalogService[]; readonly user?: { readonly id?: string } };
};

function authOf(signIn: SignIn): object {
  if (signIn.type === 'application_credential') {
    const { id, secret } = signIn;
    return { identity: { methods: ['application_credential'], application_credential: { id, secret: secret.reveal() } } };
  }
  const { username, password, user_domain, project_name, project_domain } = signIn;
  const user = { name: username, domain: user_domain, password: password.reveal() };
  return { identity: { methods: ['password'], password: { user } }, scope: { project: { name: project_name, domain: project_domain } } };
}

/** The address of a service in a catalog; null when it is not there. Without a region any will do. */
export function endpointOf(
  catalog: readonly CatalogService[],
  type: string,
  wanted: { readonly interface: string; readonly region: string | null },
): string | null {
  const endpoints = catalog.filter((service) => service.type === type).flatMap((service) => service.endpoints);
  const fitting = endpoints.filter(
    (each) => each.interface === wanted.interface && (wanted.region === null || each.region_id === wanted.region),
  );
  return fitting[0]?.url ?? null;
}

/** The root of Identity API v3 for an address that may or may not name the version. */
export function identityRoot(url: string): string {
  const bare = url.replace(/\/+$/u, '');
  return bare.endsWith('/v3') ? bare : `${bare}/v3`;
}
