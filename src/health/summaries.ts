/** What is remembered of load balancers between their heartbeats, so that an unchanged one costs one small row to read. */
import type { Database } from '../db/database.ts';
import { type HeardAmphora, readStatuses } from '../db/health.ts';
import { isPending, type OperatingStatus } from '../model/index.ts';
import type { LoadBalancerSummary } from './summary.ts';

/** A remembered load balancer. `version` is what it was read at; since `version_since_ms` nobody asked for anything else. */
export type Remembered = {
  readonly summary: LoadBalancerSummary;
  readonly version: string;
  readonly version_since_ms: number;
  readonly read_ms: number;
  /** Has all that was asked for been carried out? */
  readonly applied: boolean;
};

/** Statuses are also written by other health managers; without their hint they are read again after so long. On SQLite there is no other. */
const keptMs = { sqlite: 60_000, postgresql: 5000 } as const;
const mostRemembered = 50_000;

/** Load balancers by id. A member changes its version when the API or a worker touches anything of its load balancer. */
export class Summaries {
  readonly #db: Database;
  readonly #remembered = new Map<string, Remembered>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#remembered.size;
  }

  /** Reads again what changed since it was read; afterwards `get` answers for each of these amphorae's load balancers. */
  async refresh(heard: readonly HeardAmphora[], now_ms: number): Promise<void> {
    const versions = new Map<string, { readonly version: string; readonly row: HeardAmphora }>();
    for (const row of heard) if (row.loadbalancer_id !== null) versions.set(row.loadbalancer_id, { version: versionOf(row), row });
    const outdated: string[] = [];
    for (const [id, { version, row }] of versions) {
      const known = this.#remembered.get(id);
      if (known?.version !== version || now_ms - known.read_ms > keptMs[this.#db.dialect]) outdated.push(id);
      else known.summary.operating_status = row.operating_status ?? known.summary.operating_status;
    }
    if (outdated.length === 0) return;
    const fresh = await readSummaries(this.#db, outdated);
    for (const id of outdated) {
      const summary = fresh.get(id);
      const { version, row } = versions.get(id)!;
      const before = this.#remembered.get(id);
      // Read again, it goes to the end of the map: the front is what nobody asked for longest.
      this.#remembered.delete(id);
      if (summary === undefined) continue;
      const version_since_ms = before === undefined ? -Infinity : before.version === version ? before.version_since_ms : now_ms;
      const applied = row.generation === row.applied_generation && !isPending(summary.provisioning_status);
      this.#remembered.set(id, { summary, version, version_since_ms, read_ms: now_ms, applied });
    }
    for (const id of this.#remembered.keys()) {
      if (this.#remembered.size <= mostRemembered) break;
      this.#remembered.delete(id);
    }
  }

  /** What is remembered of a load balancer. */
  get(loadbalancer_id: string): Remembered | undefined {
    return this.#remembered.get(loadbalancer_id);
  }

  /** Reads it again before it is used next. */
  forget(loadbalancer_ids: Iterable<string>): void {
    // The version and its age stay: they say how long the configuration has had time to reach the amphora.
    for (const id of loadbalancer_ids) {
      const known = this.#remembered.get(id);
      if (known !== undefined) this.#remembered.set(id, { ...known, read_ms: -Infinity });
    }
  }
}

const versionOf = (row: HeardAmphora): string => `${row.generation} ${row.applied_generation} ${row.provisioning_status}`;

async function readSummaries(db: Database, loadbalancer_ids: readonly string[]): Promise<Map<string, LoadBalancerSummary>> {
  const { loadbalancers, listeners, pools, members } = await readStatuses(db, loadbalancer_ids);
  const listenersOf = Map.groupBy(listeners, (row) => row.loadbalancer_id);
  const poolsOf = Map.groupBy(pools, (row) => row.loadbalancer_id);
  const membersOf = Map.groupBy<string, { id: string; pool_id: string; operating_status: OperatingStatus }>(members, (row) => row.pool_id);
  return new Map(
    loadbalancers.map((row) => [
      row.id,
      {
        ...row,
        listeners: listenersOf.get(row.id) ?? [],
        pools: (poolsOf.get(row.id) ?? []).map((pool) => ({ ...pool, members: membersOf.get(pool.id) ?? [] })),
      },
    ]),
  );
}
