/** Numbers that the receiver's thread writes and everybody else reads, in shared memory: reading costs no message. */

/** What is counted, in the order of the slots. */
const counted = ['received', 'taken', 'forged', 'malformed', 'too_large', 'replayed', 'overflow'] as const;

/** The monotonic time of the thread's last turn, and of the last probe that came back through the socket. */
const times = ['turned_us', 'probed_us'] as const;

/** Why a datagram was dropped in the thread, or that it was not. */
export type ReceiverCounter = (typeof counted)[number];

/** Datagrams since the start, by what became of them. */
export type ReceiverCounts = Readonly<Record<ReceiverCounter, number>>;

const slots: readonly string[] = [...counted, ...times];

/** The shared numbers; both sides make one over the same memory. */
export class ReceiverCounters {
  readonly memory: SharedArrayBuffer;
  readonly #slots: BigInt64Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(slots.length * 8)) {
    this.memory = memory;
    this.#slots = new BigInt64Array(memory);
  }

  /** Counts one more (or `by` more). */
  count(what: ReceiverCounter, by = 1): void {
    Atomics.add(this.#slots, counted.indexOf(what), BigInt(by));
  }

  /** Notes a time; see `monotonicMs`. */
  note(what: (typeof times)[number], at_ms: number): void {
    Atomics.store(this.#slots, slots.indexOf(what), BigInt(Math.round(at_ms * 1000)));
  }

  /** The last time noted, in monotonic milliseconds; 0: never. */
  timeOf(what: (typeof times)[number]): number {
    return Number(Atomics.load(this.#slots, slots.indexOf(what))) / 1000;
  }

  /** All counts as they are now. */
  counts(): ReceiverCounts {
    const entries = counted.map((name, slot) => [name, Number(Atomics.load(this.#slots, slot))] as const);
    return Object.fromEntries(entries) as ReceiverCounts;
  }
}

/** Milliseconds that only grow, the same in every thread of this process; they have nothing to do with the time of day. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
