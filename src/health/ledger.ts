/** What heartbeats have changed and is not stored yet. Statistics are sums, so they wait here when the database is away. */
import type { Database } from '../db/database.ts';
import {
  type StatisticsWrite,
  type StatusWrite,
  writeHaproxyReports,
  writeLastSeen,
  writeStatistics,
  writeStatuses,
} from '../db/health.ts';
import { bumpGeneration } from '../db/reconciliations.ts';
import type { Heartbeat, ListenerStatistics } from '../wire/heartbeat.ts';
import type { AmphoraMemory } from './amphora-memory.ts';
import type { StatusChange } from './summary.ts';

/** What a store did. */
export type Stored = {
  /** Load balancers whose statuses were given up: the row is gone, or somebody else holds it for too long. */
  readonly given_up: readonly string[];
  /** Load balancers whose statuses were stored. */
  readonly changed: readonly string[];
  /** Load balancers that got work. */
  readonly bumped: readonly string[];
};

/** Stores that leave a load balancer out because somebody else writes to it, before its statuses are given up: about a second. */
const mostTries = 20;
/** Statistics of so many listeners are kept while the database is away. */
const mostStatistics = 200_000;

/** Collects writes and stores them all in one transaction. */
export class Ledger {
  #statuses = new Map<string, StatusWrite>();
  /** How often each load balancer was left out in succession. */
  readonly #tries = new Map<string, number>();
  #seen = new Map<string, number>();
  #bumps = new Set<string>();
  #statistics = new Map<string, StatisticsWrite>();
  #haproxy = new Map<string, string>();

  /** Is there nothing to store? */
  get isEmpty(): boolean {
    return this.#statuses.size + this.#seen.size + this.#bumps.size + this.#statistics.size + this.#haproxy.size === 0;
  }

  /** The statuses of a load balancer changed; of two changes of one row the later holds. */
  changeStatuses(loadbalancer_id: string, changes: readonly StatusChange[]): void {
    for (const { type, id, operating_status } of changes) {
      this.#statuses.set(`${type} ${id}`, { loadbalancer_id, table: type, id, operating_status });
    }
  }

  /** The amphora was heard at this monotonic time. */
  noteSeen(amphora_id: string, received_ms: number): void {
    this.#seen.set(amphora_id, received_ms);
  }

  /** The load balancer is to be looked over by a worker. */
  askForPass(loadbalancer_id: string): void {
    this.#bumps.add(loadbalancer_id);
  }

  /** Adds the statistics of one heartbeat; listeners that are not among the known are left out, and so is what changes nothing. */
  addStatistics(heartbeat: Heartbeat, isKnown: (listener_id: string) => boolean, memory: AmphoraMemory): void {
    for (const [listener_id, { stats }] of Object.entries(heartbeat.listeners)) {
      if (!isKnown(listener_id)) continue;
      const isIdle = heartbeat.ver === 3 && stats.rx + stats.tx + stats.totconns + stats.ereq === 0;
      if (isIdle && memory.active.get(listener_id) === stats.conns) continue;
      memory.active.set(listener_id, stats.conns);
      this.#sum(toWrite(listener_id, heartbeat.id, stats, heartbeat.ver === 3));
    }
  }

  /** Notes what the amphora told of its HAProxy, unless it is what it told before. */
  noteHaproxy({ id, haproxy }: Heartbeat, memory: AmphoraMemory): void {
    const text = haproxy === undefined ? '' : JSON.stringify(haproxy);
    if (text === memory.haproxy) return;
    memory.haproxy = text;
    if (text !== '') this.#haproxy.set(id, text);
  }

  /** Stores everything in one transaction. When it fails the statistics stay here and the rest is dropped: later heartbeats say it again. */
  async store(db: Database, now_ms: number): Promise<Stored> {
    const statuses = this.#statuses;
    const seen = [...this.#seen].map(([id, received_ms]) => ({ id, ago_ms: now_ms - received_ms }));
    const bumped = [...this.#bumps].toSorted();
    const statistics = this.#statistics;
    const haproxy = this.#haproxy;
    this.#statuses = new Map();
    this.#seen = new Map();
    this.#bumps = new Set();
    this.#statistics = new Map();
    this.#haproxy = new Map();
    try {
      const skipped = await db.tx(async (tx) => {
        const left = await writeStatuses(tx, db.dialect, [...statuses.values()]);
        await writeStatistics(tx, db.dialect, [...statistics.values()]);
        await writeLastSeen(tx, db, seen);
        await writeHaproxyReports(tx, db.dialect, [...haproxy]);
        for (const id of bumped) await bumpGeneration(tx, id);
        return left;
      });
      return { ...this.#keepSkipped(statuses, new Set(skipped)), bumped };
    } catch (error) {
      for (const write of statistics.values()) this.#sum(write);
      for (const [id, text] of haproxy) if (!this.#haproxy.has(id)) this.#haproxy.set(id, text);
      throw error;
    }
  }

  #keepSkipped(statuses: ReadonlyMap<string, StatusWrite>, skipped: ReadonlySet<string>): { changed: string[]; given_up: string[] } {
    const given_up: string[] = [];
    for (const id of skipped) {
      const tries = (this.#tries.get(id) ?? 0) + 1;
      if (tries < mostTries) this.#tries.set(id, tries);
      else given_up.push(id);
    }
    const changed = new Set<string>();
    for (const [key, write] of statuses) {
      if (!skipped.has(write.loadbalancer_id)) changed.add(write.loadbalancer_id);
      else if (!given_up.includes(write.loadbalancer_id) && !this.#statuses.has(key)) this.#statuses.set(key, write);
    }
    for (const id of [...changed, ...given_up]) this.#tries.delete(id);
    return { changed: [...changed], given_up };
  }

  #sum(write: StatisticsWrite): void {
    const key = `${write.listener_id} ${write.amphora_id} ${write.add}`;
    const before = this.#statistics.get(key);
    if (before === undefined && this.#statistics.size >= mostStatistics) return;
    this.#statistics.set(key, before === undefined || !write.add ? write : added(before, write));
  }
}

const toWrite = (listener_id: string, amphora_id: string, stats: ListenerStatistics, add: boolean): StatisticsWrite => ({
  listener_id,
  amphora_id,
  add,
  // The amphora receives what clients send: its rx is the listener's bytes_in.
  bytes_in: stats.rx,
  bytes_out: stats.tx,
  active_connections: stats.conns,
  total_connections: stats.totconns,
  request_errors: stats.ereq,
});

const added = (before: StatisticsWrite, more: StatisticsWrite): StatisticsWrite => ({
  ...more,
  bytes_in: before.bytes_in + more.bytes_in,
  bytes_out: before.bytes_out + more.bytes_out,
  total_connections: before.total_connections + more.total_connections,
  request_errors: before.request_errors + more.request_errors,
});
