/** Work on the same thing one after another, within this process. */

/** Runs work for a key when the earlier work for that key has ended, however it ended. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>;

/** A new set of queues; a key without waiting work costs nothing. */
export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
