/** Not asking somebody who did not answer a moment ago: callers get their answer at once, and the service gets air. */
import { backoffDelay } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { Unreachable } from './http.ts';

/** Lets work through while the service answers. */
export interface Circuit {
  /** Does the work, unless the service is to be left alone now. Throws what the work throws, or `Unreachable`. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** In how many whole seconds asking makes sense again; at least 1. */
  readonly retry_after_seconds: number;
}

const pauses = { base_ms: 500, max_ms: 10_000 };

/** A circuit; `changed` hears when the service stops answering, with the reason, and when it answers again, with null. */
export function createCircuit(clock: Clock, random: () => number, changed: (reason: Unreachable | null) => void): Circuit {
  let failures = 0;
  let until_ms = 0;
  let isProbing = false;
  const fail = (error: Unreachable): void => {
    // Many may have asked at once: that is one failure. And nobody may close the way for others with one odd request.
    if (error.isOfRequest || clock.now() < until_ms) return;
    failures += 1;
    until_ms = clock.now() + backoffDelay(failures, pauses, random());
    if (failures === 1) changed(error);
  };
  return {
    async run(work) {
      const isBroken = failures > 0;
      // After the pause one asks, and the others wait for what comes of it.
      if (isBroken && (isProbing || clock.now() < until_ms)) throw new Unreachable('the service did not answer a moment ago');
      isProbing = isBroken;
      try {
        const result = await work();
        if (failures > 0) changed(null);
        failures = 0;
        return result;
      } catch (error) {
        if (error instanceof Unreachable) fail(error);
        throw error;
      } finally {
        if (isBroken) isProbing = false;
      }
    },
    get retry_after_seconds() {
      return Math.max(1, Math.ceil((until_ms - clock.now()) / 1000));
    },
  };
}
