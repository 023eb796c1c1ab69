/**
 * A server that is set up as a reference installation for recordings is: no tokens, a network in which everything exists,
 * and a worker that finishes at once. Prints its address: `node test/conformance/server.ts [port]`.
 */
import { createApi } from '../../src/api/app.ts';
import { type ApiDeps, defaultApiOptions } from '../../src/api/deps.ts';
import { createNoopNetwork } from '../../src/cloud/fake/network.ts';
import { FakeSecrets } from '../../src/cloud/fake/secrets.ts';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { fixtureText } from '../support/tls-fixtures.ts';
import { startInstantWorker } from '../support/instant-worker.ts';
import { referenceNoopProvider, referenceProvider } from './reference-provider.ts';

const db = openDatabase({ url: process.env['OCTAVIA_DATABASE'] ?? 'sqlite::memory:' });
await migrate(db);
const network = createNoopNetwork();
const worker = await startInstantWorker(db, { hints: true });
const repeated = (digit: number): string => [8, 4, 4, 4, 12].map((length) => String(digit).repeat(length)).join('-');
const id = (digit: number): string => {
  const text = repeated(digit).split('-');
  return [text[0], text[1], `4${text[2]?.slice(1)}`, `8${text[3]?.slice(1)}`, text[4]].join('-');
};
/** The certificates that the recording knows: three with their keys, an authority and its list. */
const secrets = new FakeSecrets();
for (const digit of [1, 2, 3])
  secrets.putCertificate(id(digit), { certificate: fixtureText('rsa.crt'), key: new Secret(fixtureText('rsa.key')) });
secrets.putPayload(id(4), fixtureText('issuer.crt'));
secrets.putPayload(id(5), fixtureText('issuer.crl'));
const deps: ApiDeps = {
  db,
  identity: {
    authenticate: async () => ({
      user_id: null,
      user_name: null,
      project_id: null,
      domain_id: null,
      roles: ['admin'],
      is_admin: true,
      system_scope: false,
    }),
  },
  catalog: network,
  ports: network,
  secrets,
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
const address = await app.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 0) });
process.stdout.write(`${address}\n`);
process.once(
  'SIGTERM',
  () =>
    void app
      .close()
      .then(() => worker.stop())
      .then(() => db.close()),
);
