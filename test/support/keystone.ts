/** A Keystone for tests: the embedded identity behind HTTP on loopback, which can be slow, broken or away. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import { registerIdentity } from '../../src/api/identity/register.ts';
import type { Identity } from '../../src/cloud/identity.ts';
import type { ScopeRequest } from '../../src/cloud/local/identity/login.ts';
import { createLocalIdentity, type LocalIdentity } from '../../src/cloud/local/identity.ts';
import { createHttp } from '../../src/cloud/openstack/http.ts';
import { createKeystoneIdentity, type KeystoneOptions } from '../../src/cloud/openstack/keystone.ts';
import { createSession } from '../../src/cloud/openstack/session.ts';
import { type Clock, FakeClock } from '../../src/lib/clock.ts';
import { type Logger, silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { cheapPasswords, passwords } from './embedded-services.ts';
import { createMemoryRecordStore } from './record-store.ts';

/** Users and projects of an embedded identity for tests. */
export type People = {
  readonly local: LocalIdentity;
  readonly clock: FakeClock;
  readonly demo_project: string;
  /** A token of a user, by default for its project. */
  login(user: 'admin' | 'demo' | 'octavia', scope?: ScopeRequest): Promise<string>;
};

/** How it behaves: it answers, breaks the connection, says 500, keeps silent, or refuses this service's requests. */
export type Mood = 'well' | 'broken' | '500' | 'silent' | '403';

/** A Keystone that listens. */
export type TestKeystone = People & {
  readonly url: string;
  mood: Mood;
  /** What it was asked, as `GET /identity/v3/auth/tokens`. */
  readonly asked: string[];
  /** What it has answered. */
  readonly answered: string[];
};

/** An embedded identity with a service user `octavia`; its clock stands still. */
export async function createPeople(): Promise<People> {
  const clock = new FakeClock(Date.parse('2026-01-01T00:00:00Z'));
  const local = createLocalIdentity({
    store: createMemoryRecordStore(),
    clock,
    signing_key: randomBytes(32),
    passwords: cheapPasswords,
    token_seconds: 3600,
  });
  const { project_ids } = await local.bootstrap(passwords);
  const spec = { domain_id: 'default', description: '', email: null, enabled: true, default_project_id: project_ids.service };
  const user = await local.users.create({ ...spec, name: 'octavia', password: 'octavia-password' });
  const role = (await local.roles.list()).find((each) => each.name === 'service');
  await local.roles.grant(user.id, role?.id ?? '', { type: 'project', id: project_ids.service });
  const all = { ...passwords, octavia: new Secret('octavia-password') };
  const login: People['login'] = async (name, scope = { type: 'default' }) => {
    const method = { method: 'password', user: { name, domain: { name: 'Default' } }, password: all[name].reveal() } as const;
    return (await local.tokens.issue({ methods: [method], scope }, 'test')).token;
  };
  return { local, clock, demo_project: project_ids.demo, login };
}

/** Serves people as a Keystone; with a certificate for `localhost` by TLS. */
export async function startKeystone(
  t: Pick<TestContext, 'after'>,
  tls: { readonly key: string; readonly cert: string } | null = null,
): Promise<TestKeystone> {
  const people = await createPeople();
  const app = Fastify({
    ...(tls !== null && { https: tls }),
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    routerOptions: { querystringParser: () => ({}) },
  });
  const keystone: TestKeystone = { ...people, url: '', mood: 'well', asked: [], answered: [] };
  app.addHook('onRequest', async (request, reply) => {
    keystone.asked.push(`${request.method} ${request.url}`);
    if (keystone.mood === 'broken') request.raw.socket.destroy();
    if (keystone.mood === 'silent') await new Promise(() => undefined);
    if (keystone.mood === '500' || keystone.mood === '403') return reply.code(Number(keystone.mood)).send({ error: {} });
    return undefined;
  });
  app.addHook('onResponse', async (request) => void keystone.answered.push(`${request.method} ${request.url}`));
  registerIdentity(app, { identity: people.local });
  t.after(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const origin = tls === null ? 'http://127.0.0.1' : 'https://localhost';
  return Object.assign(keystone, { url: `${origin}:${(app.server.address() as AddressInfo).port}/identity` });
}

/** What a test may choose of the client. */
export type ClientOptions = Partial<KeystoneOptions> & {
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly password?: string;
  readonly timeout_ms?: number;
  readonly cafile?: string;
  readonly insecure?: boolean;
};

/** An identity that asks the Keystone, as the service user. */
export function keystoneIdentity(t: Pick<TestContext, 'after'>, keystone: TestKeystone, options: ClientOptions = {}): Identity {
  const {
    clock = keystone.clock,
    log = silentLogger,
    password = 'octavia-password',
    timeout_ms = 5000,
    cafile = null,
    insecure = false,
    ...chosen
  } = options;
  const http = createHttp({ cafile, insecure, connect_timeout_ms: 2000, timeout_ms });
  t.after(() => http.close());
  const domain = { name: 'Default' };
  const signIn = {
    username: 'octavia',
    password: new Secret(password),
    user_domain: domain,
    project_name: 'service',
    project_domain: domain,
  };
  const session = createSession(`${keystone.url}/v3`, { type: 'password', ...signIn }, http, clock);
  return createKeystoneIdentity(
    {
      auth_url: keystone.url,
      interface: 'internal',
      region_name: null,
      token_cache_time: 300,
      service_token_roles: ['service'],
      service_token_roles_required: false,
      http_request_max_retries: 0,
      ...chosen,
    },
    { session, http, clock, log, random: () => 0.5 },
  );
}
