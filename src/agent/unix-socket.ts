/** Commands to HAProxy's sockets: the stats socket of a worker and the socket of the master (management guide, section 9.3). */
import { connect } from 'node:net';

/** What a socket answers at most; `show stat` needs about 250 bytes per server. */
const MAX_ANSWER_BYTES = 64 * 2 ** 20;

/**
 * Sends one line of commands (separated by `;`) and answers what comes until HAProxy closes. Throws the connection's error,
 * or `Error` when it takes too long.
 */
export function askSocket(path: string, commands: string, limit_ms = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const socket = connect(path);
    const timer = setTimeout(() => socket.destroy(new Error(`${path} did not answer within ${limit_ms} ms`)), limit_ms);
    socket.on('connect', () => socket.end(`${commands}\n`));
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) socket.destroy(new Error(`${path} answers without end`));
      chunks.push(chunk);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

/** What the master says of its processes. */
export type Processes = {
  readonly master: number;
  /** Reloads of this master so far, and how many failed since the last that did not. */
  readonly reloads: number;
  readonly failed: number;
  /** The current worker; undefined while there is none. */
  readonly worker: number | undefined;
  /** Workers of before that still have connections, the oldest first. */
  readonly oldWorkers: readonly number[];
};

/** Reads the answer to `show proc` of HAProxy 2.0 to 3.2; undefined when it is none (the master is between two lives). */
export function parseProcesses(text: string): Processes | undefined {
  const [current = '', old = ''] = text.split(/^# old workers.*$/mu);
  const master = /^(\d+)\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?/mu.exec(current);
  if (master === null) return undefined;
  const worker = /^(\d+)\s+worker\s/mu.exec(current)?.[1];
  return {
    master: Number(master[1]),
    reloads: Number(master[2]),
    failed: Number(master[3] ?? 0),
    worker: worker === undefined ? undefined : Number(worker),
    oldWorkers: [...old.matchAll(/^(\d+)\s+worker\s+(\d+)/gmu)]
      .toSorted((one, other) => Number(other[2]) - Number(one[2]))
      .map((match) => Number(match[1])),
  };
}
