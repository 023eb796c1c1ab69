/** The health manager: hears amphorae, keeps operating statuses and statistics, and has silent amphorae replaced. */
import { randomUUID } from 'node:crypto';
import type { Database } from '../db/database.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Secret } from '../lib/secret.ts';
import { Hearing } from './hearing.ts';
import { Intake, type IntakeCounts } from './intake.ts';
import type { Stored } from './ledger.ts';
import { deafSinceMs, type Receiver, startReceiver, type Taken } from './receiver.ts';
import { monotonicMs, type ReceiverCounts } from './receiver-counters.ts';
import { type Look, StaleWatch } from './stale.ts';

/** What a health manager is started with; names, units (seconds) and meanings are those of `[health_manager]`. */
export type HealthManagerOptions = {
  readonly db: Database;
  readonly bind_ip: string;
  /** 0 takes a free one. */
  readonly bind_port: number;
  /** All keys that are valid now. */
  readonly heartbeat_keys: readonly Secret[];
  readonly heartbeat_interval: number;
  readonly heartbeat_timeout: number;
  readonly health_check_interval: number;
  /** Default 10. */
  readonly failover_threads?: number;
  readonly failover_threshold?: number | null;
  /** Receive buffer in bytes; 0 or absent: as large as the kernel allows. */
  readonly sock_rlimit?: number;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Tells a worker that there is work; it may get lost. */
  readonly wake?: (loadbalancer_id: string) => void;
  /** Gets amphorae that send heartbeats and have no row: instances that should not run. */
  readonly onUnknown?: (amphora_id: string) => void;
};

/** Everything that is counted, since the start. */
export type HealthCounters = ReceiverCounts & IntakeCounts & { silent: number; condemned: number; revived: number };

/** A running health manager. */
export interface HealthManager {
  /** Where heartbeats are received, the real port included. */
  readonly address: { readonly address: string; readonly port: number };
  counters(): HealthCounters;
  /** Has an amphora replaced that somebody saw dead, without waiting for the time-out; within the budget of rebuilds. */
  reportDead(amphora_id: string): void;
  /** Accepts heartbeats signed with these keys from now on. */
  setKeys(heartbeat_keys: readonly Secret[]): void;
  /** Stops receiving and stores what was received. */
  stop(): Promise<void>;
}

/** After the first heartbeat of a batch so long is waited for more: the price is that much delay of a status. */
const gatherMs = 50;
const largestBatch = 500;
const lagProbeMs = 250;
const tellEveryMs = 60_000;
/** Health managers tell each other whose statuses they wrote. */
const channel = 'operating_status';
/** PostgreSQL refuses payloads of 8,000 bytes. */
const idsInHint = 150;

/** Starts receiving; rejects with a sentence for the user when the address cannot be had. */
export async function startHealthManager(options: HealthManagerOptions): Promise<HealthManager> {
  const manager = new RunningHealthManager(options);
  await manager.begin();
  return manager;
}

class RunningHealthManager implements HealthManager {
  readonly #options: HealthManagerOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #hearing: Hearing;
  readonly #intake: Intake;
  readonly #watch: StaleWatch;
  readonly #ending = new AbortController();
  readonly #name = randomUUID();
  readonly #totals = { silent: 0, condemned: 0, revived: 0 };
  #receiver!: Receiver;
  #queue: { readonly batch: readonly Taken[]; readonly done: () => void }[] = [];
  #queued = 0;
  #gathering: NodeJS.Timeout | undefined;
  #working: Promise<void> | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lagProbe: NodeJS.Timeout | undefined;
  #unlisten: () => void = () => undefined;
  #toldUnknown_ms = -Infinity;
  #toldFailure_ms = -Infinity;
  #lostBefore = 0;
  #forgedBefore = 0;
  #toldForged_ms = -Infinity;

