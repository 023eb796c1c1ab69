/**
 * The control plane alone: no-op drivers, no tokens, 1,000 load balancers with a listener, a pool and two members each, on
 * both databases. Client and server share the machine, so a small one limits the requests per second; the processor time
 * of the server does not depend on that.
 */
import { chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPostgres, startPostgres } from '../../tools/suite/postgres.ts';
import { type Octavia, until } from '../support/octavia.ts';
import { mebibytes, p50p99, rounded } from './figures.ts';
import { allPids, cpuSeconds, peakBytes, proportionalBytes, withDescendants } from './machine.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { type BenchRequest, openClient, type RequestClient, runSeries, type Series } from './requests.ts';
import { noopDrivers, scoped, startIn } from './scope.ts';

/** What the sizes of a run are. */
type Size = {
  readonly loadbalancers: number;
  readonly ones: number;
  readonly lists: number;
  readonly long_lists: number;
  readonly latencies: number;
};

const full: Size = { loadbalancers: 1000, ones: 5000, lists: 500, long_lists: 60, latencies: 200 };
const quick: Size = { loadbalancers: 100, ones: 500, lists: 50, long_lists: 10, latencies: 20 };

const concurrency = 8;
const subnet = '7a1b1f5e-5b0a-4c39-9f4e-0d6a4a1f0001';
const project = '5c1f0e4bb5a24f0f9d1f6a9f3a3a0001';

/** One database's server: its processes, for their processor time and memory. */
type Watched = { readonly server: () => readonly number[]; readonly database: () => readonly number[] };

async function onSqlite(run: BenchRun, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const octavia = await startIn(run.folder, scope, noopDrivers);
    return measure(run, 'SQLite', octavia, { server: () => [octavia.pid()], database: () => [] }, size);
  });
}

async function onPostgres(run: BenchRun, size: Size, bin: string): Promise<Row[]> {
  return scoped(async (scope) => {
    const folder = mkdtempSync(join(run.folder, 'p-'));
    chmodSync(folder, 0o711);
    const postgres = await startPostgres(bin, folder);
    scope.after(() => postgres.stop());
    const main = postmasterIn(folder);
    const octavia = await startIn(run.folder, scope, { ...noopDrivers, OS_DATABASE__CONNECTION: postgres.url });
    return measure(run, 'PostgreSQL', octavia, { server: () => [octavia.pid()], database: () => withDescendants(main) }, size);
  });
}

/** The process of the server whose files lie in this folder; its sessions are its children. */
function postmasterIn(folder: string): number {
  const isIt = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`\0-D\0${folder}/`);
    } catch {
      return false;
    }
  };
  const found = allPids().find(isIt);
  if (found === undefined) throw new Error('the process of the database server was not found');
  return found;
}

async function measure(run: BenchRun, database: string, octavia: Octavia, watched: Watched, size: Size): Promise<Row[]> {
  const client = openClient(octavia.base_url, concurrency);
  const rows: Row[] = [];
  const add = (row: Row): void => {
    rows.push({ database, ...row });
    run.say(
      `${database}: ${Object.entries(row)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}`,
    );
  };
  try {
    add({ call: 'memory, nothing in it', ...memoryRow(octavia, watched) });
    const ids = await createAll(client, watched, size, add);
    await readAll(client, watched, size, ids, add);
    await latencies(client, size, add);
    add({ call: `memory, ${size.loadbalancers} load balancers`, ...memoryRow(octavia, watched), aim: '≤ 120 MiB' });
    return rows;
  } finally {
    await client.close();
  }
}

/** A tree that has everything the reference was measured with. */
const treeRequest = (n: number): BenchRequest => {
  const members = [1, 2].map((each) => ({ address: `192.0.2.${each}`, protocol_port: 80, subnet_id: subnet }));
  const pool = { name: `pool-${n}`, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members };
  const listener = { name: `listener-${n}`, protocol: 'HTTP', protocol_port: 80, default_pool: pool };
  const loadbalancer = { name: `lb-${n}`, project_id: project, vip_subnet_id: subnet, listeners: [listener] };
  return { method: 'POST', path: '/v2/lbaas/loadbalancers', body: { loadbalancer } };
};

type Add = (row: Row) => void;

