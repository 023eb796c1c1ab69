/** A database for one test, on SQLite or PostgreSQL by the environment. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Client } from 'pg';
import { type Database, type DatabaseOptions, openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';

/** What a test may ask for. */
export type TestDatabaseOptions = Omit<DatabaseOptions, 'url'> & {
  /** SQLite in a file, its writer in a thread, as in production; default: in memory and in this thread. */
  readonly file?: boolean;
  /** Leaves the database empty. */
  readonly unmigrated?: boolean;
};

/** The kind of database that tests run on: `OCTAVIA_TEST_DATABASE`, else SQLite. */
export const testDialect: Database['dialect'] = process.env['OCTAVIA_TEST_DATABASE'] === 'postgresql' ? 'postgresql' : 'sqlite';

/** An open, migrated database that no other test uses; it is gone when the test ends. */
export async function withDatabase(t: TestContext, options: TestDatabaseOptions = {}): Promise<Database> {
  const { file, unmigrated, ...rest } = options;
  const place = testDialect === 'sqlite' && file !== true ? { url: 'sqlite::memory:', remove: async () => {} } : await makePlace();
  const db = openDatabase({ url: place.url, ...rest });
  // One hook for both: hooks run in the order in which they were given.
  t.after(() => db.close().finally(place.remove));
  if (unmigrated !== true) await migrate(db);
  return db;
}

/** Runs a test against each way to open the database. */
export function contract(name: string, body: (db: Database) => Promise<void>): void {
  for (const file of testDialect === 'sqlite' ? [false, true] : [false]) {
    const kind = testDialect === 'postgresql' ? 'PostgreSQL' : file ? 'SQLite in a file' : 'SQLite in memory';
    test(`${name} (${kind})`, async (t) => body(await withDatabase(t, { file })));
  }
}

/** The URL of an empty database (a file, or a schema of the server in `OCTAVIA_TEST_PG`) that is removed when the test ends. */
export async function withDatabaseUrl(t: TestContext): Promise<string> {
  const { url, remove } = await makePlace();
  t.after(remove);
  return url;
}

async function makePlace(): Promise<{ readonly url: string; readonly remove: () => Promise<void> }> {
  if (testDialect === 'postgresql') return makeSchema();
  const folder = await mkdtemp(join(tmpdir(), 'octavia-db-'));
  return { url: `sqlite://${join(folder, 'octavia.db')}`, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function makeSchema(): Promise<{ readonly url: string; readonly remove: () => Promise<void> }> {
  const server = process.env['OCTAVIA_TEST_PG'];
  if (server === undefined) throw new Error('OCTAVIA_TEST_DATABASE=postgresql needs the URL of a server in OCTAVIA_TEST_PG.');
  const schema = `test_${randomBytes(8).toString('hex')}`;
  await execute(server, `CREATE SCHEMA ${schema}`);
  return {
    url: `${server}${server.includes('?') ? '&' : '?'}options=${encodeURIComponent(`-c search_path=${schema} -c synchronous_commit=off`)}`,
    remove: () => execute(server, `DROP SCHEMA ${schema} CASCADE`),
  };
}

async function execute(server: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
