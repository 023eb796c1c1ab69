/** Whether this health manager could have heard an amphora at all: silence is only evidence when it could. */

/** What made the manager deaf. */
export type Deafness = 'starting' | 'stalled' | 'receiver' | 'overload' | 'database';

/**
 * Remembers when the manager was last deaf. From then on every amphora gets a full time-out to be heard again: after a
 * pause, an outage of the database or a flood, all of them look silent and none of them is.
 */
export class Hearing {
  readonly #timeout_ms: number;
  #deaf_ms: number;
  #cause: Deafness = 'starting';

  /** @param timeout_ms silence after which an amphora is replaced */
  constructor(timeout_ms: number, now_ms: number) {
    this.#timeout_ms = timeout_ms;
    this.#deaf_ms = now_ms;
  }

  /** Notes that something could not be heard, or heard and not stored, until now. */
  wasDeaf(cause: Deafness, now_ms: number): void {
    this.#deaf_ms = Math.max(this.#deaf_ms, now_ms);
    this.#cause = cause;
  }

  /** Why silence means nothing now, and for how long yet; null: it means something. */
  doubt(now_ms: number): { readonly cause: Deafness; readonly for_ms: number } | null {
    // A clock that was set back must not make the doubt last for ever.
    if (now_ms < this.#deaf_ms) this.#deaf_ms = now_ms;
    const for_ms = this.#deaf_ms + this.#timeout_ms - now_ms;
    return for_ms > 0 ? { cause: this.#cause, for_ms } : null;
  }
}
