/** What one health manager remembers of each amphora between its heartbeats. */

/** One amphora. */
export type AmphoraMemory = {
  /** When it was last heard in good health, by the clock of the manager. */
  heard_ms: number;
  /** Heartbeats in succession that did not serve what was asked for. */
  unfit: number;
  /** Its configuration was pushed again because of that, and it has not been well since. */
  was_mended: boolean;
  /** Connections by listener as last stored: idle listeners need no write. */
  readonly active: Map<string, number>;
  /** What it told of its HAProxy, as last stored. */
  haproxy: string;
};

/** The amphorae that were heard lately. */
export class Memories {
  readonly #memories = new Map<string, AmphoraMemory>();
  readonly #forget_after_ms: number;
  #swept_ms = 0;

  constructor(forget_after_ms: number) {
    this.#forget_after_ms = forget_after_ms;
  }

  /** The amphora's memory; an empty one when it was not heard lately. */
  of(amphora_id: string, now_ms: number): AmphoraMemory {
    this.#sweep(now_ms);
    const known = this.#memories.get(amphora_id);
    if (known !== undefined) return known;
    const fresh: AmphoraMemory = { heard_ms: -Infinity, unfit: 0, was_mended: false, active: new Map(), haproxy: '' };
    this.#memories.set(amphora_id, fresh);
    return fresh;
  }

  /** When the amphora was last heard in good health. */
  heardAt(amphora_id: string): number | undefined {
    return this.#memories.get(amphora_id)?.heard_ms;
  }

  #sweep(now_ms: number): void {
    if (now_ms - this.#swept_ms < this.#forget_after_ms) return;
    this.#swept_ms = now_ms;
    for (const [id, memory] of this.#memories) if (now_ms - memory.heard_ms > this.#forget_after_ms) this.#memories.delete(id);
  }
}
