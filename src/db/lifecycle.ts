/** How a pass ends in the rows: everything asked for is ACTIVE or gone, one resource is refused, or the whole has failed. */
import type { Kysely } from 'kysely';
import type { ResourceType } from '../model/index.ts';
import { preparedMany } from './read-many.ts';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Tx = Kysely<Tables>;

/** The tables of a load balancer's parts, those that refer to others first. */
const parts = ['member', 'healthmonitor', 'pool', 'listener'] as const;
type Part = (typeof parts)[number];

/** Parts of one load balancer in one table. */
const ofLoadBalancer = (tx: Tx, part: Part, loadbalancer_id: string) => {
  const pools = tx.selectFrom('pool').select('id').where('loadbalancer_id', '=', loadbalancer_id);
  return part === 'member' || part === 'healthmonitor'
    ? ({ column: 'pool_id', ids: pools } as const)
    : ({ column: 'id', ids: tx.selectFrom(part).select('id').where('loadbalancer_id', '=', loadbalancer_id) } as const);
};

/** The load balancer is gone: its parts are deleted, its row stays DELETED until it is purged. */
export async function markDeleted(tx: Tx, loadbalancer_id: string, updated_at: string): Promise<void> {
  for (const part of parts) {
    const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
    await tx
      .deleteFrom('tag')
      .where(
        'resource_id',
        'in',
        tx
          .selectFrom(part)
          .select('id')
          .where(column as 'id', 'in', ids),
      )
      .execute();
    await tx
      .deleteFrom(part)
      .where(column as 'id', 'in', ids)
      .execute();
  }
  await tx.deleteFrom('tag').where('resource_id', '=', loadbalancer_id).execute();
  await tx.deleteFrom('listener_statistics').where('amphora_id', 'in', amphoraIds(tx, loadbalancer_id)).execute();
  await tx.deleteFrom('amphora_health').where('amphora_id', 'in', amphoraIds(tx, loadbalancer_id)).execute();
  await tx
    .updateTable('loadbalancer')
    .set({ provisioning_status: 'DELETED', operating_status: 'OFFLINE', updated_at, fault: null })
    .where('id', '=', loadbalancer_id)
    .execute();
}

const amphoraIds = (tx: Tx, loadbalancer_id: string) =>
  tx.selectFrom('amphora').select('id').where('loadbalancer_id', '=', loadbalancer_id);

/**
 * Everything that was asked for is in place: parts PENDING_DELETE are deleted, the others become ACTIVE, also those that
 * failed only because the load balancer did; what was refused by itself stays in ERROR.
 */
export async function markActive(tx: Tx, loadbalancer_id: string, updated_at: string): Promise<void> {
  await dropDeleted(tx, loadbalancer_id);
  const active = parts.map((part) => {
    const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
    return tx
      .updateTable(part)
      .set({ provisioning_status: 'ACTIVE', updated_at, fault: null })
      .where(column as 'id', 'in', ids)
      .where('provisioning_status', 'in', ['PENDING_CREATE', 'PENDING_UPDATE', 'ERROR'])
      .where('refused', '=', false);
  });
  const { ids } = ofLoadBalancer(tx, 'healthmonitor', loadbalancer_id);
  const monitors = [true, false].map((up) => {
    const operating_status = up ? 'ONLINE' : 'OFFLINE';
    return tx
      .updateTable('healthmonitor')
      .set({ operating_status })
      .where('pool_id', 'in', ids)
      .where('admin_state_up', '=', up)
      .where('operating_status', '!=', operating_status);
  });
  const whole = tx
    .updateTable('loadbalancer')
    .set({ provisioning_status: 'ACTIVE', updated_at, fault: null })
    .where('id', '=', loadbalancer_id)
    .where('provisioning_status', 'in', ['PENDING_CREATE', 'PENDING_UPDATE', 'ERROR']);
  await writeMany(tx, [...active, ...monitors, whole]);
}

