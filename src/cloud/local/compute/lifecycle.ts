/** Making instances what their records say, from whatever of them is there: new, whole, dead, half-made or half-removed. */
import { existsSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { addressLine, gatewayLine } from '../fabric/fabric.ts';
import type { LocalFabric } from '../fabric/fabric.ts';
import { isAlreadyThere, namespaceInode, removeNamespaces } from '../fabric/ip.ts';
import { NETNS_DIR, instanceNamespaces } from '../fabric/names.ts';
import type { PortLimit } from '../fabric/traffic.ts';
import type { ManagementAddress, PortWiring } from '../fabric/wiring.ts';
import { ensureGroups, readHierarchies, removeGroups } from './cgroups.ts';
import type { Hierarchy, InstanceLimits } from './cgroups.ts';
import { InstanceBusy, findInit, lastLines, launchInstance } from './launch.ts';
import { endProcesses, findMarked, isRunning } from './processes.ts';
import type { ProcessId } from './processes.ts';
import { bootId, instancePlaces } from './record.ts';
import type { InstanceRecord, InstanceRecords, NamespaceInodes } from './record.ts';
import type { Runtime } from './runtime.ts';
import { chooseLauncher } from './sandbox.ts';
import type { Launcher } from './sandbox.ts';

/** What instances are made with. */
export type LifecycleOptions = {
  readonly state_id: string;
  readonly state_dir: string;
  readonly runtime: Runtime;
  readonly fabric: LocalFabric;
  /** A port with its network and subnets; null when there is none. */
  readonly portOf: (port_id: string) => Promise<PortWiring | null>;
  /** The amphora's address on the management network; the same one when asked again. */
  readonly allocateManagementAddress: (amphora_id: string) => Promise<ManagementAddress>;
  /** Gives it back; one that was not allocated is success. */
  readonly releaseManagementAddress: (amphora_id: string) => Promise<void>;
  readonly limitsOf: (compute_flavor: string | null) => InstanceLimits;
  /** How fast a port may be; not given: as fast as it can. */
  readonly portLimitOf?: (port_id: string) => Promise<PortLimit | null>;
  /** How long an init may take to end its children before it is killed. */
  readonly stop_grace_ms: number;
  /** Null: the better one that works here. */
  readonly launcher: Launcher | null;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Five deaths within a minute: it will not live, and a new instance may. */
const DEATHS_ALLOWED = 5;
const DEATHS_WINDOW_MS = 60_000;

type Wires = { readonly host: readonly string[]; readonly fabric: readonly string[]; readonly management: readonly string[] };

/** Brings instances up and takes them down. Calls for one instance must not overlap. */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #records: InstanceRecords;
  readonly #boot_id = bootId();
  #hierarchies: readonly Hierarchy[] | null = null;
  #launcher: Promise<Launcher> | null = null;
  #hasWarned = false;

  constructor(options: LifecycleOptions, records: InstanceRecords) {
    this.#options = options;
    this.#records = records;
  }

  /** True when the instance runs in the namespaces that its wires are in. Cheap: four looks at files of the kernel. */
  isUp(record: InstanceRecord): boolean {
    return this.#isAlive(record) && this.#isWired(record);
  }

  /** True when trying to bring it up makes sense now: not given up, and not at once again after repeated deaths. */
  mayStart(record: InstanceRecord): boolean {
    const last = record.deaths_ms.at(-1);
    if (record.fault !== null) return false;
    if (last === undefined || record.deaths_ms.length < 2) return true;
    return this.#options.clock.now() >= last + 100 * 2 ** record.deaths_ms.length;
  }

  /** Makes an instance run, with all its ports. Answers the new record; throws when it cannot be brought up now. */
  async bringUp(record: InstanceRecord): Promise<InstanceRecord> {
    if (this.isUp(record)) return record;
    const counted = record.running === null ? record : this.#countDeath(record);
    if (counted.fault !== null) return counted;
    try {
      return await this.#start(counted);
    } catch (error) {
      if (!(error instanceof InstanceBusy)) {
        // One that ran before is counted at the next attempt.
        if (record.running === null) this.#countDeath(this.#records.find(record.compute_id) ?? counted);
        throw error;
      }
      return await this.#adopt(counted);
    }
  }

  /** Removes everything of an instance, its folder last, so that a removal that was interrupted can be done again. */
  async takeDown(compute_id: string): Promise<void> {
    const { state_id, releaseManagementAddress, log } = this.#options;
    const netns = instanceNamespaces(state_id, compute_id);
    const { folder } = instancePlaces(this.#options.state_dir, compute_id);
    const places = [folder, `${NETNS_DIR}/${netns.management}`, `${NETNS_DIR}/${netns.traffic}`];
    if (!places.some((path) => existsSync(path))) return;
    const record = this.#records.find(compute_id);
    if (record?.is_wanted === true) this.#records.write({ ...record, is_wanted: false });
    await this.#endAll(compute_id, record);
    // The kernel takes wires away with their namespace, but some time later; who asks then would still find them.
    if (record !== null) await this.#unplugAll(record);
    await removeNamespaces([netns.management, netns.traffic]);
    await removeGroups(this.#groups(), state_id, compute_id);
    await releaseManagementAddress(record?.amphora_id ?? compute_id);
    this.#records.remove(compute_id);
    log.info({ compute_id }, 'instance removed');
  }

  #isAlive({ running }: InstanceRecord): boolean {
    return running !== null && running.boot_id === this.#boot_id && isRunning(running.init);
  }

  #isWired({ running, compute_id }: InstanceRecord): boolean {
    const inodes = this.#inodes(compute_id);
    if (running === null || inodes === null) return false;
    return (['management', 'traffic', 'fabric'] as const).every((name) => inodes[name] === running.inodes[name]);
  }

  #inodes(compute_id: string): NamespaceInodes | null {
    const netns = instanceNamespaces(this.#options.state_id, compute_id);
    const [management, traffic, fabric] = [namespaceInode(netns.management), namespaceInode(netns.traffic), this.#options.fabric.inode];
    return management === null || traffic === null || fabric === null ? null : { management, traffic, fabric };
  }

  #countDeath(record: InstanceRecord): InstanceRecord {
    const now = this.#options.clock.now();
    const deaths_ms = [...record.deaths_ms.filter((then) => then > now - DEATHS_WINDOW_MS), now];
    const said = lastLines(instancePlaces(this.#options.state_dir, record.compute_id).log);
    const fault = deaths_ms.length > DEATHS_ALLOWED ? `the instance ended ${deaths_ms.length} times within a minute: ${said}` : null;
    this.#options.log.warn({ compute_id: record.compute_id, deaths: deaths_ms.length, said, fault }, 'instance does not run');
    return this.#records.write({ ...record, deaths_ms, fault });
  }

  async #start(record: InstanceRecord): Promise<InstanceRecord> {
    const allocated = record.management ?? (await this.#allocate(record.amphora_id));
    const addressed = record.management === null ? this.#records.write({ ...record, management: allocated }) : record;
    // The namespaces outlive the processes: after a mere death of the init its addresses, routes and rules are still in them.
    if (this.#isWired(addressed) && !this.#isAlive(addressed)) return this.#launch(addressed, NO_WIRES);
    await this.#clear(addressed);
    const wirings = await this.#wirings(addressed);
    const wires = this.#wires(addressed, allocated, wirings);
    try {
      return await this.#launch(addressed, wires, wirings.ports);
    } catch (error) {
      // Wires of an instance that was just removed can outlive its namespaces for a moment.
      if (!isAlreadyThere(error)) throw error;
      await this.#clear(addressed, true);
      return await this.#launch(addressed, wires, wirings.ports);
    }
  }

  async #allocate(amphora_id: string): Promise<ManagementAddress> {
    const { port, address, prefix, gateway } = await this.#options.allocateManagementAddress(amphora_id);
    // Only what is needed goes into the record, however much the network service knows of the port.
    return { port: { id: port.id, mac_address: port.mac_address }, address, prefix, gateway };
  }

  async #launch(record: InstanceRecord, wires: Wires, plugged?: readonly PortWiring[]): Promise<InstanceRecord> {
    const { state_id, state_dir, runtime, fabric } = this.#options;
    const { compute_id } = record;
    const { files, lock, log } = instancePlaces(state_dir, compute_id);
    const netns = instanceNamespaces(state_id, compute_id);
    const init = await launchInstance({
      state_id,
      compute_id,
      hostname: `amphora-${record.amphora_id}`,
      launcher: await this.#chosenLauncher(),
      places: { files, runtime: runtime.folder, traffic: `${NETNS_DIR}/${netns.traffic}` },
      programs: runtime,
      netns: { management: netns.management, fabric: fabric.namespace },
      groups: this.#join(record),
      lock,
      log,
      wires,
      hasPorts: plugged !== undefined && plugged.length > 0,
    });
    await this.limit(compute_id, plugged ?? []);
    return this.#noteRunning(record, init, plugged);
  }

  /** Slows down ports that were just plugged in. */
  async limit(compute_id: string, plugged: readonly PortWiring[]): Promise<void> {
    const { portLimitOf, fabric, state_id } = this.#options;
    if (portLimitOf === undefined) return;
    const { traffic } = instanceNamespaces(state_id, compute_id);
    for (const { port } of plugged) await fabric.limit(await portLimitOf(port.id), traffic);
  }

  #noteRunning(record: InstanceRecord, init: ProcessId, plugged?: readonly PortWiring[]): InstanceRecord {
    const inodes = this.#inodes(record.compute_id);
    if (inodes === null) throw new Error('the namespaces of the instance went away while it started');
    const ports = plugged === undefined ? record.ports : plugged.map(({ port }) => ({ port_id: port.id, is_plugged: true }));
    const running = { init, boot_id: this.#boot_id, inodes, runtime: this.#options.runtime.folder };
    return this.#records.write({ ...record, ports, running });
  }

  /** Something of it lives that the record does not know: a controller died between starting it and writing that down. */
  async #adopt(record: InstanceRecord): Promise<InstanceRecord> {
    const { state_id } = this.#options;
    for (let wait = 10; wait < 3000; wait *= 2) {
      const init = findInit(state_id, record.compute_id);
      if (init !== null) {
        const wired = (await this.#wirings(record)).ports;
        const adopted = this.#noteRunning(record, init);
        // Which wires were made is not known: making them again is harmless, nothing has used them yet.
        for (const wiring of wired) await this.#options.fabric.plug(wiring, instanceNamespaces(state_id, record.compute_id).traffic);
        return this.#records.write({ ...adopted, ports: wired.map(({ port }) => ({ port_id: port.id, is_plugged: true })) });
      }
      await after(wait);
    }
    throw new Error('the instance is being started by another process');
  }

  /** Removes namespaces that are not the ones of the record, and what may still run in them. */
  async #clear(record: InstanceRecord, withWires = false): Promise<void> {
    const netns = instanceNamespaces(this.#options.state_id, record.compute_id);
    const isLeft = existsSync(`${NETNS_DIR}/${netns.management}`) || existsSync(`${NETNS_DIR}/${netns.traffic}`);
    if (record.running !== null || isLeft) await this.#endAll(record.compute_id, record);
    if (isLeft) await removeNamespaces([netns.management, netns.traffic]);
    if (withWires) await this.#unplugAll(record);
  }

  async #unplugAll({ management, ports }: InstanceRecord): Promise<void> {
    const port_ids = [...(management === null ? [] : [management.port.id]), ...ports.map(({ port_id }) => port_id)];
    for (const port_id of port_ids) await this.#options.fabric.unplug(port_id);
  }

  async #endAll(compute_id: string, record: InstanceRecord | null): Promise<void> {
    const { state_id, stop_grace_ms } = this.#options;
    if (record?.running != null && this.#isAlive(record)) {
      await endProcesses([record.running.init], stop_grace_ms);
      return;
    }
    const marked = findMarked(state_id).filter((process) => process.compute_id === compute_id);
    await endProcesses(marked, marked.some(({ is_init }) => is_init) ? stop_grace_ms : 0);
  }

  async #wirings(record: InstanceRecord): Promise<{ readonly management: PortWiring; readonly ports: readonly PortWiring[] }> {
    const { portOf, fabric } = this.#options;
    const management = record.management === null ? null : await portOf(record.management.port.id);
    if (management === null) throw new Error('the port of the management address does not exist');
    const found = await Promise.all(record.ports.map(({ port_id }) => portOf(port_id)));
    // A port that was deleted meanwhile needs no wire, and the record forgets it.
    const ports = found.filter((wiring) => wiring !== null);
    for (const { network, subnets } of [management, ...ports]) await fabric.ensure(network, subnets);
    return { management, ports };
  }

  #wires(record: InstanceRecord, management: ManagementAddress, wirings: { management: PortWiring; ports: readonly PortWiring[] }): Wires {
    const { state_id, fabric } = this.#options;
    const netns = instanceNamespaces(state_id, record.compute_id);
    return {
      host: [`netns add ${netns.management}`, `netns add ${netns.traffic}`],
      fabric: [
        ...fabric.wireLines(wirings.management, netns.management, 'eth0'),
        ...wirings.ports.flatMap((wiring) => fabric.wireLines(wiring, netns.traffic)),
      ],
      management: [
        'link set lo up',
        addressLine(management.address, management.prefix, 'eth0'),
        'link set eth0 up',
        ...(management.gateway === null ? [] : [gatewayLine(management.gateway, 'eth0')]),
      ],
    };
  }

  #join(record: InstanceRecord): readonly string[] {
    const { state_id, limitsOf, log } = this.#options;
    const { joins, missing } = ensureGroups(this.#groups(), { state_id, compute_id: record.compute_id }, limitsOf(record.compute_flavor));
    if (missing.length > 0 && !this.#hasWarned) {
      this.#hasWarned = true;
      log.warn({ controllers: missing }, 'no limits for amphorae: these cgroup controllers are missing or not writable');
    }
    return joins;
  }

  #groups(): readonly Hierarchy[] {
    return (this.#hierarchies ??= readHierarchies());
  }

  #chosenLauncher(): Promise<Launcher> {
    return (this.#launcher ??= this.#options.launcher === null ? chooseLauncher() : Promise.resolve(this.#options.launcher));
  }
}

const NO_WIRES: Wires = { host: [], fabric: [], management: [] };
