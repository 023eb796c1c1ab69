/** Slows down who guesses passwords: after some failures each further one costs a growing pause. */
import type { Clock } from '../../../lib/clock.ts';
import { Fault } from '../../../model/faults.ts';

/** Counts failures by key (an account seen from one address; an address). */
export interface Throttle {
  /** Throws `Fault` 429 while the key has to pause. */
  check(key: string): void;
  failed(key: string): void;
  succeeded(key: string): void;
}

/** How many failures are free, the longest pause, and when a key is forgotten. */
export type ThrottleLimits = { readonly free: number; readonly longest_ms: number; readonly forget_ms: number };

type Failures = { readonly count: number; readonly until_ms: number; readonly last_ms: number };

/** More keys than an honest deployment has; beyond it the oldest is forgotten, so that memory is bounded. */
const MAX_KEYS = 10_000;

/** A throttle; the pause doubles from one second with each failure beyond the free ones. */
export function createThrottle(clock: Clock, limits: ThrottleLimits): Throttle {
  const failures = new Map<string, Failures>();
  return {
    check(key) {
      const entry = failures.get(key);
      if (entry === undefined || entry.until_ms <= clock.now()) return;
      const seconds = Math.ceil((entry.until_ms - clock.now()) / 1000);
      throw new Fault(429, `Too many failed authentications. Please try again in ${seconds} seconds.`, { retry_after_seconds: seconds });
    },
    failed(key) {
      const now = clock.now();
      const before = failures.get(key);
      const count = before === undefined || now - before.last_ms > limits.forget_ms ? 1 : before.count + 1;
      const pause = count <= limits.free ? 0 : Math.min(limits.longest_ms, 1000 * 2 ** Math.min(30, count - limits.free - 1));
      failures.delete(key);
      failures.set(key, { count, until_ms: now + pause, last_ms: now });
      const [oldest] = failures.keys();
      if (failures.size > MAX_KEYS && oldest !== undefined) failures.delete(oldest);
    },
    succeeded(key) {
      failures.delete(key);
    },
  };
}
