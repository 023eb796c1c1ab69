/**
 * `npm run fuzz -- [count] [--seed S] [--postgresql]`: random requests, each answer looked at. Half of them go to an API set up as for the
 * recordings, made by changing those; half to the whole program, made for each of its routes. On SQLite in memory, on a PostgreSQL
 * server of its own, or on the server of `OCTAVIA_DATABASE`. Prints the seed, how often each status came, what each group of routes was
 * asked, and what is wrong; ends with 1 when anything is.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { findPostgres, startPostgres } from '../../tools/suite/postgres.ts';
import { startSetup } from '../conformance/setup.ts';
import { createSender } from '../conformance/send.ts';
import { clearDatabase, contentHash } from './content-hash.ts';
import { fuzz } from './fuzz.ts';
import { fuzzRoutes } from './fuzz-routes.ts';
import { groupTable, isNeverAccepted } from './groups.ts';

/** What an answer may cost, in milliseconds of work. */
const MOST_MS = 2000;

/** Findings that are printed in full. */
const SHOWN = 20;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, postgresql: { type: 'boolean', default: false } },
});
const count = Number(positionals[0] ?? 10_000);
const seed = Number(values.seed ?? positionals[1] ?? Date.now() % 1_000_000);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const { url, end } = await openServer();
// A run that is interrupted leaves no server and no folder behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end().finally(() => process.exit(130)));
print(`seed ${seed}, ${count} requests on ${url.split(':', 1)[0]}`);
try {
  const problems = (await recordings(Math.floor(count / 2))) + (await routes(Math.ceil(count / 2)));
  print(`${problems} findings`);
  process.exitCode = problems > 0 ? 1 : 0;
} finally {
  await end();
}

async function openServer(): Promise<{ readonly url: string; readonly end: () => Promise<void> }> {
  const none = { end: () => Promise.resolve() };
  if (!values.postgresql) return { url: process.env['OCTAVIA_DATABASE'] ?? 'sqlite::memory:', ...none };
  const bin = findPostgres();
  if (bin === undefined) throw new Error('There is no PostgreSQL on this machine: apt-get install postgresql.');
  const folder = mkdtempSync(join(tmpdir(), 'of-'));
  chmodSync(folder, 0o711);
  const server = await startPostgres(bin, folder);
  return { url: server.url, end: () => server.stop().finally(() => rmSync(folder, { recursive: true, force: true })) };
}

async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const db = openDatabase({ url });
  try {
    await migrate(db);
    await clearDatabase(db);
    return await work(db);
  } finally {
    await db.close();
  }
}

function recordings(requests: number): Promise<number> {
  return withDatabase(async (db) => {
    const setup = await startSetup(db);
    const sender = createSender(setup.base_url);
    try {
      const target = { send: sender.send, settle: setup.drain, hash: () => contentHash(db), clear: () => clearDatabase(db) };
      const { findings, statuses, hashed } = await fuzz(target, requests, seed);
      for (const { what, request, answer } of findings.slice(0, SHOWN)) {
        const { method, path, headers = {}, data = '' } = request;
        print(`${what}\n  ${method} ${path.slice(0, 300)} ${JSON.stringify(headers)}\n  ${data.slice(0, 500)}\n  ${answer}`);
      }
      print(`recordings: ${JSON.stringify(statuses)}; ${hashed} refused changes hashed; ${findings.length} findings`);
      return findings.length;
    } finally {
      sender.close();
      await setup.stop();
    }
  });
}

function routes(requests: number): Promise<number> {
  return withDatabase(async (db) => {
    const { findings, statuses, hashed, routes: asked } = await fuzzRoutes(db, requests, seed, MOST_MS);
    for (const { what, asked: request, answer } of findings.slice(0, SHOWN)) print(`${what}\n  ${request}\n  ${answer}`);
    for (const line of groupTable(asked)) print(line);
    const never = [...asked.values()].filter(isNeverAccepted).length;
    print(`routes: ${JSON.stringify(statuses)}; ${hashed} refused requests hashed; ${findings.length} findings`);
    return findings.length + never;
  });
}
