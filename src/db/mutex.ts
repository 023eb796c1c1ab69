/** One at a time, first come first served. */
export class Mutex {
  #locked = false;
  readonly #waiting: (() => void)[] = [];

  /** Waits for the turn; the function that comes back ends it, and must be called exactly once. */
  async lock(): Promise<() => void> {
    if (this.#locked) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#locked = true;
    return () => this.#unlock();
  }

  // The lock is handed over without being open in between, so that nobody jumps the queue.
  #unlock(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#locked = false;
    else next();
  }
}
