/** A job that is done again and again, whatever happens. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';

/** One job. It may answer a shorter time until the next round than its interval, in milliseconds. */
export type Job = {
  readonly name: string;
  readonly interval_ms: number;
  /** Wait before the first round. */
  readonly first_ms: number;
  readonly run: () => Promise<{ readonly next_ms?: number }>;
};

/** What the rounds work with; `random` gives numbers in [0, 1). */
export type Rounds = { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal; readonly random: () => number };

/**
 * Runs the job until the signal is aborted: a round that fails is logged and the next one comes in its time. Waits are up
 * to a tenth longer or shorter, so that several controllers that were started together do not work together.
 */
export async function runPeriodically(job: Job, { clock, log, signal, random }: Rounds): Promise<void> {
  let wait_ms = job.first_ms;
  while (!signal.aborted) {
    try {
      await clock.sleep(Math.round(wait_ms * (0.9 + 0.2 * random())), signal);
    } catch {
      return;
    }
    wait_ms = job.interval_ms;
    try {
      const { next_ms } = await job.run();
      wait_ms = Math.min(wait_ms, next_ms ?? wait_ms);
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, job: job.name }, 'a job of housekeeping failed and is tried again');
    }
  }
}
