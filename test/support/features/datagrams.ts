/** Clients that speak UDP: one is one flow. */
import { createSocket } from 'node:dgram';
import type { TestContext } from 'node:test';

/** A client with a port of its own. */
export type DatagramClient = {
  /** Sends a text and answers the name of the member that sent it back; null when nobody does in time. */
  ask(timeout_ms?: number): Promise<string | null>;
  close(): void;
};

/** Where datagrams are sent to. */
export type DatagramTarget = { readonly address: string; readonly port: number };

/** Opens one; it is closed at the end of the test. */
export function openDatagramClient(t: Pick<TestContext, 'after'>, { address, port }: DatagramTarget): DatagramClient {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  let isOpen = true;
  let count = 0;
  const close = (): void => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  t.after(close);
  // A refusal by ICMP is silence to the client, as a lost datagram is.
  socket.on('error', () => undefined);
  return {
    close,
    ask: (timeout_ms = 500) =>
      new Promise((resolve) => {
        const text = `question ${(count += 1)}`;
        const end = (name: string | null): void => {
          clearTimeout(timer);
          socket.off('message', hear);
          resolve(name);
        };
        const hear = (answer: Buffer): void => {
          const [name = '', ...rest] = answer.toString().split(' ');
          if (rest.join(' ') === text) end(name);
        };
        const timer = setTimeout(() => end(null), timeout_ms);
        socket.on('message', hear);
        socket.send(text, port, address);
      }),
  };
}

/** Asks with so many new clients, one question each; answers how often each member answered. */
export async function askByFlows(t: Pick<TestContext, 'after'>, target: DatagramTarget, flows: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let flow = 0; flow < flows; flow += 1) {
    const client = openDatagramClient(t, target);
    const name = (await client.ask()) ?? 'nobody';
    counts[name] = (counts[name] ?? 0) + 1;
    client.close();
  }
  return counts;
}
