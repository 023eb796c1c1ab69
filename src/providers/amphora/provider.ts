/** The amphora provider: load balancers served by instances that run HAProxy. */
import type { Tx } from '../../db/database.ts';
import type { Provider } from '../provider.ts';
import { apply, type Tools } from './apply.ts';
import { amphoraMetadata } from './metadata.ts';
import { observe } from './observe.ts';
import type { Observed } from './observed.ts';
import { plan } from './plan.ts';
import { checkSupported } from './supported.ts';
import type { AmphoraStep } from './steps.ts';

/** Makes the provider from what it works with; `name` is `amphora` or its alias `octavia`. */
export function amphoraProvider(tools: Tools, name: string, description: string): Provider<Observed, AmphoraStep, Tx> {
  return {
    describe: () => ({ name, description, reports_back: true }),
    metadata: amphoraMetadata(tools),
    validate: (tree, change) => checkSupported(name, tree, change),
    observe: (tree, work) => observe(tools, tree, work),
    plan,
    apply: (step, pass) => apply(tools, pass.observed as Observed, step, pass),
  };
}
