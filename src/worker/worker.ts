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
  const { db, clock, log } = options;
  const running = new Map<string, { readonly ended: Promise<void>; readonly abort: AbortController }>();
  const hinted = new Set<string>();
  const timers = new Set<NodeJS.Timeout>();
  const wanted = new Set<string>();
  let isStopping = false;
  let isLooking = false;
  let lookAgain = false;

  const later = (loadbalancer_id: string, at_ms: number): void => {
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        hint(loadbalancer_id);
      },
      Math.max(0, at_ms - clock.now()),
    );
    timers.add(timer);
  };

  const hint = (loadbalancer_id: string): void => {
    if (isStopping) return;
    // A hint for what runs is kept: the change may have come after the pass read the tree.
    if (running.has(loadbalancer_id)) wanted.add(loadbalancer_id);
    else hinted.add(loadbalancer_id);
    void fill();
  };

  const start = (lease: Lease): void => {
    const abort = new AbortController();
    const ended = work(options, lease, abort)
      .then((retry_at_ms) => {
        running.delete(lease.loadbalancer_id);
        if (isStopping) return;
        if (retry_at_ms !== null) later(lease.loadbalancer_id, retry_at_ms);
        if (wanted.delete(lease.loadbalancer_id)) hinted.add(lease.loadbalancer_id);
        void fill();
      })
      .catch((error: unknown) => log.error({ err: error }, 'a worker slot failed'));
    running.set(lease.loadbalancer_id, { ended, abort });
  };

  const tryClaim = async (loadbalancer_id: string): Promise<void> => {
    if (running.has(loadbalancer_id)) return;
    const lease = await db.tx((tx) => claim(tx, db.nowMs(), loadbalancer_id, options.owner, options.lease_ms));
    if (lease) start(lease);
  };

  /** Fills free slots, hints first; one look at a time. */
  const fill = async (): Promise<void> => {
    if (isLooking) {
      lookAgain = true;
      return;
    }
    isLooking = true;
    try {
      do {
        lookAgain = false;
        for (const id of [...hinted]) {
          if (isStopping || running.size >= options.concurrency) break;
          hinted.delete(id);
          await tryClaim(id);
        }
      } while (lookAgain && !isStopping && running.size < options.concurrency);
    } catch (error) {
      log.warn({ err: error }, 'the queue could not be claimed from');
    } finally {
      isLooking = false;
    }
  };

  const poll = async (): Promise<void> => {
    if (isStopping || running.size >= options.concurrency) return;
    try {
      for (const id of await listDue(db.read, db.nowMs(), options.concurrency * 2)) if (!running.has(id)) hinted.add(id);
      await fill();
    } catch (error) {
      log.warn({ err: error }, 'the queue could not be read');
    }
  };

  const unlisten = await db.listen(reconcileChannel, hint);
  const ticker = setInterval(() => void poll(), options.poll_ms);
  await poll();
  return {
    running: () => running.size,
    async stop(grace_ms = 10_000) {
      isStopping = true;
      clearInterval(ticker);
      for (const timer of timers) clearTimeout(timer);
      await unlisten();
      const ended = Promise.allSettled([...running.values()].map((each) => each.ended));
      const patience = setTimeout(() => {
        for (const each of running.values()) each.abort.abort(new Error('The worker is stopping.'));
      }, grace_ms);
      await ended;
      clearTimeout(patience);
    },
  };
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
