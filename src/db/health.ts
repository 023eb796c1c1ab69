/** What the health manager reads and writes, always for many load balancers and amphorae at once. */
import { type RawBuilder, sql } from 'kysely';
import type { AmphoraStatus, OperatingStatus, ProvisioningStatus } from '../model/index.ts';
import type { Database, Tx } from './database.ts';
import { isAmong, rowsFrom } from './json-rows.ts';
import { readMany } from './read-many.ts';

/** An amphora that was heard, with as much of its load balancer as tells whether what is remembered of it still holds. */
export type HeardAmphora = {
  readonly id: string;
  readonly status: AmphoraStatus;
  readonly loadbalancer_id: string | null;
  /** The last time stored; null: never heard. */
  readonly last_seen_ms: number | null;
  /** Null when the load balancer is not there. */
  readonly provisioning_status: ProvisioningStatus | null;
  readonly operating_status: OperatingStatus | null;
  readonly generation: number | null;
  readonly applied_generation: number | null;
  /** The database's time at the reading. */
  readonly now_ms: number;
};

/** The rows of those amphorae that exist and are not DELETED. */
export function readHeard(db: Database, amphora_ids: readonly string[]): Promise<HeardAmphora[]> {
  return db.read
    .selectFrom('amphora')
    .leftJoin('amphora_health as health', 'health.amphora_id', 'amphora.id')
    .leftJoin('loadbalancer as lb', 'lb.id', 'amphora.loadbalancer_id')
    .leftJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
    .select([
      'amphora.id',
      'amphora.status',
      'amphora.loadbalancer_id',
      'health.last_seen_ms',
      'lb.provisioning_status',
      'lb.operating_status',
      'work.generation',
      'work.applied_generation',
    ])
    .select(db.nowMs().as('now_ms'))
    .where(isAmong(db.dialect, 'amphora.id', amphora_ids))
    .where('amphora.status', '!=', 'DELETED')
    .execute();
}

/** Statuses and switches of load balancers and their parts as flat rows, all of one state of the database. */
export async function readStatuses(db: Database, loadbalancer_ids: readonly string[]) {
  const among = (column: string): RawBuilder<boolean> => isAmong(db.dialect, column, loadbalancer_ids);
  const [loadbalancers, listeners, pools, members] = await readMany(db.read, [
    db.read
      .selectFrom('loadbalancer')
      .select(['id', 'admin_state_up', 'provisioning_status', 'operating_status'])
      .where(among('id'))
      .where('provisioning_status', '!=', 'DELETED'),
    db.read
      .selectFrom('listener')
      .select(['id', 'loadbalancer_id', 'admin_state_up', 'provisioning_status', 'operating_status'])
      .where(among('loadbalancer_id')),
    db.read.selectFrom('pool').select(['id', 'loadbalancer_id', 'operating_status']).where(among('loadbalancer_id')),
    db.read
      .selectFrom('member')
      .innerJoin('pool', 'pool.id', 'member.pool_id')
      .select(['member.id', 'member.pool_id', 'member.operating_status'])
      .where(among('pool.loadbalancer_id')),
  ]);
  return { loadbalancers, listeners, pools, members };
}

/** The tables whose operating status heartbeats decide. */
export type WatchedTable = 'loadbalancer' | 'listener' | 'pool' | 'member';

/** One new operating status, and the load balancer that the row belongs to. */
export type StatusWrite = {
  readonly loadbalancer_id: string;
  readonly table: WatchedTable;
  readonly id: string;
  readonly operating_status: OperatingStatus;
};

/**
 * Stores operating statuses of rows that still exist; nothing else of a row is touched. Answers the load balancers that
 * were left out because somebody else is writing to them: heartbeats never make the API or a worker wait, nor wait
 * themselves, and never meet them in a deadlock.
 */
export async function writeStatuses(tx: Tx, dialect: Database['dialect'], writes: readonly StatusWrite[]): Promise<readonly string[]> {
  if (writes.length === 0) return [];
  const asked = [...new Set(writes.map((write) => write.loadbalancer_id))].toSorted();
  const rows = await tx
    .selectFrom('loadbalancer')
    .select('id')
    .where(isAmong(dialect, 'id', asked))
    .where('provisioning_status', '!=', 'DELETED')
    .orderBy('id')
    .forUpdate()
    .skipLocked()
    .execute();
  const held = new Set(rows.map((row) => row.id));
  const groups = Map.groupBy(
    writes.filter((write) => held.has(write.loadbalancer_id)),
    (write) => `${write.table} ${write.operating_status}`,
  );
  for (const group of groups.values()) {
    const { table, operating_status } = group[0]!;
    const ids = group.map((write) => write.id).toSorted();
    await tx
      .updateTable(table)
      .set({ operating_status })
      .where(isAmong(dialect, 'id', ids))
      .where('operating_status', '!=', operating_status)
      .execute();
  }
  return asked.filter((id) => !held.has(id));
}