  constructor(options: HealthManagerOptions) {
    const { db, log, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    const heartbeat_timeout_ms = options.heartbeat_timeout * 1000;
    this.#hearing = new Hearing(heartbeat_timeout_ms, clock.now());
    this.#intake = new Intake({
      db,
      clock,
      monotonicMs,
      heartbeat_interval_ms: options.heartbeat_interval * 1000,
      heartbeat_timeout_ms,
      onUnknown: (ids) => this.#unknown(ids),
      onStored: (stored) => this.#stored(stored),
      onFailure: (error) => this.#failed(error),
    });
    this.#watch = new StaleWatch({
      db,
      clock,
      log,
      hearing: this.#hearing,
      heartbeat_timeout_ms,
      failover_threads: options.failover_threads ?? 10,
      failover_threshold: options.failover_threshold ?? null,
      heardHere: (amphora_id) => this.#intake.heardAt(amphora_id),
      wake: (loadbalancer_id) => options.wake?.(loadbalancer_id),
    });
  }

  get address(): { readonly address: string; readonly port: number } {
    return this.#receiver.address;
  }

  counters(): HealthCounters {
    return { ...this.#receiver.counts(), ...this.#intake.counts, ...this.#totals };
  }

  reportDead(amphora_id: string): void {
    this.#watch.reportDead(amphora_id);
  }

  setKeys(heartbeat_keys: readonly Secret[]): void {
    this.#receiver.setKeys(heartbeat_keys);
  }

  /** Starts everything. */
  async begin(): Promise<void> {
    const { db, bind_ip, bind_port, heartbeat_keys, sock_rlimit = 0, log } = this.#options;
    this.#receiver = await startReceiver({
      bind_ip,
      bind_port,
      heartbeat_keys,
      recv_buffer_bytes: sock_rlimit,
      log,
      onBatch: (batch) => this.#enqueue(batch),
    });
    if (db.dialect === 'postgresql') this.#unlisten = await db.listen(channel, (payload) => this.#hint(payload));
    this.#probeLag();
    this.#looking = this.#lookAgainAndAgain();
  }

  async stop(): Promise<void> {
    this.#ending.abort(new Error('the health manager stops'));
    clearInterval(this.#lagProbe);
    this.#unlisten();
    await this.#receiver.stop();
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    await this.#working;
    if (this.#queue.length > 0) await this.#workOff();
    await this.#looking;
  }

  #enqueue(batch: readonly Taken[]): Promise<void> {
    return new Promise((done) => {
      this.#queue.push({ batch, done });
      this.#queued += batch.length;
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#working !== undefined) return;
    if (this.#queued >= largestBatch) {
      clearTimeout(this.#gathering);
      this.#gathering = undefined;
      this.#working = this.#workOff();
    } else {
      this.#gathering ??= setTimeout(() => {
        this.#gathering = undefined;
        this.#working = this.#workOff();
      }, gatherMs);
    }
  }

  async #workOff(): Promise<void> {
    const taken = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    await this.#intake.work(taken.flatMap((each) => each.batch));
    for (const each of taken) each.done();
    this.#working = undefined;
    if (this.#queue.length > 0 || (this.#intake.hasRest && !this.#ending.signal.aborted)) this.#schedule();
  }

  #stored({ changed, bumped }: Stored): void {
    const { db, wake } = this.#options;
    for (const id of bumped) {
      this.#log.warn({ loadbalancer_id: id }, 'an amphora does not serve what it should: its load balancer is looked over');
      wake?.(id);
    }
    if (db.dialect !== 'postgresql') return;
    for (let i = 0; i < changed.length; i += idsInHint) {
      // A lost hint costs the other managers seconds, never correctness.
      db.notify(channel, [this.#name, ...changed.slice(i, i + idsInHint)].join()).catch(() => undefined);
    }
  }

  #hint(payload: string): void {
    const [sender, ...ids] = payload.split(',');
    if (sender !== this.#name) this.#intake.forget(ids);
  }

  #unknown(ids: readonly string[]): void {
    const now = monotonicMs();
    if (now - this.#toldUnknown_ms > tellEveryMs) {
      this.#toldUnknown_ms = now;
      this.#log.warn(
        { amphora_id: ids[0], others: ids.length - 1 },
        'heartbeats of amphorae that do not exist: an instance runs that should not',
      );
    }
    for (const id of ids) this.#options.onUnknown?.(id);
  }

  #failed(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#hearing.wasDeaf('database', this.#clock.now());
    const now = monotonicMs();
    if (now - this.#toldFailure_ms < tellEveryMs) return;
    this.#toldFailure_ms = now;
    this.#log.error({ err: error }, 'heartbeats cannot be stored; no amphora is replaced until they can');
  }

  /** A process that was stopped, a machine that slept, a clock that was set: none of them could hear. */
  #probeLag(): void {
    const limit = (this.#options.heartbeat_timeout * 1000) / 4;
    let last = { wall: Date.now(), monotonic: monotonicMs() };
    this.#lagProbe = setInterval(() => {
      const now = { wall: Date.now(), monotonic: monotonicMs() };
      const gap = Math.max(now.wall - last.wall, now.monotonic - last.monotonic);
      last = now;
      if (gap > limit) this.#hearing.wasDeaf('stalled', this.#clock.now());
    }, lagProbeMs);
    this.#lagProbe.unref();
  }

  async #lookAgainAndAgain(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(this.#options.health_check_interval * 1000, signal);
        this.#examineOwnHearing();
        this.#count(await this.#watch.look());
      } catch (error) {
        if (!signal.aborted) this.#failed(error);
      }
    }
  }

  #count(look: Look): void {
    this.#totals.silent = look.silent;
    this.#totals.condemned += look.condemned;
    this.#totals.revived += look.revived;
  }

  #examineOwnHearing(): void {
    const now = this.#clock.now();
    const { overflow, forged } = this.#receiver.counts();
    const lost = overflow + this.#intake.counts.late;
    if (lost > this.#lostBefore) this.#hearing.wasDeaf('overload', now);
    this.#lostBefore = lost;
    const limit = Math.max(2000, (this.#options.heartbeat_timeout * 1000) / 4);
    if (deafSinceMs(this.#receiver) > limit) this.#hearing.wasDeaf('receiver', now);
    if (forged > this.#forgedBefore && monotonicMs() - this.#toldForged_ms > tellEveryMs) {
      this.#toldForged_ms = monotonicMs();
      this.#log.warn(
        { datagrams: forged - this.#forgedBefore },
        'datagrams without a valid signature: a wrong heartbeat_key, or somebody forges them',
      );
      this.#forgedBefore = forged;
    }
  }
}
