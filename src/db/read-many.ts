/** Several questions with one answer: one round trip, one state of the database. */
import { randomUUID } from 'node:crypto';
import { type Compilable, type CompiledQuery, type Kysely, type OperationNodeSource, PostgresAdapter, sql } from 'kysely';
import { storageOfColumn } from './columns.ts';
import type { Tables } from './tables.ts';

/** A select query of Kysely's. */
export type Readable<Row> = Compilable<Row> & OperationNodeSource;

type RowsOf<Queries extends readonly Readable<unknown>[]> = {
  [I in keyof Queries]: Queries[I] extends Compilable<infer Row> ? Row[] : never;
};

/** Several queries in one; SQLite's connections know it by this member and answer with one "row" (a list of rows) for each. */
export type BatchQuery = CompiledQuery & { readonly batch: readonly CompiledQuery[] };

/** Is this query several in one? */
export const isBatch = (query: CompiledQuery): query is BatchQuery => 'batch' in query;

/**
 * The rows of each query, all read from the same state of the database in one round trip.
 *
 * @param reader `Database.read`, or a transaction
 * @param queries select queries; each keeps its own order
 */
export function readMany<const Queries extends readonly Readable<unknown>[]>(
  reader: Kysely<Tables>,
  queries: Queries,
): Promise<RowsOf<Queries>> {
  return execute<RowsOf<Queries>>(reader, compile(reader, queries));
}

/**
 * As `readMany`, for queries that differ from call to call in nothing but one text, such as an id. They are built and
 * compiled once for each dialect: Kysely takes 0.15 ms for a tree, SQLite 0.1 ms to answer it.
 *
 * @param queriesFor builds the queries; it must pass the text on as it is, and only as a parameter
 */
export function preparedMany<const Queries extends readonly Readable<unknown>[]>(
  queriesFor: (reader: Kysely<Tables>, text: string) => Queries,
): (reader: Kysely<Tables>, text: string) => Promise<RowsOf<Queries>> {
  const placeholder = randomUUID();
  const compiled = new Map<boolean, CompiledQuery>();
  const filled = (query: CompiledQuery, text: string): CompiledQuery => ({
    ...query,
    parameters: query.parameters.map((value) => (value === placeholder ? text : value)),
    ...(isBatch(query) ? { batch: query.batch.map((part) => filled(part, text)) } : {}),
  });
  return (reader, text) => {
    const dialect = isPostgres(reader);
    const template = compiled.get(dialect) ?? compile(reader, queriesFor(reader, placeholder));
    compiled.set(dialect, template);
    return execute<RowsOf<Queries>>(reader, filled(template, text));
  };
}

/** Is it PostgreSQL that this asks? */
export const isPostgres = (reader: Kysely<Tables>): boolean => reader.getExecutor().adapter instanceof PostgresAdapter;

function compile(reader: Kysely<Tables>, queries: readonly Readable<unknown>[]): CompiledQuery {
  if (!isPostgres(reader)) {
    const batch = queries.map((query) => query.compile());
    const several: BatchQuery = { ...sql`batch`.compile(reader), batch };
    return several;
  }
  // A statement sees one snapshot also in READ COMMITTED, so no transaction is needed: one round trip in place of n + 2.
  const parts = queries.map((query) => sql`(select coalesce(json_agg(q), '[]'::json) from ${query} q)`);
  return sql`select json_build_array(${sql.join(parts)}) as answers`.compile(reader);
}

async function execute<Rows>(reader: Kysely<Tables>, query: CompiledQuery): Promise<Rows> {
  const { rows } = await reader.executeQuery(query);
  if (isBatch(query)) return rows as Rows;
  const { answers } = rows[0] as { answers: Record<string, unknown>[][] };
  for (const answer of answers) decodeJson(answer, Object.keys(answer[0] ?? {}));
  return answers as Rows;
}

/** Parses the JSON columns of the rows in place. */
export function decodeJson(rows: readonly Record<string, unknown>[], columns: readonly string[]): void {
  for (const name of columns) {
    if (storageOfColumn(name) !== 'json') continue;
    for (const row of rows) {
      const value = row[name];
      if (typeof value === 'string') row[name] = JSON.parse(value);
    }
  }
}
