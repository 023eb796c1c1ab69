/**
 * Lists of any length as one parameter: the text of a statement does not depend on how long its lists are, so it is
 * prepared once, and 500 rows cost one bound value instead of thousands.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Database } from './database.ts';

/** `column in ${idsIn(…)}`: the ids as a subquery of texts. */
export const idsIn = (dialect: Database['dialect'], ids: readonly string[]): RawBuilder<string> => {
  const json = JSON.stringify(ids);
  return dialect === 'sqlite' ? sql`(select value from json_each(${json}))` : sql`(select json_array_elements_text(${json}::json))`;
};

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
