/** How a new load balancer is shown: with everything that was made with it, in full. */
import type { LoadBalancer } from '../../model/index.ts';
import { poolIdsOf } from '../../model/rules/l7policy.ts';
import { type Graph, listenerTrees } from './graph.ts';
import { presenterOf, type Related, type Resource, type Row } from '../resource.ts';
import { healthmonitors, l7policies, l7rules, listeners, loadbalancers, members, pools } from '../resources.ts';

/** The body that answers a create. */
export function presentGraph(loadbalancer: LoadBalancer, tags: readonly string[], graph: Graph): unknown {
  const tagsOf = new Map(graph.tags.map((each) => [each.id, each.tags] as const));
  const show = (resource: Resource, row: unknown, related: Related, without: readonly string[]): Record<string, unknown> => {
    const answer = presenterOf(resource)(row as Row, related);
    for (const name of without) delete answer[name];
    return answer;
  };
  const labels = new Map([...tagsOf].map(([id, each]) => [id, each]));
  const trees = listenerTrees(graph);
  const shownListeners = trees.map((listener) => ({
    ...show(listeners, listener, [new Map(), labels], ['loadbalancers']),
    l7policies: listener.l7policies.map((policy) => ({
      ...show(l7policies, policy, [new Map(), labels], []),
      rules: policy.rules.map((rule) => show(l7rules, rule, [labels], [])),
    })),
  }));
  const shownPools = graph.pools.map((pool) => {
    const monitor = graph.healthmonitors.find((each) => each.pool_id === pool.id);
    return {
      ...show(pools, pool, [new Map(), new Map(), new Map(), labels, new Map()], ['healthmonitor_id', 'loadbalancers']),
      listeners: trees.filter((each) => poolIdsOf(each).has(pool.id)).map(({ id }) => ({ id })),
      members: graph.members.filter((each) => each.pool_id === pool.id).map((each) => show(members, each, [labels], [])),
      healthmonitor: monitor === undefined ? null : show(healthmonitors, monitor, [labels], ['pools']),
    };
  });
  const shown = {
    ...show(loadbalancers, loadbalancer, [new Map(), new Map(), new Map([[loadbalancer.id, tags]])], []),
    listeners: shownListeners,
    pools: shownPools,
  };
  return { loadbalancer: shown };
}