/** Parts that are PENDING_DELETE, in the order of `parts`; members and monitors with the pool that they are of. */
const findDoomed = preparedMany((tx, loadbalancer_id) =>
  parts.map((part) => {
    const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
    return tx
      .selectFrom(part)
      .select(part === 'healthmonitor' || part === 'member' ? ['id', 'pool_id' as 'id'] : ['id'])
      .where(column as 'id', 'in', ids)
      .where('provisioning_status', '=', 'PENDING_DELETE');
  }),
);

/** Deletes the parts that are PENDING_DELETE, with what hangs on them. */
async function dropDeleted(tx: Tx, loadbalancer_id: string): Promise<void> {
  const found = (await findDoomed(tx, loadbalancer_id)) as readonly (readonly { readonly id: string; readonly pool_id?: string }[])[];
  for (const [index, part] of parts.entries()) {
    const doomed = found[index] ?? [];
    if (doomed.length === 0) continue;
    const gone = doomed.map((row) => row.id);
    if (part === 'healthmonitor')
      await forgetMonitoring(
        tx,
        doomed.map((row) => row.pool_id as string),
      );
    if (part === 'pool') await dropPoolParts(tx, gone);
    if (part === 'listener') await tx.deleteFrom('listener_statistics').where('listener_id', 'in', gone).execute();
    await tx.deleteFrom('tag').where('resource_id', 'in', gone).execute();
    await tx.deleteFrom(part).where('id', 'in', gone).execute();
  }
}

/** Members of a pool without a monitor have nothing to be ONLINE by. */
async function forgetMonitoring(tx: Tx, pool_ids: readonly string[]): Promise<void> {
  await tx.updateTable('member').set({ operating_status: 'NO_MONITOR' }).where('pool_id', 'in', pool_ids).execute();
}

async function dropPoolParts(tx: Tx, pool_ids: readonly string[]): Promise<void> {
  for (const part of ['member', 'healthmonitor'] as const) {
    await tx
      .deleteFrom('tag')
      .where('resource_id', 'in', tx.selectFrom(part).select('id').where('pool_id', 'in', pool_ids))
      .execute();
    await tx.deleteFrom(part).where('pool_id', 'in', pool_ids).execute();
  }
  await tx.updateTable('listener').set({ default_pool_id: null }).where('default_pool_id', 'in', pool_ids).execute();
}

/** One part is refused for good: ERROR with its reason, and left out until it is changed again. False: it was refused already. */
export async function markRefused(
  tx: Tx,
  owner: { readonly type: ResourceType; readonly id: string },
  reason: string,
  updated_at: string,
): Promise<boolean> {
  if (!(parts as readonly string[]).includes(owner.type)) return false;
  const result = await tx
    .updateTable(owner.type as Part)
    .set({ provisioning_status: 'ERROR', refused: true, fault: reason.slice(0, 2000), updated_at })
    .where('id', '=', owner.id)
    .where('refused', '=', false)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/**
 * The load balancer has failed as a whole: it and its parts under change are in ERROR; parts being deleted stay so, for
 * the next try. One that nobody asked to change (a look for drift, a certificate that is due) stays ACTIVE: it serves as
 * before. Answers whether it was the load balancer's own deletion that failed.
 */
export async function markFailed(tx: Tx, loadbalancer_id: string, reason: string, updated_at: string): Promise<boolean> {
  const fault = reason.slice(0, 2000);
  const before = await tx.selectFrom('loadbalancer').select('provisioning_status').where('id', '=', loadbalancer_id).executeTakeFirst();
  if (before?.provisioning_status === 'ACTIVE') return false;
  for (const part of parts) {
    const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
    await tx
      .updateTable(part)
      .set({ provisioning_status: 'ERROR', fault, updated_at })
      .where(column as 'id', 'in', ids)
      .where('provisioning_status', 'in', ['PENDING_CREATE', 'PENDING_UPDATE'])
      .execute();
  }
  await tx.updateTable('loadbalancer').set({ provisioning_status: 'ERROR', fault, updated_at }).where('id', '=', loadbalancer_id).execute();
  return before?.provisioning_status === 'PENDING_DELETE';
}
