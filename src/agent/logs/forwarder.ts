/** Sends lines to the first receiver that takes them, in the background: nothing waits for it. */
import { setTimeout as after } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Lines } from './lines.ts';
import { LineQueue } from './queue.ts';
import type { LogTarget, Wire } from './wires.ts';
import { openWire } from './wires.ts';

/** How to send. */
export type Sending = {
  /** In the order of preference. */
  readonly targets: readonly LogTarget[];
  readonly protocol: 'TCP' | 'UDP';
  /** How often a receiver is tried again before it counts as failed, and the wait before each try. */
  readonly retry_count: number;
  readonly retry_interval_ms: number;
  /** Lines that wait at most. */
  readonly queue_size: number;
};

/** What became of the lines. */
export type SendingCounts = {
  readonly sent: number;
  /** Found no room in the queue. */
  readonly dropped: number;
  readonly waiting: number;
  /** Who takes them now, as `host:port`; null: nobody. */
  readonly target: string | null;
};

const BYTES_AT_ONCE = 256 * 1024;
/** How often a receiver that failed is looked for; over UDP it must be tried with lines, which may be lost, so that is rare. */
const LOOK_EVERY_MS = 1000;
const DATAGRAM_REST_MS = 30_000;
const DATAGRAM_NEWS_MS = 2000;
/** When all have failed. */
const WAIT_MS = 200;

type Receiver = LogTarget & { failures: number; rests_until: number };

/** Sends the lines of one kind of log. */
export class Forwarder {
  readonly #name: string;
  readonly #log: Log;
  #sending: Sending;
  #receivers: Receiver[];
  readonly #queue: LineQueue;
  #wire: { readonly wire: Wire; readonly of: Receiver; readonly opened_at: number } | undefined;
  #sent = 0;
  #wake: () => void = () => undefined;
  #stopping = new AbortController();
  #running: Promise<void>;

  constructor(name: string, sending: Sending, log: Log) {
    this.#name = name;
    this.#log = log;
    this.#sending = sending;
    this.#receivers = receiversOf(sending);
    this.#queue = new LineQueue(sending.queue_size);
    this.#running = this.#run();
  }

  /** Takes lines; they are dropped when too many wait. */
  offer(lines: Lines): void {
    if (lines.count === 0) return;
    this.#queue.push(lines);
    this.#wake();
  }

  /** Takes another configuration: what waits goes to the new receivers. */
  configure(sending: Sending): void {
    if (JSON.stringify(sending) === JSON.stringify(this.#sending)) return;
    this.#sending = sending;
    this.#receivers = receiversOf(sending);
    this.#queue.limitTo(sending.queue_size);
    this.#drop();
    this.#stopping.abort();
    this.#wake();
    this.#stopping = new AbortController();
    const before = this.#running;
    const { signal } = this.#stopping;
    this.#running = before.then(() => this.#run(signal));
  }

  /** What became of the lines so far. */
  counts(): SendingCounts {
    const of = this.#wire?.wire.isBroken === false ? this.#wire.of : undefined;
    return { sent: this.#sent, dropped: this.#queue.dropped, waiting: this.#queue.count, target: of === undefined ? null : nameOf(of) };
  }

  /** Ends; what waits is lost. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
    this.#drop();
  }

  async #run(signal = this.#stopping.signal): Promise<void> {
    while (!signal.aborted) {
      const lines = this.#queue.take(BYTES_AT_ONCE);
      if (lines === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else await this.#deliver(lines, signal);
    }
  }

  /** Until it is done: over TCP what was on its way when a connection broke is sent again, so it may come twice, never not at all. */
  async #deliver(lines: Lines, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const receiver = this.#choose();
      if (receiver === undefined) {
        await pause(WAIT_MS, signal);
        continue;
      }
      try {
        await (await this.#wireTo(receiver)).send(lines);
        if (this.#isTrusted()) receiver.failures = 0;
        this.#sent += lines.count;
        return;
      } catch (error) {
        this.#drop();
        await this.#failed(receiver, error, signal);
      }
    }
    this.#queue.putBack(lines);
  }

  /** The first that has not failed, or has come back. */
  #choose(): Receiver | undefined {
    const now = performance.now();
    return this.#receivers.find((receiver) => receiver.rests_until <= now);
  }

  async #wireTo(receiver: Receiver): Promise<Wire> {
    const { protocol } = this.#sending;
    if (this.#wire?.of === receiver) {
      if (!this.#wire.wire.isBroken) return this.#wire.wire;
      // Over TCP a new connection shows whether somebody is there again.
      if (protocol === 'UDP') throw new Error('nobody takes the datagrams');
    }
    const wire = await openWire(protocol, receiver);
    this.#drop();
    this.#wire = { wire, of: receiver, opened_at: performance.now() };
    this.#log('info', 'logs are sent', { logs: this.#name, target: nameOf(receiver) });
    return wire;
  }

  /** A datagram is always taken: that nobody was there is told later. */
  #isTrusted(): boolean {
    return this.#sending.protocol === 'TCP' || performance.now() - (this.#wire?.opened_at ?? Infinity) > DATAGRAM_NEWS_MS;
  }

  async #failed(receiver: Receiver, error: unknown, signal: AbortSignal): Promise<void> {
    const { retry_count, retry_interval_ms, protocol } = this.#sending;
    receiver.failures += 1;
    if (receiver.failures <= retry_count) return pause(retry_interval_ms, signal);
    // Over UDP one that rested fails at its first try: what waits must not wait for it again.
    if (receiver.failures === retry_count + 1)
      this.#log('warn', 'logs cannot be sent', { logs: this.#name, target: nameOf(receiver), error });
    receiver.rests_until = protocol === 'TCP' ? Infinity : performance.now() + DATAGRAM_REST_MS;
    if (protocol === 'TCP') void this.#awaitReturn(receiver, signal);
  }

  /** Beside the work: a host that is gone takes seconds to say so. */
  async #awaitReturn(receiver: Receiver, signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(Math.max(LOOK_EVERY_MS, this.#sending.retry_interval_ms), signal);
      if (signal.aborted) return;
      try {
        (await openWire('TCP', receiver)).close();
        Object.assign(receiver, { failures: 0, rests_until: -Infinity });
        return;
      } catch {
        // Later again.
      }
    }
  }

  #drop(): void {
    this.#wire?.wire.close();
    this.#wire = undefined;
  }
}

const receiversOf = ({ targets }: Sending): Receiver[] => targets.map((target) => ({ ...target, failures: 0, rests_until: -Infinity }));
const nameOf = ({ host, port }: LogTarget): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
const pause = (ms: number, signal: AbortSignal): Promise<void> => after(ms, undefined, { signal }).catch(() => undefined);
