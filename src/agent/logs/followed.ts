/** What programs of the amphora write into files: read on from time to time, and kept short. */
import { open, truncate } from 'node:fs/promises';
import { readJsonIfThere, replaceFile } from '../files.ts';

const LIMIT_BYTES = 256 * 1024;
/** Read at once; what a program says faster than this is read later. */
const READ_BYTES = 64 * 1024;

/** A file, and what is done with each of its new lines. */
export type Followed = { readonly path: string; readonly take: (line: string) => void };

/** Follows files; where it is in each outlives the agent. */
export class Follower {
  readonly #files: readonly Followed[];
  readonly #placesFile: string;
  #places: Record<string, number> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(files: readonly Followed[], placesFile: string) {
    this.#files = files;
    this.#placesFile = placesFile;
  }

  /** Takes what is new. Calls wait for each other. */
  look(): Promise<void> {
    this.#running = this.#running.then(
      () => this.#look(),
      () => this.#look(),
    );
    return this.#running;
  }

  async #look(): Promise<void> {
    this.#places ??= (await readJsonIfThere<Record<string, number>>(this.#placesFile)) ?? {};
    let isMoved = false;
    for (const file of this.#files) {
      const before = this.#places[file.path] ?? 0;
      const after = await readOn(file, before);
      this.#places[file.path] = after;
      isMoved ||= after !== before;
    }
    if (isMoved) await replaceFile(this.#placesFile, JSON.stringify(this.#places));
  }
}

/** Answers how far it came. A file that is shorter than that was begun anew. */
async function readOn({ path, take }: Followed, from: number): Promise<number> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return 0;
  try {
    const { size } = await file.stat();
    const start = size < from ? 0 : from;
    if (size === start) return start > LIMIT_BYTES ? await begunAnew(path) : start;
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(Math.min(READ_BYTES, size - start)), position: start });
    // A line that fills all of it is taken as it is: it would never end.
    const end = buffer.lastIndexOf(10, bytesRead - 1) + 1 || (bytesRead === READ_BYTES ? bytesRead : 0);
    for (const line of buffer.subarray(0, end).toString('utf8').split('\n')) if (line !== '') take(line);
    return start + end;
  } finally {
    await file.close();
  }
}

async function begunAnew(path: string): Promise<number> {
  await truncate(path, 0);
  return 0;
}
