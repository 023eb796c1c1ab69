/**
 * SQLite as a database engine: a writer, which waits for the disk and so has a thread of its own, and a reader, which does not: a read is
 * done before its question would have reached another thread.
 */
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { type CompiledQuery, type DatabaseConnection, type QueryResult, sql, type Transaction } from 'kysely';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Backend } from '../backend.ts';
import { DatabaseUnavailable } from '../errors.ts';
import { Mutex } from '../mutex.ts';
import { kyselyOver, transactionOver } from '../over.ts';
import { isBatch } from '../read-many.ts';
import type { Tables } from '../tables.ts';
import { isLast, isLater, type LaterChange } from '../write-many.ts';
import { sqliteDialect, toRows, toSqlite, translate } from './dialect.ts';
import { SqliteThread } from './remote.ts';
import { SqliteConnection, SqliteError, unchanged } from './statements.ts';
import type { SqlitePort, SqliteQuery, SqliteRequest } from './statements.ts';

/** How a SQLite database is opened. */
export type SqliteSettings = {
  /** A file, or `:memory:`. */
  readonly path: string;
  /** The writer in a worker thread? A database in memory has none, and reads wait for its writer. */
  readonly thread: boolean;
  readonly clock: Clock;
  readonly log: Logger;
};

const transactionLimitMs = 30_000;

/** Opens nothing yet: each connection opens the file with its first query. */
export function openSqlite(settings: SqliteSettings): Backend {
  const { path, thread, log } = settings;
  const writer = thread ? new SqliteThread({ path, reader: false }, log) : openHere(path, false);
  const mutex = new Mutex();
  const reader = path === ':memory:' ? null : openHere(path, true);
  const hints = new EventEmitter({ captureRejections: false }).setMaxListeners(0);
  const afterCommit = new WeakMap<Transaction<Tables>, (() => void)[]>();
  const emit = (channel: string, payload: string): void => void setImmediate(() => hints.emit(channel, payload));
  return {
    dialect: 'sqlite',
    read: kyselyOver(
      sqliteDialect,
      readConnection((query) => (reader === null ? readWithWriter(writer, mutex, query) : readWith(reader, query))),
    ),
    async transaction(work) {
      const unlock = await mutex.lock();
      try {
        const connection = new WriteConnection(writer);
        const tx = transactionOver(sqliteDialect, connection);
        const result = await withLimit(connection, () => work(tx));
        for (const hint of afterCommit.get(tx) ?? []) hint();
        return result;
      } finally {
        unlock();
      }
    },
    nowMs: () => sql`${settings.clock.now()}`,
    async notify(channel, payload, tx) {
      if (tx === undefined) emit(channel, payload);
      else afterCommit.set(tx, [...(afterCommit.get(tx) ?? []), () => emit(channel, payload)]);
    },
    async listen(channel, handler) {
      hints.on(channel, handler);
      return () => void hints.off(channel, handler);
    },
    async close() {
      hints.removeAllListeners();
      // Whoever closes last moves the log into the file; it must be the one that may write.
      await reader?.close();
      await writer.close();
    },
  };
}

