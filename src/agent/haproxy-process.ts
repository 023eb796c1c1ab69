/**
 * HAProxy as a running process: started and kept by the init while `wanted/haproxy` names a configuration, reloaded by its
 * master when the agent says so. Calls must not overlap: back-to-back reloads pile up workers and can lose listening sockets.
 */
import { readFile, rm, stat, truncate } from 'node:fs/promises';
import { setTimeout as after } from 'node:timers/promises';
import { CommandError, run } from '../lib/run.ts';
import { refuse } from './answers.ts';
import { livingProcess, readIfThere, replaceFile, until } from './files.ts';
import { statsSocketOf } from './haproxy-config.ts';
import type { Log } from './log.ts';
import type { Places } from './places.ts';
import { makeRoom } from './runtime/old-workers.ts';
import { stateForReload } from './runtime/server-state.ts';
import { askSocket, parseProcesses } from './unix-socket.ts';
import type { Processes } from './unix-socket.ts';

/** How long a new worker may take; a configuration of 10,000 servers needs about a second. */
const START_LIMIT_MS = 20_000;
/** A signal to a master that is not yet back in its loop is lost: it is sent again after this. */
const LOST_AFTER_MS = 1500;
/** One that does not start complains and ends well within this. */
const DEAD_AFTER_MS = 700;
const LOG_LIMIT_BYTES = 256 * 1024;

/** The running HAProxy of an amphora. */
export class HaproxyProcess {
  readonly #places: Places;
  readonly #log: Log;
  readonly #masterSocket: string;
  readonly #messages: string;
  readonly #wanted: string;

  constructor(places: Places, log: Log) {
    this.#places = places;
    this.#log = log;
    this.#masterSocket = `${places.run_dir}/master.sock`;
    this.#messages = `${places.run_dir}/haproxy.log`;
    this.#wanted = `${places.state_dir}/wanted/haproxy`;
  }

  /** What `haproxy -c` says against a file; undefined when it has nothing against it. */
  async complaint(path: string): Promise<string | undefined> {
    try {
      await run('haproxy', ['-c', '-f', path]);
      return undefined;
    } catch (error) {
      // Killed or not there: that says nothing about the configuration.
      if (!(error instanceof CommandError) || error.code === null) throw error;
      return `${error.stdout}${error.stderr}`.trim();
    }
  }

