/**
 * UDP through a load balancer (nft) against straight to its member: flows that each have one datagram under way. What is judged is the processor
 * time of client and member together for a datagram there and back. That has the kernel's work in it: on virtual wires a packet goes through
 * bridges, rules and connection tracking within the system call that sends it, in the time of the sender.
 */
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { NETNS_DIR } from '../../src/cloud/local/fabric/names.ts';
import { plugTenantMachine } from '../support/members.ts';
import { p50p99, percentile, rounded } from './figures.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { make, openPlace, pause, type Place, remove, stateIdOf, whyNoAmphorae } from './place.ts';
import { type RequestClient, runSeries, type Series } from './requests.ts';
import { type Scope, scoped } from './scope.ts';

type Size = { readonly rounds: number; readonly count: number };

const full: Size = { rounds: 7, count: 20_000 };
const quick: Size = { rounds: 2, count: 2000 };

const flows = 64;
const datagram_bytes = 64;
const port = 5000;
/** The part of direct that is aimed at; ADR 16 has what was measured before there was any of this. */
const aim = 0.65;

/** Where datagrams go. */
type Target = { readonly name: string; readonly address: string };

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const place = await openPlace(run, scope);
    const member = await startEcho(scope, place);
    const default_pool = { name: 'pool', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN' };
    const members = [{ address: member.address, protocol_port: port }];
    const listeners = [{ name: 'listener', protocol: 'UDP', protocol_port: port, default_pool: { ...default_pool, members } }];
    const lb = await make(place, 'datagrams', { listeners });
    scope.after(() => remove(place, lb.id));
    const direct: Target = { name: 'direct', address: member.address };
    const served: Target = { name: 'load balancer', address: lb.vip_address };
    return compare(run, [direct, served], [process.pid, member.pid], size);
  });
}

/** A member in a namespace of its own on the tenant's network: straight or not, packets cross the network's bridge. */
async function startEcho(scope: Scope, place: Place): Promise<{ readonly address: string; readonly pid: number }> {
  const address = place.gateway_ip.replace(/\d+$/u, '250');
  const { octavia, network_id } = place;
  const at = { state_id: stateIdOf(place), state_dir: octavia.state_dir, network_id, addresses: [`${address}/24`] };
  const machine = await plugTenantMachine(scope, at);
  const echo = fileURLToPath(new URL('datagram-echo.ts', import.meta.url));
  const args = [`--net=${NETNS_DIR}/${machine.name}`, process.execPath, echo, address, String(port)];
  const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  scope.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`nobody answers at ${address}:${port}`))),
  ]);
  return { address, pid: child.pid ?? 0 };
}

/** Both by turns, every other round backwards; figures are the medians of the rounds, the ratio is that of the rounds' ratios. */
async function compare(run: BenchRun, targets: readonly Target[], watched: readonly number[], size: Size): Promise<Row[]> {
  const found = new Map<Target, Series[]>(targets.map((target) => [target, []]));
  // The first round warms up and does not count.
  for (let round = 0; round <= size.rounds; round += 1)
    for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
      const client = await openFlows(target.address);
      const options = { count: size.count, concurrency: flows, watched: () => watched, isPrecise: true };
      const series = await runSeries(client, () => ({ method: 'GET', path: '' }), options).finally(() => client.close());
      if (round > 0) found.get(target)?.push(series);
    }
  const direct = (found.get(targets[0] as Target) ?? []).map(cpuOf);
  const rows = targets.map((target, index) => {
    const all = found.get(target) ?? [];
    const ratio = rounded(median(all.map((series, round) => (direct[round] ?? 0) / cpuOf(series))));
    return rowOf(target, all, ratio, index === 0 ? '' : `≥ ${aim}`);
  });
  run.say(rows.map((row) => `${row['way']} ${row['cpu_us']} µs (${row['direct_cpu_to_this']})`).join(', '));
  return rows;
}

const median = (values: readonly number[]): number => percentile(values, 0.5);
/** Microseconds of client and member for a datagram there and back. */
const cpuOf = (series: Series): number => (1e6 * series.cpu_seconds) / series.count;

const rowOf = (target: Target, all: readonly Series[], direct_cpu_to_this: number, aimed: string): Row => ({
  way: target.name,
  datagrams: all.reduce((sum, each) => sum + each.count, 0),
  per_second: rounded(median(all.map((each) => each.count / each.seconds))),
  ...p50p99(all.flatMap((each) => each.durations_ms)),
  cpu_us: rounded(median(all.map(cpuOf))),
  direct_cpu_to_this,
  aim: aimed,
});

/** As many sockets as flows; each datagram waits for its answer. The first of each finds the way (neighbours, a member), before anything is counted. */
async function openFlows(address: string): Promise<RequestClient> {
  const idle: Flow[] = Array.from({ length: flows }, () => openFlow(address));
  const all = [...idle];
  for (const flow of all) await firstAnswer(flow);
  return {
    async send() {
      const flow = idle.pop();
      if (flow === undefined) throw new Error('no flow is idle');
      await answerOf(flow);
      idle.push(flow);
      return '';
    },
    close: async () => {
      await Promise.all(all.map((flow) => new Promise<void>((resolve) => flow.socket.close(() => resolve()))));
    },
  };
}

/** A socket that sends to one address, and who waits for its answer. */
type Flow = { readonly socket: Socket; readonly address: string; heard: () => void };

const bytes = Buffer.alloc(datagram_bytes, 'x');

function openFlow(address: string): Flow {
  const flow: Flow = { socket: createSocket('udp4'), address, heard: () => undefined };
  flow.socket.on('message', () => flow.heard());
  return flow;
}

/** Throws when there is no answer within two seconds: none is lost where so few are under way. */
function answerOf(flow: Flow): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`a datagram to ${flow.address} was lost`)), 2000);
    flow.heard = () => {
      clearTimeout(timer);
      resolve();
    };
    flow.socket.send(bytes, port, flow.address);
  });
}

/** Tries for ten seconds: rules come into force a moment after the load balancer is ACTIVE. */
async function firstAnswer(flow: Flow): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isHeard = false;
  flow.heard = () => {
    isHeard = true;
    resolve();
  };
  for (const deadline = Date.now() + 10_000; !isHeard;) {
    if (Date.now() > deadline) throw new Error(`nobody answers through ${flow.address}`);
    flow.socket.send(bytes, port, flow.address);
    await Promise.race([promise, pause(200)]);
  }
}

/** The part. */
export const datagrams: BenchPart = {
  name: 'datagrams',
  what:
    'UDP through a load balancer (nft), and straight to its member, by turns. cpu_us: processor time of client and member with the kernel’s work ' +
    'for a datagram there and back; direct_cpu_to_this: that of direct, divided by that of this one (1: equal, more is better).',
  whyNot: whyNoAmphorae,
  run: (run) => measure(run, run.is_quick ? quick : full),
};
