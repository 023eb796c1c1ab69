/** Remembers whom a token stands for, so that a request does not cost six look-ups. */
import type { Clock } from '../../../lib/clock.ts';
import type { Caller } from '../../identity.ts';

/** What a look-up found: the caller, and when the token expires (milliseconds since the epoch). */
export type Verified = { readonly caller: Caller; readonly ends_ms: number };

/** Callers by token. */
export interface CallerCache {
  /** The remembered caller, or what `verify` finds; its rejection is not remembered. */
  get(token: string, verify: () => Promise<Verified>): Promise<Caller>;
  /** Forgets everything: some record changed. */
  clear(): void;
}

type Entry = { readonly caller: Promise<Caller>; until_ms: number };

/** More tokens than are in use within `recheck_ms`; the oldest goes first. */
const MAX_TOKENS = 10_000;

/** A cache that believes a token for `recheck_ms` and never beyond its end. Requests at once with one token share one look-up. */
export function createCallerCache(clock: Clock, recheck_ms: number): CallerCache {
  const entries = new Map<string, Entry>();
  const remember = (token: string, verify: () => Promise<Verified>): Promise<Caller> => {
    const found = verify();
    const entry: Entry = { caller: found.then(({ caller }) => caller), until_ms: clock.now() + recheck_ms };
    entries.set(token, entry);
    const [oldest] = entries.keys();
    if (entries.size > MAX_TOKENS && oldest !== undefined) entries.delete(oldest);
    found.then(
      ({ ends_ms }) => {
        entry.until_ms = Math.min(entry.until_ms, ends_ms);
      },
      () => {
        if (entries.get(token) === entry) entries.delete(token);
      },
    );
    return entry.caller;
  };
  return {
    get(token, verify) {
      const entry = entries.get(token);
      if (entry !== undefined && entry.until_ms > clock.now()) return entry.caller;
      entries.delete(token);
      return remember(token, verify);
    },
    // A look-up under way keeps its promise for those who wait, but `entries` no longer has it: later requests ask anew.
    clear: () => entries.clear(),
  };
}
