/** Loads a load balancer with everything that belongs to it. */
import type {
  FlavorData,
  HealthMonitor,
  L7Policy,
  L7PolicyTree,
  L7Rule,
  ListenerTree,
  LoadBalancerTree,
  Member,
  PoolTree,
  ZoneData,
} from '../model/index.ts';
import type { Reader } from './database.ts';
import { preparedMany } from './read-many.ts';

const readTree = preparedMany((reader, id) => {
  const listenerIds = reader.selectFrom('listener').select('id').where('loadbalancer_id', '=', id);
  const poolIds = reader.selectFrom('pool').select('id').where('loadbalancer_id', '=', id);
  return [
    reader
      .selectFrom('loadbalancer as lb')
      .leftJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
      .leftJoin('flavor', 'flavor.id', 'lb.flavor_id')
      .leftJoin('flavor_profile', 'flavor_profile.id', 'flavor.flavor_profile_id')
      .leftJoin('availability_zone as zone', 'zone.name', 'lb.availability_zone')
      .leftJoin('availability_zone_profile as zone_profile', 'zone_profile.id', 'zone.availability_zone_profile_id')
      .selectAll('lb')
      .select(['work.generation', 'flavor_profile.flavor_data', 'zone_profile.availability_zone_data'])
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
    reader
      .selectFrom('l7policy')
      .selectAll()
      .where('listener_id', 'in', listenerIds)
      .orderBy('position')
      .orderBy('created_at')
      .orderBy('id'),
    reader
      .selectFrom('l7rule')
      .selectAll()
      .where('l7policy_id', 'in', reader.selectFrom('l7policy').select('id').where('listener_id', 'in', listenerIds))
      .orderBy('created_at')
      .orderBy('id'),
  ] as const;
});

/**
 * The load balancer's tree, read from one state of the database in one round trip; null when there is no such row.
 * Lists are in order of creation, then id, L7 policies in order of position; amphorae that are DELETED are left out.
 */
export async function loadTree(reader: Reader, loadbalancer_id: string): Promise<LoadBalancerTree | null> {
  const [[root], listeners, pools, members, monitors, amphorae, policies, rules] = await readTree(reader, loadbalancer_id);
  if (root === undefined) return null;
  const { generation, flavor_data, availability_zone_data, ...loadbalancer } = root;
  const membersOf = Map.groupBy<string, Member>(members, (member) => member.pool_id);
  const monitorOf = new Map<string, HealthMonitor>(monitors.map((monitor) => [monitor.pool_id, monitor]));
  const poolTrees = pools.map((pool): PoolTree => ({
    ...pool,
    members: membersOf.get(pool.id) ?? [],
    healthmonitor: monitorOf.get(pool.id) ?? null,
  }));
  const policiesOf = policyTrees(policies, rules);
  const listenerTrees = listeners.map((listener): ListenerTree => ({ ...listener, l7policies: policiesOf.get(listener.id) ?? [] }));
  return {
    loadbalancer,
    listeners: listenerTrees,
    pools: poolTrees,
    amphorae,
    generation: generation ?? 0,
    // Checked by the provider when the profile was made, and unchangeable since a flavor or zone uses it.
    ...(flavor_data !== null && { flavor: objectIn<FlavorData>(flavor_data) }),
    ...(availability_zone_data !== null && { zone: objectIn<ZoneData>(availability_zone_data) }),
  };
}

/** Policies with their rules, by listener. */
function policyTrees(policies: readonly L7Policy[], rules: readonly L7Rule[]): ReadonlyMap<string, L7PolicyTree[]> {
  const rulesOf = Map.groupBy<string, L7Rule>(rules, (rule) => rule.l7policy_id);
  const trees = policies.map((policy): L7PolicyTree => ({ ...policy, rules: rulesOf.get(policy.id) ?? [] }));
  return Map.groupBy(trees, (policy) => policy.listener_id);
}

/** What a profile says; providers other than ours may have taken what is no object. */
const objectIn = <T extends object>(text: string): T => {
  const value: unknown = JSON.parse(text);
  return (typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}) as T;
};
