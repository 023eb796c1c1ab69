/** The agent's side of UDP and SCTP: the configuration, the init's order to run the engine, and what the engine tells. */
import { rm, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import type { DatagramInfo } from '../../wire/agent-api.ts';
import { readDatagramConfig } from '../../wire/datagram.ts';
import { refuse } from '../answers.ts';
import { livingProcess, readIfThere, readJsonIfThere, replaceFile, until } from '../files.ts';
import type { Places } from '../places.ts';
import { md5Of } from '../runtime/wanted.ts';
import type { DatagramState } from './engine.ts';

/** An engine that has written nothing for so long does not work, though its process may be there. */
const SILENT_AFTER_MS = 10_000;
const APPLY_LIMIT_MS = 15_000;

/** UDP and SCTP of an amphora; the engine is started and kept by the init while `wanted/datagram` names a configuration. */
export class DatagramService {
  readonly #places: Places;
  readonly #config: string;
  readonly #wanted: string;
  readonly #state: string;

  constructor(places: Places) {
    this.#places = places;
    this.#config = `${places.base_path}/datagram.json`;
    this.#wanted = `${places.state_dir}/wanted/datagram`;
    this.#state = `${places.run_dir}/datagram.json`;
  }

  /**
   * Makes the kernel's rules those of a configuration; without listeners nothing stays of them. Answers its MD5. Throws a refusal:
   * 400 for what is no configuration or what the kernel does not take, 500 when the engine does not come up.
   */
  async put(text: string): Promise<string> {
    const isEmpty = this.#read(text).listeners.length === 0;
    const md5 = md5Of(text);
    const isWanted = (await readIfThere(this.#wanted)) !== undefined;
    if (isEmpty && !isWanted) return md5;
    const before = await readIfThere(this.#config);
    await writeFileAtomic(this.#config, text, { mode: 0o600 });
    await replaceFile(this.#wanted, `${this.#config}\n`);
    await this.#rouse();
    const state = await until(APPLY_LIMIT_MS, async () => {
      const told = await this.#told();
      return told?.md5 === md5 || told?.refused?.md5 === md5 ? told : undefined;
    });
    if (state === undefined) throw refuse(500, 'Datagrams are not passed on', 'the engine does not come up');
    if (state.refused?.md5 === md5) {
      if (before !== undefined) await writeFileAtomic(this.#config, before, { mode: 0o600 });
      throw refuse(400, 'Invalid request', state.refused.reason);
    }
    if (isEmpty) await this.#end();
    return md5;
  }

  /** What there is, for `/info`; null: nothing is passed on. */
  async info(): Promise<DatagramInfo | null> {
    if ((await readIfThere(this.#wanted)) === undefined) return null;
    const text = await readIfThere(this.#config);
    const told = await this.#told();
    const md5 = text === undefined ? null : md5Of(text);
    return { md5, applied_md5: told?.md5 ?? null, running: told !== undefined };
  }

  /** What the engine tells; undefined when there is nothing to pass on, null when it does not work. */
  async state(): Promise<DatagramState | null | undefined> {
    return (await readIfThere(this.#wanted)) === undefined ? undefined : ((await this.#told()) ?? null);
  }

  #read(text: string): ReturnType<typeof readDatagramConfig> {
    try {
      return readDatagramConfig(text);
    } catch (error) {
      throw refuse(400, 'Invalid request', error instanceof Error ? error.message : undefined, error);
    }
  }

  /** Of a living engine that wrote lately: files of a dead one say nothing of now. */
  async #told(): Promise<DatagramState | undefined> {
    const [told, pid, file] = await Promise.all([
      readJsonIfThere<DatagramState>(this.#state),
      this.#pid(),
      stat(this.#state).catch(() => undefined),
    ]);
    if (told === undefined || pid === undefined || told.pid !== pid || file === undefined) return undefined;
    return Date.now() - file.mtimeMs < SILENT_AFTER_MS ? told : undefined;
  }

  /** One that runs looks at its configuration now, one that does not is started. */
  async #rouse(): Promise<void> {
    const pid = await this.#pid();
    if (pid === undefined) process.kill(process.ppid, 'SIGUSR1');
    else process.kill(pid, 'SIGHUP');
  }

  async #end(): Promise<void> {
    await rm(this.#wanted, { force: true });
    const pid = await this.#pid();
    if (pid !== undefined) process.kill(pid, 'SIGTERM');
    await rm(this.#state, { force: true });
    await rm(this.#config, { force: true });
  }

  #pid(): Promise<number | undefined> {
    return livingProcess(`${this.#places.run_dir}/datagram.pid`);
  }
}
