/** How a new load balancer is shown: with everything that was made with it, in full. */
import type { LoadBalancer } from '../../model/index.ts';
import type { Graph } from './graph.ts';
import { presenterOf, type Related, type Resource, type Row } from '../resource.ts';
import { healthmonitors, listeners, loadbalancers, members, pools } from '../resources.ts';

/** The body that answers a create. */
export function presentGraph(loadbalancer: LoadBalancer, tags: readonly string[], graph: Graph): unknown {
  const tagsOf = new Map(graph.tags.map((each) => [each.id, each.tags] as const));
  const show = (resource: Resource, row: unknown, related: Related, without: readonly string[]): Record<string, unknown> => {
    const answer = presenterOf(resource)(row as Row, related);
    for (const name of without) delete answer[name];
    return answer;
  };
  const labels = new Map([...tagsOf].map(([id, each]) => [id, each]));
  const shownPools = graph.pools.map((pool) => {
    const monitor = graph.healthmonitors.find((each) => each.pool_id === pool.id);
    return {
      ...show(pools, pool, [new Map(), new Map(), new Map(), labels, new Map()], ['healthmonitor_id', 'loadbalancers']),
      listeners: graph.listeners.filter((each) => each.default_pool_id === pool.id).map(({ id }) => ({ id })),
      members: graph.members.filter((each) => each.pool_id === pool.id).map((each) => show(members, each, [labels], [])),
      ...(monitor !== undefined && { healthmonitor: show(healthmonitors, monitor, [labels], ['pools']) }),
    };
  });
  const shown = {
    ...show(loadbalancers, loadbalancer, [new Map(), new Map(), new Map([[loadbalancer.id, tags]])], []),
    listeners: graph.listeners.map((each) => show(listeners, each, [new Map(), labels], ['loadbalancers'])),
    pools: shownPools,
  };
  return { loadbalancer: shown };
}
