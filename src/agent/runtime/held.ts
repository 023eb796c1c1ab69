/** What the running worker holds, kept over restarts of the agent: a file in the folder that is empty after a boot, as HAProxy's processes are. */
import { readJsonIfThere, replaceFile } from '../files.ts';
import type { ServerLines, TlsHeld } from './steps.ts';

/** What a worker holds. */
export type Held = {
  readonly loadbalancer_id: string;
  readonly pid: number;
  /** The configuration that it was started with, or was made equal to by commands since. */
  readonly text: string;
  readonly md5: string;
  /** Of the configuration and the files that it names. */
  readonly fingerprint: string;
  /** Of the certificates alone. */
  readonly certificates: string;
  readonly tls: TlsHeld;
  /** Servers of changes that were begun and of servers that are leaving (`PlanInput.extra`). */
  readonly extra: ServerLines;
  /** Commands were given and it is not known how far they came: written before the first, taken back after the last. */
  readonly is_unsure: boolean;
};

/** The file. */
export class HeldFile {
  readonly #path: string;
  /** Undefined: not read yet; null: there is none. */
  #held: Held | null | undefined;

  constructor(run_dir: string) {
    this.#path = `${run_dir}/held.json`;
  }

  /** What was kept last; undefined when there is nothing. Whoever asks compares its `pid`: another worker holds something else. */
  async read(): Promise<Held | undefined> {
    if (this.#held === undefined) this.#held = (await readJsonIfThere<Held>(this.#path)) ?? null;
    return this.#held ?? undefined;
  }

  /** Keeps it: what was kept before and this are never mixed, whenever the agent is killed. */
  async keep(held: Held): Promise<void> {
    await replaceFile(this.#path, JSON.stringify(held));
    this.#held = held;
  }

  /** The last one holds no longer. */
  async forget(): Promise<void> {
    await replaceFile(this.#path, 'null');
    this.#held = null;
  }
}