/** Counters of one listener in one amphora; `add`: they are added to the stored ones (but for `active_connections`), else they replace them. */
export type StatisticsWrite = {
  readonly listener_id: string;
  readonly amphora_id: string;
  readonly add: boolean;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly active_connections: number;
  readonly total_connections: number;
  readonly request_errors: number;
};

const statisticsColumns = {
  listener_id: 'text',
  amphora_id: 'text',
  bytes_in: 'integer',
  bytes_out: 'integer',
  active_connections: 'integer',
  total_connections: 'integer',
  request_errors: 'integer',
} as const;

/** Stores statistics; each pair of listener and amphora may occur once in each of the two kinds. */
export async function writeStatistics(tx: Tx, dialect: Database['dialect'], writes: readonly StatisticsWrite[]): Promise<void> {
  for (const add of [true, false]) {
    const rows = writes
      .filter((write) => write.add === add)
      .toSorted((a, b) => order(a.listener_id, b.listener_id) || order(a.amphora_id, b.amphora_id))
      .map((write) => [
        write.listener_id,
        write.amphora_id,
        write.bytes_in,
        write.bytes_out,
        write.active_connections,
        write.total_connections,
        write.request_errors,
      ]);
    if (rows.length === 0) continue;
    const names = sql.join(Object.keys(statisticsColumns).map((name) => sql.ref(name)));
    const summed = (name: string): RawBuilder<unknown> =>
      add ? sql`${sql.ref(`listener_statistics.${name}`)} + ${sql.ref(`excluded.${name}`)}` : sql`${sql.ref(`excluded.${name}`)}`;
    await sql`insert into listener_statistics (${names})
      select ${names} from ${rowsFrom(dialect, statisticsColumns, rows)} as fresh where true
      on conflict (listener_id, amphora_id) do update set
        bytes_in = ${summed('bytes_in')}, bytes_out = ${summed('bytes_out')}, active_connections = excluded.active_connections,
        total_connections = ${summed('total_connections')}, request_errors = ${summed('request_errors')}`.execute(tx);
  }
}

/** Stores that amphorae were heard so many milliseconds before now; `busy` and newer times stay. Amphorae without a row get one. */
export async function writeLastSeen(
  tx: Tx,
  db: Database,
  heard: readonly { readonly id: string; readonly ago_ms: number }[],
): Promise<void> {
  if (heard.length === 0) return;
  const rows = heard.toSorted((a, b) => order(a.id, b.id)).map((each) => [each.id, Math.max(0, Math.round(each.ago_ms))]);
  const fresh = rowsFrom(db.dialect, { amphora_id: 'text', ago_ms: 'integer' }, rows);
  await sql`insert into amphora_health (amphora_id, last_seen_ms, busy)
    select fresh.amphora_id, ${db.nowMs()} - fresh.ago_ms, false from ${fresh} as fresh
    join amphora on amphora.id = fresh.amphora_id and amphora.status <> 'DELETED'
    order by fresh.amphora_id
    on conflict (amphora_id) do update set last_seen_ms = excluded.last_seen_ms
    where amphora_health.last_seen_ms < excluded.last_seen_ms`.execute(tx);
}

/** Stores what amphorae told of their HAProxy, as JSON text. Those without a row are left out. */
export async function writeHaproxyReports(
  tx: Tx,
  dialect: Database['dialect'],
  reports: readonly (readonly [amphora_id: string, haproxy: string])[],
): Promise<void> {
  if (reports.length === 0) return;
  const rows = reports.toSorted((a, b) => order(a[0], b[0]));
  const fresh = rowsFrom(dialect, { amphora_id: 'text', haproxy: 'text' }, rows);
  await sql`update amphora_health set haproxy = fresh.haproxy from ${fresh} as fresh
    where amphora_health.amphora_id = fresh.amphora_id`.execute(tx);
}

/** An amphora that nobody has heard for longer than the time-out. */
export type SilentAmphora = {
  readonly id: string;
  readonly loadbalancer_id: string | null;
  readonly cached_zone: string | null;
  readonly last_seen_ms: number;
  readonly topology: 'SINGLE' | 'ACTIVE_STANDBY' | null;
  readonly provisioning_status: ProvisioningStatus | null;
};

