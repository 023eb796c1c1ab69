/** The controller worker: claims load balancers that have work, several at once, and keeps their leases alive. */
import { claim, holdLease, type Lease, LeaseLost, listDue } from '../db/reconciliations.ts';
import { type Bench, reconcile } from './reconcile.ts';

/** The channel of wake-up hints; the payload is a load balancer's id. */
export const reconcileChannel = 'reconcile';

/** How a worker runs. */
export type WorkerOptions = Bench & {
  /** Names this worker in leases. */
  readonly owner: string;
  /** Load balancers worked on at once. */
  readonly concurrency: number;
  /** How often the queue is looked through without a hint. */
  readonly poll_ms: number;
};

/** A running worker. */
export type Worker = {
  /** Load balancers being worked on now. */
  running(): number;
  /** Claims nothing more, waits until what runs has ended (bounded by `grace_ms`), then lets go. */
  stop(grace_ms?: number): Promise<void>;
};

/** Starts claiming. A hint (`db.notify`) is followed at once; without hints the queue is polled. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const claimer = new Claimer(options);
  const unlisten = await options.db.listen(reconcileChannel, (loadbalancer_id) => claimer.hint(loadbalancer_id));
  const ticker = setInterval(() => void claimer.poll(), options.poll_ms);
  await claimer.poll();
  return {
    running: () => claimer.running.size,
    async stop(grace_ms = 10_000) {
      clearInterval(ticker);
      await unlisten();
      await claimer.stop(grace_ms);
    },
  };
}

/** Fills free slots with load balancers that have work: hinted ones first, then what the queue says. */
class Claimer {
  readonly running = new Map<string, { readonly ended: Promise<void>; readonly abort: AbortController }>();
  readonly #options: WorkerOptions;
  readonly #hinted = new Set<string>();
  /** Hinted while they run: the change may have come after the pass read the tree. */
  readonly #again = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopping = false;
  #isLooking = false;
  #lookAgain = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  hint(loadbalancer_id: string): void {
    if (this.#isStopping) return;
    (this.running.has(loadbalancer_id) ? this.#again : this.#hinted).add(loadbalancer_id);
    void this.#fill();
  }

  async poll(): Promise<void> {
    const { db, concurrency, log } = this.#options;
    if (this.#isStopping || this.#isFull()) return;
    try {
      for (const id of await listDue(db.read, db.nowMs(), concurrency * 2)) if (!this.running.has(id)) this.#hinted.add(id);
      await this.#fill();
    } catch (error) {
      log.warn({ err: error }, 'the queue could not be read');
    }
  }

  async stop(grace_ms: number): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const patience = setTimeout(() => {
      for (const each of this.running.values()) each.abort.abort(new Error('The worker is stopping.'));
    }, grace_ms);
    await Promise.allSettled([...this.running.values()].map((each) => each.ended));
    clearTimeout(patience);
  }

  #isFull(): boolean {
    return this.running.size >= this.#options.concurrency;
  }

  /** One look at a time; what is hinted meanwhile makes it look again. */
  async #fill(): Promise<void> {
    this.#lookAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      while (this.#lookAgain && !this.#isStopping) {
        this.#lookAgain = false;
        for (const id of [...this.#hinted]) {
          if (this.#isStopping || this.#isFull()) break;
          this.#hinted.delete(id);
          await this.#tryClaim(id);
        }
      }
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the queue could not be claimed from');
    } finally {
      this.#isLooking = false;
    }
  }

  async #tryClaim(loadbalancer_id: string): Promise<void> {
    const { db, owner, lease_ms } = this.#options;
    if (this.running.has(loadbalancer_id)) return;
    const lease = await db.tx((tx) => claim(tx, db.nowMs(), loadbalancer_id, owner, lease_ms));
    if (lease) this.#start(lease);
  }

  #start(lease: Lease): void {
    const abort = new AbortController();
    const ended = work(this.#options, lease, abort)
      .then((retry_at_ms) => this.#end(lease.loadbalancer_id, retry_at_ms))
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'a worker slot failed'));
    this.running.set(lease.loadbalancer_id, { ended, abort });
  }

  #end(loadbalancer_id: string, retry_at_ms: number | null): void {
    this.running.delete(loadbalancer_id);
    if (this.#isStopping) return;
    if (retry_at_ms !== null) this.#later(loadbalancer_id, retry_at_ms);
    if (this.#again.delete(loadbalancer_id)) this.#hinted.add(loadbalancer_id);
    void this.#fill();
  }

  #later(loadbalancer_id: string, at_ms: number): void {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        // A timer may fire a millisecond early: claimed then, the work would not be due and wait for the next poll.
        if (this.#options.clock.now() < at_ms) this.#later(loadbalancer_id, at_ms);
        else this.hint(loadbalancer_id);
      },
      Math.max(1, at_ms - this.#options.clock.now()),
    );
    this.#timers.add(timer);
  }
}

/** Works on one lease and renews it meanwhile; answers when the load balancer wants to be claimed again, null: not by itself. */
async function work(options: WorkerOptions, lease: Lease, abort: AbortController): Promise<number | null> {
  const { db, lease_ms, log } = options;
  const renewal = setInterval(() => {
    db.tx((tx) => holdLease(tx, db.nowMs(), lease, lease_ms)).catch((error: unknown) => {
      if (error instanceof LeaseLost) abort.abort(error);
      else log.warn({ err: error, loadbalancer_id: lease.loadbalancer_id }, 'a lease could not be renewed');
    });
  }, lease_ms / 3);
  try {
    const ending = await reconcile(options, lease, abort.signal);
    return ending.end === 'postponed' ? ending.retry_at_ms : null;
  } finally {
    clearInterval(renewal);
  }
}
