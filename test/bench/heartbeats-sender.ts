/** The sending process of the heartbeat bench: good heartbeats at a steady rate, with late, forged and broken ones between. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { encodeHeartbeat } from '../../src/wire/heartbeat.ts';
import { beatOf, type Planted } from '../features/health-fixture.ts';

/** What is to be sent, and where. */
export type SenderOrder = {
  readonly address: string;
  readonly port: number;
  readonly key: string;
  readonly planted: readonly Planted[];
  /** Good heartbeats per second. */
  readonly rate: number;
  readonly seconds: number;
  /** One in so many is followed by a late one, a forged one and a broken one each. */
  readonly one_in: number;
  /** Names the boot of the agents, so that several runs do not look like replays. */
  readonly boot_id: string;
};

/** What was sent. `encoded`: everything is ready and `go` is awaited. */
export type SenderReport =
  | { readonly encoded: true }
  | { readonly good: number; readonly late: number; readonly forged: number; readonly malformed: number };

type Datagram = { readonly kind: 'good' | 'late' | 'forged' | 'malformed'; readonly bytes: Buffer };

const tickMs = 5;

process.once('message', (order: SenderOrder) => {
  const datagrams = encodeAll(order);
  process.send!({ encoded: true } satisfies SenderReport);
  process.once('message', () => void send(order, datagrams).then(report));
});

const report = (sent: SenderReport): void => {
  process.send!(sent, undefined, undefined, () => process.disconnect());
};

/** Encoded beforehand: deflating at level 9 is the agents' work, and would slow the sending down. */
function encodeAll({ planted, key, rate, seconds, one_in, boot_id }: SenderOrder): Datagram[] {
  const datagrams: Datagram[] = [];
  for (let n = 0; n < rate * seconds; n += 1) {
    const each = planted[n % planted.length]!;
    const seq = Math.floor(n / planted.length) + 1;
    // One in a hundred has a member that goes down or comes back.
    const members = n % 100 === 0 && seq % 2 === 1 ? ['DOWN', 'UP'] : ['UP', 'UP'];
    const beat = beatOf(each, { seq, boot_id, members, stats: { rx: 100, tx: 1000, conns: 3, totconns: 5 } });
    datagrams.push({ kind: 'good', bytes: encodeHeartbeat(beat, key) });
    if (n % one_in !== 0) continue;
    datagrams.push({ kind: 'late', bytes: encodeHeartbeat({ ...beat, seq: seq - 1 }, key) });
    datagrams.push({ kind: 'forged', bytes: encodeHeartbeat(beat, 'a wrong key') });
    datagrams.push({ kind: 'malformed', bytes: randomBytes(20) });
  }
  return datagrams;
}

async function send({ address, port, rate, seconds }: SenderOrder, datagrams: readonly Datagram[]): Promise<SenderReport> {
  const socket = createSocket('udp4');
  const sent = { good: 0, late: 0, forged: 0, malformed: 0 };
  const perMs = datagrams.length / (seconds * 1000);
  const begun = performance.now();
  let next = 0;
  while (next < datagrams.length) {
    // What a slow tick missed is caught up, but not in one burst that no real network of agents would send.
    const due = Math.min(datagrams.length, Math.floor((performance.now() - begun) * perMs) + 1, next + Math.ceil(rate / 20));
    for (; next < due; next += 1) {
      const { kind, bytes } = datagrams[next]!;
      sent[kind] += 1;
      socket.send(bytes, port, address);
    }
    await new Promise((resolve) => setTimeout(resolve, tickMs));
  }
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return sent;
}
