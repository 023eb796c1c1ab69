/** How a pass ends in the rows: everything asked for is ACTIVE or gone, one resource is refused, or the whole has failed. */
import { type Kysely, sql } from 'kysely';
import type { LoadBalancerTree, ProvisioningStatus, ResourceType } from '../model/index.ts';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Tx = Kysely<Tables>;

/** The tables of a load balancer's parts, those that refer to others first. */
const parts = ['l7rule', 'l7policy', 'member', 'healthmonitor', 'pool', 'listener'] as const;
type Part = (typeof parts)[number];

/** Parts of one load balancer in one table. */
const ofLoadBalancer = (tx: Tx, part: Part, loadbalancer_id: string) => {
  const idsOf = (table: 'pool' | 'listener') => tx.selectFrom(table).select('id').where('loadbalancer_id', '=', loadbalancer_id);
  const policies = () => tx.selectFrom('l7policy').select('id').where('listener_id', 'in', idsOf('listener'));
  switch (part) {
    case 'member':
    case 'healthmonitor':
      return { column: 'pool_id', ids: idsOf('pool') } as const;
    case 'l7policy':
      return { column: 'listener_id', ids: idsOf('listener') } as const;
    case 'l7rule':
      return { column: 'l7policy_id', ids: policies() } as const;
    default:
      return { column: 'id', ids: idsOf(part) } as const;
  }
};

/** The load balancer is gone: its parts are deleted, its row stays DELETED until it is purged. */
export async function markDeleted(tx: Tx, loadbalancer_id: string, updated_at: string): Promise<void> {
  const gone = { provisioning_status: 'DELETED', operating_status: 'OFFLINE', updated_at, fault: null } as const;
  // Members and monitors go with their pools, policies and rules with their listeners, labels and statistics with what they are of (see the schema).
  await writeMany(tx, [
    tx.deleteFrom('listener').where('loadbalancer_id', '=', loadbalancer_id),
    tx.deleteFrom('pool').where('loadbalancer_id', '=', loadbalancer_id),
    tx.updateTable('loadbalancer').set(gone).where('id', '=', loadbalancer_id),
  ]);
}

const settling = ['PENDING_CREATE', 'PENDING_UPDATE', 'ERROR'] as const;

/**
 * Everything that was asked for is in place: parts PENDING_DELETE are deleted, the others become ACTIVE, also those that
 * failed only because the load balancer did; what was refused by itself stays in ERROR.
 *
 * @param tree as it is under the lock that the caller holds: what it has nothing of is not written (17 statements for a load balancer
 *   with all kinds of parts, 4 for a new one with a listener, a pool and members)
 */
export async function markActive(tx: Tx, tree: LoadBalancerTree, updated_at: string): Promise<void> {
  const { id } = tree.loadbalancer;
  const active = { provisioning_status: 'ACTIVE', updated_at, fault: null } as const;
  const rows = partsIn(tree);
  const having = (among: readonly ProvisioningStatus[]) =>
    parts.filter((part) => rows[part].some((row) => among.includes(row.provisioning_status)));
  await writeMany(tx, [
    ...having(['PENDING_DELETE']).flatMap((part) => {
      const { column, ids } = ofLoadBalancer(tx, part, id);
      const removal = tx
        .deleteFrom(part)
        .where(column as 'id', 'in', ids)
        .where('provisioning_status', '=', 'PENDING_DELETE');
      return part === 'healthmonitor' ? [forgetMonitoring(tx, id), removal] : [removal];
    }),
    ...having(settling).map((part) => {
      const { column, ids } = ofLoadBalancer(tx, part, id);
      return tx
        .updateTable(part)
        .set({
          ...active,
          provisioning_status: sql`CASE WHEN refused THEN 'ERROR' ELSE 'ACTIVE' END`,
          fault: sql`CASE WHEN refused THEN fault END`,
        })
        .where(column as 'id', 'in', ids)
        .where('provisioning_status', 'in', settling)
        .where((eb) => eb.or([eb('refused', '=', false), eb('provisioning_status', '!=', 'ERROR')]));
    }),
    ...(['healthmonitor', 'l7policy', 'l7rule'] as const).filter((part) => rows[part].length > 0).map((part) => watchAgain(tx, part, id)),
    tx.updateTable('loadbalancer').set(active).where('id', '=', id).where('provisioning_status', 'in', settling),
  ]);
}

/** The rows of each table that a tree consists of. */
function partsIn({ listeners, pools }: LoadBalancerTree): Readonly<Record<Part, readonly { provisioning_status: ProvisioningStatus }[]>> {
  const l7policy = listeners.flatMap((listener) => listener.l7policies);
  return {
    l7rule: l7policy.flatMap((policy) => policy.rules),
    l7policy,
    member: pools.flatMap((pool) => pool.members),
    healthmonitor: pools.flatMap((pool) => pool.healthmonitor ?? []),
    pool: pools,
    listener: listeners,
  };
}

/** Members of a pool whose monitor is about to go have nothing to be ONLINE by. */
const forgetMonitoring = (tx: Tx, loadbalancer_id: string) => {
  const { ids } = ofLoadBalancer(tx, 'healthmonitor', loadbalancer_id);
  const losing = tx
    .selectFrom('healthmonitor')
    .select('pool_id')
    .where('pool_id', 'in', ids)
    .where('provisioning_status', '=', 'PENDING_DELETE');
  return tx.updateTable('member').set({ operating_status: 'NO_MONITOR' }).where('pool_id', 'in', losing);
};

/** A monitor, a policy or a rule is ONLINE when it is switched on: no heartbeat speaks of it. */
const watchAgain = (tx: Tx, part: 'healthmonitor' | 'l7policy' | 'l7rule', loadbalancer_id: string) => {
  const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
  const wanted = sql<'ONLINE' | 'OFFLINE'>`CASE WHEN admin_state_up THEN 'ONLINE' ELSE 'OFFLINE' END`;
  return tx
    .updateTable(part)
    .set({ operating_status: wanted })
    .where(column as 'id', 'in', ids)
    .where('operating_status', '!=', wanted);
};

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
  const failed = { provisioning_status: 'ERROR', fault, updated_at } as const;
  await writeMany(tx, [
    ...parts.map((part) => {
      const { column, ids } = ofLoadBalancer(tx, part, loadbalancer_id);
      return tx
        .updateTable(part)
        .set(failed)
        .where(column as 'id', 'in', ids)
        .where('provisioning_status', 'in', ['PENDING_CREATE', 'PENDING_UPDATE']);
    }),
    tx.updateTable('loadbalancer').set(failed).where('id', '=', loadbalancer_id),
  ]);
  return before?.provisioning_status === 'PENDING_DELETE';
}
