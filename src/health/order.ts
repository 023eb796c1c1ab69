/** Tells heartbeats that were heard already, or were overtaken by newer ones, from new ones. */

type Heard = { boot_id: string; seq: number; at_ms: number; readonly former_boots: string[] };

/** Boots of an agent that are remembered: a datagram of one of them is old. */
const rememberedBoots = 4;

/**
 * The newest heartbeat of each amphora.
 *
 * Upstream's format has neither time nor nonce, so whoever recorded one datagram can keep a dead amphora "alive" with it
 * for ever. Our agents add a `boot_id`, within which `seq` only grows: an equal or smaller one is old, and so is every
 * datagram of an earlier boot. Heartbeats without `boot_id` (upstream's agents, whose `seq` starts again at every restart)
 * cannot be told apart and all pass.
 */
export class NewestHeard {
  readonly #heard = new Map<string, Heard>();
  readonly #forget_after_ms: number;
  #swept_ms = 0;

  /** @param forget_after_ms an amphora that was silent so long is forgotten, so that the memory stays small. */
  constructor(forget_after_ms: number) {
    this.#forget_after_ms = forget_after_ms;
  }

  /** How many amphorae are remembered. */
  get size(): number {
    return this.#heard.size;
  }

  /** Is it newer than everything heard of this amphora? Remembers it, if so. */
  accept(beat: { readonly id: string; readonly seq: number; readonly boot_id?: string | undefined }, now_ms: number): boolean {
    this.#sweep(now_ms);
    if (beat.boot_id === undefined) return true;
    const known = this.#heard.get(beat.id);
    if (known === undefined) {
      this.#heard.set(beat.id, { boot_id: beat.boot_id, seq: beat.seq, at_ms: now_ms, former_boots: [] });
      return true;
    }
    if (known.boot_id === beat.boot_id ? beat.seq <= known.seq : known.former_boots.includes(beat.boot_id)) return false;
    if (known.boot_id !== beat.boot_id) {
      known.former_boots.unshift(known.boot_id);
      known.former_boots.length = Math.min(known.former_boots.length, rememberedBoots);
      known.boot_id = beat.boot_id;
    }
    known.seq = beat.seq;
    known.at_ms = now_ms;
    return true;
  }

  #sweep(now_ms: number): void {
    if (now_ms - this.#swept_ms < this.#forget_after_ms / 4) return;
    this.#swept_ms = now_ms;
    for (const [id, heard] of this.#heard) if (now_ms - heard.at_ms > this.#forget_after_ms) this.#heard.delete(id);
  }
}
