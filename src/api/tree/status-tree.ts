/** The status tree of a load balancer (api-ref "Get the Load Balancer status tree"). Pure. */
import type { HealthMonitor, ListenerTree, LoadBalancerTree, Member, PoolTree } from '../../model/index.ts';
import { poolIdsOf } from '../../model/rules/l7policy.ts';

type Stated = {
  readonly id: string;
  readonly name: string | null;
  readonly operating_status: string;
  readonly provisioning_status: string;
  readonly fault: string | null;
};

const state = ({ id, name, operating_status, provisioning_status, fault }: Stated) => ({
  id,
  name: name ?? '',
  operating_status,
  provisioning_status,
  // An addition: why it is in ERROR.
  ...(fault === null ? {} : { fault }),
});

/**
 * The load balancer with its listeners, their pools, monitors and members; a pool that no listener uses does not appear, nor do
 * L7 policies.
 */
export function statusTree(tree: LoadBalancerTree): unknown {
  return { ...state(tree.loadbalancer), listeners: tree.listeners.map((listener) => listenerState(listener, tree.pools)) };
}

function listenerState(listener: ListenerTree, pools: readonly PoolTree[]): unknown {
  const ids = poolIdsOf(listener);
  return {
    ...state(listener),
    pools: pools.filter((pool) => ids.has(pool.id)).map(poolState),
  };
}

function poolState(pool: PoolTree): unknown {
  return {
    ...state(pool),
    health_monitor: pool.healthmonitor === null ? null : monitorState(pool.healthmonitor),
    members: pool.members.map(memberState),
  };
}

const monitorState = (monitor: HealthMonitor): unknown => ({ ...state(monitor), type: monitor.type });

const memberState = (member: Member): unknown => ({ ...state(member), address: member.address, protocol_port: member.protocol_port });
