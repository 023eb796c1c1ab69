/**
 * An amphora for tests of the agent: its init in two namespaces of the test, a third one with clients and members, and a
 * fake controller that speaks the REST API and hears heartbeats.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Held } from '../../src/agent/runtime/held.ts';
import { bundleAgent } from '../../src/main/agent-bundle.ts';
import { newId } from '../../src/lib/ids.ts';
import { createAuthority, issueCertificate } from '../../src/providers/amphora/pki.ts';
import type { IssuedCertificate } from '../../src/providers/amphora/pki.ts';
import { GENERATION_HEADER } from '../../src/wire/agent-api.ts';
import type { AgentInfo } from '../../src/wire/agent-api.ts';
import { writeConfig } from '../../src/wire/haproxy-text.ts';
import { createNamespace, randomMac } from './namespaces.ts';
import type { TestNamespace } from './namespaces.ts';

/** The subnet of VIP, clients and members; the client's namespace has .1, which is the gateway. */
export const testSubnet = { cidr: '198.18.5.0/24', gateway: '198.18.5.1', vip: '198.18.5.10', vrrp: '198.18.5.20' } as const;
/** The same for IPv6. */
export const testSubnet6 = { cidr: 'fd00:5::/64', gateway: 'fd00:5::1', vip: 'fd00:5::10', vrrp: 'fd00:5::20' } as const;
/** The key of its heartbeats. */
export const heartbeatKey = 'a key of tests $1 "quoted"';

/** An answer of the agent. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AgentAnswer = { readonly status: number; readonly etag: string | undefined; readonly text: string; readonly json: any };

/** The kinds of process that the init keeps. */
export type Service = 'agent' | 'traffic' | 'haproxy';

/** An amphora under test. */
export type AgentAmphora = {
  readonly amphora_id: string;
  readonly folder: string;
  readonly namespaces: { readonly management: TestNamespace; readonly traffic: TestNamespace; readonly outside: TestNamespace };
  /** Calls the agent as a controller. Throws the connection's error. */
  call(method: string, path: string, body?: string | object, generation?: number): Promise<AgentAnswer>;
  /** Calls it with another client certificate, or none. */
  callAs(client: IssuedCertificate | undefined, path: string): Promise<AgentAnswer>;
  info(): Promise<AgentInfo & Required<Pick<AgentInfo, 'octavia'>>>;
  /** Datagrams as they came, oldest first. */
  datagrams(): readonly Buffer[];
  /** Requests the VIP's port 80 from the client's namespace; answers the body. Throws when it is not 200. */
  get(path?: string, timeout_ms?: number): Promise<string>;
  /** Changes what the agent keeps of the running worker, as a crash at another moment would have left it. */
  forgeHeld(change: (held: Held) => Held): void;
  /** Adds a card whose other end is outside; answers its MAC address. */
  addCard(where: 'management' | 'traffic', outside: readonly string[]): Promise<string>;
  /** The process of a service. */
  pid(service: Service): number;
  /** Ends everything at once and starts the init again on the same files. */
  reboot(): Promise<void>;
  readonly init: () => number;
  /** Issues a certificate for the agent. */
  issue(common_name: string): IssuedCertificate;
  /** Who certifies those (PEM). */
  authority(): string;
};

/** Asks again until the answer is not undefined. Throws after 15 seconds. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const end = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`it did not come to pass: ${what}`);
    await after(10);
  }
}

/** A configuration as the controller writes them: one HTTP listener at the VIP, one pool. */
export function configFor(
  run_dir: string,
  ids: { lb: string; listener: string; pool: string },
  members: readonly string[][],
  more: readonly string[][] = [],
): string {
  const line = (...tokens: string[]) => ({ tokens });
  return writeConfig([
    {
      kind: 'global',
      lines: [
        line('user', 'nobody'),
        line('stats', 'socket', `${run_dir}/${ids.lb}.sock`, 'mode', '600', 'level', 'admin', 'expose-fd', 'listeners'),
        line('maxconn', '500'),
        line('nbthread', '1'),
      ],
    },
    { kind: 'defaults', lines: [line('retries', '3'), line('option', 'redispatch')] },
    {
      kind: 'frontend',
      name: ids.listener,
      lines: [
        line('maxconn', '400'),
        line('bind', `${testSubnet.vip}:80`),
        line('mode', 'http'),
        ...more.map((tokens) => line(...tokens)),
        line('default_backend', `${ids.pool}:${ids.listener}`),
        line('timeout', 'client', '50000'),
      ],
    },
    {
      kind: 'backend',
      name: `${ids.pool}:${ids.listener}`,
      lines: [
        line('mode', 'http'),
        line('balance', 'roundrobin'),
        line('timeout', 'connect', '5000'),
        line('timeout', 'server', '50000'),
        ...members.map((tokens) => line('server', ...tokens)),
      ],
    },
  ]).text;
}

