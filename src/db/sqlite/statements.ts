/** One SQLite connection: prepared statements, transactions, and the settings of the file. Runs on any thread. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';

/** One statement with its parameters; one that `mustChange` fails with `unchanged` when it changes no row. */
export type SqliteQuery = { readonly sql: string; readonly parameters: readonly unknown[]; readonly mustChange?: true };

/**
 * How the statements of a request stand to transactions: `alone` each commits by itself; `snapshot` all read one state;
 * `begin` opens a transaction first; `within` the one that is open; `rollback` ends it and carries no statements.
 */
export type SqliteMode = 'alone' | 'snapshot' | 'begin' | 'within' | 'rollback';

/** What is asked of a connection in one message; `commit`: the transaction ends with the last statement. */
export type SqliteRequest = { readonly mode: SqliteMode; readonly queries: readonly SqliteQuery[]; readonly commit?: boolean };

/** The `errcode` of a statement that had to change a row and did not; the message is its place among the statements of the request. */
export const unchanged = -1;

/** Rows as arrays in the order of `columns`; `changes` counts the rows that a statement without rows changed. */
export type SqliteResult = {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly changes: number;
};

/** Where a connection goes; a path, or `:memory:` for a database of its own. A reader refuses writes. */
export type SqliteOptions = { readonly path: string; readonly reader: boolean };

/** Something that carries out requests: a connection in this thread or in another. Throws `SqliteError`. */
export interface SqlitePort {
  execute(request: SqliteRequest): SqliteResult[] | Promise<SqliteResult[]>;
  close(): void | Promise<void>;
}

/** An error of SQLite; `errcode` is the extended result code (sqlite.org/rescode.html), 0 when the thread died or the transaction was lost. */
export class SqliteError extends Error {
  readonly errcode: number;

  constructor(errcode: number, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'SqliteError';
    this.errcode = errcode;
  }
}

type Prepared = { readonly statement: StatementSync; readonly columns: readonly string[] };

/** Statements kept prepared; more than the program has, but lists of varying length make new ones all the time. */
const maxPrepared = 1000;
const busyTimeoutMs = 5000;
const busyCode = 5;

/** An open connection. */
export class SqliteConnection implements SqlitePort {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();

  /** @throws SqliteError when the file cannot be opened or is not a database. */
  constructor(options: SqliteOptions) {
    try {
      this.#database = openFile(options);
    } catch (error) {
      throw asSqliteError(error);
    }
  }

  execute(request: SqliteRequest): SqliteResult[] {
    try {
      return this.#execute(request);
    } catch (error) {
      throw asSqliteError(error);
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #execute({ mode, queries, commit = false }: SqliteRequest): SqliteResult[] {
    if (mode === 'alone') return queries.map((query) => this.#run(query));
    if (mode === 'begin') this.#begin();
    else if (mode === 'snapshot') return this.#snapshot(queries);
    else if (mode === 'rollback') return this.#rollback();
    else if (!this.#database.isTransaction) throw new SqliteError(0, 'the transaction was lost');
    const results = queries.map((query, index) => this.#change(query, index));
    if (commit) this.#commit();
    return results;
  }

  #change(query: SqliteQuery, index: number): SqliteResult {
    const result = this.#run(query);
    if (query.mustChange && result.changes + result.rows.length === 0) throw new SqliteError(unchanged, String(index));
    return result;
  }

  #begin(): void {
    // One that is still open was left behind by a caller that could not end it.
    this.#rollback();
    this.#run({ sql: 'BEGIN IMMEDIATE', parameters: [] });
  }

  #snapshot(queries: readonly SqliteQuery[]): SqliteResult[] {
    this.#run({ sql: 'BEGIN', parameters: [] });
    try {
      return queries.map((query) => this.#run(query));
    } finally {
      this.#rollback();
    }
  }

  #commit(): void {
    try {
      this.#run({ sql: 'COMMIT', parameters: [] });
    } catch (error) {
      // A refused COMMIT (a deferred foreign key, a busy file) leaves the transaction open.
      this.#rollback();
      throw error;
    }
  }

  #rollback(): SqliteResult[] {
    return this.#database.isTransaction ? [this.#run({ sql: 'ROLLBACK', parameters: [] })] : [];
  }

  #run({ sql, parameters }: SqliteQuery): SqliteResult {
    const { statement, columns } = this.#prepared.get(sql) ?? this.#prepare(sql);
    const values = parameters as readonly SQLInputValue[];
    if (columns.length === 0) return { columns, rows: [], changes: Number(statement.run(...values).changes) };
    const rows = statement.all(...values) as unknown as unknown[][];
    if (rows[0] === undefined || rows[0].length === columns.length) return { columns, rows, changes: 0 };
    // Another connection changed the schema, so SQLite read `*` anew.
    this.#prepared.clear();
    return this.#run({ sql, parameters });
  }

  #prepare(sql: string): Prepared {
    // A change of the schema may change what `*` means in a statement that is already prepared.
    if (/^\s*(?:create|alter|drop)\s/iu.test(sql) || this.#prepared.size >= maxPrepared) this.#prepared.clear();
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    const prepared = { statement, columns: statement.columns().map((column) => column.name) };
    this.#prepared.set(sql, prepared);
    return prepared;
  }
}

function openFile({ path, reader }: SqliteOptions): DatabaseSync {
  // SQLite would create the file readable by everybody; its journals take over the mode of the file.
  if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
  try {
    if (path !== ':memory:') useWriteAheadLog(database);
    database.exec(
      'PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 67108864',
    );
    if (reader) database.exec('PRAGMA query_only = ON');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite does not wait for others when two switch the same file to WAL at once, so we do. */
function useWriteAheadLog(database: DatabaseSync): void {
  for (const deadline = Date.now() + busyTimeoutMs; ;) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      if (asSqliteError(error).errcode % 256 !== busyCode || Date.now() > deadline) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function asSqliteError(error: unknown): SqliteError {
  if (error instanceof SqliteError) return error;
  const { errcode, message, code } = error as { errcode?: number; message: string; code?: string };
  // Errors of the file system while the file is made, such as ENOENT, count as SQLITE_CANTOPEN.
  const isFileError = errcode === undefined && /^E[A-Z]+$/u.test(code ?? '');
  return new SqliteError(errcode ?? (isFileError ? 14 : 1), message, { cause: error });
}
