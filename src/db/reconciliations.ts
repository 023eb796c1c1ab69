/**
 * The queue, the lease and the fence: one row per load balancer says what was asked for (`generation`), what was carried
 * out (`applied_generation`), and who works on it until when. A claim is one conditional UPDATE; every write of a pass
 * checks owner and fence in its own transaction, so a worker that slept past its lease can change nothing.
 */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from './tables.ts';
import { askLast, insist, writeMany } from './write-many.ts';

/** A connection inside a transaction (or the database itself for a single statement). */
type Tx = Kysely<Tables>;

/** The right to work on one load balancer until `lease_until_ms` by the database's clock. */
export type Lease = {
  readonly loadbalancer_id: string;
  readonly owner: string;
  readonly fence: number;
  /** Generation at the time of the claim. */
  readonly generation: number;
  readonly attempts: number;
  readonly started_ms: number;
};

/** The lease was taken over by another worker, or released. */
export class LeaseLost extends Error {
  constructor(loadbalancer_id: string) {
    super(`The lease on load balancer ${loadbalancer_id} is another worker's.`);
    this.name = 'LeaseLost';
  }
}

/** Makes the row of a new load balancer, generation 1; with `hold` the lease is the caller's until it is released or runs out. */
export async function insertReconciliation(
  tx: Tx,
  loadbalancer_id: string,
  hold?: { readonly owner: string; readonly lease_ms: number; readonly now: RawBuilder<number> },
): Promise<{ generation: number; fence: number }> {
  const row = tx.insertInto('reconciliation').values({
    loadbalancer_id,
    generation: 1,
    applied_generation: 0,
    lease_owner: hold?.owner ?? null,
    lease_until_ms: hold ? sql<number>`${hold.now} + ${hold.lease_ms}` : 0,
    fence: 1,
    attempts: 0,
    started_ms: null,
    not_before_ms: 0,
    reason: null,
  });
  await writeMany(tx, [row]);
  return { generation: 1, fence: 1 };
}

/** Asks for another pass: generation + 1, due at once, failures forgotten. */
export const bumpGeneration = (tx: Tx, loadbalancer_id: string): Promise<void> =>
  writeMany(tx, [
    tx
      .updateTable('reconciliation')
      .set((eb) => ({ generation: eb('generation', '+', 1), attempts: 0, not_before_ms: 0, started_ms: null }))
      .where('loadbalancer_id', '=', loadbalancer_id),
  ]);

