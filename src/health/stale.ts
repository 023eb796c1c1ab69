/** Finds amphorae that fell silent and has them replaced: one conditional change each, the worker does the rest. */
import type { Database } from '../db/database.ts';
import { claimSilent, readReported, readSilence, reviveAmphorae, type SilentAmphora } from '../db/health.ts';
import { condemnAmphora } from '../db/reconciliations.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { chooseCondemned, type Hold } from './choose-condemned.ts';
import type { Hearing } from './hearing.ts';

/** What the watch works with. */
export type WatchOptions = {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hearing: Hearing;
  readonly heartbeat_timeout_ms: number;
  /** Amphorae rebuilt at once. */
  readonly failover_threads: number;
  /** None is replaced while so many are silent; null: no such limit. */
  readonly failover_threshold: number | null;
  /** When this process heard the amphora itself, by `clock`; stored times may be a quarter of the time-out old. */
  readonly heardHere: (amphora_id: string) => number | undefined;
  /** Called for each load balancer that got work. */
  readonly wake: (loadbalancer_id: string) => void;
};

/** What one look found and did. */
export type Look = { readonly silent: number; readonly condemned: number; readonly revived: number; readonly held: boolean };

/** Rolls back a claim whose amphora may not be replaced now. */
class NotNow extends Error {}

/** A dead one whose load balancer never becomes ready is not remembered for ever. */
const mostDead = 10_000;

/** Looks after silent and dead amphorae; `look` is called again and again. */
export class StaleWatch {
  readonly #options: WatchOptions;
  /** Reported dead and not yet taken up: amphora id. */
  readonly #dead = new Set<string>();
  #lastHold = '';

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Somebody saw that the amphora is gone: no need to wait for the time-out. It is replaced at the next look that the budget allows. */
  reportDead(amphora_id: string): void {
    if (this.#dead.size < mostDead) this.#dead.add(amphora_id);
  }

  /** One look. Throws the errors of the database. */
  async look(): Promise<Look> {
    const { db, clock, hearing, heartbeat_timeout_ms, log } = this.#options;
    const seen = await readSilence(db, heartbeat_timeout_ms);
    const now = clock.now();
    const silent = seen.silent.filter((each) => !this.#heardLately(each.id, now));
    if (seen.revived.length > 0) {
      await db.tx((tx) => reviveAmphorae(tx, db.dialect, seen.revived));
      log.info({ amphorae: seen.revived }, 'amphorae that were given up are heard again');
    }
    const dead = await this.#condemnDead(Math.max(0, this.#options.failover_threads - seen.rebuilding));
    const doubt = hearing.doubt(now);
    if (doubt !== null || silent.length === 0) {
      if (silent.length > 0) log.debug({ silent: silent.length, ...doubt }, 'silence means nothing yet');
      return { silent: silent.length, condemned: dead, revived: seen.revived.length, held: false };
    }
    const choice = chooseCondemned({ silent, zones: seen.zones, rebuilding: seen.rebuilding + dead }, this.#options);
    this.#tellHolds(choice.holds);
    let condemned = dead;
    for (const each of choice.condemned) if (await this.#condemn(each.id, { timeout_ms: heartbeat_timeout_ms }, each)) condemned += 1;
    return { silent: silent.length, condemned, revived: seen.revived.length, held: choice.holds.length > 0 };
  }

  #heardLately(amphora_id: string, now: number): boolean {
    const heard = this.#options.heardHere(amphora_id);
    return heard !== undefined && now - heard < this.#options.heartbeat_timeout_ms;
  }

  async #condemnDead(budget: number): Promise<number> {
    if (this.#dead.size === 0 || budget === 0) return 0;
    const { db } = this.#options;
    const asked = [...this.#dead].slice(0, 500);
    const waiting = new Map((await readReported(db, asked)).map((row) => [row.id, row]));
    let condemned = 0;
    for (const id of asked) {
      const row = waiting.get(id);
      const isOver = row === undefined || row.status === 'DELETED' || row.status === 'PENDING_DELETE' || row.busy === true;
      if (isOver) this.#dead.delete(id);
      else if (condemned < budget && (await this.#condemn(id, 'dead', row))) {
        this.#dead.delete(id);
        condemned += 1;
      }
    }
    return condemned;
  }

  async #condemn(
    amphora_id: string,
    silence: { readonly timeout_ms: number } | 'dead',
    amphora: Pick<SilentAmphora, 'loadbalancer_id'> & Partial<SilentAmphora>,
  ): Promise<boolean> {
    const { db, log, wake } = this.#options;
    const { loadbalancer_id } = amphora;
    if (loadbalancer_id === null) return false;
    try {
      await db.tx(async (tx) => {
        if (!(await claimSilent(tx, db, amphora_id, silence)) || !(await condemnAmphora(tx, amphora_id))) throw new NotNow();
      });
    } catch (error) {
      // Heard again, being changed, or taken up by another health manager.
      if (error instanceof NotNow) return false;
      throw error;
    }
    const last_seen = amphora.last_seen_ms === undefined ? undefined : new Date(amphora.last_seen_ms).toISOString();
    log.warn(
      { amphora_id, loadbalancer_id, last_seen },
      silence === 'dead' ? 'a dead amphora is replaced' : 'a silent amphora is replaced',
    );
    wake(loadbalancer_id);
    return true;
  }

  /** Says it when it begins, changes or ends, not at every look. */
  #tellHolds(holds: readonly Hold[]): void {
    const { log } = this.#options;
    const told = holds.map((hold) => (hold.why === 'threshold' ? 'threshold' : `zone ${hold.zone}`)).join();
    if (told === this.#lastHold) return;
    this.#lastHold = told;
    if (holds.length === 0) log.info('silent amphorae are replaced again');
    for (const hold of holds) log.error(hold, sentences[hold.why]);
  }
}

const sentences: Readonly<Record<Hold['why'], string>> = {
  threshold:
    'as many amphorae are silent as [health_manager] failover_threshold says: none is replaced; see whether they can reach this controller (network, heartbeat_key), or replace one by "openstack loadbalancer amphora failover <id>"',
  together:
    'more than half of the amphorae of one zone are silent: none of them is replaced, for they are more likely cut off than dead; see whether they can reach this controller (network, heartbeat_key), or replace one by "openstack loadbalancer amphora failover <id>"',
};
