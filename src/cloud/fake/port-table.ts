/** The ports of a network in memory, found by what passes look for them by. */
import type { Port, PortService } from '../network.ts';

/** What ports are looked for by. */
export type PortQuery = Parameters<PortService['listPorts']>[0];

/** By which one port or few are found. */
const indexed = ['name', 'device_id'] as const;

/**
 * Ports by id, and by name and device: each look at a load balancer asks three times, and a scan of the ports of 1,000 load balancers
 * took a third of the processor time of making them.
 */
export class PortTable extends Map<string, Port> {
  readonly #ids = { name: new Map<string, Set<string>>(), device_id: new Map<string, Set<string>>() };

  override set(id: string, port: Port): this {
    const before = this.get(id);
    for (const key of indexed) {
      if (before?.[key] === port[key]) continue;
      if (before !== undefined) this.#forget(key, before);
      const ids = this.#ids[key].get(port[key]) ?? new Set();
      this.#ids[key].set(port[key], ids.add(id));
    }
    return super.set(id, port);
  }

  override delete(id: string): boolean {
    const port = this.get(id);
    if (port !== undefined) for (const key of indexed) this.#forget(key, port);
    return super.delete(id);
  }

  /** The ports that are as asked in everything. */
  list(query: PortQuery): Port[] {
    const wanted = Object.entries(query).filter(([, value]) => value !== undefined) as [keyof PortQuery, string][];
    return this.#candidates(query).filter((port) => wanted.every(([key, value]) => port[key] === value));
  }

  #candidates(query: PortQuery): Port[] {
    const key = indexed.find((each) => query[each] !== undefined);
    if (key === undefined) return [...this.values()];
    return [...(this.#ids[key].get(query[key] ?? '') ?? [])].map((id) => this.get(id)!);
  }

  #forget(key: (typeof indexed)[number], port: Port): void {
    const ids = this.#ids[key].get(port[key]);
    ids?.delete(port.id);
    if (ids?.size === 0) this.#ids[key].delete(port[key]);
  }
}
