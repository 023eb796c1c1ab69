/** The no-op provider, as upstream's: accepts everything and never reports back, so what it is given stays PENDING. */
import type { Tx } from '../../db/database.ts';
import type { Provider, Step } from '../provider.ts';

/** Makes the provider under the name that requests use. */
export function noopProvider(name: string, description: string): Provider<null, Step, Tx> {
  return {
    describe: () => ({ name, description, reports_back: false }),
    validate: () => undefined,
    observe: async () => null,
    plan: () => ({ steps: [], wait: null }),
    apply: async () => undefined,
  };
}
