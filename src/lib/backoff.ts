/** Waiting longer after each failure, with jitter so that many who failed together do not come back together. */
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';

/** How fast the waits grow. */
export type Backoff = {
  /** The wait after the first failure, before jitter. */
  readonly base_ms: number;
  /** No wait is longer than this. */
  readonly max_ms: number;
};

/**
 * The wait after the given number of failures, in milliseconds: half of `min(max, base × 2^(failures − 1))` plus a
 * random part of the other half, so that it grows surely and still spreads.
 *
 * @param failures how many times it has failed so far, from 1
 * @param random a number in [0, 1)
 */
export function backoffDelay(failures: number, backoff: Backoff, random: number): number {
  const doublings = Math.min(Math.max(0, failures - 1), 52);
  const ceiling = Math.min(backoff.max_ms, backoff.base_ms * 2 ** doublings);
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}

/** How often and how fast `retrying` tries again. */
export type RetryOptions = Backoff & {
  /** Calls in all, the first one included. */
  readonly attempts: number;
  /** Aborting it ends the waiting; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  /** A number in [0, 1) for each wait. */
  readonly random?: (() => number) | undefined;
  /** Answers false for an error that trying again cannot mend. */
  readonly isWorthwhile?: ((error: unknown) => boolean) | undefined;
};

/**
 * Calls `fn` (with the number of the attempt, from 1) until it succeeds; throws the last error when the attempts are
 * used up or the error is not worthwhile to try again.
 */
export async function retrying<T>(fn: (attempt: number) => Promise<T> | T, options: RetryOptions): Promise<T> {
  const { attempts, signal, clock = systemClock, random = Math.random, isWorthwhile = () => true } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      if (attempt >= attempts || !isWorthwhile(error)) throw error;
      await clock.sleep(backoffDelay(attempt, options, random()), signal);
    }
  }
}
