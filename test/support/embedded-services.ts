/** The embedded identity and network behind their facades, on an application of their own. */
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { defaultServices, keyManagerService } from '../../src/api/identity/catalog.ts';
import { registerIdentity } from '../../src/api/identity/register.ts';
import { registerNoAuthProjects } from '../../src/api/identity/noauth-projects.ts';
import { registerNetwork } from '../../src/api/network/register.ts';
import { registerSecrets } from '../../src/api/secrets/register.ts';
import { versionList } from '../../src/api/http/versions.ts';
import { createPasswords } from '../../src/cloud/local/identity-passwords.ts';
import { createLocalIdentity } from '../../src/cloud/local/identity.ts';
import type { LocalIdentity } from '../../src/cloud/local/identity.ts';
import type { DefaultNetworks } from '../../src/cloud/local/network-bootstrap.ts';
import { createLocalNetwork } from '../../src/cloud/local/network-service.ts';
import type { LocalNetworkService } from '../../src/cloud/local/network-service.ts';
import { createNoAuth } from '../../src/cloud/noauth.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { Secret } from '../../src/lib/secret.ts';
import { keyManagerOn } from './secrets/key-manager.ts';
import { createMemoryRecordStore } from './record-store.ts';

/** An answer; `body` is undefined when it is empty. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Answer = { readonly status: number; readonly headers: Readonly<Record<string, unknown>>; readonly body: any };

/** The services of one test. */
export type EmbeddedServices = {
  readonly app: FastifyInstance;
  readonly clock: FakeClock;
  readonly identity: LocalIdentity;
  readonly network: LocalNetworkService;
  readonly networks: DefaultNetworks;
  readonly project_ids: Readonly<Record<'admin' | 'demo' | 'service', string>>;
  /** A token of one of the first users, for the default project. */
  login(name: 'admin' | 'demo'): Promise<string>;
  /** A body that is a text is sent as it is. */
  call(
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    token?: string | null,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
};

/** The passwords of the first users. */
export const passwords = { admin: new Secret('admin-password'), demo: new Secret('demo-password') };
/** As little work as scrypt can do. */
export const cheapPasswords = createPasswords({ N: 2, r: 1, p: 1 });

/** The body of a login by name and password; `scope` undefined: the default project. */
export function passwordAuth(name: string, password: string, scope?: unknown): object {
  const identity = { methods: ['password'], password: { user: { name, domain: { id: 'default' }, password } } };
  return { auth: { identity, ...(scope === undefined ? {} : { scope }) } };
}

/** Starts the services; `noauth` mounts the network at the root instead, as `auth_strategy = noauth` does. */
export async function withEmbeddedServices(
  t: TestContext,
  options: { readonly noauth?: boolean; readonly keyManager?: boolean; readonly clock?: FakeClock } = {},
): Promise<EmbeddedServices> {
  const clock = options.clock ?? new FakeClock();
  const store = createMemoryRecordStore();
  const identity = createLocalIdentity({ store, clock, signing_key: randomBytes(32), passwords: cheapPasswords });
  const { project_ids } = await identity.bootstrap(passwords);
  const network = createLocalNetwork({ store, clock });
  const ranges = {
    management_cidr: '198.18.0.0/24',
    tenant_cidr: '198.18.1.0/24',
    tenant_cidr_v6: 'fd00:1::/64',
    floating_cidr: '203.0.113.0/24',
  };
  const networks = await network.bootstrapNetworks({ ...ranges, service_project_id: project_ids.service });
  // As the load-balancer API is made.
  const app = Fastify({ exposeHeadRoutes: false, routerOptions: { ignoreTrailingSlash: true, querystringParser: () => ({}) } });
  const services = options.keyManager === true ? [...defaultServices, keyManagerService] : defaultServices;
  registerIdentity(app, { identity, services });
  if (options.keyManager === true) registerSecrets(app, { keyManager: keyManagerOn(store, { clock }).keyManager, identity });
  if (options.noauth === true) {
    app.get('/', (request) => Promise.resolve(versionList(`http://${request.host}`)));
    registerNetwork(app, { network, identity: createNoAuth(), prefix: '' });
    registerNoAuthProjects(app);
  }
  registerNetwork(app, { network, identity });
  t.after(() => app.close());
  const call: EmbeddedServices['call'] = async (method, url, token = null, body, headers = {}) => {
    const payload = body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) };
    const answer = await app.inject({
      method,
      url,
      headers: { host: 'lb.example:9876', ...(token === null ? {} : { 'x-auth-token': token }), ...headers },
      ...payload,
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : JSON.parse(answer.body) };
  };
  const login = async (name: 'admin' | 'demo'): Promise<string> =>
    String((await call('POST', '/identity/v3/auth/tokens', null, passwordAuth(name, passwords[name].reveal()))).headers['x-subject-token']);
  return { app, clock, identity, network, networks, project_ids, login, call };
}
