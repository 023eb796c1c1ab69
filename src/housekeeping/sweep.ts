/** Removes strays and reports lost amphorae, each only when it was found twice in a row. */
import type { Compute } from '../cloud/compute.ts';
import type { Port, PortService } from '../cloud/network.ts';
import type { Database } from '../db/database.ts';
import { askForPasses } from '../db/upkeep.ts';
import type { Logger } from '../lib/log.ts';
import { findStrays, isOwnVipPort, ownerOf, type Strays, SweepMemory } from './strays.ts';

/** What a sweep works with. */
export type SweepOptions = {
  readonly db: Database;
  readonly compute: Pick<Compute, 'listInstances' | 'deleteInstance'> | null;
  readonly ports: Pick<PortService, 'listPorts' | 'updatePort' | 'deletePort'> | null;
  readonly log: Logger;
  /** Called for each load balancer that got work. */
  readonly wake: (loadbalancer_id: string) => void;
};

/** What one sweep did; `suspects` were found for the first time. */
export type Swept = { readonly instances: number; readonly ports: number; readonly lost: number; readonly suspects: number };

/** So many strays are removed without asking how many there are in all. */
const few = 5;

/** Sweeps again and again with a memory of the time before. */
export class Sweep {
  readonly #options: SweepOptions;
  readonly #instances = new SweepMemory();
  readonly #ports = new SweepMemory();
  readonly #lost = new SweepMemory();

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** One sweep. What cannot be removed is logged and tried again the next time; throws when cloud or database cannot be asked. */
  async run(): Promise<Swept> {
    const found = await findStrays(this.#options);
    const instances = this.#instances.confirm(found.instances, (each) => each.compute_id);
    const ports = this.#ports.confirm(found.ports, (each) => each.id);
    const missing = this.#lost.confirm(
      found.lost.filter((each) => each.instance === 'missing'),
      (each) => each.id,
    );
    // A cloud may list an instance late, but what it says to be in ERROR is.
    const lost = [...missing, ...found.lost.filter((each) => each.instance === 'ERROR')];
    const total = found.instances.length + found.ports.length + found.lost.length;
    const suspects = total - instances.length - ports.length - lost.length;
    const mayRemove = this.#isPlausible(found);
    return {
      instances: mayRemove ? await this.#each(instances, (each) => this.#removeInstance(each.compute_id, each.amphora_id)) : 0,
      ports: mayRemove ? await this.#each(ports, (each) => this.#removePort(each)) : 0,
      lost: await this.#replaceLost(lost),
      suspects,
    };
  }

  /** A database that was emptied or is the wrong one makes everything a stray: then nothing is touched. */
  #isPlausible({ instances, ports, seen }: Strays): boolean {
    const tooMany = (strays: number, all: number): boolean => strays > few && strays > all / 2;
    if (!tooMany(instances.length, seen.instances) && !tooMany(ports.length, seen.ports)) return true;
    this.#options.log.error(
      { instances: instances.length, ports: ports.length, seen },
      'more than half of the instances or ports in the cloud have no row: nothing is removed, for the database may be the wrong one; if it is right, remove them by hand',
    );
    return false;
  }

  async #each<T>(list: readonly T[], remove: (each: T) => Promise<void>): Promise<number> {
    let removed = 0;
    for (const each of list) {
      try {
        await remove(each);
        removed += 1;
      } catch (error) {
        this.#options.log.warn({ err: error }, 'a stray could not be removed');
      }
    }
    return removed;
  }

  async #removeInstance(compute_id: string, amphora_id: string): Promise<void> {
    await this.#options.compute!.deleteInstance(compute_id);
    this.#options.log.warn({ compute_id, amphora_id }, 'an instance without an amphora was removed');
  }

  async #removePort(port: Port): Promise<void> {
    const { ports, log } = this.#options;
    const isForeign = ownerOf(port)?.type === 'loadbalancer' && !isOwnVipPort(port);
    if (isForeign) await ports!.updatePort(port.id, { device_id: '', device_owner: '' });
    else await ports!.deletePort(port.id);
    log.warn(
      { port_id: port.id, name: port.name },
      isForeign ? 'a port of a tenant was given back' : 'a port without an owner was removed',
    );
  }

  async #replaceLost(lost: readonly { readonly loadbalancer_id: string }[]): Promise<number> {
    if (lost.length === 0) return 0;
    const { db, log, wake } = this.#options;
    const asked = await askForPasses(db, [...new Set(lost.map((each) => each.loadbalancer_id))]);
    for (const loadbalancer_id of asked) {
      log.warn({ loadbalancer_id }, 'an amphora has lost its instance: its load balancer is looked over');
      wake(loadbalancer_id);
    }
    return asked.length;
  }
}
