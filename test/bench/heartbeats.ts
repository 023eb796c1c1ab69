/**
 * How many heartbeats the health manager takes, and at what cost.
 *
 * A process of its own sends 3,000 good heartbeats a second of as many amphorae for 10 s, with late, forged and broken ones
 * between; all carry statistics, one in a hundred a change of status. Once quietly (for the cost), once beside 16 tasks that
 * write and read like the API. Prints a table and, as the last line, JSON.
 *
 * `OCTAVIA_BENCH_DATABASE` names another database than a SQLite file in a temporary folder: an empty schema of PostgreSQL.
 */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { loadTree } from '../../src/db/tree.ts';
import { type HealthManager, startHealthManager } from '../../src/health/health-manager.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type Planted, plantIn, testKey } from '../features/health-fixture.ts';
import type { SenderOrder, SenderReport } from './heartbeats-sender.ts';

/** The size of a run. */
export type HeartbeatBench = { readonly amphorae: number; readonly rate: number; readonly seconds: number; readonly api_tasks: number };

/** What one phase showed. Percentages are of what was sent; times in milliseconds. */
export type HeartbeatFigures = {
  readonly phase: string;
  readonly sent: number;
  readonly taken_percent: number;
  readonly bad_sent: number;
  readonly bad_refused: number;
  /** Good heartbeats that were taken but not worked off in time. */
  readonly late_or_failed: number;
  readonly status_changes: number;
  /** Of this process with all its threads; beside the API load it includes that load. */
  readonly cpu_seconds_per_1000: number;
  /** From receipt to the end of the transaction. */
  readonly longest_ms: number;
  readonly event_loop_lag_max_ms: number;
  readonly api_operations_per_second: number;
};

const defaults: HeartbeatBench = { amphorae: 3000, rate: 3000, seconds: 10, api_tasks: 16 };

/** Runs both phases on a database of its own: a SQLite file, or the empty schema that `database_url` names. */
export async function benchHeartbeats(size: HeartbeatBench = defaults, database_url?: string): Promise<HeartbeatFigures[]> {
  const folder = await mkdtemp(join(tmpdir(), 'octavia-bench-'));
  const db = openDatabase({ url: database_url ?? process.env['OCTAVIA_BENCH_DATABASE'] ?? `sqlite://${join(folder, 'octavia.db')}` });
  try {
    await migrate(db);
    const planted = await plantAll(db, size.amphorae);
    return [await phase('quiet', db, planted, { ...size, api_tasks: 0 }), await phase('busy API', db, planted, size)];
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function plantAll(db: Database, count: number): Promise<Planted[]> {
  const planted: Planted[] = [];
  while (planted.length < count) {
    const batch = await db.tx(async (tx) => {
      const some: Planted[] = [];
      for (let i = 0; i < Math.min(200, count - planted.length); i += 1) some.push(await plantIn(tx, db));
      return some;
    });
    planted.push(...batch);
  }
  return planted;
}

async function phase(name: string, db: Database, planted: readonly Planted[], size: HeartbeatBench): Promise<HeartbeatFigures> {
  const manager = await startHealthManager({
    db,
    bind_ip: '127.0.0.1',
    bind_port: 0,
    heartbeat_keys: [new Secret(testKey)],
    heartbeat_interval: Math.max(1, size.amphorae / size.rate),
    heartbeat_timeout: 60,
    health_check_interval: 3,
    log: silentLogger,
  });
  try {
    return await measure(name, db, manager, planted, size);
  } finally {
    await manager.stop();
  }
}

async function measure(
  name: string,
  db: Database,
  manager: HealthManager,
  planted: readonly Planted[],
  size: HeartbeatBench,
): Promise<HeartbeatFigures> {
  const { address, port } = manager.address;
  const sender = await startSender({
    address,
    port,
    key: testKey,
    planted,
    rate: size.rate,
    seconds: size.seconds,
    one_in: 20,
    boot_id: randomUUID(),
  });
  const load = startLoad(db, planted, size.api_tasks);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const [cpu, begun] = [process.cpuUsage(), performance.now()];
  const sent = await sender.go();
  const counters = await settled(manager);
  const used = process.cpuUsage(cpu);
  const seconds = (performance.now() - begun) / 1000;
  delay.disable();
  const operations = await load.stop();
  const refused = counters.forged + counters.malformed + counters.replayed;
  return {
    phase: name,
    sent: sent.good,
    taken_percent: round((100 * counters.processed) / sent.good, 3),
    bad_sent: sent.late + sent.forged + sent.malformed,
    bad_refused: refused,
    late_or_failed: counters.late + counters.failed + counters.overflow,
    status_changes: counters.status_changes,
    cpu_seconds_per_1000: round((used.user + used.system) / 1e6 / (sent.good / 1000), 3),
    longest_ms: round(counters.longest_ms, 1),
    event_loop_lag_max_ms: round(delay.max / 1e6, 1),
    api_operations_per_second: Math.round(operations / seconds),
  };
}

/** Waits until the counters stand still. */
async function settled(manager: HealthManager) {
  for (let before = manager.counters(); ;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = manager.counters();
    if (now.received === before.received && now.processed === before.processed) return now;
    before = now;
  }
}

/** The sending process, everything encoded and ready. */
async function startSender(order: SenderOrder): Promise<{ go(): Promise<Extract<SenderReport, { good: number }>> }> {
  const child = fork(new URL('./heartbeats-sender.ts', import.meta.url));
  const answer = <T extends SenderReport>(): Promise<T> =>
    new Promise((resolve, reject) => {
      child.once('message', (report) => resolve(report as T));
      child.once('exit', (code) => reject(new Error(`the sender ended with code ${code}`)));
    });
  const encoded = answer();
  child.send(order);
  await encoded;
  return {
    go() {
      const report = answer<Extract<SenderReport, { good: number }>>();
      child.send('go');
      return report;
    },
  };
}

/** Tasks that do what API requests do to the database, one after the other each. */
function startLoad(db: Database, planted: readonly Planted[], tasks: number): { stop(): Promise<number> } {
  let operations = 0;
  let stopped = false;
  const task = async (number: number): Promise<void> => {
    for (let i = number; !stopped; i += tasks) {
      const { loadbalancer } = planted[i % planted.length]!;
      await db.tx(async (tx) => {
        await tx
          .insertInto('tag')
          .values({ resource_id: loadbalancer, tag: `${number} ${i} ${randomUUID()}` })
          .execute();
        await tx
          .updateTable('loadbalancer')
          .set({ description: `change ${i}` })
          .where('id', '=', loadbalancer)
          .execute();
      });
      await loadTree(db.read, loadbalancer);
      operations += 1;
    }
  };
  const running = Array.from({ length: tasks }, (_, number) => task(number));
  return {
    async stop() {
      stopped = true;
      await Promise.all(running);
      return operations;
    },
  };
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

if (import.meta.main) {
  const figures = await benchHeartbeats();
  console.table(Object.fromEntries(figures.map(({ phase: name, ...rest }) => [name, rest])));
  console.log(JSON.stringify({ bench: 'heartbeats', size: defaults, figures }));
}