const day = { seconds: 86_400, digest: 'sha256' as const };

/** Starts one; everything of it goes with the test. */
export async function startAmphora(t: Pick<TestContext, 'after'>, options: { readonly path?: string } = {}): Promise<AgentAmphora> {
  const folder = mkdtempSync(join(tmpdir(), 'oa-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const namespaces = { management: await makeNamespace(t), traffic: await makeNamespace(t), outside: await makeNamespace(t) };
  const amphora_id = newId();
  const serverCa = createAuthority('server authority', { ...day, now_ms: Date.now() });
  const clientCa = createAuthority('client authority', { ...day, now_ms: Date.now() });
  const issue = (common_name: string) => issueCertificate(serverCa, common_name, { ...day, now_ms: Date.now() });
  const controller = issueCertificate(clientCa, 'controller', { ...day, now_ms: Date.now() });
  writeFiles(folder, amphora_id, issue(amphora_id), clientCa.certificate.toString());
  await bundleAgent(`${folder}/agent.cjs`);
  const datagrams: Buffer[] = [];
  const management = await startTunnel(t, namespaces.management, `${folder}/m`, '127.0.0.1', 9443, (datagram) => datagrams.push(datagram));
  const client = await startTunnel(t, namespaces.outside, `${folder}/c`, testSubnet.vip, 80);
  // Last, so that its first heartbeat is heard.
  const init = startInit(t, folder, namespaces, options.path ?? process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin');
  const callAs = (as: IssuedCertificate | undefined, method: string, path: string, body?: string | object, generation?: number) =>
    callAgent(management, { servername: amphora_id, ca: serverCa.certificate.toString(), client: as }, method, path, body, generation);
  const amphora: AgentAmphora = {
    amphora_id,
    folder,
    namespaces,
    issue,
    authority: () => serverCa.certificate.toString(),
    init: init.pid,
    call: (method, path, body, generation) => callAs(controller, method, path, body, generation),
    callAs: (as, path) => callAs(as, 'GET', path),
    info: async () => (await callAs(controller, 'GET', '/1.0/info')).json as never,
    datagrams: () => datagrams,
    get: (path = '/', timeout_ms = 3000) => getOver(client, path, timeout_ms),
    forgeHeld: (change) => {
      const file = `${folder}/run/held.json`;
      writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')) as Held)));
    },
    addCard: (where, outside) => addCard(namespaces, where, outside),
    pid: (service) => Number(readFileSync(`${folder}/run/${service}.pid`, 'utf8')),
    reboot: init.reboot,
  };
  await eventually('the agent answers', () => amphora.info().catch(() => undefined));
  return amphora;
}

async function makeNamespace(t: Pick<TestContext, 'after'>): Promise<TestNamespace> {
  const namespace = await createNamespace();
  t.after(namespace.remove);
  await namespace.run('ip', 'link', 'set', 'lo', 'up');
  return namespace;
}

function writeFiles(folder: string, amphora_id: string, certificate: IssuedCertificate, client_ca: string): void {
  for (const name of ['etc/certs', 'lib', 'run']) mkdirSync(`${folder}/${name}`, { recursive: true });
  writeFileSync(`${folder}/etc/certs/server.pem`, certificate.pem.reveal(), { mode: 0o600 });
  writeFileSync(`${folder}/etc/certs/client_ca.pem`, client_ca);
  writeFileSync(`${folder}/etc/amphora-agent.conf`, agentConf(folder, amphora_id), { mode: 0o600 });
}

/** The agent's configuration, with a heartbeat each second. */
export function agentConf(folder: string, amphora_id: string, interval_seconds = 1): string {
  return `[haproxy_amphora]
base_path = ${folder}/lib
bind_host = 127.0.0.1
[health_manager]
controller_ip_port_list = 127.0.0.1:5555, 127.0.0.1:5556
heartbeat_interval = ${interval_seconds}
heartbeat_key = ${heartbeatKey.replaceAll('$', '$$$$')}
[amphora_agent]
amphora_id = ${amphora_id}
`;
}

function startInit(t: Pick<TestContext, 'after'>, folder: string, namespaces: AgentAmphora['namespaces'], path: string) {
  const script = fileURLToPath(new URL('../../src/agent/init.sh', import.meta.url));
  const start = () =>
    spawn('nsenter', [`--net=/run/netns/${namespaces.management.name}`, '--', 'sh', script], {
      // A group of its own: whatever the init started ends with it.
      detached: true,
      stdio: ['ignore', 'inherit', process.env['OCTAVIA_TEST_LOG'] === undefined ? 'ignore' : 'inherit'],
      env: {
        PATH: path,
        OCTAVIA_AMPHORA_DIR: `${folder}/etc`,
        OCTAVIA_STATE_DIR: `${folder}/lib`,
        OCTAVIA_RUN_DIR: `${folder}/run`,
        OCTAVIA_TRAFFIC_NETNS: `/run/netns/${namespaces.traffic.name}`,
        OCTAVIA_NODE: process.execPath,
        OCTAVIA_AGENT: `${folder}/agent.cjs`,
      },
    });
  let child = start();
  const kill = async (): Promise<void> => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // The group is gone.
    }
    await ended;
  };
  t.after(kill);
  const reboot = async (): Promise<void> => {
    await kill();
    rmSync(`${folder}/run`, { recursive: true });
    mkdirSync(`${folder}/run`);
    child = start();
  };
  return { pid: () => child.pid ?? 0, reboot };
}

/** Arguments: socket, address, port. Carries connections of a Unix socket into the namespace, and datagrams out of it, as lines of base64. */
const tunnel = `
const net = require('node:net');
const [socket, address, port] = process.argv.slice(1);
for (const port of [5555, 5556]) {
  const udp = require('node:dgram').createSocket('udp4');
  udp.on('message', (message) => process.stdout.write(message.toString('base64') + '\\n'));
  udp.bind(port, '127.0.0.1');
}
net.createServer((one) => {
  const other = net.connect({ host: address, port: Number(port) });
  one.on('error', () => other.destroy()).on('close', () => other.destroy());
  other.on('error', () => one.destroy()).on('close', () => one.destroy());
  one.pipe(other).pipe(one);
}).listen(socket, () => process.stdout.write('ready\\n'));
process.stdin.resume().on('end', () => process.exit());
`;

async function startTunnel(
  t: Pick<TestContext, 'after'>,
  where: TestNamespace,
  socket: string,
  address: string,
  port: number,
  onDatagram: (datagram: Buffer) => void = () => undefined,
): Promise<string> {
  const child = spawn('nsenter', [`--net=/run/netns/${where.name}`, '--', process.execPath, '-e', tunnel, socket, address, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let text = '';
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the tunnel ended')));
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line === 'ready') resolve();
        else onDatagram(Buffer.from(line, 'base64'));
      }
    });
  });
  return socket;
}

