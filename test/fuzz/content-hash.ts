/** One text for everything that a database holds, so that a request that was refused can be shown to have left no trace. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';

/** Tables that change by themselves. */
const restless = new Set(['schema_version']);

/** The hash of all rows of all tables, whatever their order. */
export async function contentHash(db: Database): Promise<string> {
  const tables = (await tablesOf(db)).filter((table) => !restless.has(table));
  if (db.dialect === 'postgresql') return serverHash(db, tables);
  const hash = createHash('sha256');
  for (const table of tables) {
    const { rows } = await sql`select * from ${sql.table(table)}`.execute(db.read);
    const texts = rows.map((row) =>
      JSON.stringify(row, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)),
    );
    hash.update(`${table}\n${texts.toSorted().join('\n')}\n`);
  }
  return hash.digest('hex');
}

/** The same made by the server, in one question: with one for each table a run took three times as long. */
async function serverHash(db: Database, tables: readonly string[]): Promise<string> {
  const hashes = tables.map(
    (table) => sql<{
      hash: string;
    }>`select ${table}::text as name, md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) as hash
      from ${sql.table(table)} t`,
  );
  const { rows } = await sql<{ name: string; hash: string }>`${sql.join(hashes, sql` union all `)}`.execute(db.read);
  return JSON.stringify(rows.map(({ name, hash }) => [name, hash]).toSorted());
}

/** Removes all rows; what others refer to goes last. */
export async function clearDatabase(db: Database): Promise<void> {
  const last = ['pool', 'loadbalancer', 'flavor', 'flavor_profile', 'availability_zone', 'availability_zone_profile'];
  const tables = await tablesOf(db);
  const ordered = [...tables.filter((table) => !last.includes(table) && !restless.has(table)), ...last];
  await db.tx(async (tx) => {
    for (const table of ['listener', 'l7rule', 'l7policy', ...ordered]) await sql`delete from ${sql.table(table)}`.execute(tx);
  });
}

async function tablesOf(db: Database): Promise<string[]> {
  const query =
    db.dialect === 'sqlite'
      ? sql<{ name: string }>`select name from sqlite_master where type = 'table' and name not like 'sqlite_%'`
      : sql<{ name: string }>`select table_name as name from information_schema.tables where table_schema = current_schema()`;
  return (await query.execute(db.read)).rows.map(({ name }) => name).toSorted();
}
