/** What tokens turned out to be, remembered for a while under a digest of the token: the tokens themselves are not kept. */
import { createHash } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';

/** What is remembered of a token: its value, null when it is not valid, and until when. */
export type Remembered<T> = { readonly value: T | null; readonly until_ms: number };

/** Results by token. */
export interface TokenCache<T> {
  /** The remembered result, or what `find` finds; requests at once for one token share one look-up. Its rejection is not remembered. */
  get(key: string, find: () => Promise<Remembered<T>>): Promise<T | null>;
}

/** A cache of at most `most` results; the one that was made longest ago goes first. */
export function createTokenCache<T>(clock: Clock, most: number): TokenCache<T> {
  const known = new Map<string, Remembered<T>>();
  const pending = new Map<string, Promise<Remembered<T>>>();
  return {
    async get(key, find) {
      const digest = createHash('sha256').update(key).digest('base64');
      const remembered = known.get(digest);
      if (remembered !== undefined && clock.now() < remembered.until_ms) return remembered.value;
      known.delete(digest);
      let finding = pending.get(digest);
      if (finding === undefined) {
        finding = find().finally(() => pending.delete(digest));
        pending.set(digest, finding);
      }
      const found = await finding;
      if (found.until_ms > clock.now()) known.set(digest, found);
      const [oldest] = known.keys();
      if (known.size > most && oldest !== undefined) known.delete(oldest);
      return found.value;
    },
  };
}
