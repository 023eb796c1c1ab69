/** Members for tests: small servers that answer with their name, each a process of its own that can be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { LocalFabric } from '../../src/cloud/local/fabric/fabric.ts';
import type { WiredNetwork } from '../../src/cloud/local/fabric/wiring.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { createNamespace, randomMac, type TestNamespace } from './namespaces.ts';

/** What a member speaks: `http` answers each request with its name, `tcp` each line and `udp` each datagram with its name and that text. */
export type MemberProtocol = 'http' | 'tcp' | 'udp';

/** A member that runs. */
export type TestMember = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** True while its process lives. */
  isRunning(): boolean;
  /** `kill -9`; returns when it is gone. */
  kill(): Promise<void>;
  /** Starts it again at the same address and port; returns when it listens. */
  start(): Promise<void>;
};

/** Where and how to run one. */
export type MemberOptions = {
  readonly name: string;
  readonly address: string;
  /** 0 takes a free one. */
  readonly port?: number;
  readonly protocol?: MemberProtocol;
  /** A network namespace to run in; the one of the test unless given. */
  readonly netns?: string;
};

/** Arguments: protocol, name, address, port. Writes the port that it listens on. Waits `?ms=` milliseconds before an HTTP answer, or drips one without end (`?drip`). */
const program = `
const [protocol, name, address, port] = process.argv.slice(1);
const udp = () => {
  const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4');
  // An empty one is a probe's.
  socket.on('message', (text, { port, address }) => text.length > 0 && socket.send(name + ' ' + text, port, address));
  return Object.assign(socket, { listen: (port, address, told) => socket.bind(port, address, told) });
};
const servers = {
  udp,
  http: () => require('node:http').createServer((request, response) => {
    const asked = new URL(request.url, 'http://member').searchParams;
    const ms = Number(asked.get('ms'));
    if (asked.has('drip')) {
      const timer = setInterval(() => response.write('.'), 1000);
      return response.on('close', () => clearInterval(timer));
    }
    const answer = () => response.end(name);
    if (ms > 0) setTimeout(answer, ms); else answer();
  }),
  tcp: () => require('node:net').createServer((socket) => {
    socket.setEncoding('utf8').on('data', (text) => socket.write(name + ' ' + text)).on('error', () => socket.destroy());
  }),
};
const server = servers[protocol]();
server.keepAliveTimeout = 600000;
server.listen(Number(port), address, () => console.log(server.address().port));
`;

/** Starts a member that ends with the test. Throws when it cannot listen. */
export async function startMember(t: Pick<TestContext, 'after'>, options: MemberOptions): Promise<TestMember> {
  const { name, address, protocol = 'http', netns } = options;
  let port = options.port ?? 0;
  let child: ChildProcess | null = null;

  const kill = async (): Promise<void> => {
    const it = child;
    child = null;
    if (it === null || it.exitCode !== null || it.signalCode !== null) return;
    const gone = new Promise((resolve) => it.once('exit', resolve));
    it.kill('SIGKILL');
    await gone;
  };
  const start = async (): Promise<void> => {
    await kill();
    const args = ['-e', program, protocol, name, address, String(port)];
    const within = netns === undefined ? [] : [`--net=/run/netns/${netns}`, '--', process.execPath];
    child = spawn(netns === undefined ? process.execPath : 'nsenter', [...within, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    port = await firstLine(child, `member ${name} at ${address}:${port}`);
  };
  t.after(kill);
  await start();
  return {
    name,
    address,
    get port() {
      return port;
    },
    isRunning: () => child !== null && child.exitCode === null && child.signalCode === null,
    kill,
    start,
  };
}

/** A namespace plugged into a tenant network, as a machine of a tenant is. */
export type TenantMachine = TestNamespace & { readonly addresses: readonly string[] };

/** What a tenant machine needs to know of the cloud it is plugged into. */
export type TenantPlace = {
  readonly state_id: string;
  readonly state_dir: string;
  readonly network_id: string;
  /** With prefix, like `198.18.0.20/24`. */
  readonly addresses: readonly string[];
};

/** Plugs a new namespace into a tenant network that controllers have made; it goes with the test. */
export async function plugTenantMachine(t: Pick<TestContext, 'after'>, place: TenantPlace): Promise<TenantMachine> {
  const fabric = new LocalFabric({ state_id: place.state_id, state_dir: place.state_dir, log: silentLogger });
  const machine = await createNamespace();
  t.after(machine.remove);
  const network: WiredNetwork = { id: place.network_id, mtu: 1500, host_reachable: true, is_management: false };
  await fabric.plugNamespace(network, machine.name, { mac: randomMac(), name: 'eth0', addresses: place.addresses });
  return { ...machine, addresses: place.addresses.map((cidr) => cidr.split('/')[0] ?? '') };
}

function firstLine(child: ChildProcess, what: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${what} could not listen`)));
    child.stdout?.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
}
