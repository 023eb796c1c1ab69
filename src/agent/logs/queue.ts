/** Lines that wait to be sent: at most so many, the newest are dropped and counted. */
import type { Lines } from './lines.ts';

const LINE_BREAK = 10;

/** A queue with a limit in lines. */
export class LineQueue {
  #limit: number;
  readonly #waiting: Lines[] = [];
  #count = 0;
  #dropped = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Lines that wait. */
  get count(): number {
    return this.#count;
  }

  /** Lines that found no room, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Changes the limit for what comes from now on. */
  limitTo(limit: number): void {
    this.#limit = limit;
  }

  /** Adds lines, or the first of them that have room. */
  push(lines: Lines): void {
    const room = this.#limit - this.#count;
    const kept = lines.count <= room ? lines : firstLines(lines, Math.max(0, room));
    this.#dropped += lines.count - kept.count;
    if (kept.count === 0) return;
    this.#waiting.push(kept);
    this.#count += kept.count;
  }

  /** Takes the oldest, in whole portions: at least one, no more than `bytes` in all if there are several; undefined: nothing waits. */
  take(bytes: number): Lines | undefined {
    let [length, portions] = [0, 0];
    for (const { bytes: portion } of this.#waiting) {
      if (portions > 0 && length + portion.length > bytes) break;
      length += portion.length;
      portions += 1;
    }
    if (portions === 0) return undefined;
    const taken = this.#waiting.splice(0, portions);
    const count = taken.reduce((sum, lines) => sum + lines.count, 0);
    this.#count -= count;
    return { bytes: taken.length === 1 ? (taken[0]?.bytes ?? Buffer.alloc(0)) : Buffer.concat(taken.map((lines) => lines.bytes)), count };
  }

  /** Puts what was taken back at the head. */
  putBack(lines: Lines): void {
    this.#waiting.unshift(lines);
    this.#count += lines.count;
  }
}

function firstLines({ bytes }: Lines, count: number): Lines {
  let end = 0;
  for (let line = 0; line < count; line += 1) end = bytes.indexOf(LINE_BREAK, end) + 1;
  return { bytes: bytes.subarray(0, end), count };
}