/** Creates them all; the series ends when the last is ACTIVE. */
async function createAll(client: RequestClient, watched: Watched, size: Size, add: Add): Promise<string[]> {
  const count = size.loadbalancers;
  const [cpu, databaseCpu, begun] = [cpuSeconds(watched.server()), cpuSeconds(watched.database()), performance.now()];
  const series = await runSeries(client, treeRequest, { count, concurrency, watched: watched.server, keepBodies: true });
  const posted = p50p99(series.durations_ms);
  add({ call: 'create a full tree (answer)', count, per_second: rounded(count / series.seconds), ...posted });
  await allActive(client);
  const seconds = (performance.now() - begun) / 1000;
  const used = cpuSeconds(watched.server()) - cpu;
  add({
    call: 'create a full tree to ACTIVE',
    count,
    per_second: rounded(count / seconds),
    cpu_s_per_1000: rounded((1000 * used) / count),
    database_cpu_s_per_1000: rounded((1000 * (cpuSeconds(watched.database()) - databaseCpu)) / count),
    aim: '≤ 20 CPU s, ≥ 100/s',
  });
  return series.bodies.map((body) => (JSON.parse(body) as { loadbalancer: { id: string } }).loadbalancer.id);
}

/** Waits until nothing is pending any more; the question is small, so that asking costs little. */
async function allActive(client: RequestClient): Promise<void> {
  const path = '/v2/lbaas/loadbalancers?provisioning_status=PENDING_CREATE&limit=1&fields=id';
  await until(
    async () => !(await client.send({ method: 'GET', path })).includes('"id"'),
    'every load balancer is past PENDING_CREATE',
    600_000,
  );
  const failed = await client.send({ method: 'GET', path: '/v2/lbaas/loadbalancers?provisioning_status=ERROR&limit=1' });
  if (failed.includes('"id"')) throw new Error(`a load balancer is in ERROR: ${failed.slice(0, 500)}`);
}

async function readAll(client: RequestClient, watched: Watched, size: Size, ids: readonly string[], add: Add): Promise<void> {
  const reads = [
    ['GET one', size.ones, '≤ 0.5', (n: number) => `/v2/lbaas/loadbalancers/${ids[n % ids.length]}`],
    ['status tree', size.ones, '≤ 0.7', (n: number) => `/v2/lbaas/loadbalancers/${ids[n % ids.length]}/status`],
    ['list of 100', size.lists, '≤ 4', () => '/v2/lbaas/loadbalancers?limit=100'],
    [`list of ${size.loadbalancers}`, size.long_lists, '≤ 30', () => '/v2/lbaas/loadbalancers'],
  ] as const;
  for (const [call, count, aim, pathOf] of reads) {
    const before = cpuSeconds(watched.database());
    const series = await runSeries(client, (n) => ({ method: 'GET', path: pathOf(n) }), { count, concurrency, watched: watched.server });
    const used = cpuSeconds(watched.database()) - before;
    add({ call, ...seriesRow(series), database_cpu_s_per_1000: rounded((1000 * used) / count), aim: `${aim} CPU s` });
  }
}

const seriesRow = (series: Series): Row => ({
  count: series.count,
  per_second: rounded(series.count / series.seconds),
  ...p50p99(series.durations_ms),
  cpu_s_per_1000: rounded((1000 * series.cpu_seconds) / series.count),
});

/** One after another, asked every two milliseconds beside the 1,000 that are there. */
async function latencies(client: RequestClient, size: Size, add: Add): Promise<void> {
  const durations: number[] = [];
  for (let n = 0; n < size.latencies; n += 1) {
    const begun = performance.now();
    const { loadbalancer } = JSON.parse(await client.send(treeRequest(size.loadbalancers + n))) as { loadbalancer: { id: string } };
    const path = `/v2/lbaas/loadbalancers/${loadbalancer.id}?fields=provisioning_status`;
    while (!(await client.send({ method: 'GET', path })).includes('"ACTIVE"')) {
      if (performance.now() - begun > 30_000) throw new Error(`load balancer ${loadbalancer.id} is not ACTIVE after 30 s`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    durations.push(performance.now() - begun);
  }
  add({ call: 'create → ACTIVE, one after another', count: size.latencies, ...p50p99(durations), aim: 'p50 ≤ 30 ms' });
}

const memoryRow = (octavia: Octavia, watched: Watched): Row => ({
  memory_mib: mebibytes(proportionalBytes(watched.server())),
  peak_mib: mebibytes(peakBytes(octavia.pid())),
  database_mib: mebibytes(proportionalBytes(watched.database())),
});

/** The part. */
export const control: BenchPart = {
  name: 'control',
  what: 'API, worker and database with no-op drivers and 8 connections; CPU seconds of the one process per 1,000 calls.',
  whyNot: () => null,
  async run(run) {
    const size = run.is_quick ? quick : full;
    const rows = await onSqlite(run, size);
    const bin = findPostgres();
    if (bin === undefined) run.say('PostgreSQL is not installed: only SQLite is measured.');
    return bin === undefined ? rows : [...rows, ...(await onPostgres(run, size, bin))];
  },
};
