/** The keeper's rhythm. */
import { setTimeout as after } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Turns } from '../turns.ts';
import type { Keeper } from './keeper.ts';

const LOOK_EVERY_MS = 1000;

/** Looks, between changes, until stopped; `ended` resolves after that. What goes wrong is logged once and tried again. */
export function keep(keeper: Keeper, turns: Turns, log: Log): { readonly stop: () => void; readonly ended: Promise<void> } {
  const stopping = new AbortController();
  let complained = '';
  const lookOnce = async (): Promise<void> => {
    try {
      if (await keeper.isDue()) await turns.run(() => keeper.look());
      complained = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== complained) log('warn', 'the running HAProxy could not be compared with its configuration', { error });
      complained = message;
    }
  };
  const ended = (async () => {
    while (!stopping.signal.aborted) {
      await after(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (!stopping.signal.aborted) await lookOnce();
    }
  })();
  return { stop: () => stopping.abort(), ended };
}
