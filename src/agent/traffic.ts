/**
 * Commands in the traffic namespace. The agent may not enter it (that takes CAP_SYS_ADMIN, which would undo the sandbox), so
 * it asks the executor that the init runs there, by files in a folder that only root can read and a pipe.
 */
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import { readIfThere, until } from './files.ts';
import { Turns } from './turns.ts';

/** A network card as `ip -json address show` has it. */
export type Link = {
  readonly ifname: string;
  /** MAC address. */
  readonly address?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[];
  /** With `-s`. */
  readonly stats64?: { readonly rx: { readonly bytes: number }; readonly tx: { readonly bytes: number } };
};

/** The executor does not answer, or what it ran failed; the message has the program's own words. */
export class TrafficError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'TrafficError';
  }
}

const LIMIT_MS = 10_000;

/** The traffic namespace, by requests to its executor; one at a time. */
export class TrafficNamespace {
  readonly #folder: string;
  readonly #turns = new Turns();
  #pipe: FileHandle | undefined;
  #count = 0;

  /** @param run_dir the folder where the init made `traffic/requests` */
  constructor(run_dir: string) {
    this.#folder = `${run_dir}/traffic`;
  }

  /** The cards there. Throws `TrafficError`. */
  async links(): Promise<readonly Link[]> {
    const output = await this.#ask('ip', 'address show\n');
    return JSON.parse(output) as Link[];
  }

  /** The cards with their counters. Throws `TrafficError`. */
  async counters(): Promise<readonly Link[]> {
    const output = await this.#ask('ip', '-s link show\n');
    return JSON.parse(output) as Link[];
  }

  /** Runs lines of `ip -batch` up to the first that fails. Throws `TrafficError`. */
  async ip(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#ask('ip', lines.map((line) => `${line}\n`).join(''));
  }

  /** Runs all lines of `ip -batch`; those that fail (what is there already, what is gone already) do no harm. */
  async ipWhereItWorks(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#ask('ip-force', lines.map((line) => `${line}\n`).join(''), true);
  }

  #ask(kind: 'ip' | 'ip-force', input: string, mayFail = false): Promise<string> {
    return this.#turns.run(() => this.#exchange(kind, input, mayFail));
  }

  async #exchange(kind: string, input: string, mayFail: boolean): Promise<string> {
    this.#count += 1;
    // The process id keeps the requests of an agent that was killed apart from ours.
    const id = `${process.pid.toString(16)}${this.#count.toString(16).padStart(6, '0')}`;
    const base = `${this.#folder}/${id}`;
    try {
      await writeFile(`${base}.in`, input, { mode: 0o600 });
      const code = await this.#run(base, `${id} ${kind}\n`);
      if (code === undefined) throw new TrafficError('the executor of the traffic namespace does not answer');
      if (code !== '0' && !mayFail) throw new TrafficError((await readFile(`${base}.err`, 'utf8')).trim().slice(0, 500));
      return await readFile(`${base}.out`, 'utf8');
    } finally {
      await Promise.all(['in', 'out', 'err', 'rc'].map((ending) => rm(`${base}.${ending}`, { force: true })));
    }
  }

  /** An executor that was killed in between leaves the request undone: the line is sent again for the next one. */
  async #run(base: string, line: string): Promise<string | undefined> {
    const end = Date.now() + LIMIT_MS;
    while (Date.now() < end) {
      // Open for both directions: that neither waits for a reader nor loses what is in the pipe.
      this.#pipe ??= await open(`${this.#folder}/requests`, constants.O_RDWR | constants.O_NONBLOCK);
      await this.#pipe.write(line);
      const code = await until(1000, async () => {
        const text = await readIfThere(`${base}.rc`);
        return text?.endsWith('\n') === true ? text.trim() : undefined;
      });
      if (code !== undefined) return code;
    }
    return undefined;
  }
}
