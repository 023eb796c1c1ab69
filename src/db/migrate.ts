/** Brings the schema of a database to the version that this program knows; there is no way back. */
import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';
import { NewerSchema } from './errors.ts';
import { first } from './migrations/0001-first.ts';
import { l7 } from './migrations/0002-l7.ts';
import { flavors } from './migrations/0003-flavors.ts';
import { listsOrNone } from './migrations/0004-lists-or-none.ts';
import { haproxyReports } from './migrations/0005-haproxy-reports.ts';

/**
 * One step of the schema. A statement is written in SQLite's STRICT types (TEXT, INTEGER, REAL) plus BOOLEAN, keywords
 * in capitals and names in small letters; what cannot be said for both is said for each.
 */
export type Migration = {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly (string | { readonly sqlite: readonly string[]; readonly postgresql: readonly string[] })[];
};

/** Every migration, in order. */
export const migrations: readonly Migration[] = [first, l7, flavors, listsOrNone, haproxyReports];

/**
 * Applies the migrations that are missing, all in one transaction; several processes may do it at once. Answers the
 * version that the database has now.
 *
 * @throws NewerSchema when the database is of a newer version than the last of the list.
 * @throws DatabaseUnavailable
 */
export function migrate(db: Database, list: readonly Migration[] = migrations): Promise<number> {
  const known = list.at(-1)?.version ?? 0;
  return db.tx(async (tx) => {
    // On SQLite the transaction itself is the lock.
    if (db.dialect === 'postgresql') await sql`select pg_advisory_xact_lock(hashtext('octavia ' || current_schema()))`.execute(tx);
    await execute(tx, db.dialect, 'CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT');
    const { rows } = await sql<{ version: number | null }>`select max(version) as version from schema_version`.execute(tx);
    const found = rows[0]?.version ?? 0;
    if (found > known) throw new NewerSchema(found, known);
    for (const { version, name, statements } of list.filter((migration) => migration.version > found)) {
      for (const statement of statements) {
        for (const text of typeof statement === 'string' ? [statement] : statement[db.dialect]) await execute(tx, db.dialect, text);
      }
      await sql`insert into schema_version (version, name) values (${version}, ${name})`.execute(tx);
    }
    return known;
  });
}

const execute = (tx: Tx, dialect: Database['dialect'], statement: string): Promise<unknown> =>
  sql.raw(translate(statement, dialect)).execute(tx);

function translate(statement: string, dialect: Database['dialect']): string {
  if (dialect === 'sqlite') return statement.replace(/\bBOOLEAN\b/gu, 'INTEGER');
  return (
    statement
      // Bytes decide the order, as on SQLite; a language's order would also make an index useless after an upgrade of its library.
      .replace(/\bTEXT\b/gu, 'text COLLATE "C"')
      .replace(/\bINTEGER\b/gu, 'bigint')
      .replace(/\bREAL\b/gu, 'double precision')
      .replace(/\)\s*STRICT$/u, ')')
  );
}
