/** Connection limits that an amphora cannot have: told to operators, because the API goes on showing what was asked for. */
import type { Logger } from '../lib/log.ts';
import type { Amphora, LoadBalancerTree } from '../model/index.ts';

/** Most amphorae of which it is remembered what was told. */
const remembered = 10_000;

/** Logs once for each amphora and limit that listeners ask for more connections than its open files allow. */
export function clampTeller(log: Logger): (tree: LoadBalancerTree, amphora: Amphora, maxconn_limit: number | null) => void {
  const told = new Map<string, string>();
  return (tree, amphora, maxconn_limit) => {
    const over = maxconn_limit === null ? [] : tree.listeners.filter((listener) => listener.connection_limit > maxconn_limit);
    const what = over.map(({ id }) => id).join();
    if (what === (told.get(amphora.id) ?? '')) return;
    told.delete(amphora.id);
    if (what === '') return;
    told.set(amphora.id, what);
    const [oldest] = told.keys();
    if (told.size > remembered && oldest !== undefined) told.delete(oldest);
    const listeners = over.map(({ id, connection_limit }) => ({ id, connection_limit }));
    log.warn(
      { loadbalancer_id: tree.loadbalancer.id, amphora_id: amphora.id, maxconn_limit, listeners },
      'listeners get fewer connections than they ask for: the amphora cannot open more files',
    );
  };
}
