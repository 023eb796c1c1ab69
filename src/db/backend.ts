/** What a database engine gives to `database.ts`. */
import type { Kysely, RawBuilder, Transaction } from 'kysely';
import type { Tables } from './tables.ts';

/** An engine: one of the two kinds of database, open. */
export interface Backend {
  readonly dialect: 'sqlite' | 'postgresql';
  readonly read: Kysely<Tables>;
  /** One attempt. */
  transaction<T>(work: (tx: Transaction<Tables>) => Promise<T>): Promise<T>;
  nowMs(): RawBuilder<number>;
  notify(channel: string, payload: string, tx?: Transaction<Tables>): Promise<void>;
  listen(channel: string, handler: (payload: string) => void): Promise<() => void>;
  close(): Promise<void>;
}
