/** The configuration of the amphora's load balancer: what was accepted, what the running worker holds, and how one becomes the other. */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { isUuid } from '../lib/ids.ts';
import { readConfig } from '../wire/haproxy-text.ts';
import type { ChangeCounts, ChangeReport, LoadedConfig } from '../wire/agent-api.ts';
import { Refusal, refuse } from './answers.ts';
import { readIfThere, readJsonIfThere, replaceFile } from './files.ts';
import { statsSocketOf } from './haproxy-config.ts';
import type { HaproxyProcess } from './haproxy-process.ts';
import type { Log } from './log.ts';
import { loadBalancerPlaces } from './places.ts';
import type { Places } from './places.ts';
import { ChangeLog } from './runtime/change-log.ts';
import { Changer } from './runtime/changer.ts';
import type { Changed, Target, Wanted } from './runtime/changer.ts';
import { membersIn } from './runtime/members.ts';
import type { Members } from './runtime/members.ts';
import { HeldFile } from './runtime/held.ts';
import type { Held } from './runtime/held.ts';
import { Keeper } from './runtime/keeper.ts';
import { isRightByForm, isRightWhenTaken } from './runtime/plan-form.ts';
import { tlsAtStart } from './runtime/plan-tls.ts';
import { checkListsOf, listNames, removeUnusedLists } from './runtime/lists.ts';
import { lastChange, md5Of, wantedOf } from './runtime/wanted.ts';
import { askSocket } from './unix-socket.ts';
import type { Processes } from './unix-socket.ts';

/** What came with the file last accepted. */
type Accepted = { readonly md5: string; readonly generation: number };

/** A configuration that was put and is not in force yet. */
type Offer = { readonly loadbalancer_id: string; readonly text: string; readonly generation: number };

/** Stores and runs the configuration of one load balancer. Changes must not overlap; the REST API runs them one by one. */
export class HaproxyService {
  readonly #places: Places;
  readonly #haproxy: HaproxyProcess;
  readonly #log: Log;
  readonly #held: HeldFile;
  readonly #changer: Changer;
  readonly #changes: ChangeLog;
  /** Of the configuration and certificates that passed the last check: they need none again (it takes 40 ms). */
  #checked = '';
  /** False after a configuration was taken for right and was not: then each is checked before it is used. */
  #trustsForms = true;
  /** A configuration that waits for the worker to take its certificates: until then its file is `offered`, and the one before is in force. */
  #trial: Offer | undefined;
  /** The master that was started again last after HAProxy had ended by itself. */
  #newest: number | undefined;
  #statsSocket: Promise<string | undefined> | undefined;
  #members: { readonly of: string; readonly are: Members | undefined } | undefined;
  /** Called before a worker is replaced, for the last counters of the old one. */
  #beforeReload: () => Promise<void> = async () => undefined;

  constructor(places: Places, haproxy: HaproxyProcess, log: Log) {
    this.#places = places;
    this.#haproxy = haproxy;
    this.#log = log;
    this.#held = new HeldFile(places.run_dir);
    this.#changer = new Changer(this.#held, log);
    this.#changes = new ChangeLog(places.run_dir);
  }

  /** Has something done before each reload; it may fail. */
  beforeReload(work: () => Promise<void>): void {
    this.#beforeReload = work;
  }

