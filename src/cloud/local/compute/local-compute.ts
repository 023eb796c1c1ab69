/** Amphorae on this machine: `Compute` by network namespaces and isolated process trees. */
import { mkdirSync, statSync } from 'node:fs';
import { normalize } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { isUuid } from '../../../lib/ids.ts';
import { Fault, Retry } from '../../../model/faults.ts';
import { CloudRefusal } from '../../compute.ts';
import type { Compute, Instance, InstanceFile, InstanceSpec, InstanceWish } from '../../compute.ts';
import { KeyedMutex } from '../fabric/exclusive.ts';
import { instanceNamespaces } from '../fabric/names.ts';
import type { InstanceLimits } from './cgroups.ts';
import { boundLog } from './launch.ts';
import { limitsOfFlavor, refusalOfWish } from './local-flavor.ts';
import { Lifecycle } from './lifecycle.ts';
import type { LifecycleOptions } from './lifecycle.ts';
import { InstanceRecords, instancePlaces, writeInstanceFile } from './record.ts';
import type { InstanceRecord } from './record.ts';
import { INSIDE } from './sandbox.ts';

/** What the local compute is made with; see `LifecycleOptions`. */
export type LocalComputeOptions = Omit<LifecycleOptions, 'limitsOf' | 'stop_grace_ms' | 'launcher' | 'clock'> &
  Partial<Pick<LifecycleOptions, 'stop_grace_ms' | 'launcher' | 'clock'>> & {
    /** What an instance may use whose flavor does not say. */
    readonly limits?: InstanceLimits;
    /** The network that every instance boots on; null: nobody is told. */
    readonly management_network_id?: string | null;
  };

/** An instance's console log is cut to half of this when it grows beyond. */
const LOG_LIMIT_BYTES = 2 ** 20;
/** A folder without a record is younger than this while another process makes it. */
const HALF_MADE_MS = 60_000;

const DEFAULT_LIMITS: InstanceLimits = { memory_bytes: 2 ** 30, cpu_percent: null, pids: 1024 };

/**
 * Instances live in folders below `<state>/instances` and in the kernel, not in this object: another one on the same folder,
 * in this or a later process, finds them all. Each method mends what it finds broken.
 */
export class LocalCompute implements Compute {
  readonly #options: LifecycleOptions;
  readonly #limits: InstanceLimits;
  readonly #management_network_id: string | null;
  readonly #records: InstanceRecords;
  readonly #lifecycle: Lifecycle;
  readonly #mutex = new KeyedMutex();

  constructor(options: LocalComputeOptions) {
    const { limits = DEFAULT_LIMITS, management_network_id = null, ...rest } = options;
    this.#limits = limits;
    this.#management_network_id = management_network_id;
    const limitsOf = (compute_flavor: string | null): InstanceLimits => limitsOfFlavor(compute_flavor, limits) ?? limits;
    this.#options = { limitsOf, stop_grace_ms: 500, launcher: null, clock: systemClock, ...rest };
    this.#records = new InstanceRecords(options.state_dir);
    this.#lifecycle = new Lifecycle(this.#options, this.#records);
  }