/** Work that never ends must not keep the only writer for ever; PostgreSQL has `idle_in_transaction_session_timeout` for it. */
async function withLimit<T>(connection: WriteConnection, work: () => Promise<T>): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new DatabaseUnavailable('the transaction took too long and was rolled back')), transactionLimitMs);
  try {
    return await Promise.race([connection.carryOut(work), expired]);
  } catch (error) {
    await connection.rollBack();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** A connection of this thread that is opened by its first query, so that a file that cannot be opened is an answer to a query. */
function openHere(path: string, reader: boolean): SqlitePort {
  let connection: SqliteConnection | undefined;
  let isClosed = false;
  return {
    execute(request) {
      if (isClosed) throw new SqliteError(0, 'the database is closed');
      return (connection ??= new SqliteConnection({ path, reader })).execute(request);
    },
    close() {
      isClosed = true;
      connection?.close();
    },
  };
}

/** The part of a request that comes before its last query. */
type Before = Omit<SqliteRequest, 'queries'> & { readonly queries?: readonly SqliteQuery[] };

/** Sends a request and answers what its last query, if there is one, had to say. */
async function ask(port: SqlitePort, { queries = [], ...before }: Before, query?: CompiledQuery): Promise<QueryResult<never>> {
  const batch = query === undefined ? [] : isBatch(query) ? query.batch : [query];
  try {
    const results = await port.execute({ ...before, queries: [...queries, ...batch.map(toSqlite)] });
    const answers = results.slice(queries.length);
    if (query !== undefined && isBatch(query)) return { rows: answers.map(toRows) as never[] };
    const [answer] = answers;
    return answer === undefined ? { rows: [] } : { rows: toRows(answer) as never[], numAffectedRows: BigInt(answer.changes) };
  } catch (error) {
    throw translate(error);
  }
}

const noStreams = (): never => {
  throw new Error('rows are not streamed');
};

/** How long reads may follow each other before everything else has its turn. */
const turnMs = 5;

/**
 * Reads outside transactions. Their answers are there at once, so whoever reads again and again would never let this thread get to
 * what comes from outside: every few milliseconds a read waits until that had its turn.
 */
function readConnection(read: (query: CompiledQuery) => Promise<QueryResult<never>>): DatabaseConnection {
  let turnEnds = 0;
  return {
    async executeQuery(query) {
      if (performance.now() > turnEnds) {
        await turn();
        turnEnds = performance.now() + turnMs;
      }
      return read(query);
    },
    streamQuery: noStreams,
  };
}

const readWith = (port: SqlitePort, query: CompiledQuery): Promise<QueryResult<never>> =>
  ask(port, { mode: isBatch(query) ? 'snapshot' : 'alone' }, query);

/** A database in memory has one connection: its readers must not see what the open transaction did, so they wait. */
async function readWithWriter(port: SqlitePort, mutex: Mutex, query: CompiledQuery): Promise<QueryResult<never>> {
  if (/^(?:Insert|Update|Delete|Merge)/u.test(query.query.kind)) throw new Error('writes need a transaction: use Database.tx');
  const unlock = await mutex.lock();
  try {
    return await readWith(port, query);
  } finally {
    unlock();
  }
}

/** The writer during one transaction. BEGIN travels with the first statement that is waited for, changes for later and COMMIT with the next or last. */
class WriteConnection implements DatabaseConnection {
  readonly #port: SqlitePort;
  #state: 'fresh' | 'open' | 'failed' | 'ended' = 'fresh';
  #later: LaterChange[] = [];
  readonly streamQuery = noStreams;

  constructor(port: SqlitePort) {
    this.#port = port;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#state === 'failed' || this.#state === 'ended') throw new Error(`the transaction has ${this.#state}`);
    if (!isLater(query)) return this.#send(isLast(query), query);
    this.#later.push(...query.later);
    return { rows: [] };
  }

  /** Runs the work and commits; whoever gets an error from it must roll back. */
  async carryOut<T>(work: () => Promise<T>): Promise<T> {
    const result = await work();
    if (this.#state === 'failed') throw new Error('the transaction has failed');
    if (this.#state === 'open' || this.#later.length > 0) await this.#send(true);
    this.#state = 'ended';
    return result;
  }

  /** Undoes what was done, if anything was and is not undone yet. */
  async rollBack(): Promise<void> {
    const wasBegun = this.#state === 'open' || this.#state === 'failed';
    this.#state = 'ended';
    try {
      if (wasBegun) await ask(this.#port, { mode: 'rollback' });
    } catch (error) {
      // A lost connection has rolled back already.
      if (!(error instanceof DatabaseUnavailable)) throw error;
    }
  }

  async #send(commit: boolean, query?: CompiledQuery): Promise<QueryResult<never>> {
    const mode = this.#state === 'fresh' ? 'begin' : 'within';
    const later = this.#later.splice(0);
    const queries = later.map((change) => ({ ...toSqlite(change.query), ...(change.orElse && { mustChange: true as const }) }));
    this.#state = 'open';
    try {
      const answer = await ask(this.#port, { mode, queries, commit }, query);
      if (commit) this.#state = 'ended';
      return answer;
    } catch (error) {
      // SQLite could go on after a statement failed; PostgreSQL cannot, so nobody may.
      this.#state = 'failed';
      throw missed(error, later);
    }
  }
}

/** The error of a change that had to find its row and did not; any other as it is. */
const missed = (error: unknown, later: readonly LaterChange[]): unknown =>
  error instanceof SqliteError && error.errcode === unchanged ? later[Number(error.message)]?.orElse?.() : error;
