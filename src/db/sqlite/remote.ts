/** The near side of a SQLite connection in a worker thread. */
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../lib/log.ts';
import { SqliteError } from './statements.ts';
import type { SqliteOptions, SqlitePort, SqliteRequest, SqliteResult } from './statements.ts';
import type { ThreadAnswer, ThreadRequest } from './thread.ts';

type Pending = { readonly resolve: (results: SqliteResult[]) => void; readonly reject: (error: SqliteError) => void };

/**
 * A connection in a thread of its own. When the thread dies, what it was asked is refused and the next request starts
 * another; a transaction that was open is lost, and its next statement says so.
 */
export class SqliteThread implements SqlitePort {
  readonly #options: SqliteOptions;
  readonly #log: Logger;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #lastId = 0;
  #closed = false;

  constructor(options: SqliteOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  execute(request: SqliteRequest): Promise<SqliteResult[]> {
    if (this.#closed) return Promise.reject(new SqliteError(0, 'the database is closed'));
    return this.#ask(this.#worker ?? this.#start(), request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    await this.#ask(worker, null).catch(() => undefined);
    worker.ref();
    await ended;
  }

  #ask(worker: Worker, request: SqliteRequest | null): Promise<SqliteResult[]> {
    this.#lastId += 1;
    const message: ThreadRequest = { id: this.#lastId, request };
    // An idle thread must not keep the process alive; one that owes an answer must.
    if (this.#pending.size === 0) worker.ref();
    return new Promise((resolve, reject) => {
      this.#pending.set(message.id, { resolve, reject });
      worker.postMessage(message);
    });
  }

  #start(): Worker {
    // Without this process's own flags, which may be meant for its main script only.
    const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: this.#options, name: 'sqlite', execArgv: [] });
    this.#worker = worker;
    worker.on('message', (answer: ThreadAnswer) => this.#settle(worker, answer));
    worker.on('error', (error) => this.#lose(worker, error));
    worker.on('exit', (code) => this.#lose(worker, new Error(`the thread ended with code ${code}`)));
    return worker;
  }

  #settle(worker: Worker, answer: ThreadAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) worker.unref();
    if ('results' in answer) pending?.resolve(answer.results);
    else pending?.reject(new SqliteError(answer.errcode, answer.message));
  }

  #lose(worker: Worker, cause: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (!this.#closed) this.#log.error({ err: cause }, 'database thread died; the next query starts another');
    const refused = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of refused) reject(new SqliteError(0, 'the database thread died', { cause }));
  }
}
