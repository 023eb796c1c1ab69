/** The near side of the heartbeat socket: starts the thread that owns it, and again when it dies. */
import { Worker } from 'node:worker_threads';
import { backoffDelay } from '../lib/backoff.ts';
import type { Logger } from '../lib/log.ts';
import type { Secret } from '../lib/secret.ts';
import type { Heartbeat } from '../wire/heartbeat.ts';
import { monotonicMs, ReceiverCounters, type ReceiverCounts } from './receiver-counters.ts';
import type { ReceiverEvent, ReceiverOrder, ReceiverSettings } from './receiver-thread.ts';

/** A heartbeat and the monotonic time (see `monotonicMs`) at which its datagram was read from the socket. */
export type Taken = readonly [received_ms: number, heartbeat: Heartbeat];

/** What a receiver is started with. */
export type ReceiverOptions = {
  /** IPv4 or IPv6; `::` takes both where the kernel does. */
  readonly bind_ip: string;
  /** 0 takes a free one. */
  readonly bind_port: number;
  /** Keys that are valid now; more than one while a key is being replaced. */
  readonly heartbeat_keys: readonly Secret[];
  /** Receive buffer of the socket; 0: as large as the kernel allows. */
  readonly recv_buffer_bytes?: number;
  readonly log: Logger;
  /** Gets each batch; the thread hands over more only while few are unfinished, so a slow taker bounds itself. */
  readonly onBatch: (batch: readonly Taken[]) => Promise<void>;
};

/** A running receiver. */
export interface Receiver {
  /** Where it listens, the real port included. */
  readonly address: { readonly address: string; readonly port: number };
  /** Datagrams since the start, by what became of them. */
  counts(): ReceiverCounts;
  /** The latest monotonic time (ms) at which it surely heard: the thread turned, and a datagram to itself came back. */
  lastHeardItself(): number;
  /** Accepts these keys from now on. */
  setKeys(heartbeat_keys: readonly Secret[]): void;
  stop(): Promise<void>;
}

/** Asked of the kernel when nothing else is configured; it gives less where `net.core.rmem_max` is less. */
const largestBuffer = 8 * 1024 * 1024;
const restart = { base_ms: 200, max_ms: 5000 };

/** Starts to listen; rejects with a sentence when the address cannot be had. Later failures of the thread are mended here. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const receiver = new ThreadReceiver(options);
  await receiver.begin();
  return receiver;
}

class ThreadReceiver implements Receiver {
  readonly #options: ReceiverOptions;
  readonly #counters = new ReceiverCounters();
  #worker: Worker | undefined;
  #address = { address: '', port: 0 };
  #keys: readonly string[];
  #stopped = false;
  #failures = 0;
  #restarting: NodeJS.Timeout | undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#keys = options.heartbeat_keys.map((key) => key.reveal());
  }

  get address(): { readonly address: string; readonly port: number } {
    return this.#address;
  }

  counts(): ReceiverCounts {
    return this.#counters.counts();
  }

  lastHeardItself(): number {
    return Math.min(this.#counters.timeOf('turned_us'), this.#counters.timeOf('probed_us'));
  }

  setKeys(heartbeat_keys: readonly Secret[]): void {
    this.#keys = heartbeat_keys.map((key) => key.reveal());
    this.#order({ order: 'keys', keys: this.#keys });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#restarting);
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    this.#order({ order: 'stop' });
    await ended;
  }

  /** Starts the thread; settles when it listens or cannot. */
  begin(): Promise<void> {
    const { bind_ip, recv_buffer_bytes } = this.#options;
    const settings: ReceiverSettings = {
      bind_ip,
      // A thread that is started again listens where the first one did.
      bind_port: this.#address.port === 0 ? this.#options.bind_port : this.#address.port,
      keys: this.#keys,
      recv_buffer_bytes: recv_buffer_bytes === undefined || recv_buffer_bytes === 0 ? largestBuffer : recv_buffer_bytes,
      counters: this.#counters.memory,
    };
    const worker = new Worker(new URL('./receiver-thread.ts', import.meta.url), { workerData: settings, name: 'heartbeats' });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      worker.on('error', (error) => (failure = error instanceof Error ? error : new Error(String(error))));
      worker.on('message', (event: ReceiverEvent) => {
        if (event.event === 'batch') void this.#take(worker, event.batch, event.count);
        else if (event.event === 'failed') failure = new Error(this.#sentence(event.code, event.message));
        else {
          this.#listening(event);
          resolve();
        }
      });
      worker.on('exit', () => {
        const cause = failure ?? new Error('The thread that receives heartbeats ended.');
        reject(cause);
        this.#lost(worker, cause);
      });
    });
  }

  #listening(event: ReceiverEvent & { readonly event: 'listening' }): void {
    this.#address = { address: event.address, port: event.port };
    this.#failures = 0;
    this.#options.log.debug({ ...this.#address, recv_buffer_bytes: event.recv_buffer_bytes }, 'heartbeats are received');
  }

  async #take(worker: Worker, text: string, count: number): Promise<void> {
    try {
      await this.#options.onBatch(JSON.parse(text) as Taken[]);
    } catch (error) {
      this.#options.log.error({ err: error, count }, 'heartbeats were lost by an error');
    }
    if (this.#worker === worker && !this.#stopped)
      worker.postMessage({ order: 'taken', count, length: text.length } satisfies ReceiverOrder);
  }

  #lost(worker: Worker, cause: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    // Never listened: `startReceiver` has told its caller.
    if (this.#stopped || this.#address.port === 0) return;
    this.#failures += 1;
    const wait_ms = backoffDelay(this.#failures, restart, Math.random());
    this.#options.log.error({ err: cause, wait_ms }, 'the thread that receives heartbeats died and is started again');
    this.#restarting = setTimeout(() => void this.begin().catch(() => undefined), wait_ms);
  }

  #sentence(code: string, message: string): string {
    const where = `UDP ${this.#options.bind_ip} port ${this.#options.bind_port}`;
    if (code === 'EADDRINUSE')
      return `Heartbeats cannot be received: ${where} is taken; stop the other program or set [health_manager] bind_port.`;
    if (code === 'EADDRNOTAVAIL')
      return `Heartbeats cannot be received: this machine has no address ${this.#options.bind_ip}; set [health_manager] bind_ip.`;
    return `Heartbeats cannot be received on ${where}: ${message}`;
  }

  #order(order: ReceiverOrder): void {
    this.#worker?.postMessage(order);
  }
}

/** How long ago the receiver surely heard, in milliseconds. */
export const deafSinceMs = (receiver: Pick<Receiver, 'lastHeardItself'>): number => Math.max(0, monotonicMs() - receiver.lastHeardItself());
