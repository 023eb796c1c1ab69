/** Doing things one after another: within this process by key, and across processes by a lock file. */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';

/** Runs what has the same key one after another, in the order of asking; different keys do not wait for each other. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `fn` when everything asked before for this key has ended, well or badly. */
  async run<T>(key: string, fn: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const mine = before.then(fn, fn);
    const tail = mine.catch(() => undefined);
    this.#tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  /** True while something runs or waits for this key. */
  isBusy(key: string): boolean {
    return this.#tails.has(key);
  }
}

/**
 * Runs `fn` while this process holds the lock of a file; other processes wait, up to 30 seconds.
 *
 * The lock is the kernel's (flock(2)) on an open file of this process: it ends with the process, however that dies. Node has no
 * call for it, so flock(1) takes it on the file that it inherits; a file with the holder's pid in it would need a safe way
 * to take over from the dead.
 */
export async function withFileLock<T>(path: string, fn: () => Promise<T>): Promise<T> {
  const file = await open(path, 'a', 0o600);
  try {
    await lock(file.fd, path);
    return await fn();
  } finally {
    await file.close();
  }
}

function lock(fd: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-x', '-w', '30', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', (cause) => reject(new Error('cannot lock: flock (util-linux) did not start', { cause })));
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`another process keeps ${path} locked`));
    });
  });
}
