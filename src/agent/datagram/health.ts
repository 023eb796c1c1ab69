/** The health of members as probes tell it: a member that is new counts as well until it fails as often as its monitor says. */
import { setTimeout as after } from 'node:timers/promises';
import type { DatagramConfig, DatagramMember, DatagramMonitor } from '../../wire/datagram.ts';
import { probe } from './probe.ts';

/** What is probed, and how. */
type Watch = { readonly monitor: DatagramMonitor; readonly member: DatagramMember; readonly end: AbortController };

/** Probes the members of all pools that have a monitor; one behind several listeners once. */
export class DatagramHealth {
  readonly #changed: () => void;
  readonly #watches = new Map<string, Watch>();
  readonly #down = new Set<string>();
  #keys: ReadonlyMap<number, string> = new Map();

  /** @param changed called when a member's health is another */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Is the member with this mark well, as far as is known? */
  isUp(mark: number): boolean {
    return !this.#down.has(this.#keys.get(mark) ?? '');
  }

  /** Watches the members of a configuration; those that are watched in the same way already go on being. */
  watch({ listeners }: DatagramConfig): void {
    const pools = listeners.flatMap(({ pool }) => (pool === null ? [] : [pool]));
    const members = pools.flatMap((pool) =>
      pool.members.map((member) => ({ key: `${pool.id} ${member.id}`, monitor: pool.monitor, member })),
    );
    this.#keys = new Map(members.map(({ key, member }) => [member.mark, key]));
    const wanted = new Map(
      members.flatMap(({ key, monitor, member }) => (monitor === null || !member.admin_state_up ? [] : [[key, { monitor, member }]])),
    );
    for (const [key, { monitor, member, end }] of this.#watches) {
      const next = wanted.get(key);
      if (next !== undefined && isSame(monitor, next.monitor) && isSameTarget(member, next.member)) continue;
      end.abort();
      this.#watches.delete(key);
      // Another monitor on the same member goes on from what the last one found.
      if (next === undefined || !isSameTarget(member, next.member)) this.#down.delete(key);
    }
    for (const [key, { monitor, member }] of wanted) {
      if (this.#watches.has(key)) continue;
      const watch = { monitor, member, end: new AbortController() };
      this.#watches.set(key, watch);
      void this.#run(key, watch);
    }
  }

  /** Ends all probes. */
  stop(): void {
    for (const { end } of this.#watches.values()) end.abort();
    this.#watches.clear();
  }

  async #run(key: string, { monitor, member, end }: Watch): Promise<void> {
    let streak = 0;
    while (!end.signal.aborted) {
      const began = performance.now();
      const isWell = await probe(monitor, member);
      if (end.signal.aborted) return;
      const isDown = this.#down.has(key);
      streak = isWell === isDown ? streak + 1 : 0;
      if (streak >= (isDown ? monitor.rise : monitor.fall)) {
        streak = 0;
        if (isDown) this.#down.delete(key);
        else this.#down.add(key);
        this.#changed();
      }
      await after(Math.max(0, monitor.delay * 1000 - (performance.now() - began)), undefined, { signal: end.signal }).catch(
        () => undefined,
      );
    }
  }
}

const isSame = (left: DatagramMonitor, right: DatagramMonitor): boolean => JSON.stringify(left) === JSON.stringify(right);

const isSameTarget = (left: DatagramMember, right: DatagramMember): boolean =>
  left.monitor_address === right.monitor_address && left.monitor_port === right.monitor_port;