type Peer = { readonly servername: string; readonly ca: string; readonly client: IssuedCertificate | undefined };

function callAgent(
  socketPath: string,
  peer: Peer,
  method: string,
  path: string,
  body?: string | object,
  generation?: number,
): Promise<AgentAnswer> {
  const content = typeof body === 'object' ? JSON.stringify(body) : body;
  const identity = peer.client === undefined ? {} : { cert: peer.client.certificate, key: peer.client.key.reveal() };
  const headers = generation === undefined ? {} : { [GENERATION_HEADER]: String(generation) };
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { socketPath, path, method, headers, ca: peer.ca, servername: peer.servername, ...identity, agent: false, timeout: 30_000 },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, etag: response.headers.etag, text, json: parsed(text) }));
      },
    );
    request.on('timeout', () => request.destroy(new Error('the agent does not answer')));
    request.on('error', reject);
    request.end(content);
  });
}

function getOver(socketPath: string, path: string, timeout: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, path, agent: false, timeout }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`status ${response.statusCode}`))));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.end();
  });
}

/** Unlike those inside: the kernel delays the news that a link is up by a second when both ends have the same index. */
let freeIndex = 1000;

async function addCard(
  namespaces: AgentAmphora['namespaces'],
  where: 'management' | 'traffic',
  outside: readonly string[],
): Promise<string> {
  const mac = randomMac();
  freeIndex += 1;
  const name = `v${mac.replaceAll(':', '').slice(2)}`;
  const inside = namespaces[where].name;
  const line = `link add ${name} index ${freeIndex} type veth peer name p${name.slice(1)} address ${mac} netns ${inside}`;
  await namespaces.outside.run('ip', ...line.split(' '));
  for (const address of outside)
    await namespaces.outside.run('ip', 'address', 'add', address, 'dev', name, ...(address.includes(':') ? ['nodad'] : []));
  await namespaces.outside.run('ip', 'link', 'set', name, 'up');
  return mac;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
