/** A SQLite connection in a worker thread: takes requests as messages and answers each in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { SqliteConnection, SqliteError } from './statements.ts';
import type { SqliteOptions, SqliteRequest, SqliteResult } from './statements.ts';

/** A request; null: close the connection and end the thread. */
export type ThreadRequest = { readonly id: number; readonly request: SqliteRequest | null };

/** The answer to the request of the same id. */
export type ThreadAnswer =
  | { readonly id: number; readonly results: SqliteResult[] }
  | { readonly id: number; readonly errcode: number; readonly message: string };

const port = parentPort!;
let connection: SqliteConnection | undefined;

port.on('message', ({ id, request }: ThreadRequest) => {
  port.postMessage(answer(id, request));
  if (request === null) port.close();
});

function answer(id: number, request: SqliteRequest | null): ThreadAnswer {
  try {
    if (request === null) {
      connection?.close();
      return { id, results: [] };
    }
    connection ??= new SqliteConnection(workerData as SqliteOptions);
    return { id, results: connection.execute(request) };
  } catch (error) {
    const { errcode, message } = error instanceof SqliteError ? error : new SqliteError(1, String(error));
    return { id, errcode, message };
  }
}
