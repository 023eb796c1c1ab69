/** Heartbeats from the receiver to the database: in batches, each with one small read and, if anything changed, one transaction. */
import type { Database } from '../db/database.ts';
import { type HeardAmphora, readHeard } from '../db/health.ts';
import type { Clock } from '../lib/clock.ts';
import { Memories } from './amphora-memory.ts';
import { applyChanges, deriveStatus } from './derive-status.ts';
import { Ledger, type Stored } from './ledger.ts';
import type { Taken } from './receiver.ts';
import { type Remembered, Summaries } from './summaries.ts';

/** What became of heartbeats after the receiver. */
export type IntakeCounts = {
  /** Worked off. */
  processed: number;
  /** Came to be worked off later than one heartbeat interval after their receipt. */
  late: number;
  /** From amphorae that have no row, or whose row is DELETED. */
  unknown: number;
  /** Did not serve the listeners that were asked for. */
  unfit: number;
  /** Lost because the database did not answer. */
  failed: number;
  /** Operating statuses that were found to have changed. */
  status_changes: number;
  batches: number;
  /** The longest time from receipt to the end of the transaction, in milliseconds. */
  longest_ms: number;
};

/** What the intake works with. Times are in milliseconds. */
export type IntakeOptions = {
  readonly db: Database;
  readonly clock: Clock;
  readonly monotonicMs: () => number;
  readonly heartbeat_interval_ms: number;
  readonly heartbeat_timeout_ms: number;
  /** Called with the amphorae that nobody knows, once for each batch. */
  readonly onUnknown: (amphora_ids: readonly string[]) => void;
  readonly onStored: (stored: Stored) => void;
  /** A batch could not be read or stored. */
  readonly onFailure: (error: unknown) => void;
};

/** Heartbeats that do not serve what was asked for before the configuration is pushed again. */
const unfitBeforeMending = 2;

/** Works off heartbeats, one batch after the other. */
export class Intake {
  readonly counts: IntakeCounts = {
    processed: 0,
    late: 0,
    unknown: 0,
    unfit: 0,
    failed: 0,
    status_changes: 0,
    batches: 0,
    longest_ms: 0,
  };
  readonly #options: IntakeOptions;
  readonly #summaries: Summaries;
  readonly #memories: Memories;
  readonly #ledger = new Ledger();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#summaries = new Summaries(options.db);
    this.#memories = new Memories(10 * options.heartbeat_timeout_ms);
  }

  /** When this process heard the amphora in good health, by `clock`. */
  heardAt(amphora_id: string): number | undefined {
    return this.#memories.heardAt(amphora_id);
  }

  /** Somebody else wrote statuses of these load balancers. */
  forget(loadbalancer_ids: Iterable<string>): void {
    this.#summaries.forget(loadbalancer_ids);
  }

  /** Is something left to be stored? Then `work` is to be called again soon, with an empty batch if need be. */
  get hasRest(): boolean {
    return !this.#ledger.isEmpty;
  }

  /** Works off a batch; never throws: what fails is counted and told to `onFailure`. Not to be called again before it has ended. */
  async work(batch: readonly Taken[]): Promise<void> {
    const { monotonicMs, heartbeat_interval_ms, onFailure, db } = this.#options;
    const begun = monotonicMs();
    const timely = batch.filter(([received_ms]) => begun - received_ms <= heartbeat_interval_ms);
    this.counts.late += batch.length - timely.length;
    this.counts.batches += 1;
    const touched = new Set<string>();
    try {
      if (timely.length > 0) await this.#digest(timely, begun, touched);
      if (!this.#ledger.isEmpty) this.#settle(await this.#ledger.store(db, monotonicMs()));
      this.counts.processed += timely.length;
      const first = timely[0]?.[0];
      if (first !== undefined) this.counts.longest_ms = Math.max(this.counts.longest_ms, monotonicMs() - first);
    } catch (error) {
      this.counts.failed += timely.length;
      // The summaries hold statuses that were not stored.
      this.#summaries.forget(touched);
      onFailure(error);
    }
  }

  #settle(stored: Stored): void {
    this.#summaries.forget(stored.given_up);
    this.#options.onStored(stored);
  }

  async #digest(batch: readonly Taken[], now_ms: number, touched: Set<string>): Promise<void> {
    const ids = new Set(batch.map(([, heartbeat]) => heartbeat.id));
    const rows = await readHeard(this.#options.db, [...ids]);
    await this.#summaries.refresh(rows, now_ms);
    const heard = new Map(rows.map((row) => [row.id, row]));
    const unknown = new Set<string>();
    for (const taken of batch) {
      const row = heard.get(taken[1].id);
      if (row === undefined) {
        this.counts.unknown += 1;
        unknown.add(taken[1].id);
        continue;
      }
      const known = row.loadbalancer_id === null ? undefined : this.#summaries.get(row.loadbalancer_id);
      if (known !== undefined) this.#digestOne(taken, row, known, now_ms, touched);
    }
    if (unknown.size > 0) this.#options.onUnknown([...unknown]);
  }

  #digestOne([received_ms, heartbeat]: Taken, row: HeardAmphora, known: Remembered, now_ms: number, touched: Set<string>): void {
    const { summary } = known;
    const { heartbeat_interval_ms, heartbeat_timeout_ms, clock } = this.#options;
    const memory = this.#memories.of(row.id, clock.now());
    const settled = known.applied && now_ms - known.version_since_ms > heartbeat_interval_ms;
    const derived = deriveStatus(summary, heartbeat, settled);
    if (derived.changes.length > 0) {
      applyChanges(summary, derived.changes);
      this.#ledger.changeStatuses(summary.id, derived.changes);
      this.counts.status_changes += derived.changes.length;
      touched.add(summary.id);
    }
    this.#ledger.addStatistics(heartbeat, (id) => summary.listeners.some((listener) => listener.id === id), memory);
    // Before it was stored as heard it has no row for this.
    if (row.last_seen_ms !== null) this.#ledger.noteHaproxy(heartbeat, memory);
    if (!derived.serves_all) {
      this.#noteUnfit(summary.id, memory);
      return;
    }
    // After a mending only a heartbeat that can be compared proves that it helped; until then silence goes on.
    if (memory.was_mended && !settled) return;
    memory.unfit = 0;
    memory.was_mended = false;
    memory.heard_ms = clock.now();
    const stored_ago = row.last_seen_ms === null ? Infinity : row.now_ms - row.last_seen_ms;
    if (stored_ago > heartbeat_timeout_ms / 4) this.#ledger.noteSeen(row.id, received_ms);
  }

  /** An amphora that lost its configuration gets it again once; when that does not help it counts as silent and is replaced. */
  #noteUnfit(loadbalancer_id: string, memory: { unfit: number; was_mended: boolean }): void {
    this.counts.unfit += 1;
    memory.unfit += 1;
    if (memory.was_mended || memory.unfit < unfitBeforeMending) return;
    memory.was_mended = true;
    this.#ledger.askForPass(loadbalancer_id);
  }
}