/** Gives back the lease that `insertReconciliation` took. False: it is gone already, and a worker has taken the load balancer over. */
export async function releaseApiLease(tx: Tx, loadbalancer_id: string, fence: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('reconciliation')
    .set({ lease_owner: null, lease_until_ms: 0 })
    .where('loadbalancer_id', '=', loadbalancer_id)
    .where('fence', '=', fence)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/**
 * Takes leases from owners that cannot come back, so that their work need not wait until the leases run out. Answers how many.
 * A wrong guess costs nothing but work: the fence keeps the old owner from writing.
 */
export async function releaseLeasesOf(tx: Tx, isGone: (owner: string) => boolean): Promise<number> {
  const held = await tx
    .selectFrom('reconciliation')
    .select(['loadbalancer_id', 'lease_owner', 'fence'])
    .where('lease_owner', 'is not', null)
    .execute();
  const gone = held.filter((row) => row.lease_owner !== null && isGone(row.lease_owner));
  for (const { loadbalancer_id, fence } of gone) await releaseApiLease(tx, loadbalancer_id, fence);
  return gone.length;
}

/** Load balancers that have work now, the longest waiting first; a hint: only `claim` decides. */
export async function listDue(tx: Tx, now: RawBuilder<number>, limit: number): Promise<readonly string[]> {
  const rows = await tx
    .selectFrom('reconciliation')
    .select('loadbalancer_id')
    .whereRef('generation', '>', 'applied_generation')
    .where('not_before_ms', '<=', now)
    .where((eb) => eb.or([eb('lease_owner', 'is', null), eb('lease_until_ms', '<', now)]))
    .orderBy('not_before_ms')
    .orderBy('loadbalancer_id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.loadbalancer_id);
}

/** Takes the lease if there is work and nobody else has it; null: not now, or another was faster. Ends the transaction. */
export async function claim(
  tx: Tx,
  now: RawBuilder<number>,
  loadbalancer_id: string,
  owner: string,
  lease_ms: number,
): Promise<Lease | null> {
  const taking = tx
    .updateTable('reconciliation')
    .set((eb) => ({
      lease_owner: owner,
      lease_until_ms: sql<number>`${now} + ${lease_ms}`,
      fence: eb('fence', '+', 1),
      started_ms: eb.fn.coalesce('started_ms', now),
    }))
    .where('loadbalancer_id', '=', loadbalancer_id)
    .whereRef('generation', '>', 'applied_generation')
    .where('not_before_ms', '<=', now)
    .where((eb) => eb.or([eb('lease_owner', 'is', null), eb('lease_until_ms', '<', now)]))
    .returning(['fence', 'generation', 'attempts', 'started_ms']);
  const [row] = await askLast(tx, taking);
  return row
    ? { loadbalancer_id, owner, fence: row.fence, generation: row.generation, attempts: row.attempts, started_ms: row.started_ms ?? 0 }
    : null;
}

/** Checks the lease and extends it; holds the row against other writers until the transaction ends. The transaction throws `LeaseLost`. */
export const holdLease = (tx: Tx, now: RawBuilder<number>, lease: Lease, lease_ms: number): Promise<void> =>
  insist(tx, ours(tx, lease).set({ lease_until_ms: sql<number>`${now} + ${lease_ms}` }), () => new LeaseLost(lease.loadbalancer_id));

/** Ends the pass without having finished: not to be claimed before `not_before_ms`. The transaction throws `LeaseLost`. */
export const postpone = (
  tx: Tx,
  lease: Lease,
  change: { readonly not_before_ms: number; readonly attempts: number; readonly reason: string },
): Promise<void> =>
  insist(
    tx,
    ours(tx, lease).set({
      lease_owner: null,
      lease_until_ms: 0,
      // A change that was asked for meanwhile made the row due at once: keep it so.
      not_before_ms: sql<number>`CASE WHEN generation > ${lease.generation} THEN 0 ELSE ${change.not_before_ms} END`,
      attempts: change.attempts,
      reason: change.reason.slice(0, 2000),
    }),
    () => new LeaseLost(lease.loadbalancer_id),
  );

/** Ends the work: `generation` is applied. False: the generation moved, nothing was changed. Throws `LeaseLost`. */
export async function complete(tx: Tx, lease: Lease, generation: number): Promise<boolean> {
  const row = await ours(tx, lease)
    .set((eb) => ({
      applied_generation: sql<number>`CASE WHEN generation = ${generation} THEN generation ELSE applied_generation END`,
      lease_owner: sql<string | null>`CASE WHEN generation = ${generation} THEN NULL ELSE lease_owner END`,
      attempts: eb.val(0),
      started_ms: eb.val(null),
      reason: eb.val(null),
    }))
    .returning(['generation'])
    .executeTakeFirst();
  if (!row) throw new LeaseLost(lease.loadbalancer_id);
  return row.generation === generation;
}

/** An UPDATE of the row as long as the lease is ours. */
const ours = (tx: Tx, lease: Lease) =>
  tx
    .updateTable('reconciliation')
    .where('loadbalancer_id', '=', lease.loadbalancer_id)
    .where('lease_owner', '=', lease.owner)
    .where('fence', '=', lease.fence);

/** Amphora states in which a replacement may be asked for. */
const replaceable = ['ALLOCATED', 'ERROR', 'FAILOVER_STOPPED', 'BOOTING', 'PENDING_CREATE'] as const;

/**
 * Asks for one amphora to be replaced, if its load balancer may change now (ACTIVE or ERROR): amphora PENDING_DELETE,
 * load balancer PENDING_UPDATE, generation + 1. False: not now.
 */
export async function condemnAmphora(tx: Tx, amphora_id: string): Promise<boolean> {
  const amphora = await tx.selectFrom('amphora').select(['loadbalancer_id', 'status']).where('id', '=', amphora_id).executeTakeFirst();
  if (!amphora?.loadbalancer_id || !isReplaceable(amphora.status)) return false;
  const lb = await tx
    .updateTable('loadbalancer')
    .set({ provisioning_status: 'PENDING_UPDATE' })
    .where('id', '=', amphora.loadbalancer_id)
    .where('provisioning_status', 'in', ['ACTIVE', 'ERROR'])
    .executeTakeFirst();
  if (lb.numUpdatedRows === 0n) return false;
  await tx
    .updateTable('amphora')
    .set({ status: 'PENDING_DELETE' })
    .where('id', '=', amphora_id)
    .where('status', 'in', replaceable)
    .execute();
  await bumpGeneration(tx, amphora.loadbalancer_id);
  return true;
}

/** Asks for every amphora of a load balancer to be replaced; the caller has locked the load balancer and bumps its generation. */
export async function condemnAmphorae(tx: Tx, loadbalancer_id: string): Promise<void> {
  await tx
    .updateTable('amphora')
    .set({ status: 'PENDING_DELETE' })
    .where('loadbalancer_id', '=', loadbalancer_id)
    .where('status', 'in', replaceable)
    .execute();
}

/** Asks for an amphora's agent to be given its configuration anew. Its load balancer may be in any state: nothing of it changes. */
export async function askForConfiguration(tx: Tx, amphora_id: string, loadbalancer_id: string): Promise<void> {
  await tx.updateTable('amphora').set({ config_due: true }).where('id', '=', amphora_id).execute();
  await bumpGeneration(tx, loadbalancer_id);
}

/**
 * Asks for an amphora in ERROR to be removed, whatever its load balancer does just now: it does not count any more, and is replaced
 * anyway. One that no load balancer has is let go: its row is DELETED, so what runs under its name is a stray. False: it is not in ERROR.
 */
export async function removeFailedAmphora(tx: Tx, amphora_id: string, updated_at: string): Promise<boolean> {
  const row = await tx
    .updateTable('amphora')
    .set({ status: sql`CASE WHEN loadbalancer_id IS NULL THEN 'DELETED' ELSE 'PENDING_DELETE' END`, updated_at })
    .where('id', '=', amphora_id)
    .where('status', '=', 'ERROR')
    .returning('loadbalancer_id')
    .executeTakeFirst();
  if (row === undefined) return false;
  if (row.loadbalancer_id === null) return true;
  await tx
    .updateTable('loadbalancer')
    .set({ provisioning_status: 'PENDING_UPDATE' })
    .where('id', '=', row.loadbalancer_id)
    .where('provisioning_status', 'in', ['ACTIVE', 'ERROR'])
    .execute();
  await bumpGeneration(tx, row.loadbalancer_id);
  return true;
}

const isReplaceable = (status: string): boolean => (replaceable as readonly string[]).includes(status);
