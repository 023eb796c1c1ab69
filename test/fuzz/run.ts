/**
 * `npm run fuzz -- [count] [seed]`: random requests to an API on a database of its own (SQLite in memory, or `OCTAVIA_DATABASE`), each
 * answer looked at. Prints the seed, how often each status came, and what is wrong; ends with 1 when anything is.
 */
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { startSetup } from '../conformance/setup.ts';
import { createSender } from '../conformance/send.ts';
import { clearDatabase, contentHash } from './content-hash.ts';
import { fuzz } from './fuzz.ts';

const count = Number(process.argv[2] ?? 10_000);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const db = openDatabase({ url: process.env['OCTAVIA_DATABASE'] ?? 'sqlite::memory:' });
await migrate(db);
const setup = await startSetup(db);
const sender = createSender(setup.base_url);
process.stdout.write(`seed ${seed}, ${count} requests\n`);
const report = await fuzz(
  { send: sender.send, settle: setup.drain, hash: () => contentHash(db), clear: () => clearDatabase(db) },
  count,
  seed,
);
sender.close();
await setup.stop();
await db.close();
for (const { what, request, answer } of report.findings.slice(0, 20))
  process.stdout.write(
    `${what}\n  ${request.method} ${request.path.slice(0, 300)} ${JSON.stringify(request.headers ?? {})}\n  ${(request.data ?? '').slice(0, 500)}\n  ${answer}\n`,
  );
process.stdout.write(`${JSON.stringify(report.statuses)}\n${report.hashed} refused changes hashed; ${report.findings.length} findings\n`);
process.exitCode = report.findings.length > 0 ? 1 : 0;
