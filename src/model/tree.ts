/** A load balancer with everything that belongs to it: the input of the planner, the renderer and the status derivation. */
import type { Amphora } from './amphora.ts';
import type { ZoneData } from './availability-zone.ts';
import type { FlavorData } from './flavor.ts';
import type { HealthMonitor } from './healthmonitor.ts';
import type { L7Policy } from './l7policy.ts';
import type { L7Rule } from './l7rule.ts';
import type { Listener } from './listener.ts';
import type { LoadBalancer } from './loadbalancer.ts';
import type { Member } from './member.ts';
import type { Pool } from './pool.ts';

/** A pool with its members and its health monitor. */
export type PoolTree = Pool & { readonly members: readonly Member[]; readonly healthmonitor: HealthMonitor | null };

/** An L7 policy with its rules, in order of creation, then id. */
export type L7PolicyTree = L7Policy & { readonly rules: readonly L7Rule[] };

/** A listener with its L7 policies, in order of position, those on their way out last. */
export type ListenerTree = Listener & { readonly l7policies: readonly L7PolicyTree[] };

/** A load balancer with its listeners, pools and amphorae; each list in order of creation, then id. */
export type LoadBalancerTree = {
  readonly loadbalancer: LoadBalancer;
  readonly listeners: readonly ListenerTree[];
  readonly pools: readonly PoolTree[];
  /** Every amphora row that is not DELETED. */
  readonly amphorae: readonly Amphora[];
  /** Counts the changes that were asked for: workers converge on it, agents refuse an older one. */
  readonly generation: number;
  /** What its flavor says; absent: it has none. */
  readonly flavor?: FlavorData;
  /** What its availability zone says; absent: it has none. */
  readonly zone?: ZoneData;
};
