/** Removes rows that nobody asks for any more. What hangs on a row goes with it by foreign keys and triggers. */
import { sql } from 'kysely';
import type { Database, Tx } from './database.ts';

/** How many rows of each kind went. */
export type Purged = {
  readonly amphorae: number;
  readonly loadbalancers: number;
  /** Rows of health and statistics whose amphora or listener was gone before they were written. */
  readonly leftovers: number;
};

/** Rows removed in one transaction: a purge of thousands must not hold locks, nor the only writer, for seconds. */
const batch = 500;

/**
 * Removes amphorae and load balancers that are DELETED since before the given times, `YYYY-MM-DDTHH:MM:SS` UTC. An amphora
 * that was heard lately stays: its instance still runs, and its row says whose it was.
 *
 * @param silent_ms an amphora that was heard within so many milliseconds stays
 */
export async function purgeDeleted(
  db: Database,
  before: { readonly amphorae: string; readonly loadbalancers: string; readonly silent_ms: number },
): Promise<Purged> {
  const amphorae = await inBatches(db, (tx) => purgeAmphorae(tx, db, before.amphorae, before.silent_ms));
  const loadbalancers = await inBatches(db, (tx) => purgeLoadBalancers(tx, before.loadbalancers));
  const leftovers = await purgeLeftovers(db);
  return { amphorae, loadbalancers, leftovers };
}

async function inBatches(db: Database, remove: (tx: Tx) => Promise<number>): Promise<number> {
  for (let total = 0; ;) {
    const removed = await db.tx(remove);
    total += removed;
    if (removed < batch) return total;
  }
}

async function purgeAmphorae(tx: Tx, db: Database, before: string, silent_ms: number): Promise<number> {
  const lately = sql<number>`${db.nowMs()} - ${silent_ms}`;
  const doomed = await tx
    .selectFrom('amphora')
    .leftJoin('amphora_health as health', 'health.amphora_id', 'amphora.id')
    .select('amphora.id')
    .where('amphora.status', '=', 'DELETED')
    .where((eb) => eb.fn.coalesce('amphora.updated_at', 'amphora.created_at'), '<', before)
    .where((eb) => eb.or([eb('health.last_seen_ms', 'is', null), eb('health.last_seen_ms', '<', lately)]))
    .orderBy('amphora.id')
    .limit(batch)
    .execute();
  return removeRows(tx, 'amphora', doomed);
}

async function purgeLoadBalancers(tx: Tx, before: string): Promise<number> {
  const doomed = await tx
    .selectFrom('loadbalancer')
    .select('id')
    .where('provisioning_status', '=', 'DELETED')
    .where((eb) => eb.fn.coalesce('updated_at', 'created_at'), '<', before)
    .orderBy('id')
    .limit(batch)
    .execute();
  return removeRows(tx, 'loadbalancer', doomed);
}

async function removeRows(tx: Tx, table: 'amphora' | 'loadbalancer', rows: readonly { readonly id: string }[]): Promise<number> {
  if (rows.length === 0) return 0;
  const ids = rows.map((row) => row.id);
  const status = table === 'amphora' ? ('status' as const) : ('provisioning_status' as const);
  const result = await tx
    .deleteFrom(table)
    .where('id', 'in', ids)
    .where(status as 'id', '=', 'DELETED')
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}

/** A heartbeat that was on its way while its amphora or listener was removed may have left a row behind. */
async function purgeLeftovers(db: Database): Promise<number> {
  const health = await db.read
    .selectFrom('amphora_health')
    .select('amphora_id')
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom('amphora').select('amphora.id').whereRef('amphora.id', '=', 'amphora_health.amphora_id'))),
    )
    .limit(batch)
    .execute();
  const statistics = await db.read
    .selectFrom('listener_statistics')
    .select('listener_id')
    .distinct()
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom('listener').select('listener.id').whereRef('listener.id', '=', 'listener_statistics.listener_id'))),
    )
    .limit(batch)
    .execute();
  if (health.length + statistics.length === 0) return 0;
  return db.tx(async (tx) => {
    let removed = 0n;
    if (health.length > 0) {
      const result = await tx
        .deleteFrom('amphora_health')
        .where(
          'amphora_id',
          'in',
          health.map((row) => row.amphora_id),
        )
        .executeTakeFirst();
      removed += result.numDeletedRows;
    }
    if (statistics.length > 0) {
      const result = await tx
        .deleteFrom('listener_statistics')
        .where(
          'listener_id',
          'in',
          statistics.map((row) => row.listener_id),
        )
        .executeTakeFirst();
      removed += result.numDeletedRows;
    }
    return Number(removed);
  });
}
