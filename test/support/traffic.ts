/** Bounded traffic for tests, to loopback or to a VIP that the test made, which remembers every request that was not answered. */
import { request as httpRequest, Agent } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';

/** Where traffic goes. Certificates are not checked. */
export type Target = { readonly address: string; readonly port: number; readonly protocol?: 'http' | 'https' | 'tcp' };

/** A request that was not answered as it should: when (epoch, milliseconds) and why. */
export type Failure = { readonly at_ms: number; readonly reason: string };

/** What was sent so far. */
export type Traffic = {
  /** Requests that ended, answered or not. */
  sent(): number;
  failures(): readonly Failure[];
  /** Who answered when, oldest first. */
  answers(): readonly { readonly at_ms: number; readonly name: string }[];
  /** Connections that were opened. */
  connections(): number;
  /** Ends it; the request under way is waited for. */
  stop(): Promise<void>;
};

/** How traffic is sent. */
export type TrafficOptions = Target & {
  /** `fresh`: a connection for each request. `persistent`: one for all, and losing it is a failure. `keep-alive`: one as long as it lasts. */
  readonly connections: 'fresh' | 'persistent' | 'keep-alive';
  readonly per_second?: number;
  /** What is asked for; `/` unless given. */
  readonly path?: string;
  /** Requests at most; then it ends by itself. */
  readonly limit?: number;
};

const request_timeout_ms = 3000;

/** Starts sending, one request after the other; ends with the test. */
export function startTraffic(t: Pick<TestContext, 'after'>, options: TrafficOptions): Traffic {
  const { per_second = 25, limit = 10_000 } = options;
  const line = openLine(options, options.path);
  const failures: Failure[] = [];
  const answers: { at_ms: number; name: string }[] = [];
  const stopping = new AbortController();

  const run = async (): Promise<void> => {
    for (let count = 0; count < limit && !stopping.signal.aborted; count += 1) {
      const begun = Date.now();
      try {
        const name = await line.ask();
        answers.push({ at_ms: Date.now(), name });
      } catch (error) {
        failures.push({ at_ms: Date.now(), reason: error instanceof Error ? error.message : String(error) });
      }
      await pause(Math.max(0, begun + 1000 / per_second - Date.now()), stopping.signal);
    }
  };
  const ended = run();
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
    line.close();
  };
  t.after(stop);
  return {
    sent: () => failures.length + answers.length,
    failures: () => failures,
    answers: () => answers,
    connections: () => line.connections(),
    stop,
  };
}

/** Sends one request on a connection of its own; answers who answered. Throws what went wrong. */
export async function ask(target: Target, path = '/'): Promise<string> {
  const line = openLine({ ...target, connections: 'fresh' }, path);
  try {
    return await line.ask();
  } finally {
    line.close();
  }
}

/** Sends a few requests one after the other, each on a connection of its own; answers who answered how often. Throws on the first failure. */
export async function askMany(target: Target, count: number): Promise<Map<string, number>> {
  const names = new Map<string, number>();
  for (let each = 0; each < count; each += 1) {
    const name = await ask(target);
    names.set(name, (names.get(name) ?? 0) + 1);
  }
  return names;
}

/** Failures as text for a message. */
export function tellFailures(failures: readonly Failure[]): string {
  return failures.map(({ at_ms, reason }) => `${new Date(at_ms).toISOString()} ${reason}`).join('\n');
}

/** A way to send requests. */
type Line = { ask(): Promise<string>; connections(): number; close(): void };

function openLine(options: Target & Pick<TrafficOptions, 'connections'>, path = '/'): Line {
  return options.protocol === 'tcp' ? openTcp(options) : openHttp(options, path);
}

function openHttp({ address, port, protocol, connections }: Target & Pick<TrafficOptions, 'connections'>, path: string): Line {
  const isPersistent = connections === 'persistent';
  const pooling = { keepAlive: connections !== 'fresh', maxSockets: 1 };
  // A session that is resumed would not meet another certificate.
  const agent = protocol === 'https' ? new TlsAgent({ ...pooling, rejectUnauthorized: false, maxCachedSessions: 0 }) : new Agent(pooling);
  let opened = 0;
  const askOnce = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const send = protocol === 'https' ? tlsRequest : httpRequest;
      const request = send({ host: address, port, path, agent, timeout: request_timeout_ms, family: address.includes(':') ? 6 : 4 });
      let isAnother = false;
      request.on('socket', () => {
        if (request.reusedSocket) return;
        opened += 1;
        isAnother = isPersistent && opened > 1;
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
          else if (isAnother) reject(new Error('the persistent connection was lost'));
          else resolve(text);
        });
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${request_timeout_ms} ms`)));
      request.on('error', reject);
      request.end();
    });
  return { ask: askOnce, connections: () => opened, close: () => agent.destroy() };
}

function openTcp({ address, port, connections }: Target & Pick<TrafficOptions, 'connections'>): Line {
  let socket: Socket | null = null;
  let opened = 0;
  let lines = 0;
  return {
    async ask() {
      const isLost = opened > 0 && (socket === null || socket.destroyed);
      if (socket === null || socket.destroyed) {
        socket = await dial(address, port);
        opened += 1;
      }
      if (connections === 'persistent' && isLost) throw new Error('the persistent connection was lost');
      lines += 1;
      const answer = await exchange(socket, `line-${lines}\n`);
      if (!answer.endsWith(` line-${lines}`)) throw new Error(`a wrong answer: ${answer}`);
      if (connections === 'fresh') socket.destroy();
      return answer.slice(0, answer.indexOf(' '));
    },
    connections: () => opened,
    close: () => void socket?.destroy(),
  };
}

function dial(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    socket.setTimeout(request_timeout_ms, () => socket.destroy(new Error(`no answer within ${request_timeout_ms} ms`)));
    // It stays: a late error of a connection that nobody waits for must not end the test.
    socket.on('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

function exchange(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const done = (finish: () => void): void => {
      socket.off('data', onText).off('error', onError).off('close', onClose);
      finish();
    };
    const onText = (chunk: Buffer): void => {
      answer += chunk.toString();
      if (answer.includes('\n')) done(() => resolve(answer.slice(0, answer.indexOf('\n'))));
    };
    const onError = (error: Error): void => done(() => reject(error));
    const onClose = (): void => done(() => reject(new Error('the connection was closed')));
    socket.on('data', onText).on('error', onError).on('close', onClose);
    socket.write(text);
  });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Aborted: it ends at once.
  await after(ms, undefined, { signal }).catch(() => undefined);
}
