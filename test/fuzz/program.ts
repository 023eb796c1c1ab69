/** The whole program on one database, without a data plane: load balancers, identity, networks and keys, as one port serves them. */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { createApi } from '../../src/api/app.ts';
import { defaultApiOptions } from '../../src/api/deps.ts';
import { defaultServices, keyManagerService } from '../../src/api/identity/catalog.ts';
import { registerNoAuthProjects } from '../../src/api/identity/noauth-projects.ts';
import { registerIdentity } from '../../src/api/identity/register.ts';
import { registerNetwork } from '../../src/api/network/register.ts';
import { registerSecrets } from '../../src/api/secrets/register.ts';
import { FakeCompute } from '../../src/cloud/fake/compute.ts';
import { createPasswords } from '../../src/cloud/local/identity-passwords.ts';
import { createLocalIdentity } from '../../src/cloud/local/identity.ts';
import { createLocalNetwork } from '../../src/cloud/local/network-service.ts';
import { createEmbeddedSecrets } from '../../src/cloud/local/secrets/embedded-secrets.ts';
import { createKeyManager } from '../../src/cloud/local/secrets/key-manager.ts';
import { createSealer } from '../../src/cloud/local/secrets/seal.ts';
import { RecordConflict, type RecordKind } from '../../src/cloud/local/record-store.ts';
import { createNoAuth } from '../../src/cloud/noauth.ts';
import type { Database } from '../../src/db/database.ts';
import { createRecords } from '../../src/db/records.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { newId } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { Tools } from '../../src/providers/amphora/apply.ts';
import { amphoraProvider } from '../../src/providers/amphora/provider.ts';
import { noopProvider } from '../../src/providers/noop/provider.ts';
import { startInstantWorker } from '../support/instant-worker.ts';

/** A route as the HTTP server was told it. */
export type Registered = { readonly method: string; readonly url: string };

/** A listening program. */
export type WholeProgram = {
  readonly base_url: string;
  /** Everything that was registered, those of plugins too. */
  readonly registered: readonly Registered[];
  /** Who may do everything, and who may do little. */
  readonly tokens: { readonly admin: string; readonly demo: string };
  readonly ids: { readonly admin_user: string; readonly admin_project: string; readonly demo_project: string };
  /** Lets the worker finish all there is to do. */
  readonly drain: () => Promise<void>;
  /** Lets time pass for identity: pauses after wrong passwords end, tokens grow old. */
  readonly pass: (seconds: number) => void;
  stop(): Promise<void>;
};

/** The passwords of the first users; no answer may ever hold one. */
export const firstPasswords = { admin: 'canary-admin-password', demo: 'canary-demo-password' } as const;

/** As long as a token can live: time passes quickly here. */
const TOKEN_SECONDS = 43_200;

const providers = {
  amphora: 'The Octavia Amphora driver.',
  octavia: 'Deprecated alias of the Octavia Amphora driver.',
  noop_driver: 'The no-op driver.',
} as const;

type MovableClock = Clock & { readonly pass: (seconds: number) => void };

/** A clock that can be put forward. */
function movableClock(): MovableClock {
  let ahead_ms = 0;
  return { ...systemClock, now: () => Date.now() + ahead_ms, pass: (seconds) => void (ahead_ms += 1000 * seconds) };
}

/**
 * Starts it on a migrated database, which the caller closes; users, projects and networks are those of a first start. `isOpen`: as with
 * `auth_strategy = noauth`, where nobody needs a token, there is no identity, and the other services share the root as well.
 */
export async function startWholeProgram(db: Database, isOpen = false): Promise<WholeProgram> {
  const clock = movableClock();
  const log = createLogger({ level: 'error' });
  const store = createRecords<RecordKind>(db, { conflict: (kind, message, cause) => new RecordConflict(kind, message, cause) });
  const passwords = createPasswords({ N: 2, r: 1, p: 1 });
  const identity = createLocalIdentity({ store, clock, signing_key: randomBytes(32), passwords, token_seconds: TOKEN_SECONDS });
  const first = { admin: new Secret(firstPasswords.admin), demo: new Secret(firstPasswords.demo) };
  const { project_ids } = await identity.bootstrap(first);
  const network = createLocalNetwork({ store });
  await network.bootstrapNetworks({
    management_cidr: '198.18.0.0/24',
    tenant_cidr: '198.18.1.0/24',
    tenant_cidr_v6: 'fd00:1::/64',
    floating_cidr: '203.0.113.0/24',
    service_project_id: project_ids.service,
  });
  const keyManager = createKeyManager({ store, sealer: createSealer([new Secret(randomBytes(32).toString('hex'))]), clock });
  const registered: Registered[] = [];
  const worker = await startInstantWorker(db, { hints: false });
  const tools = { compute: new FakeCompute({ clock, newId }), catalog: network } as unknown as Tools;
  const asking = isOpen ? createNoAuth() : identity;
  const app = createApi({
    db,
    identity: asking,
    catalog: network,
    ports: network,
    secrets: createEmbeddedSecrets(keyManager, store),
    providers: new Map(
      Object.entries(providers).map(([name, text]) => [
        name,
        name === 'noop_driver' ? noopProvider(name, text) : amphoraProvider(tools, name, text),
      ]),
    ),
    options: { ...defaultApiOptions, noauth: isOpen, enabled_provider_drivers: providers },
    clock,
    log,
    plugins: [
      (app) => noteRoutes(app, registered),
      (app) => registerSecrets(app, { keyManager, identity: asking, log }),
      (app) => registerNetwork(app, { network, identity: asking, log }),
      ...(isOpen
        ? [
            (app: FastifyInstance) => registerSecrets(app, { keyManager, identity: asking, log, prefix: '' }),
            (app: FastifyInstance) => registerNetwork(app, { network, identity: asking, log, prefix: '' }),
            registerNoAuthProjects,
          ]
        : [(app: FastifyInstance) => registerIdentity(app, { identity, log, services: [...defaultServices, keyManagerService] })]),
    ],
  });
  const base_url = await app.listen({ host: '127.0.0.1', port: 0 });
  const login = async (name: 'admin' | 'demo'): Promise<string> => {
    const user = { name, domain: { id: 'default' } };
    const request = { methods: [{ method: 'password', user, password: firstPasswords[name] }], scope: { type: 'default' } } as const;
    return (await identity.tokens.issue(request, '192.0.2.99')).token;
  };
  const tokens = { admin: await login('admin'), demo: await login('demo') };
  const admin_user = (await identity.users.findByName('default', 'admin'))?.id ?? '';
  return {
    base_url,
    registered,
    tokens,
    ids: { admin_user, admin_project: project_ids.admin, demo_project: project_ids.demo },
    drain: () => worker.drain(),
    pass: clock.pass,
    async stop() {
      await app.close();
      await worker.stop();
    },
  };
}

function noteRoutes(app: FastifyInstance, registered: Registered[]): void {
  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) registered.push({ method: each, url });
  });
}
