/** Lines kept in the amphora: a file and the one before it, so that they never take more than twice the limit. */
import { mkdir, open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Lines } from './lines.ts';

const LIMIT_BYTES = 4 * 1024 * 1024;
/** What waits for the disk at most. */
const WAITING_BYTES = 1024 * 1024;

/** One log. */
export class StoredLog {
  readonly #path: string;
  readonly #limit_bytes: number;
  #file: FileHandle | undefined;
  #size = 0;
  #waiting: Lines[] = [];
  #waitingBytes = 0;
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(path: string, limit_bytes = LIMIT_BYTES) {
    this.#path = path;
    this.#limit_bytes = limit_bytes;
  }

  /** Lines that could not be written since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Writes lines in the background; they are dropped when the disk is full, or slower than they come. */
  append(lines: Lines): void {
    if (this.#waitingBytes + lines.bytes.length > WAITING_BYTES) {
      this.#dropped += lines.count;
      return;
    }
    this.#waiting.push(lines);
    this.#waitingBytes += lines.bytes.length;
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** Writes what waits and closes. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        const bytes = Buffer.concat(taken.map((lines) => lines.bytes));
        const file = await this.#open(bytes.length);
        await file.appendFile(bytes);
        this.#size += bytes.length;
      } catch {
        this.#dropped += taken.reduce((sum, lines) => sum + lines.count, 0);
      }
    }
  }

  async #open(more: number): Promise<FileHandle> {
    const file = this.#file ?? (await this.#reopen());
    if (this.#size === 0 || this.#size + more <= this.#limit_bytes) return file;
    this.#file = undefined;
    await file.close();
    await rename(this.#path, `${this.#path}.1`);
    return this.#reopen();
  }

  async #reopen(): Promise<FileHandle> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    this.#file = await open(this.#path, 'a', 0o600);
    this.#size = (await this.#file.stat()).size;
    return this.#file;
  }
}
