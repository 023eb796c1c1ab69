/** Time as a parameter: the system's clock, and one for tests that only moves when told to. */
import { setTimeout as after } from 'node:timers/promises';

/** Where the time comes from, and how to wait. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number;
  /** Waits; rejects with the signal's reason when it is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      await after(Math.max(0, ms), undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      // Node wraps the reason in an AbortError; callers should see what they aborted with.
      throw signal?.aborted === true ? signal.reason : error;
    }
  },
};

type Sleeper = { readonly due: number; readonly order: number; readonly wake: () => void };

/** A clock that stands still until `advance` is called; sleepers wake in the order of their due times. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #sleepers = new Set<Sleeper>();

  /** @param start milliseconds since the epoch; the default is 2026-01-01T00:00:00Z. */
  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** How many calls of `sleep` are waiting: what a test awaits before it advances. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper: Sleeper = { due: this.#now + Math.max(0, ms), order: (this.#order += 1), wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /**
   * Moves the time forward. Each sleeper that comes due sees exactly its due time as `now()`, and what it starts
   * (another sleep, too) runs before the next one is woken. Await it.
   */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.due > target) break;
      this.#now = Math.max(this.#now, next.due);
      next.wake();
      await drain();
    }
    this.#now = Math.max(this.#now, target);
    await drain();
  }

  #earliest(): Sleeper | undefined {
    let best: Sleeper | undefined;
    for (const each of this.#sleepers) {
      if (best === undefined || each.due < best.due || (each.due === best.due && each.order < best.order)) best = each;
    }
    return best;
  }
}

/** Lets every promise that is already settled run its continuations: setImmediate comes after all microtasks. */
function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
