/** Ways to a receiver of syslog: TCP with a line break after each message (RFC 6587, 3.4.2), UDP with a datagram for each (RFC 5426). */
import { createSocket } from 'node:dgram';
import type { Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Lines } from './lines.ts';

/** Where logs are sent. */
export type LogTarget = { readonly host: string; readonly port: number };

/** An open way; `send` resolves when the kernel has taken all. Both `send` and opening throw the connection's error. */
export interface Wire {
  readonly isBroken: boolean;
  send(lines: Lines): Promise<void>;
  close(): void;
}

/** How long a connection may take, and a receiver that takes nothing. */
const PATIENCE_MS = 5000;
const LINE_BREAK = 10;
/** Datagrams between two looks at the agent's other work. */
const DATAGRAMS_AT_ONCE = 64;

/** Opens a way. */
export function openWire(protocol: 'TCP' | 'UDP', target: LogTarget): Promise<Wire> {
  return protocol === 'TCP' ? TcpWire.open(target) : UdpWire.open(target);
}

class TcpWire implements Wire {
  readonly #socket: Socket;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error) => (this.#error = error));
    // Whoever receives says nothing: the end of its side is the end of the connection.
    socket.on('end', () => socket.destroy(new Error('the receiver has closed the connection')));
    socket.resume();
  }

  static async open({ host, port }: LogTarget): Promise<Wire> {
    const socket = connect({ host, port, noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error(`${host} does not answer`)), PATIENCE_MS);
    try {
      await once(socket, 'connect');
    } finally {
      clearTimeout(timer);
    }
    socket.setKeepAlive(true, PATIENCE_MS);
    return new TcpWire(socket);
  }

  get isBroken(): boolean {
    return this.#socket.destroyed;
  }

  send({ bytes }: Lines): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#socket.destroy(new Error('the receiver takes nothing any more')), PATIENCE_MS);
      const isDone = (error?: Error | null): void => {
        clearTimeout(timer);
        if (error === undefined || error === null) resolve();
        else reject(this.#error ?? error);
      };
      this.#socket.write(bytes, isDone);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

class UdpWire implements Wire {
  readonly #socket: DatagramSocket;
  #error: Error | undefined;

  constructor(socket: DatagramSocket) {
    this.#socket = socket;
    // Nobody listens there: the news comes after what was sent.
    socket.on('error', (error) => (this.#error = error));
  }

  static async open({ host, port }: LogTarget): Promise<Wire> {
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', sendBufferSize: 1024 * 1024 });
    try {
      socket.connect(port, host);
      await once(socket, 'connect');
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.unref();
    return new UdpWire(socket);
  }

  get isBroken(): boolean {
    return this.#error !== undefined;
  }

  async send({ bytes }: Lines): Promise<void> {
    for (let start = 0; start < bytes.length;) {
      if (this.#error !== undefined) throw this.#error;
      start = await this.#sendSome(bytes, start);
      await turn();
    }
  }

  /** Answers where the next begins. */
  #sendSome(bytes: Buffer, from: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let [start, pending, isAll] = [from, 0, false];
      const isDone = (error: Error | null): void => {
        pending -= 1;
        if (error !== null) reject(error);
        else if (isAll && pending === 0) resolve(start);
      };
      for (let count = 0; count < DATAGRAMS_AT_ONCE && start < bytes.length; count += 1) {
        const end = bytes.indexOf(LINE_BREAK, start);
        pending += 1;
        this.#socket.send(bytes, start, end - start, isDone);
        start = end + 1;
      }
      isAll = true;
    });
  }

  close(): void {
    this.#socket.close();
  }
}
