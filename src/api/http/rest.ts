/** Reading on what a request still sends after its answer is known, so that the client gets to the answer instead of a broken connection. */
import type { IncomingMessage } from 'node:http';

/** What is read on of one request: who sends more is cut off. */
const MAX_REST_BYTES = 64 * 2 ** 20;
/** And how long. */
const MAX_REST_MS = 5_000;

/** Throws away the rest of a body; returns when it ended, or when it is too much. */
export function discardRest(request: IncomingMessage): Promise<void> {
  // Undefined where no socket is behind it.
  if (request.complete !== false || request.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    let bytes = 0;
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > MAX_REST_BYTES) finish();
    };
    const timer = setTimeout(() => finish(), MAX_REST_MS);
    const finish = (): void => {
      clearTimeout(timer);
      request.off('data', count);
      for (const event of ['end', 'close', 'error']) request.off(event, finish);
      resolve();
    };
    for (const event of ['end', 'close', 'error']) request.on(event, finish);
    request.on('data', count);
    request.resume();
  });
}
