/** Receivers of syslog and clients for tests, each a process in a network namespace. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';

/** A receiver that can be killed and started again at the same port. */
export type SyslogReceiver = {
  readonly port: number;
  /** Messages as they came, oldest first. */
  lines(): readonly string[];
  kill(): Promise<void>;
  start(): Promise<void>;
};

/** Arguments: protocol, address, port. Writes its port, then each message as JSON. A connection's unfinished message counts, too: it would be a cut one. */
const receiver = `
const [protocol, address, port] = process.argv.slice(1);
const tell = (text) => process.stdout.write(JSON.stringify(text) + '\\n');
if (protocol === 'UDP') {
  const socket = require('node:dgram').createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 });
  socket.on('message', (message) => tell(message.toString('latin1')));
  socket.bind(Number(port), address, () => tell(socket.address().port));
} else {
  const server = require('node:net').createServer((socket) => {
    let rest = '';
    socket.setEncoding('latin1').on('data', (text) => {
      const lines = (rest + text).split('\\n');
      rest = lines.pop();
      lines.forEach(tell);
    }).on('close', () => rest === '' || tell(rest)).on('error', () => 0);
  });
  server.listen(Number(port), address, () => tell(server.address().port));
}
`;

/** Starts a receiver in a namespace, the test's own unless given; it ends with the test. Throws when it cannot listen. */
export async function startSyslog(
  t: Pick<TestContext, 'after'>,
  options: { readonly protocol: 'TCP' | 'UDP'; readonly address: string; readonly netns?: string; readonly port?: number },
): Promise<SyslogReceiver> {
  const { protocol, address, netns } = options;
  const lines: string[] = [];
  let port = options.port ?? 0;
  let end = async (): Promise<void> => undefined;
  const start = async (): Promise<void> => {
    const child = inNamespace(netns, ['-e', receiver, protocol, address, String(port)]);
    end = () => ended(child);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`no receiver at ${address}:${port}`)));
      let isReady = false;
      linesOf(child, (text) => {
        const said: unknown = JSON.parse(text);
        if (isReady) lines.push(String(said));
        else [isReady, port] = [true, Number(said)];
        resolve();
      });
    });
  };
  t.after(() => end());
  await start();
  return {
    get port() {
      return port;
    },
    lines: () => lines,
    kill: () => end(),
    start,
  };
}

/** A client in a namespace. */
export type FlowClient = {
  /** Sends bytes on a connection of their own; answers what comes back until it is closed, or for a second. */
  raw(target: FlowTarget, bytes: string): Promise<string>;
  /** Asks for `<path>/0` and so on, by turns on a kept connection and on a new one; answers what failed. */
  run(target: FlowTarget, path: string, count: number, every_ms: number): Promise<readonly string[]>;
};

/** Where requests go. */
export type FlowTarget = { readonly address: string; readonly port: number };

const client = `
const net = require('node:net'), http = require('node:http');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const kept = new http.Agent({ keepAlive: true, maxSockets: 1 });
const ops = {
  raw: ({ address, port, bytes }) => new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, address, () => socket.write(Buffer.from(bytes, 'latin1')));
    setTimeout(() => socket.destroy(), 1000);
    socket.setEncoding('latin1').on('data', (more) => (text += more)).on('error', () => 0).on('close', () => resolve(text));
  }),
  // The kept connection may meet its end when an old worker closes it while it is idle: a client sends again on a new one.
  ask: (target, path, agent) => new Promise((resolve, reject) => {
    const request = http.request({ host: target.address, port: target.port, path, agent, timeout: 5000 }, (response) => {
      response.resume().on('end', () => response.statusCode === 200 ? resolve() : reject(new Error(path + ' ' + response.statusCode))).on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(path + ' timed out'))).on('error', (error) =>
      request.reusedSocket && error.code === 'ECONNRESET' ? ops.ask(target, path, false).then(resolve, reject) : reject(error));
    request.end();
  }),
  run: async ({ address, port, path, count, every_ms }) => {
    const failed = [];
    for (let at = 0; at < count; at += 1) {
      await ops.ask({ address, port }, path + '/' + at, at % 2 === 0 ? kept : false).catch((error) => failed.push(String(error)));
      await wait(every_ms);
    }
    return failed;
  },
};
require('node:readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, op, ...of } = JSON.parse(line);
  process.stdout.write(JSON.stringify({ id, answer: await ops[op](of) }) + '\\n');
}).on('close', () => process.exit());
`;

/** Starts a client in a namespace; it ends with the test. */
export function startFlowClient(t: Pick<TestContext, 'after'>, netns: string): FlowClient {
  const child = inNamespace(netns, ['-e', client]);
  t.after(() => ended(child));
  const waiting = new Map<number, (answer: unknown) => void>();
  linesOf(child, (text) => {
    const { id, answer } = JSON.parse(text) as { id: number; answer: unknown };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  let last = 0;
  const call = (op: string, of: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, resolve);
      child.once('exit', () => reject(new Error('the client ended')));
      child.stdin?.write(`${JSON.stringify({ id: last, op, ...of })}\n`);
    });
  return {
    raw: async (target, bytes) => String(await call('raw', { ...target, bytes })),
    run: async (target, path, count, every_ms) => (await call('run', { ...target, path, count, every_ms })) as readonly string[],
  };
}

function inNamespace(netns: string | undefined, args: readonly string[]): ChildProcess {
  const stdio = ['pipe', 'pipe', 'inherit'] as const;
  if (netns === undefined) return spawn(process.execPath, args, { stdio: [...stdio] });
  return spawn('nsenter', [`--net=/run/netns/${netns}`, '--', process.execPath, ...args], { stdio: [...stdio] });
}

function linesOf(child: ChildProcess, take: (line: string) => void): void {
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', take);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
