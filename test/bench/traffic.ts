/**
 * Traffic through a load balancer against the same HAProxy without us: the same members, the same client, by turns in one
 * run. What is judged is the processor time of HAProxy per request, which a small machine, shared with client and members,
 * tells better than the requests per second.
 */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NETNS_DIR } from '../../src/cloud/local/fabric/names.ts';
import { p50p99, percentile, rounded } from './figures.ts';
import { startBare, startMembers, untilOpen } from './haproxies.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { amphoraPids, type BenchMember, make, openPlace, type Place, remove, stateIdOf, storeFixture, whyNoAmphorae } from './place.ts';
import { runSeries, type Series } from './requests.ts';
import { type Scope, scoped } from './scope.ts';
import type { Peer } from './traffic-clients.ts';
import { type Kind, kinds, type Way } from './traffic-kinds.ts';

type Size = { readonly rounds: number; readonly share: number };

const full: Size = { rounds: 7, share: 1 };
const quick: Size = { rounds: 2, share: 0.05 };

/** Load balancers that differ in the configuration of their controllers, and what is aimed at. */
type Variant = { readonly name: string; readonly env: Readonly<Record<string, string>>; readonly aim: number };

/** By default lines of connections are kept in the amphora; without logs nothing is done for them. */
const variants: readonly Variant[] = [
  { name: 'load balancer without logs', env: { OS_HAPROXY_AMPHORA__CONNECTION_LOGGING: 'false' }, aim: 0.95 },
  { name: 'load balancer with full logs', env: {}, aim: 0.8 },
];

/** What requests are sent to; `aim` null: what the others are compared with. */
type Target = { readonly name: string; readonly aim: number | null; readonly peer: Peer; readonly pids: () => readonly number[] };

/** Where the load balancers of a variant are. */
type VariantPlace = { readonly variant: Variant; readonly place: Place; readonly members: readonly BenchMember[] };

/** The ports of the VIP: of the listener, and beside it of bare HAProxy. */
const LISTENER_PORT = 80;
const BARE_PORT = 8080;

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const places: VariantPlace[] = [];
    for (const variant of variants) {
      const place = await openPlace(run, scope, variant.env);
      const members = await startMembers(scope, mkdtempSync(join(run.folder, 't-')), place.gateway_ip);
      places.push({ variant, place, members });
    }
    const rows: Row[] = [];
    for (const kind of kinds) rows.push(...(await measureKind(run, places, kind, size)));
    return rows;
  });
}

/** One kind through a load balancer of each variant, and through bare HAProxy beside the first. */
async function measureKind(run: BenchRun, places: readonly VariantPlace[], kind: Kind, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const served: Target[] = [];
    for (const each of places) served.push(await startServed(scope, each, kind));
    const [first] = places;
    if (!first || !served[0]) throw new Error('there is no load balancer to compare with');
    const bare = await startBeside(scope, run, first, served[0].peer.host, kind);
    const rows: Row[] = [];
    for (const way of kind.ways) rows.push(...(await compare(run, kind, way, [bare, ...served], size)));
    return rows;
  });
}

/** A load balancer with a listener of this kind; it goes with the scope. */
async function startServed(scope: Scope, { variant, place, members }: VariantPlace, kind: Kind): Promise<Target> {
  const certificate = kind.bare.hasTls ? { default_tls_container_ref: await storeFixture(place, 'ecdsa-modern.p12') } : {};
  const default_pool = { name: 'pool', protocol: kind.pool_protocol, lb_algorithm: 'ROUND_ROBIN', members };
  const listeners = [{ name: 'listener', protocol: kind.protocol, protocol_port: LISTENER_PORT, ...certificate, default_pool }];
  const lb = await make(place, kind.name, { listeners });
  scope.after(() => remove(place, lb.id));
  await untilOpen(lb.vip_address, LISTENER_PORT);
  const peer = { host: lb.vip_address, port: LISTENER_PORT };
  return { name: variant.name, aim: variant.aim, peer, pids: () => haproxyPids(place) };
}

