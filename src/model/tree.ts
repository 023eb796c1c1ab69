/** A load balancer with everything that belongs to it: the input of the planner, the renderer and the status derivation. */
import type { Amphora } from './amphora.ts';
import type { HealthMonitor } from './healthmonitor.ts';
import type { Listener } from './listener.ts';
import type { LoadBalancer } from './loadbalancer.ts';
import type { Member } from './member.ts';
import type { Pool } from './pool.ts';

/** A pool with its members and its health monitor. */
export type PoolTree = Pool & { readonly members: readonly Member[]; readonly healthmonitor: HealthMonitor | null };

/** A load balancer with its listeners, pools and amphorae; each list in order of creation, then id. */
export type LoadBalancerTree = {
  readonly loadbalancer: LoadBalancer;
  readonly listeners: readonly Listener[];
  readonly pools: readonly PoolTree[];
  /** Every amphora row that is not DELETED. */
  readonly amphorae: readonly Amphora[];
  /** Counts the changes that were asked for: workers converge on it, agents refuse an older one. */
  readonly generation: number;
};
