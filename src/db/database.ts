/** The database: SQLite in a file or PostgreSQL, with the same behaviour. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import { retrying } from '../lib/backoff.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type Logger, silentLogger } from '../lib/log.ts';
import type { Backend } from './backend.ts';
import { TransactionConflict } from './errors.ts';
import { openPostgresql } from './postgresql/backend.ts';
import { openSqlite } from './sqlite/backend.ts';
import type { Tables } from './tables.ts';

/** An open transaction; it is a `Reader` too. */
export type Tx = Transaction<Tables>;

/** What reads can be asked of: `Database.read` or a transaction. */
export type Reader = Kysely<Tables>;

/** The open database. Every query may throw the errors of `errors.ts`. */
export interface Database {
  readonly dialect: 'sqlite' | 'postgresql';
  /** Reads what is committed, each query for itself (`readMany` for several at once); never waits for a transaction, except in memory. */
  readonly read: Reader;
  /**
   * Runs the work in a transaction: what it throws rolls back and comes out again. READ COMMITTED on PostgreSQL; on
   * SQLite one transaction of this process after the other. The work runs again when another transaction got in the way
   * (five times at most), so it must have no effects elsewhere. After a statement failed nothing but rolling back is left,
   * also when the work catches the error. The work awaits nothing but its own queries, may not use
   * `read`, and may not begin another transaction. Throws `DatabaseUnavailable` when the database does not answer.
   */
  tx<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Milliseconds since the epoch for use in a query: by the server's clock on PostgreSQL, by the given clock on SQLite. */
  nowMs(): RawBuilder<number>;
  /** Sends a hint to whoever listens, when `tx` is committed; at once without it. It may get lost. On SQLite it stays within this process. */
  notify(channel: string, payload: string, tx?: Tx): Promise<void>;
  /** Calls the handler with each payload until the function that comes back is called. */
  listen(channel: string, handler: (payload: string) => void): Promise<() => void>;
  /** Does a read get an answer? Throws `DatabaseUnavailable` otherwise. */
  healthCheck(): Promise<void>;
  /** Lets running queries end; nothing may be asked afterwards. */
  close(): Promise<void>;
}

/** How a database is opened. */
export type DatabaseOptions = {
  /**
   * `sqlite::memory:`, `sqlite:///absolute/path` (not percent-encoded) or `postgresql://…` (a unix socket:
   * `postgresql:///name?host=/folder`; a schema: `options=-c search_path=name`).
   */
  readonly url: string;
  /** SQLite's writer in a thread of its own? Default: yes for a file, no in memory. */
  readonly thread?: boolean;
  /** Connections of PostgreSQL for transactions, and as many again for reads; default 8. */
  readonly connections?: number;
  readonly log?: Logger;
  /** What SQLite's `nowMs` tells. */
  readonly clock?: Clock;
};

/**
 * Opens a database without asking it anything yet: one that cannot be reached is noticed by the first query.
 * Throws an `Error` with one sentence for the user when the URL is not understood.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const backend = openBackend(options);
  const running = new AsyncLocalStorage<{ ended: boolean }>();
  const refuseInside = (what: string): void => {
    if (running.getStore()?.ended === false) throw new Error(`${what} inside a transaction: it could wait for itself`);
  };
  return {
    dialect: backend.dialect,
    get read() {
      refuseInside('Database.read used');
      return backend.read;
    },
    tx(work) {
      refuseInside('a transaction begun');
      const attempt = async () => {
        const state = { ended: false };
        return running.run(state, () => backend.transaction(work).finally(() => (state.ended = true)));
      };
      return retrying(attempt, { attempts: 5, base_ms: 10, max_ms: 500, isWorthwhile: (error) => error instanceof TransactionConflict });
    },
    nowMs: () => backend.nowMs(),
    notify: (channel, payload, tx) => backend.notify(channel, payload, tx),
    listen: (channel, handler) => backend.listen(channel, handler),
    async healthCheck() {
      await sql`select 1`.execute(backend.read);
    },
    close: () => backend.close(),
  };
}

/** The same rows, locked until the transaction ends; on SQLite the whole database is, so nothing is added there. */
export const forUpdate = <Query extends { forUpdate(): Query }>(query: Query): Query => query.forUpdate();

function openBackend(options: DatabaseOptions): Backend {
  const { url, log = silentLogger, clock = systemClock } = options;
  const scheme = url.slice(0, url.indexOf(':') + 1);
  if (scheme === 'postgresql:' || scheme === 'postgres:' || scheme.startsWith('postgresql+')) {
    return openPostgresql({ url: `postgresql:${url.slice(scheme.length)}`, connections: options.connections ?? 8, log });
  }
  if (scheme !== 'sqlite:') {
    throw new Error(`The database URL must begin with sqlite: or postgresql:, not with "${scheme.replace(/[^\w+:.-]/gu, '')}".`);
  }
  const rest = url.slice(scheme.length);
  const path = rest.startsWith('//') ? rest.slice(2) : rest;
  if (path !== ':memory:' && !path.startsWith('/'))
    throw new Error('The path of a SQLite database must be absolute: sqlite:///folder/file.');
  return openSqlite({ path, thread: options.thread ?? path !== ':memory:', clock, log });
}
