/**
 * Lists of any length as one parameter: the text of a statement does not depend on how long its lists are, so it is
 * prepared once, and 500 rows cost one bound value instead of thousands.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

/** The ids as a subquery of texts, for `in`. Where it decides the plan of a large join `isAmong` is better. */
export const idsIn = (dialect: Database['dialect'], ids: readonly string[]): RawBuilder<string> => {
  const json = JSON.stringify(ids);
  return dialect === 'sqlite' ? sql`(select value from json_each(${json}))` : sql`(select json_array_elements_text(${json}::json))`;
};

/**
 * The condition that a column is one of the ids.
 *
 * On PostgreSQL an array made by a subquery: `in (select …)` would be a join, which was planned as a nested loop over all
 * amphorae (0.8 s instead of 4 ms) as soon as the statistics said that all have the same status.
 */
export function isAmong(dialect: Database['dialect'], column: string, ids: readonly string[]): RawBuilder<boolean> {
  const json = JSON.stringify(ids);
  const subject = sql.ref(column);
  if (dialect === 'sqlite') return sql`${subject} in (select value from json_each(${json}))`;
  return sql`${subject} = any (array(select json_array_elements_text(${json}::json)))`;
}

/** What a column of `rowsFrom` holds. */
export type JsonColumn = 'text' | 'integer';

/**
 * A subquery `(…)` of rows with the given columns, in the order of the list.
 *
 * @param columns names written by this program, never by a user: they become part of the statement
 */
export function rowsFrom(
  dialect: Database['dialect'],
  columns: Readonly<Record<string, JsonColumn>>,
  rows: readonly (readonly (string | number)[])[],
): RawBuilder<unknown> {
  const json = JSON.stringify(rows);
  const selected = Object.entries(columns).map(([name, kind], index) => {
    if (dialect === 'sqlite') return sql`json_extract(j.value, ${sql.lit(`$[${index}]`)}) as ${sql.ref(name)}`;
    return sql`(j.value ->> ${sql.lit(index)})${sql.raw(kind === 'integer' ? '::bigint' : '')} as ${sql.ref(name)}`;
  });
  const source = dialect === 'sqlite' ? sql`json_each(${json}) j` : sql`json_array_elements(${json}::json) j(value)`;
  return sql`(select ${sql.join(selected)} from ${source})`;
}
