/** HAProxies of a bench beside the load balancer: members that cost little, and the one that a load balancer is compared with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { readHierarchies } from '../../src/cloud/local/compute/cgroups.ts';
import { NETNS_DIR } from '../../src/cloud/local/fabric/names.ts';
import { freePort } from '../support/octavia.ts';
import { fixtureText } from '../support/tls-fixtures.ts';
import { type BenchMember, pause } from './place.ts';
import type { Scope } from './scope.ts';

/** What bare HAProxy serves: bytes as they are, or requests, with TLS before them or not. */
export type BareShape = { readonly mode: 'http' | 'tcp'; readonly hasTls: boolean };

/**
 * Where a HAProxy listens; `namespace`: below /run/netns, absent: this one; `beside`: a process whose groups it shares. A group of its own costs
 * processor time where processors are busy: of what waits together less is served together.
 */
export type Listening = { readonly address: string; readonly port: number; readonly namespace?: string; readonly beside?: number };

/** One thread, as amphorae have; the connections are about what an amphora may have on a small machine. */
const preamble = (mode: string): string => `global
  nbthread 1
  maxconn 8000
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 50s
  timeout server 50s
`;

/** Starts two members whose answers cost as little as they can, at free ports of an address. */
export async function startMembers(scope: Scope, folder: string, address: string): Promise<BenchMember[]> {
  const members = [
    { address, protocol_port: await freePort() },
    { address, protocol_port: await freePort() },
  ];
  const fronts = members.map(
    ({ protocol_port }) =>
      `frontend f${protocol_port}\n  bind ${address}:${protocol_port}\n  http-request return status 200 content-type text/plain string ok\n`,
  );
  const port = members[0]?.protocol_port ?? 0;
  await startHaproxy(scope, join(folder, 'members.cfg'), `${preamble('http')}${fronts.join('')}`, { address, port });
  return members;
}

/**
 * Starts what somebody would write by hand for the same purpose: the same members in turn, the same certificate with its chain. What a listener of the API has
 * besides (retries, splicing, limits, a socket for commands) is not in it. Answers its process id.
 */
export async function startBare(
  scope: Scope,
  folder: string,
  at: Listening,
  shape: BareShape,
  members: readonly BenchMember[],
): Promise<number> {
  const certificate = join(folder, 'bare.pem');
  const chain = ['ecdsa.key', 'ecdsa.crt', 'issuer.crt', 'above.crt'];
  if (shape.hasTls) writeFileSync(certificate, chain.map((name) => fixtureText(name)).join(''), { mode: 0o600 });
  const tls = shape.hasTls ? ` ssl crt ${certificate} alpn h2,http/1.1` : '';
  const servers = members.map((each, index) => `  server s${index} ${each.address}:${each.protocol_port}\n`).join('');
  const text = `${preamble(shape.mode)}frontend f
  bind ${at.address}:${at.port}${tls}
  default_backend b
backend b
  balance roundrobin
${servers}`;
  return (await startHaproxy(scope, join(folder, 'bare.cfg'), text, at)).pid ?? 0;
}

/** Runs HAProxy in the foreground until the end of the scope. Throws with its words when it does not listen within 10 s. */
async function startHaproxy(
  scope: Scope,
  path: string,
  text: string,
  { address, port, namespace, beside }: Listening,
): Promise<ChildProcess> {
  writeFileSync(path, text);
  // nsenter becomes the program, so the process is HAProxy's.
  const enter = namespace === undefined ? [] : ['nsenter', `--net=${NETNS_DIR}/${namespace}`];
  const [command = '', ...args] = [...enter, 'haproxy', '-db', '-f', path];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  scope.after(() => endOf(child));
  if (beside !== undefined) for (const group of groupsOf(beside)) writeFileSync(join(group, 'cgroup.procs'), String(child.pid));
  await untilOpen(address, port, () => (child.exitCode === null ? null : said));
  return child;
}

/** The folders of a process's groups in the hierarchies that limit anything (cgroups(7)). */
function groupsOf(pid: number): string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n');
  return readHierarchies().flatMap(({ path, version, controllers }) => {
    const own = lines.find((line) => {
      const names = line.split(':')[1] ?? '';
      return version === 2 ? names === '' : names.split(',').some((name) => controllers.includes(name as (typeof controllers)[number]));
    });
    return own === undefined ? [] : [join(path, own.split(':').slice(2).join(':'))];
  });
}

/** Kills it, and waits until it is gone: its port may be the next one's. */
function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** Waits until somebody listens. Throws after 10 s, or as soon as `whyNot` has a reason. */
export async function untilOpen(host: string, port: number, whyNot: () => string | null = () => null): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await isOpen(host, port)); await pause(20)) {
    const reason = whyNot();
    if (reason !== null || Date.now() > deadline) throw new Error(`nobody listens on ${host}:${port}: ${reason ?? 'waited 10 s'}`);
  }
}

const isOpen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port }, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
