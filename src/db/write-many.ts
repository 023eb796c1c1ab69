/**
 * Statements of a transaction that need not be answered one by one. Each answer that is waited for is a way to SQLite's thread or to
 * the server and back, during which this process may be at something else and, on SQLite, nobody else writes.
 */
import { type Compilable, type CompiledQuery, type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** A change that nobody waits for; with `orElse` the transaction fails with that error unless it changes a row. */
export type LaterChange = { readonly query: CompiledQuery; readonly orElse?: () => Error };

/** Changes for later; connections know the query by this member. Its answer is empty and means nothing. */
export type LaterQuery = CompiledQuery & { readonly later: readonly LaterChange[] };

/** A query behind which nothing comes any more: COMMIT travels with it, and what it answers is committed. */
export type LastQuery = CompiledQuery & { readonly isLast: true };

/** Are these changes for later? */
export const isLater = (query: CompiledQuery): query is LaterQuery => 'later' in query;

/** Does the transaction end with this query? */
export const isLast = (query: CompiledQuery): query is LastQuery => 'isLast' in query;

/**
 * Carries out changes in their order, for those whose outcome nobody needs to know: they travel with the transaction's next question,
 * or with its COMMIT. What they throw comes out there, and so out of `Database.tx`.
 */
export const writeMany = (tx: Kysely<Tables>, changes: readonly Compilable<unknown>[]): Promise<void> =>
  send(
    tx,
    changes.map((change) => ({ query: change.compile() })),
  );

/** Like `writeMany` for one change that must find a row: when it does not, the transaction is undone and throws the error. */
export const insist = (tx: Kysely<Tables>, change: Compilable<unknown>, orElse: () => Error): Promise<void> =>
  send(tx, [{ query: change.compile(), orElse }]);

/** Asks the last question of a transaction. Once it is answered the transaction is committed, and nothing may be asked any more. */
export async function askLast<Row>(tx: Kysely<Tables>, query: Compilable<Row>): Promise<Row[]> {
  const last: LastQuery = { ...query.compile(), isLast: true };
  return (await tx.executeQuery(last)).rows as Row[];
}

async function send(tx: Kysely<Tables>, later: readonly LaterChange[]): Promise<void> {
  const query: LaterQuery = { ...sql`later`.compile(tx), later };
  await tx.executeQuery(query);
}