  /** Master and workers; undefined while HAProxy does not run or its master is between two lives. */
  async processes(): Promise<Processes | undefined> {
    try {
      return parseProcesses(await askSocket(this.#masterSocket, 'show proc', 2000));
    } catch {
      return undefined;
    }
  }

  /**
   * Master and workers, also when the master is away for a moment: with a new worker already serving it may not be back yet from executing
   * itself anew, and must not be taken for dead. Undefined when it does not run.
   */
  async presentProcesses(): Promise<Processes | undefined> {
    const found = await until(START_LIMIT_MS, async () => {
      const processes = await this.processes();
      if (processes !== undefined) return processes;
      return (await livingProcess(`${this.#places.run_dir}/haproxy.pid`)) === undefined ? 'dead' : undefined;
    });
    return found === 'dead' ? undefined : found;
  }

  /** The file that HAProxy is to run with; undefined when it is not to run. */
  async wantedConfig(): Promise<string | undefined> {
    return (await readIfThere(this.#wanted))?.trim();
  }

  /** Starts HAProxy; answers its worker once that serves. Throws a refusal with HAProxy's words when it does not come up. */
  async start(config: string): Promise<number> {
    await this.boundMessages(0);
    await replaceFile(this.#wanted, `${config}\n`);
    this.#callInit();
    return this.#awaitWorker(config, (processes) => (processes.worker === undefined ? 'coming' : 'there'));
  }

  /**
   * Gives the running HAProxy its configuration again; answers the new worker once that serves. Throws a refusal with
   * HAProxy's words when it stays with the old one.
   */
  async reload(config: string, before: Processes): Promise<number> {
    await this.boundMessages(0);
    await replaceFile(this.#wanted, `${config}\n`);
    await makeRoom({ masterSocket: this.#masterSocket, processes: () => this.processes() }, this.#log);
    await this.#saveServersState(config);
    let asked_at = await this.#askForReload(before);
    return this.#awaitWorker(config, (processes) => {
      if (processes.worker !== undefined && processes.worker !== before.worker) return 'there';
      const isCounted = processes.master !== before.master || processes.reloads > before.reloads;
      if (isCounted && processes.failed > 0) return 'failed';
      if (!isCounted && Date.now() - asked_at > LOST_AFTER_MS) {
        this.#log('warn', 'reload was lost, asking again');
        asked_at = Date.now();
        process.kill(processes.master, 'SIGUSR2');
      }
      return 'coming';
    });
  }

  /** Stops HAProxy and waits until it is gone. One that does not run is success. */
  async stop(): Promise<void> {
    await rm(this.#wanted, { force: true });
    const isGone = await until(10_000, async () => {
      const master = (await this.processes())?.master ?? (await livingProcess(`${this.#places.run_dir}/haproxy.pid`));
      if (master === undefined) return true;
      try {
        process.kill(master, 'SIGTERM');
      } catch {
        return true;
      }
      await after(20);
      return undefined;
    });
    if (isGone !== true) throw refuse(500, 'Error stopping haproxy', 'it does not end');
  }

  /** Keeps HAProxy's messages from filling the memory that the file lies in. */
  async boundMessages(limit_bytes = LOG_LIMIT_BYTES): Promise<void> {
    const found = await stat(this.#messages).catch(() => undefined);
    if (found !== undefined && found.size > limit_bytes) await truncate(this.#messages, 0);
  }

  /** Which worker answers on a stats socket; undefined when none does. */
  async servingWorker(statsSocket: string): Promise<number | undefined> {
    try {
      const pid = /^Pid: (\d+)$/mu.exec(await askSocket(statsSocket, 'show info', 2000))?.[1];
      return pid === undefined ? undefined : Number(pid);
    } catch {
      return undefined;
    }
  }

  async #awaitWorker(config: string, look: (processes: Processes) => 'coming' | 'there' | 'failed'): Promise<number> {
    const statsSocket = statsSocketOf(await readFile(config, 'utf8'));
    const start = Date.now();
    const found = await until(START_LIMIT_MS, async () => {
      const processes = await this.processes();
      // What cannot start is started again by the init, once a second: no need to see it fail for long.
      if (processes === undefined) return Date.now() - start > DEAD_AFTER_MS && (await this.#alerts()).length > 0 ? 'failed' : undefined;
      const progress = look(processes);
      if (progress !== 'there') return progress === 'failed' ? progress : undefined;
      const serving = statsSocket === undefined ? processes.worker : await this.servingWorker(statsSocket);
      return serving === processes.worker ? serving : undefined;
    });
    if (typeof found === 'number') return found;
    const what = found === 'failed' ? 'HAProxy cannot run with the configuration' : 'HAProxy does not come up in time';
    throw refuse(500, what, (await this.#alerts()).slice(-10).join('\n'));
  }

  /** Its complaints since it was last started or reloaded. */
  async #alerts(): Promise<readonly string[]> {
    return ((await readIfThere(this.#messages)) ?? '').split('\n').filter((line) => line.startsWith('[ALERT]'));
  }

  /** Answers when it was asked. The master's own command is not lost as a signal can be; before 2.7 it has no answer. */
  async #askForReload(before: Processes): Promise<number> {
    try {
      await askSocket(this.#masterSocket, 'reload', START_LIMIT_MS);
    } catch {
      // 2.6 closes the connection hard when it executes itself anew; the loop that follows finds out whether it did.
      if ((await this.processes())?.reloads === before.reloads) process.kill(before.master, 'SIGUSR2');
    }
    return Date.now();
  }

  /** So that the new worker starts with the members' states of the old one instead of taking all for living. */
  async #saveServersState(config: string): Promise<void> {
    const text = await readFile(config, 'utf8');
    const socket = statsSocketOf(text);
    const file = /^\s*server-state-file\s+(\S+)/mu.exec(text)?.[1];
    // Only below our own folder: the rest of the path is the controller's.
    if (socket === undefined || file === undefined || !file.startsWith(`${this.#places.base_path}/`) || file.includes('..')) return;
    try {
      await replaceFile(file, stateForReload(await askSocket(socket, 'show servers state'), text));
    } catch (error) {
      this.#log('warn', 'states of members could not be saved for the new worker', { error });
    }
  }

  #callInit(): void {
    if (process.ppid > 0) process.kill(process.ppid, 'SIGUSR1');
  }
}