/** What the search for silent amphorae looks at, all of one state of the database. */
export type Silence = {
  readonly silent: readonly SilentAmphora[];
  /** Amphorae in service, heard or not, by zone. */
  readonly zones: readonly { readonly cached_zone: string | null; readonly amphorae: number }[];
  /** Amphorae that are being replaced because they fell silent. */
  readonly rebuilding: number;
  /** Amphorae in FAILOVER_STOPPED that are heard again. */
  readonly revived: readonly string[];
};

const inService = ['ALLOCATED', 'FAILOVER_STOPPED', 'ERROR'] as const;

/** Reads who is silent; the longest silent first, those without a partner before all others. Amphorae never heard are booting, not silent. */
export async function readSilence(db: Database, timeout_ms: number): Promise<Silence> {
  const known = () =>
    db.read
      .selectFrom('amphora_health as health')
      .innerJoin('amphora', 'amphora.id', 'health.amphora_id')
      .leftJoin('loadbalancer as lb', 'lb.id', 'amphora.loadbalancer_id');
  const since = sql<number>`${db.nowMs()} - ${timeout_ms}`;
  const [silent, zones, rebuilds, revived] = await readMany(db.read, [
    known()
      .select([
        'amphora.id',
        'amphora.loadbalancer_id',
        'amphora.cached_zone',
        'health.last_seen_ms',
        'lb.topology',
        'lb.provisioning_status',
      ])
      .where('health.busy', '=', false)
      .where('health.last_seen_ms', '<', since)
      .where('amphora.status', 'in', inService)
      .orderBy('lb.topology', 'desc')
      .orderBy('health.last_seen_ms')
      .limit(20_000),
    known()
      .select('amphora.cached_zone')
      .select((eb) => eb.fn.countAll<number>().as('amphorae'))
      .where('health.busy', '=', false)
      .where('amphora.status', 'in', inService)
      .groupBy('amphora.cached_zone'),
    known()
      .select((eb) => eb.fn.countAll<number>().as('rebuilding'))
      .where('health.busy', '=', true)
      .where('amphora.status', '!=', 'DELETED')
      .where('lb.provisioning_status', '=', 'PENDING_UPDATE'),
    known().select('amphora.id').where('amphora.status', '=', 'FAILOVER_STOPPED').where('health.last_seen_ms', '>=', since),
  ]);
  return { silent, zones, rebuilding: rebuilds[0]?.rebuilding ?? 0, revived: revived.map((row) => row.id) };
}

/** What has become of amphorae that were reported dead; those without a row are left out. */
export function readReported(db: Database, amphora_ids: readonly string[]) {
  return db.read
    .selectFrom('amphora')
    .leftJoin('amphora_health as health', 'health.amphora_id', 'amphora.id')
    .select(['amphora.id', 'amphora.status', 'amphora.loadbalancer_id', 'health.busy'])
    .where(isAmong(db.dialect, 'amphora.id', amphora_ids))
    .execute();
}

/**
 * Marks an amphora as being replaced, if it still is silent (or `dead`: if somebody saw that it is gone) and nobody else
 * marked it. Answers whether this call did: of several health managers one wins.
 */
export async function claimSilent(
  tx: Tx,
  db: Database,
  amphora_id: string,
  silence: { readonly timeout_ms: number } | 'dead',
): Promise<boolean> {
  if (silence === 'dead') {
    await tx
      .insertInto('amphora_health')
      .values({ amphora_id, last_seen_ms: 0, busy: false })
      .onConflict((conflict) => conflict.column('amphora_id').doNothing())
      .execute();
  }
  const since = silence === 'dead' ? null : sql<number>`${db.nowMs()} - ${silence.timeout_ms}`;
  const claimed = await tx
    .updateTable('amphora_health')
    .set({ busy: true })
    .where('amphora_id', '=', amphora_id)
    .where('busy', '=', false)
    .$if(since !== null, (query) => query.where('last_seen_ms', '<', since!))
    .executeTakeFirst();
  return claimed.numUpdatedRows > 0n;
}

/** Brings amphorae that were given up and are heard again back into service. */
export async function reviveAmphorae(tx: Tx, dialect: Database['dialect'], amphora_ids: readonly string[]): Promise<void> {
  await tx
    .updateTable('amphora')
    .set({ status: 'ALLOCATED' })
    .where(isAmong(dialect, 'id', amphora_ids))
    .where('status', '=', 'FAILOVER_STOPPED')
    .execute();
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