  /** Ids of the load balancers that have a configuration here. */
  async ids(): Promise<readonly string[]> {
    const names = await readdir(this.#places.base_path).catch(() => []);
    const found = await Promise.all(
      names.filter(isUuid).map(async (id) => ((await readIfThere(loadBalancerPlaces(this.#places, id).config)) === undefined ? [] : [id])),
    );
    return found.flat();
  }

  /** The configuration last accepted; undefined when there is none. */
  async config(loadbalancer_id: string): Promise<string | undefined> {
    return readIfThere(loadBalancerPlaces(this.#places, loadbalancer_id).config);
  }

  /**
   * Checks a configuration and keeps it for the next start or reload; answers its MD5. The running process is not touched. Certificates
   * that the worker can be given are checked by that, when it runs next.
   * Throws a refusal: 400 with HAProxy's words, 409 when the amphora serves another load balancer.
   */
  async accept(loadbalancer_id: string, text: Buffer, generation: number): Promise<string> {
    const others = (await this.ids()).filter((id) => id !== loadbalancer_id);
    if (others.length > 0) throw refuse(409, 'Conflict', `this amphora serves load balancer ${others[0]}`);
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const md5 = md5Of(text);
    await checkListsOf(this.#places, loadbalancer_id, text.toString('utf8'));
    await mkdir(places.folder, { recursive: true, mode: 0o755 });
    await writeFileAtomic(places.offered, text);
    const offer = { loadbalancer_id, text: text.toString('utf8'), generation };
    const form = await this.#formOf(loadbalancer_id, offer.text);
    this.#trial = form === 'to be tried' ? offer : undefined;
    if (form === 'unsure') await this.#check(offer);
    if (form !== 'to be tried') await this.#keep(offer);
    return md5;
  }

  /** Has HAProxy check what is offered. Throws a refusal with its words; then what was in force goes on. */
  async #check({ loadbalancer_id, text }: Offer): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const complaint = await this.#haproxy.complaint(places.offered);
    if (complaint !== undefined) {
      await rename(places.offered, places.refused);
      throw refuse(400, 'Invalid request', complaint);
    }
    this.#checked = (await wantedOf(this.#places, loadbalancer_id, text)).fingerprint;
  }

  /** What was offered is in force from now on. */
  async #keep({ loadbalancer_id, text, generation }: Offer): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    // The same again keeps its time, which tells whether HAProxy was started with it.
    if ((await this.config(loadbalancer_id)) === text) await rm(places.offered);
    else await rename(places.offered, places.config);
    await replaceFile(places.accepted, JSON.stringify({ md5: md5Of(text), generation } satisfies Accepted));
  }

  /**
   * Makes HAProxy run with the configuration: nothing when it does already, a start when it does not run, else commands or a reload.
   * Throws a refusal: 404 without a configuration, 400 when the check fails by now, 500 when HAProxy does not come up; then
   * it goes on with what it had.
   */
  async run(loadbalancer_id: string): Promise<ChangeReport> {
    const begun = performance.now();
    const done = (await this.#tryOut(loadbalancer_id)) ?? (await this.#follow(loadbalancer_id, await this.#wanted(loadbalancer_id)));
    const report = { ...done, took_ms: Math.round(performance.now() - begun) };
    await this.#changes.note(report);
    return report;
  }

  /** Keeps what runs equal to its configuration. */
  keeper(): Keeper {
    const one = async (): Promise<string> => (await this.ids())[0] ?? '';
    return new Keeper(
      {
        held: this.#held,
        changes: this.#changes,
        current: async () => this.#current(await one()),
        wanted: (held) => wantedOf(this.#places, held.loadbalancer_id, held.text),
        target: (held) => this.#target(held),
        run: async () => this.run(await one()),
        check: async () => this.#checkLater(await one()),
      },
      this.#log,
    );
  }

  /** Names of the members that HAProxy is to have, by backend, as it is in heartbeats; undefined when that is not known. */
  async members(): Promise<Members | undefined> {
    const held = await this.#held.read();
    if (held === undefined) return undefined;
    if (this.#members?.of !== held.text) this.#members = { of: held.text, are: membersIn(held.text) };
    return this.#members.are;
  }

  /** How changes were made, without a look at what runs. */
  async changeCounts(): Promise<Omit<ChangeCounts, 'old_workers' | 'leaving'>> {
    return this.#changes.counts();
  }

  /** How changes were made, and what is left of those before. */
  async changes(): Promise<ChangeCounts> {
    const [counts, held, processes] = [await this.#changes.counts(), await this.#held.read(), await this.#haproxy.processes()];
    return { ...counts, old_workers: processes?.oldWorkers.length ?? 0, leaving: Object.keys(held?.extra ?? {}).length };
  }

  /** Lines of its log that the present worker could not write; null when it does not run. */
  async unwrittenLogs(): Promise<number | null> {
    const socket = await this.statsSocket();
    const answer = socket === undefined ? '' : await askSocket(socket, 'show info', 2000).catch(() => '');
    const count = /^DroppedLogs: (\d+)$/mu.exec(answer)?.[1];
    return count === undefined ? null : Number(count);
  }

  /**
   * Gives the worker the certificates of a configuration that waits for that. Undefined when there is none, or when it is a reload, before
   * which it is checked. Throws a refusal with HAProxy's words; then what was in force goes on.
   */
  async #tryOut(loadbalancer_id: string): Promise<Omit<ChangeReport, 'took_ms'> | undefined> {
    const trial = this.#trial;
    this.#trial = undefined;
    if (trial?.loadbalancer_id !== loadbalancer_id) return undefined;
    const current = await this.#current(loadbalancer_id);
    const isKnown = current !== undefined && current !== 'unknown';
    const changed = isKnown ? await this.#byCommands(current, await wantedOf(this.#places, loadbalancer_id, trial.text)) : undefined;
    const isTaken = changed !== undefined && !('reason' in changed);
    if (!isTaken) await this.#check(trial);
    await this.#keep(trial);
    return isTaken ? { how: 'commands', commands: changed.commands, reason: null } : undefined;
  }

  async #follow(loadbalancer_id: string, wanted: Wanted): Promise<Omit<ChangeReport, 'took_ms'>> {
    const { config } = loadBalancerPlaces(this.#places, loadbalancer_id);
    const isWanted = (await this.#haproxy.wantedConfig()) !== undefined;
    const before = isWanted ? await this.#haproxy.presentProcesses() : undefined;
    if (before !== undefined) await this.#noteCrash(before);
    const held = before?.worker === undefined ? undefined : await this.#heldBy(loadbalancer_id, before, async () => wanted);
    if (held?.fingerprint === wanted.fingerprint && !held.is_unsure) return { how: 'nothing', commands: 0, reason: null };
    const changed = held === undefined ? { reason: 'it is not known what the worker holds' } : await this.#byCommands(held, wanted);
    if (!('reason' in changed)) return { how: 'commands', commands: changed.commands, reason: null };
    const complaint = wanted.fingerprint === this.#checked ? undefined : await this.#haproxy.complaint(config);
    if (complaint !== undefined) throw refuse(400, 'Invalid request', complaint);
    this.#statsSocket = undefined;
    try {
      if (before !== undefined) await this.#beforeReload().catch(() => undefined);
      const isRunning = before?.worker !== undefined;
      const pid = isRunning ? await this.#haproxy.reload(config, before) : await this.#haproxy.start(config);
      await this.#remember(loadbalancer_id, pid, wanted);
      if (!isRunning) return { how: 'start', commands: 0, reason: null };
      this.#log('info', 'HAProxy was reloaded', { loadbalancer_id, reason: changed.reason });
      return { how: 'reload', commands: 0, reason: changed.reason };
    } catch (error) {
      if (error instanceof Refusal && held !== undefined) await this.#takeBack(held);
      throw error;
    } finally {
      this.#statsSocket = undefined;
    }
  }

  /** Is it the running configuration but for what HAProxy need not check before it is used, or what its worker checks? */
  async #formOf(loadbalancer_id: string, text: string): Promise<'right' | 'to be tried' | 'unsure'> {
    const held = await this.#held.read();
    const current = await this.config(loadbalancer_id);
    const isBase = held !== undefined && !held.is_unsure && held.text === current && held.loadbalancer_id === loadbalancer_id;
    if (!this.#trustsForms || !isBase) return 'unsure';
    if (isRightByForm(held.text, text)) return 'right';
    return isRightWhenTaken(held.text, text) ? 'to be tried' : 'unsure';
  }

  /** The check that was left for later. */
  async #checkLater(loadbalancer_id: string): Promise<void> {
    const { fingerprint } = await this.#wanted(loadbalancer_id);
    if (fingerprint === this.#checked) return;
    const complaint = await this.#haproxy.complaint(loadBalancerPlaces(this.#places, loadbalancer_id).config);
    if (complaint === undefined) this.#checked = fingerprint;
    else {
      this.#trustsForms = false;
      this.#log('error', 'HAProxy refuses a configuration that was taken for right', { loadbalancer_id, complaint });
    }
  }

  #target(held: Held): Target {
    return { statsSocket: statsSocketOf(held.text), lists_folder: loadBalancerPlaces(this.#places, held.loadbalancer_id).lists };
  }

  async #current(loadbalancer_id: string): Promise<Held | 'unknown' | undefined> {
    const { config } = loadBalancerPlaces(this.#places, loadbalancer_id);
    if ((await this.#haproxy.wantedConfig()) !== config) return undefined;
    const processes = await this.#haproxy.processes();
    if (processes?.worker === undefined) return undefined;
    await this.#noteCrash(processes);
    return (await this.#heldBy(loadbalancer_id, processes, () => this.#wanted(loadbalancer_id))) ?? 'unknown';
  }

  async #byCommands(held: Held, wanted: Wanted): Promise<Changed> {
    const changed = await this.#changer.change(held, wanted, this.#target(held));
    if (!('reason' in changed)) await removeUnusedLists(this.#places, held.loadbalancer_id, [wanted.text]);
    return changed;
  }

  /** Stops HAProxy; the configuration stays. Throws a refusal with 404 without a configuration. */
  async stop(loadbalancer_id: string): Promise<void> {
    if ((await this.config(loadbalancer_id)) === undefined)
      throw refuse(404, 'Load balancer Not Found', `No configuration of ${loadbalancer_id}`);
    await this.#haproxy.stop();
    this.#statsSocket = undefined;
    await this.#held.forget();
  }

  /** Stops HAProxy and removes the load balancer's files; one that is not there is success. */
  async remove(loadbalancer_id: string): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const config = await this.config(loadbalancer_id);
    // Another load balancer's HAProxy is not ours to stop.
    if (config !== undefined || (await this.#haproxy.wantedConfig()) === places.config) await this.#haproxy.stop();
    this.#statsSocket = undefined;
    const socket = config === undefined ? undefined : statsSocketOf(config);
    if (
      socket !== undefined &&
      !socket.includes('..') &&
      [this.#places.run_dir, this.#places.base_path].some((folder) => socket.startsWith(`${folder}/`))
    )
      await rm(socket, { force: true });
    await rm(places.certificates, { recursive: true, force: true });
    // The configuration goes last: a crash in between leaves something that a second call finds.
    await rm(places.folder, { recursive: true, force: true });
  }

  /** What there is of each load balancer, for `/info`. */
  async states(): Promise<Readonly<Record<string, LoadedConfig>>> {
    const states = await Promise.all((await this.ids()).map(async (id) => [id, await this.#state(id)] as const));
    return Object.fromEntries(states);
  }

  /** The stats socket of what runs; undefined when nothing is to run. Asked each second, so it is read from files only after a change. */
  async statsSocket(): Promise<string | undefined> {
    this.#statsSocket ??= (async () => {
      const config = await this.#haproxy.wantedConfig();
      const text = config === undefined ? undefined : await readIfThere(config);
      return text === undefined ? undefined : statsSocketOf(text);
    })();
    return this.#statsSocket;
  }

  async #state(loadbalancer_id: string): Promise<LoadedConfig> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const text = (await readIfThere(places.config)) ?? '';
    const isWanted = (await this.#haproxy.wantedConfig()) === places.config;
    const processes = isWanted ? await this.#haproxy.processes() : undefined;
    const pid = processes?.worker ?? null;
    const accepted = await readJsonIfThere<Accepted>(places.accepted);
    const isRunning = processes?.worker !== undefined;
    const held = isRunning ? await this.#heldBy(loadbalancer_id, processes, () => this.#wanted(loadbalancer_id)) : undefined;
    const md5 = md5Of(text);
    return {
      md5,
      loaded_md5: held === undefined || held.is_unsure ? null : held.md5,
      running: pid !== null,
      pid,
      generation: accepted?.md5 === md5 ? accepted.generation : 0,
      lists: await listNames(this.#places, loadbalancer_id),
    };
  }

  /** Another master than the last, that nobody here started: the init did, as HAProxy had ended. */
  async #noteCrash({ master, worker, reloads }: Processes): Promise<void> {
    const held = await this.#held.read();
    if (held === undefined || worker === undefined || worker === held.pid || reloads !== 0 || master === this.#newest) return;
    this.#newest = master;
    this.#log('warn', 'HAProxy ended by itself and was started again', { loadbalancer_id: held.loadbalancer_id });
    await this.#changes.noteCrash();
  }

  /** What a worker holds that we saw start; or one that the init started with the file as it is, which the times of both tell. */
  async #heldBy(loadbalancer_id: string, processes: Processes, current: () => Promise<Wanted>): Promise<Held | undefined> {
    const held = await this.#held.read();
    if (held?.pid === processes.worker) return held;
    if (processes.reloads !== 0 || processes.worker === undefined) return undefined;
    if ((await lastChange(this.#places, loadbalancer_id)) >= (await startOf(processes.master)) - CLOCK_ERROR_MS) return undefined;
    return this.#remember(loadbalancer_id, processes.worker, await current());
  }

  /** A worker that the master could not start leaves the old one running: what it holds comes back as the file, for the next start. */
  async #takeBack(held: Held): Promise<void> {
    const places = loadBalancerPlaces(this.#places, held.loadbalancer_id);
    await rename(places.config, places.refused);
    await writeFileAtomic(places.config, held.text);
    this.#log('warn', 'configuration taken back, HAProxy could not load it', { loadbalancer_id: held.loadbalancer_id });
  }

  async #remember(loadbalancer_id: string, pid: number, { text, md5, fingerprint, certificates, crtLists }: Wanted): Promise<Held> {
    const held = {
      loadbalancer_id,
      pid,
      text,
      md5,
      fingerprint,
      certificates,
      tls: tlsAtStart(readConfig(text) ?? [], crtLists),
      extra: {},
      is_unsure: false,
    };
    await this.#held.keep(held);
    // It was for this start only: at the next one, after a crash, it would be old.
    await rm(loadBalancerPlaces(this.#places, loadbalancer_id).serversState, { force: true });
    await removeUnusedLists(this.#places, loadbalancer_id, [text]);
    return held;
  }

  /** What the files say. Throws a refusal with 404 without a configuration. */
  async #wanted(loadbalancer_id: string): Promise<Wanted> {
    const text = await this.config(loadbalancer_id);
    if (text === undefined) throw refuse(404, 'Load balancer Not Found', `No configuration of ${loadbalancer_id}`);
    return wantedOf(this.#places, loadbalancer_id, text);
  }
}

/** Start times of processes are told in ticks of this length (USER_HZ is 100 everywhere). */
const CLOCK_TICK_MS = 10;
/** What the two clocks below may differ by. */
const CLOCK_ERROR_MS = 50;

/** When a process was started, in milliseconds since the epoch, give or take `CLOCK_ERROR_MS`. */
async function startOf(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /su, '').split(' ');
  const uptime_ms = Number.parseFloat(await readFile('/proc/uptime', 'utf8')) * 1000;
  return Date.now() - (uptime_ms - Number(fields[19]) * CLOCK_TICK_MS);
}
