/**
 * An API that is set up as a reference installation for recordings is: no tokens, a network in which everything exists, and a worker
 * that finishes at once. The program itself can be set up so, too (`program.ts`); this is for tests that want it on their database.
 */
import { createApi } from '../../src/api/app.ts';
import { type ApiDeps, defaultApiOptions } from '../../src/api/deps.ts';
import { createNoopNetwork } from '../../src/cloud/fake/network.ts';
import { createNoAuth } from '../../src/cloud/noauth.ts';
import type { Database } from '../../src/db/database.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/log.ts';
import { startInstantWorker } from '../support/instant-worker.ts';
import { knownSecrets } from './certificates.ts';
import { referenceNoopProvider, referenceProvider } from './reference-provider.ts';

/** A listening API. */
export type Setup = {
  readonly base_url: string;
  /** Lets the worker finish all there is to do. */
  readonly drain: () => Promise<void>;
  stop(): Promise<void>;
};

/** Starts it on a migrated database, which the caller closes. */
export async function startSetup(db: Database, port = 0): Promise<Setup> {
  const network = createNoopNetwork();
  const worker = await startInstantWorker(db, { hints: true });
  const deps: ApiDeps = {
    db,
    identity: createNoAuth(),
    catalog: network,
    ports: network,
    secrets: knownSecrets(),
    providers: new Map([
      ...['amphora', 'octavia'].map((name) => [name, referenceProvider] as const),
      ...['noop_driver', 'noop_driver-alt'].map((name) => [name, referenceNoopProvider] as const),
    ]),
    options: {
      ...defaultApiOptions,
      noauth: true,
      healthcheck_enabled: false,
      enabled_provider_drivers: {
        amphora: 'The Octavia Amphora driver.',
        octavia: 'Deprecated alias of the Octavia Amphora driver.',
        noop_driver: 'The no-op driver.',
        'noop_driver-alt': 'The no-op driver alt.',
      },
    },
    clock: systemClock,
    log: createLogger({ level: 'warn' }),
  };
  const app = createApi(deps);
  const base_url = await app.listen({ host: '127.0.0.1', port });
  return {
    base_url,
    drain: () => worker.drain(),
    async stop() {
      await app.close();
      await worker.stop();
    },
  };
}