  async findRefusal(wish: InstanceWish): Promise<string | null> {
    return refusalOfWish(wish, this.#limits, this.#management_network_id);
  }

  async createInstance(spec: InstanceSpec): Promise<Instance> {
    const refusal = await this.findRefusal({ ...spec, network_ids: [] });
    if (refusal !== null) throw new CloudRefusal(refusal);
    // The amphora's id serves as the instance's: whatever is left of an instance then tells whose it was.
    const compute_id = spec.amphora_id;
    if (!isUuid(compute_id)) throw new CloudRefusal(`an instance needs the id of an amphora, not ${JSON.stringify(spec.amphora_id)}`);
    const files = spec.files.map(checkedFile);
    return this.#exclusively(compute_id, 'made', async () => {
      const found = this.#records.find(compute_id);
      if (found !== null && found.name !== spec.name) throw new CloudRefusal(`instance ${found.name} is of the same amphora`);
      if (found?.is_wanted === false) await this.#lifecycle.takeDown(compute_id);
      const record = found?.is_wanted === true ? found : this.#remember(spec, files);
      return this.#view(await this.#lifecycle.bringUp(record));
    });
  }

  async listInstances(filter: { readonly loadbalancer_id?: string }): Promise<readonly Instance[]> {
    const listed = await Promise.all(this.#records.ids().map((compute_id) => this.#mended(compute_id, filter.loadbalancer_id)));
    return listed.filter((record) => record !== null).map((record) => this.#view(record));
  }

  async deleteInstance(compute_id: string): Promise<void> {
    if (!isUuid(compute_id)) return;
    await this.#exclusively(compute_id, 'removed', () => this.#lifecycle.takeDown(compute_id));
  }

  async attachPort(compute_id: string, port_id: string): Promise<void> {
    await this.#exclusively(compute_id, 'plugged', async () => {
      const wiring = await this.#options.portOf(port_id);
      if (wiring === null) throw new Retry(`port ${port_id} does not exist`);
      const record = await this.#lifecycle.bringUp(this.#get(compute_id));
      if (record.fault !== null) throw new Retry(`instance ${compute_id} does not run: ${record.fault}`);
      const others = record.ports.filter((port) => port.port_id !== port_id);
      if (record.ports.some((port) => port.port_id === port_id && port.is_plugged)) return;
      this.#records.write({ ...record, ports: [...others, { port_id, is_plugged: false }] });
      await this.#options.fabric.plug(wiring, this.#netns(compute_id).traffic);
      await this.#lifecycle.limit(compute_id, [wiring]);
      this.#records.write({ ...record, ports: [...others, { port_id, is_plugged: true }] });
    });
  }

  async detachPort(compute_id: string, port_id: string): Promise<void> {
    if (!isUuid(compute_id)) return;
    await this.#exclusively(compute_id, 'unplugged', async () => {
      const record = this.#records.find(compute_id);
      if (record === null || !record.ports.some((port) => port.port_id === port_id)) return;
      const others = record.ports.filter((port) => port.port_id !== port_id);
      this.#records.write({ ...record, ports: [...others, { port_id, is_plugged: false }] });
      await this.#options.fabric.unplug(port_id);
      this.#records.write({ ...record, ports: others });
    });
  }

  /** Mends every instance that is broken, finishes removals, and cuts logs that grew too long. Errors are logged. */
  async heal(): Promise<void> {
    await this.listInstances({});
    for (const compute_id of this.#records.ids()) boundLog(instancePlaces(this.#options.state_dir, compute_id).log, LOG_LIMIT_BYTES);
  }

  /** Heals again and again, so that an instance that dies while nobody asks for it comes back. Answers how to stop. */
  startHealing(interval_ms: number): () => Promise<void> {
    const stopping = new AbortController();
    const loop = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        await this.heal().catch((error: unknown) => this.#options.log.error({ err: error }, 'instances could not be looked at'));
        await this.#options.clock.sleep(interval_ms, stopping.signal).catch(() => undefined);
      }
    };
    const ended = loop();
    return async () => {
      stopping.abort();
      await ended;
    };
  }

  /** The namespace that a port is, or will be, plugged into; null: none. */
  namespaceOfPort(port_id: string): string | null {
    const owner = this.#records.ids().find((id) => this.#records.find(id)?.ports.some((port) => port.port_id === port_id) === true);
    return owner === undefined ? null : this.#netns(owner).traffic;
  }

  /** Names of an instance's network namespaces below /run/netns, for tests and operators. */
  namespacesOf(compute_id: string): { readonly management: string; readonly traffic: string } {
    return this.#netns(compute_id);
  }

  #netns(compute_id: string): { readonly management: string; readonly traffic: string } {
    return instanceNamespaces(this.#options.state_id, compute_id);
  }

  #get(compute_id: string): InstanceRecord {
    const record = isUuid(compute_id) ? this.#records.find(compute_id) : null;
    // Somebody removed it meanwhile: whoever asks looks again and sees what there is.
    if (record === null || !record.is_wanted) throw new Retry(`instance ${compute_id} does not exist`);
    return record;
  }

  #remember(spec: InstanceSpec, files: readonly InstanceFile[]): InstanceRecord {
    const { compute_flavor, amphora_id, loadbalancer_id, availability_zone, name } = spec;
    const places = instancePlaces(this.#options.state_dir, amphora_id);
    for (const folder of [INSIDE.etc, INSIDE.state]) mkdirSync(`${places.files}${folder}`, { recursive: true, mode: 0o755 });
    for (const file of files) writeInstanceFile(places.files, file.path, file.contents, file.mode);
    const created_ms = this.#options.clock.now();
    const fixed = { compute_id: amphora_id, name, amphora_id, loadbalancer_id, compute_flavor, availability_zone, created_ms };
    return this.#records.write({ ...fixed, is_wanted: true, management: null, ports: [], running: null, deaths_ms: [], fault: null });
  }

  /** The record of an instance after trying to make it whole; null when it is gone or not of that load balancer. */
  async #mended(compute_id: string, loadbalancer_id: string | undefined): Promise<InstanceRecord | null> {
    const isAsked = (record: InstanceRecord | null): boolean =>
      loadbalancer_id === undefined || record?.loadbalancer_id === loadbalancer_id;
    const record = this.#records.find(compute_id);
    if (!isAsked(record)) return null;
    if (!this.#needsMending(compute_id, record) || this.#mutex.isBusy(compute_id)) return record;
    try {
      await this.#mutex.run(compute_id, async () => {
        const now = this.#records.find(compute_id);
        if (!this.#needsMending(compute_id, now)) return;
        if (now?.is_wanted === true) await this.#lifecycle.bringUp(now);
        else await this.#lifecycle.takeDown(compute_id);
      });
    } catch (error) {
      this.#options.log.warn({ err: error, compute_id }, 'instance could not be mended yet');
    }
    return this.#records.find(compute_id);
  }

  #needsMending(compute_id: string, record: InstanceRecord | null): boolean {
    if (record !== null) return !record.is_wanted || (!this.#lifecycle.isUp(record) && this.#lifecycle.mayStart(record));
    const { folder } = instancePlaces(this.#options.state_dir, compute_id);
    const made_ms = statSync(folder, { throwIfNoEntry: false })?.mtimeMs;
    return made_ms !== undefined && made_ms < Date.now() - HALF_MADE_MS;
  }

  #view(record: InstanceRecord): Instance {
    const { compute_id, name, amphora_id, loadbalancer_id, compute_flavor, created_ms, fault } = record;
    return {
      compute_id,
      name,
      amphora_id,
      loadbalancer_id,
      status: this.#statusOf(record),
      fault,
      lb_network_ip: record.management?.address ?? null,
      port_ids: record.ports.filter((port) => port.is_plugged).map(({ port_id }) => port_id),
      cached_zone: record.availability_zone,
      image_id: null,
      compute_flavor,
      created_ms,
    };
  }

  #statusOf(record: InstanceRecord): Instance['status'] {
    if (!record.is_wanted) return 'DELETING';
    if (record.fault !== null) return 'ERROR';
    return this.#lifecycle.isUp(record) ? 'ACTIVE' : 'BUILD';
  }

  /** One thing at a time for each instance; whatever the machine refuses may go well the next time. */
  async #exclusively<T>(compute_id: string, done: string, fn: () => Promise<T>): Promise<T> {
    try {
      return await this.#mutex.run(compute_id, fn);
    } catch (error) {
      if (error instanceof CloudRefusal || error instanceof Retry || error instanceof Fault) throw error;
      throw new Retry(`instance ${compute_id} could not be ${done}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
}

/** Only the two folders that an instance has of its own can hold files; a virtual machine's image has the same. */
function checkedFile(file: InstanceFile): InstanceFile {
  const isInside = [INSIDE.etc, INSIDE.state].some((folder) => file.path.startsWith(`${folder}/`));
  if (!isInside || normalize(file.path) !== file.path || file.path.includes('\0')) {
    throw new CloudRefusal(`a file of an amphora must lie in ${INSIDE.etc} or ${INSIDE.state}: ${JSON.stringify(file.path)}`);
  }
  return file;
}