/** Bare HAProxy in the namespace, at the address and in the groups of the load balancer: the way of the packets and the place cost both the same. */
async function startBeside(scope: Scope, run: BenchRun, { place, members }: VariantPlace, host: string, kind: Kind): Promise<Target> {
  const namespace = readdirSync(NETNS_DIR).find((name) => name.startsWith(`oct-${stateIdOf(place)}-`) && name.endsWith('-t'));
  if (namespace === undefined) throw new Error('the load balancer has no traffic namespace');
  const [beside] = haproxyPids(place);
  if (beside === undefined) throw new Error('the load balancer has no HAProxy');
  const at = { address: host, port: BARE_PORT, namespace, beside };
  const pid = await startBare(scope, mkdtempSync(join(run.folder, 't-')), at, kind.bare, members);
  return { name: 'bare HAProxy', aim: null, peer: { host, port: BARE_PORT }, pids: () => [pid] };
}

const haproxyPids = (place: Place): number[] =>
  amphoraPids(place).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'haproxy');

/**
 * Each target in turn, several times, every other round backwards; what is told of each is the median of its rounds. The ratio is the
 * median of the rounds' ratios: what else the machine does at that time slows both of a round.
 */
async function compare(run: BenchRun, kind: Kind, way: Way, targets: readonly Target[], size: Size): Promise<Row[]> {
  const found = new Map<Target, Series[]>(targets.map((target) => [target, []]));
  const count = Math.round(way.count * size.share);
  // The first round warms up and does not count.
  for (let round = 0; round <= size.rounds; round += 1)
    for (const target of round % 2 === 0 ? targets : targets.toReversed()) {
      const series = await seriesOf(way, target, count);
      if (round > 0) found.get(target)?.push(series);
    }
  const bare = (found.get(targets[0] as Target) ?? []).map(cpuOf);
  const rows = targets.map((target) => {
    const all = found.get(target) ?? [];
    const ratio = rounded(median(all.map((series, round) => (bare[round] ?? 0) / cpuOf(series))));
    return rowOf(kind, way, target, all, ratio);
  });
  const told = rows.map((row) => `${String(row['through'])} ${row['haproxy_cpu_us']} µs (${row['bare_cpu_to_this']})`);
  run.say(`${kind.name}, ${way.connections}: ${told.join(', ')}`);
  return rows;
}

async function seriesOf(way: Way, target: Target, count: number): Promise<Series> {
  const client = await way.open(target.peer);
  const options = { count, concurrency: way.concurrency, watched: target.pids, isPrecise: true };
  try {
    return await runSeries(client, () => ({ method: 'GET', path: '/' }), options);
  } finally {
    await client.close();
  }
}

const median = (values: readonly number[]): number => percentile(values, 0.5);
/** Microseconds of HAProxy per request. */
const cpuOf = (series: Series): number => (1e6 * series.cpu_seconds) / series.count;

function rowOf(kind: Kind, way: Way, target: Target, all: readonly Series[], ratio: number): Row {
  return {
    kind: kind.name,
    connections: way.connections,
    through: target.name,
    requests: all.reduce((sum, each) => sum + each.count, 0),
    per_second: rounded(median(all.map((each) => each.count / each.seconds))),
    ...p50p99(all.flatMap((each) => each.durations_ms)),
    haproxy_cpu_us: rounded(median(all.map(cpuOf))),
    bare_cpu_to_this: ratio,
    aim: target.aim === null ? '' : `≥ ${target.aim}`,
  };
}

/** The part. */
export const traffic: BenchPart = {
  name: 'traffic',
  what:
    'HTTP, TLS 1.3, HTTP/2 and TCP through a load balancer with two members, and through HAProxy with a configuration written by hand, by turns. ' +
    'bare_cpu_to_this: processor time of bare HAProxy per request, divided by that of this one (1: equal, more is better).',
  whyNot: whyNoAmphorae,
  run: (run) => measure(run, run.is_quick ? quick : full),
};
