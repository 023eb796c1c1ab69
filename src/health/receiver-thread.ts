/**
 * The thread that owns the heartbeat socket and does nothing else: verify, put in order, hand over in batches.
 *
 * A thread of its own because whatever keeps the main thread busy for 100 ms fills the kernel's buffer, and what is dropped
 * there looks like a silent amphora (measured: 10 % of 3,000 heartbeats/s arrived beside a database on the same thread).
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { parentPort, workerData } from 'node:worker_threads';
import { decodeHeartbeat } from '../wire/heartbeat.ts';
import { NewestHeard } from './order.ts';
import { monotonicMs, ReceiverCounters } from './receiver-counters.ts';

/** What the thread is started with. */
export type ReceiverSettings = {
  readonly bind_ip: string;
  readonly bind_port: number;
  readonly keys: readonly string[];
  /** Receive buffer of the socket; the kernel gives at most `net.core.rmem_max`. */
  readonly recv_buffer_bytes: number;
  readonly counters: SharedArrayBuffer;
};

/** What the thread reports. `batch`: JSON of `[monotonic time of receipt in ms, Heartbeat][]`. */
export type ReceiverEvent =
  | { readonly event: 'listening'; readonly address: string; readonly port: number; readonly recv_buffer_bytes: number }
  | { readonly event: 'batch'; readonly batch: string; readonly count: number }
  | { readonly event: 'failed'; readonly code: string; readonly message: string };

/** What the thread is told. `taken`: so many heartbeats were worked off, send more. */
export type ReceiverOrder =
  | { readonly order: 'taken'; readonly count: number; readonly length: number }
  | { readonly order: 'keys'; readonly keys: readonly string[] }
  | { readonly order: 'stop' };

const batchSize = 128;
const batchDelayMs = 10;
/** Heartbeats handed over and not worked off yet; more wait here. */
const inFlightLimit = 4096;
/** The same in characters of JSON: heartbeats with thousands of members are large. */
const inFlightLengthLimit = 8 * 1024 * 1024;
/** What may wait here, in characters of JSON (two bytes each at worst); beyond it the oldest are dropped: newer ones say more. */
const waitingLimit = 24 * 1024 * 1024;
const probeEveryMs = 500;
const rememberMs = 3_600_000;

const settings = workerData as ReceiverSettings;
const port = parentPort!;
const counters = new ReceiverCounters(settings.counters);
const newest = new NewestHeard(rememberMs);
const probe = randomBytes(24);
let keys = settings.keys;
let inFlight = 0;
let inFlightLength = 0;
let waiting: string[] = [];
let oldest = 0;
let waitingLength = 0;
let timer: NodeJS.Timeout | undefined;

const socket = openSocket();
port.on('message', (order: ReceiverOrder) => {
  if (order.order === 'keys') keys = order.keys;
  if (order.order === 'stop') stop();
  if (order.order === 'taken') {
    inFlight -= order.count;
    inFlightLength -= order.length;
    handOver();
  }
});
const turning = setInterval(() => counters.note('turned_us', monotonicMs()), 100);
const probing = setInterval(sendProbe, probeEveryMs);

function openSocket(): Socket {
  const family = settings.bind_ip.includes(':') ? 'udp6' : 'udp4';
  const opened = createSocket({ type: family, recvBufferSize: settings.recv_buffer_bytes });
  opened.on('message', receive);
  opened.on('error', (error: NodeJS.ErrnoException) => {
    report({ event: 'failed', code: error.code ?? 'UNKNOWN', message: error.message });
    stop();
  });
  opened.bind({ address: settings.bind_ip, port: settings.bind_port }, () => {
    const { address, port: bound } = opened.address();
    counters.note('turned_us', monotonicMs());
    counters.note('probed_us', monotonicMs());
    report({ event: 'listening', address, port: bound, recv_buffer_bytes: opened.getRecvBufferSize() });
    sendProbe();
  });
  return opened;
}

/** A datagram to ourselves: what comes back proves that the socket still hears. */
function sendProbe(): void {
  try {
    const { address, port: bound } = socket.address();
    const own = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
    // An error (no route, no buffer) shows as a probe that does not come back.
    socket.send(probe, bound, own, () => undefined);
  } catch {
    // Not bound yet, or closing.
  }
}

function receive(datagram: Buffer): void {
  if (datagram.length === probe.length && datagram.equals(probe)) {
    counters.note('probed_us', monotonicMs());
    return;
  }
  counters.count('received');
  const decoded = decodeHeartbeat(datagram, keys);
  if (!decoded.ok) {
    counters.count(decoded.reason === 'too-large' ? 'too_large' : decoded.reason);
    return;
  }
  const now = monotonicMs();
  if (!newest.accept(decoded.message, now)) {
    counters.count('replayed');
    return;
  }
  counters.count('taken');
  enqueue(`[${now.toFixed(3)},${JSON.stringify(decoded.message)}]`);
}

function enqueue(line: string): void {
  waiting.push(line);
  waitingLength += line.length;
  while (waitingLength > waitingLimit && waiting.length - oldest > 1) {
    waitingLength -= waiting[oldest]!.length;
    waiting[oldest] = '';
    oldest += 1;
    counters.count('overflow');
  }
  if (waiting.length - oldest >= batchSize) handOver();
  else timer ??= setTimeout(handOver, batchDelayMs);
}

function handOver(): void {
  clearTimeout(timer);
  timer = undefined;
  while (waiting.length > oldest && inFlight < inFlightLimit && inFlightLength < inFlightLengthLimit) {
    const end = Math.min(waiting.length, oldest + batchSize);
    const lines = waiting.slice(oldest, end);
    oldest = end;
    for (const line of lines) waitingLength -= line.length;
    inFlight += lines.length;
    const batch = `[${lines.join(',')}]`;
    inFlightLength += batch.length;
    report({ event: 'batch', batch, count: lines.length });
  }
  if (oldest > 0) {
    waiting = waiting.slice(oldest);
    oldest = 0;
  }
}

function report(event: ReceiverEvent): void {
  port.postMessage(event);
}

function stop(): void {
  clearInterval(turning);
  clearInterval(probing);
  clearTimeout(timer);
  try {
    socket.close();
  } catch {
    // Closed already: the error that stops us has closed it.
  }
  // Whoever stops us takes what is left, however much is unfinished.
  inFlight = -waiting.length;
  inFlightLength = -waitingLength;
  handOver();
  port.close();
}
