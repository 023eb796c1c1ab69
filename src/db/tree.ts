/** Loads a load balancer with everything that belongs to it. */
import type { HealthMonitor, LoadBalancerTree, Member, PoolTree } from '../model/index.ts';
import type { Reader } from './database.ts';
import { preparedMany } from './read-many.ts';

const readTree = preparedMany((reader, id) => {
  const poolIds = reader.selectFrom('pool').select('id').where('loadbalancer_id', '=', id);
  return [
    reader
      .selectFrom('loadbalancer as lb')
      .leftJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
      .selectAll('lb')
      .select('work.generation')
      .where('lb.id', '=', id),
    reader.selectFrom('listener').selectAll().where('loadbalancer_id', '=', id).orderBy('created_at').orderBy('id'),
    reader.selectFrom('pool').selectAll().where('loadbalancer_id', '=', id).orderBy('created_at').orderBy('id'),
    reader.selectFrom('member').selectAll().where('pool_id', 'in', poolIds).orderBy('created_at').orderBy('id'),
    reader.selectFrom('healthmonitor').selectAll().where('pool_id', 'in', poolIds),
    reader
      .selectFrom('amphora')
      .selectAll()
      .where('loadbalancer_id', '=', id)
      .where('status', '!=', 'DELETED')
      .orderBy('created_at')
      .orderBy('id'),
  ] as const;
});

/**
 * The load balancer's tree, read from one state of the database in one round trip; null when there is no such row.
 * Lists are in order of creation, then id; amphorae that are DELETED are left out.
 */
export async function loadTree(reader: Reader, loadbalancer_id: string): Promise<LoadBalancerTree | null> {
  const [[root], listeners, pools, members, monitors, amphorae] = await readTree(reader, loadbalancer_id);
  if (root === undefined) return null;
  const { generation, ...loadbalancer } = root;
  const membersOf = Map.groupBy<string, Member>(members, (member) => member.pool_id);
  const monitorOf = new Map<string, HealthMonitor>(monitors.map((monitor) => [monitor.pool_id, monitor]));
  const poolTrees = pools.map((pool): PoolTree => ({
    ...pool,
    members: membersOf.get(pool.id) ?? [],
    healthmonitor: monitorOf.get(pool.id) ?? null,
  }));
  return { loadbalancer, listeners, pools: poolTrees, amphorae, generation: generation ?? 0 };
}
