/** The amphora provider: load balancers served by instances that run HAProxy. */
import type { Tx } from '../../db/database.ts';
import { Fault } from '../../model/index.ts';
import { hasRequests } from '../../model/rules/l7policy.ts';
import type { Provider } from '../provider.ts';
import { apply, type Tools } from './apply.ts';
import { amphoraMetadata } from './metadata.ts';
import { observe } from './observe.ts';
import type { Observed } from './observed.ts';
import { plan } from './plan.ts';
import type { AmphoraStep } from './steps.ts';

/** Makes the provider from what it works with; `name` is `amphora` or its alias `octavia`. */
export function amphoraProvider(tools: Tools, name: string, description: string): Provider<Observed, AmphoraStep, Tx> {
  return {
    describe: () => ({ name, description, reports_back: true }),
    metadata: amphoraMetadata(tools),
    validate(tree, change) {
      for (const pool of tree.pools) {
        if (pool.lb_algorithm !== 'SOURCE_IP_PORT') continue;
        throw new Fault(
          501,
          `Provider '${name}' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm.`,
        );
      }
      const isNewPolicy = change.action === 'create' && change.owner.type === 'l7policy';
      const listener = tree.listeners.find((each) => isNewPolicy && each.l7policies.some((policy) => policy.id === change.owner.id));
      if (listener !== undefined && !hasRequests(listener.protocol))
        throw new Fault(
          501,
          `Provider '${name}' does not support a requested option: ${listener.protocol} protocol listeners do not support L7 policies`,
        );
    },
    observe: (tree, work) => observe(tools, tree, work),
    plan,
    apply: (step, pass) => apply(tools, pass.observed as Observed, step, pass),
  };
}
