/**
 * Traffic through a load balancer against the same HAProxy without us: the same members, the same client, by turns in one
 * run. What is judged is the processor time of HAProxy per request, which a small machine, shared with client and members,
 * tells better than the requests per second.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { NETNS_DIR } from '../../src/cloud/local/fabric/names.ts';
import { freePort } from '../support/octavia.ts';
import { p50p99, percentile, rounded } from './figures.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { amphoraPids, bear, type BenchMember, openPlace, pause, type Place, stateIdOf, whyNoAmphorae } from './place.ts';
import { openClient, runSeries, type Series } from './requests.ts';
import { type Scope, scoped } from './scope.ts';

type Size = { readonly kept: number; readonly fresh: number; readonly rounds: number };

const full: Size = { kept: 20_000, fresh: 5000, rounds: 5 };
const quick: Size = { kept: 1000, fresh: 300, rounds: 2 };

/** What requests are sent to. */
type Target = { readonly name: 'bare HAProxy' | 'load balancer'; readonly url: string; readonly pids: () => number[] };

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const place = await openPlace(run, scope);
    const folder = mkdtempSync(join(run.folder, 't-'));
    const members = await startMembers(scope, folder, place.gateway_ip);
    const { vip_address } = await bear(place, 'traffic', members);
    const bare = await startBare(scope, folder, { place, vip_address }, members);
    const served: Target = { name: 'load balancer', url: `http://${vip_address}`, pids: () => haproxyPids(place) };
    const kept = await compare(run, 'kept connections', [bare, served], size.rounds, (target) => keptSeries(target, size.kept));
    const fresh = await compare(run, 'a connection per request', [bare, served], size.rounds, (target) => freshSeries(target, size.fresh));
    return [...kept, ...fresh];
  });
}

/** Each target in turn, several times; what is told of each is the median of its rounds. */
async function compare(
  run: BenchRun,
  how: string,
  targets: readonly Target[],
  rounds: number,
  series: (target: Target) => Promise<Series>,
): Promise<Row[]> {
  const found = new Map<Target, Series[]>(targets.map((target) => [target, []]));
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round += 1)
    for (const target of targets) {
      const one = await series(target);
      if (round > 0) found.get(target)?.push(one);
    }
  const rows = targets.map((target) => rowOf(how, target, found.get(target) ?? []));
  const [bare, served] = rows.map((row) => Number(row['haproxy_cpu_us']));
  run.say(`${how}: HAProxy takes ${bare} µs per request bare, ${served} µs as a load balancer`);
  return rows.map((row, index) => ({ ...row, cpu_ratio: index === 0 ? 1 : rounded((served ?? 0) / (bare ?? 1)) }));
}

function rowOf(how: string, target: Target, all: readonly Series[]): Row {
  const median = (value: (series: Series) => number): number =>
    rounded(
      percentile(
        all.map((each) => value(each)),
        0.5,
      ),
    );
  return {
    what: how,
    through: target.name,
    requests: all.reduce((sum, each) => sum + each.count, 0),
    per_second: median((each) => each.count / each.seconds),
    ...p50p99(all.flatMap((each) => each.durations_ms)),
    haproxy_cpu_us: median((each) => (1e6 * each.cpu_seconds) / each.count),
  };
}

async function keptSeries(target: Target, count: number): Promise<Series> {
  const client = openClient(target.url, 16);
  try {
    return await runSeries(client, () => ({ method: 'GET', path: '/' }), { count, concurrency: 16, watched: target.pids });
  } finally {
    await client.close();
  }
}

async function freshSeries(target: Target, count: number): Promise<Series> {
  const { hostname, port } = new URL(target.url);
  const client = { send: () => askOnce(hostname, Number(port || 80)), close: () => Promise.resolve() };
  return runSeries(client, () => ({ method: 'GET', path: '/' }), { count, concurrency: 16, watched: target.pids });
}

/** One request on a connection of its own. */
function askOnce(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true }, () =>
      socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.once('error', reject);
    socket.once('close', () => (text.startsWith('HTTP/1.1 200') ? resolve(text) : reject(new Error(`no answer: ${text.slice(0, 100)}`))));
  });
}

const haproxyPids = (place: Place): number[] =>
  amphoraPids(place).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'haproxy');

const preamble = `global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
`;

/** Two members that cost as little as a member can. */
async function startMembers(scope: Scope, folder: string, address: string): Promise<BenchMember[]> {
  const members = [
    { address, protocol_port: await freePort() },
    { address, protocol_port: await freePort() },
  ];
  const fronts = members.map(
    ({ protocol_port }) =>
      `frontend f${protocol_port}\n  bind ${address}:${protocol_port}\n  http-request return status 200 content-type text/plain string ok\n`,
  );
  await startHaproxy(scope, join(folder, 'members.cfg'), `${preamble}${fronts.join('')}`, {
    address,
    port: members[0]?.protocol_port ?? 0,
  });
  return members;
}

/** The port of the VIP that bare HAProxy listens on. */
const BARE_PORT = 8080;

/**
 * What somebody would write by hand for the same purpose, in the namespace and at the address of the load balancer: the way of the
 * packets costs both the same.
 */
async function startBare(
  scope: Scope,
  folder: string,
  at: { readonly place: Place; readonly vip_address: string },
  members: readonly BenchMember[],
): Promise<Target> {
  const { place, vip_address: address } = at;
  const namespace = readdirSync(NETNS_DIR).find((name) => name.startsWith(`oct-${stateIdOf(place)}-`) && name.endsWith('-t'));
  if (namespace === undefined) throw new Error('the load balancer has no traffic namespace');
  const servers = members.map((each, index) => `  server s${index} ${each.address}:${each.protocol_port}\n`).join('');
  const text = `${preamble}frontend f\n  bind ${address}:${BARE_PORT}\n  default_backend b\nbackend b\n  balance roundrobin\n${servers}`;
  const child = await startHaproxy(scope, join(folder, 'bare.cfg'), text, { address, port: BARE_PORT, namespace });
  return { name: 'bare HAProxy', url: `http://${address}:${BARE_PORT}`, pids: () => [child.pid ?? 0] };
}

/** Where a HAProxy listens; `namespace`: below /run/netns, absent: this one. */
type Listening = { readonly address: string; readonly port: number; readonly namespace?: string };

/** Runs HAProxy in the foreground until the end of the scope. Throws with its words when it does not listen within 10 s. */
async function startHaproxy(scope: Scope, path: string, text: string, { address, port, namespace }: Listening): Promise<ChildProcess> {
  writeFileSync(path, text);
  // nsenter becomes the program, so the process is HAProxy's.
  const enter = namespace === undefined ? [] : ['nsenter', `--net=${NETNS_DIR}/${namespace}`];
  const [command = '', ...args] = [...enter, 'haproxy', '-db', '-f', path];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  scope.after(() => child.kill('SIGKILL'));
  for (const deadline = Date.now() + 10_000; ; await pause(20)) {
    if (await isOpen(address, port)) return child;
    if (Date.now() > deadline || child.exitCode !== null) throw new Error(`HAProxy does not listen on ${address}:${port}: ${said}`);
  }
}

const isOpen = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port }, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** The part. */
export const traffic: BenchPart = {
  name: 'traffic',
  what: 'HTTP through a load balancer with two members, and through HAProxy with a configuration written by hand, by turns.',
  whyNot: whyNoAmphorae,
  run: (run) => measure(run, run.is_quick ? quick : full),
};
