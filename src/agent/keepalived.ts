/** keepalived, the VRRP half of an ACTIVE_STANDBY pair: its configuration, and the init's order to run it. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { CommandError, run } from '../lib/run.ts';
import { refuse } from './answers.ts';
import { livingProcess, readIfThere, replaceFile } from './files.ts';
import { md5Of } from './runtime/wanted.ts';
import type { Places } from './places.ts';

/** The keepalived of an amphora; started and kept by the init while `wanted/keepalived` names a configuration. */
export class Keepalived {
  readonly #places: Places;
  readonly #config: string;
  readonly #wanted: string;

  constructor(places: Places) {
    this.#places = places;
    this.#config = `${places.base_path}/vrrp/octavia-keepalived.conf`;
    this.#wanted = `${places.state_dir}/wanted/keepalived`;
  }

  /** Checks and stores a configuration; answers its MD5. Throws a refusal with 400 and keepalived's words. */
  async upload(text: Buffer): Promise<string> {
    await mkdir(`${this.#places.base_path}/vrrp`, { recursive: true });
    const offered = `${this.#config}.new`;
    await writeFileAtomic(offered, text, { mode: 0o644 });
    try {
      await run('keepalived', ['-t', '-f', offered]);
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === null) throw error;
      throw refuse(400, 'Invalid request', `${error.stdout}${error.stderr}`.trim(), error);
    }
    await rename(offered, this.#config);
    return md5Of(text);
  }

  /** Starts it; one that runs reads its configuration again. Throws a refusal with 404 before the first upload. */
  async start(): Promise<void> {
    if ((await readIfThere(this.#config)) === undefined) throw refuse(404, 'VRRP Not Found', 'no configuration was uploaded');
    await replaceFile(this.#wanted, `${this.#config}\n`);
    const pid = await this.#pid();
    if (pid === undefined) process.kill(process.ppid, 'SIGUSR1');
    else process.kill(pid, 'SIGHUP');
  }

  /** Stops it; one that does not run is success. */
  async stop(): Promise<void> {
    await rm(this.#wanted, { force: true });
    const pid = await this.#pid();
    if (pid !== undefined) process.kill(pid, 'SIGTERM');
  }

  /** False when it should run and does not. */
  async isWhole(): Promise<boolean> {
    return (await readIfThere(this.#wanted)) === undefined || (await this.#pid()) !== undefined;
  }

  #pid(): Promise<number | undefined> {
    return livingProcess(`${this.#places.run_dir}/keepalived.pid`);
  }
}
