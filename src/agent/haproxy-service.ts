/** The configuration of the amphora's load balancer: what was accepted, what the running worker holds, and how one becomes the other. */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { isUuid } from '../lib/ids.ts';
import type { LoadedConfig } from '../wire/agent-api.ts';
import { Refusal, refuse } from './answers.ts';
import { readIfThere, readJsonIfThere, replaceFile } from './files.ts';
import { statsSocketOf } from './haproxy-config.ts';
import type { HaproxyProcess } from './haproxy-process.ts';
import { checkListsOf, listNames } from './runtime/lists.ts';
import type { Log } from './log.ts';
import { loadBalancerPlaces } from './places.ts';
import type { Places } from './places.ts';

/** What came with the file last accepted. */
type Accepted = { readonly md5: string; readonly generation: number };

/** What a worker was started with: `fingerprint` covers the configuration and the files that it names. */
type Loaded = { readonly loadbalancer_id: string; readonly pid: number; readonly md5: string; readonly fingerprint: string };

/** Stores and runs the configuration of one load balancer. Changes must not overlap; the REST API runs them one by one. */
export class HaproxyService {
  readonly #places: Places;
  readonly #haproxy: HaproxyProcess;
  readonly #log: Log;
  readonly #loadedFile: string;
  /** Of the configuration and certificates that passed the last check: they need none again (it takes 40 ms). */
  #checked = '';
  #statsSocket: Promise<string | undefined> | undefined;
  /** Called before a worker is replaced, for the last counters of the old one. */
  #beforeReload: () => Promise<void> = async () => undefined;

  constructor(places: Places, haproxy: HaproxyProcess, log: Log) {
    this.#places = places;
    this.#haproxy = haproxy;
    this.#log = log;
    this.#loadedFile = `${places.run_dir}/loaded.json`;
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
   * Checks a configuration and keeps it for the next start or reload; answers its MD5. The running process is not touched.
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
    const complaint = await this.#haproxy.complaint(places.offered);
    if (complaint !== undefined) {
      await rename(places.offered, places.refused);
      throw refuse(400, 'Invalid request', complaint);
    }
    await rename(places.offered, places.config);
    this.#checked = await this.#fingerprint(loadbalancer_id, text.toString('utf8'));
    await replaceFile(places.accepted, JSON.stringify({ md5, generation } satisfies Accepted));
    return md5;
  }

  /**
   * Makes HAProxy run with the configuration: nothing when it does already, a start when it does not run, else a reload.
   * Throws a refusal: 404 without a configuration, 400 when the check fails by now, 500 when HAProxy does not come up; then
   * it goes on with what it had.
   */
  async run(loadbalancer_id: string): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const text = await readIfThere(places.config);
    if (text === undefined) throw refuse(404, 'Load balancer Not Found', `No configuration of ${loadbalancer_id}`);
    const fingerprint = await this.#fingerprint(loadbalancer_id, text);
    const wanted = await this.#haproxy.wantedConfig();
    const before = wanted === undefined ? undefined : await this.#haproxy.processes();
    const loaded = await this.#loaded();
    if (before?.worker !== undefined && loaded?.pid === before.worker && loaded.fingerprint === fingerprint) return;
    this.#statsSocket = undefined;
    const complaint = fingerprint === this.#checked ? undefined : await this.#haproxy.complaint(places.config);
    if (complaint !== undefined) throw refuse(400, 'Invalid request', complaint);
    try {
      if (before !== undefined) await this.#beforeReload().catch(() => undefined);
      const isRunning = before?.worker !== undefined;
      const pid = isRunning ? await this.#haproxy.reload(places.config, before) : await this.#haproxy.start(places.config);
      await this.#remember({ loadbalancer_id, pid, md5: md5Of(text), fingerprint });
      this.#statsSocket = undefined;
    } catch (error) {
      if (error instanceof Refusal && before?.worker !== undefined) await this.#takeBack(loadbalancer_id);
      throw error;
    }
  }

  /** Stops HAProxy; the configuration stays. Throws a refusal with 404 without a configuration. */
  async stop(loadbalancer_id: string): Promise<void> {
    if ((await this.config(loadbalancer_id)) === undefined)
      throw refuse(404, 'Load balancer Not Found', `No configuration of ${loadbalancer_id}`);
    await this.#haproxy.stop();
    this.#statsSocket = undefined;
    await rm(this.#loadedFile, { force: true });
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
    const loaded = pid === null ? undefined : await this.#loadedBy(loadbalancer_id, processes?.master ?? 0, pid, text);
    const md5 = md5Of(text);
    return {
      md5,
      loaded_md5: loaded?.md5 ?? null,
      running: pid !== null,
      pid,
      generation: accepted?.md5 === md5 ? accepted.generation : 0,
      lists: await listNames(this.#places, loadbalancer_id),
    };
  }

  /** What a worker holds that we saw start; or one that the init started with the file as it is, which the times of both tell. */
  async #loadedBy(loadbalancer_id: string, master: number, pid: number, text: string): Promise<Loaded | undefined> {
    const loaded = await this.#loaded();
    if (loaded?.pid === pid) return loaded;
    const fingerprint = await this.#fingerprint(loadbalancer_id, text);
    const processes = await this.#haproxy.processes();
    if (processes?.reloads !== 0 || processes.master !== master) return undefined;
    const { config } = loadBalancerPlaces(this.#places, loadbalancer_id);
    const { ctimeMs } = await stat(config);
    if (ctimeMs >= (await startOf(master)) - CLOCK_ERROR_MS) return undefined;
    const found = { loadbalancer_id, pid, md5: md5Of(text), fingerprint };
    await this.#remember(found);
    return found;
  }

  /** A worker that the master could not start leaves the old one running: its file comes back, for the next start. */
  async #takeBack(loadbalancer_id: string): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loadbalancer_id);
    const loaded = await this.#loaded();
    const text = await readIfThere(places.loaded);
    if (loaded === undefined || text === undefined || md5Of(text) !== loaded.md5) return;
    await rename(places.config, places.refused);
    await copyFile(places.loaded, places.config);
    this.#log('warn', 'configuration taken back, HAProxy could not load it', { loadbalancer_id });
  }

  async #remember(loaded: Loaded): Promise<void> {
    const places = loadBalancerPlaces(this.#places, loaded.loadbalancer_id);
    await replaceFile(this.#loadedFile, JSON.stringify(loaded));
    await copyFile(places.config, places.loaded);
    // It was for this start only: at the next one, after a crash, it would be old.
    await rm(places.serversState, { force: true });
  }

  async #loaded(): Promise<Loaded | undefined> {
    return readJsonIfThere<Loaded>(this.#loadedFile);
  }

  async #fingerprint(loadbalancer_id: string, config: string): Promise<string> {
    const folder = loadBalancerPlaces(this.#places, loadbalancer_id).certificates;
    const names = await readdir(folder).catch(() => []);
    const files = await Promise.all(names.toSorted().map(async (name) => [name, md5Of(await readFile(`${folder}/${name}`))]));
    return md5Of(Buffer.from(JSON.stringify([config, files])));
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

/** MD5 in hexadecimal, which the API uses as a file's name of its content, not as a protection. */
export function md5Of(content: string | Buffer): string {
  return createHash('md5').update(content).digest('hex');
}
