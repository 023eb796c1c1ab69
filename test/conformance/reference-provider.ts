/** What the reference's amphora provider refuses. */
import type { ApiProvider } from '../../src/api/deps.ts';
import { Fault } from '../../src/model/index.ts';

/** A provider that can do what the reference's can. */
export const referenceProvider: ApiProvider = {
  validate(tree, change) {
    if (change.action !== 'create' && change.action !== 'update') return;
    if (tree.pools.some((pool) => pool.lb_algorithm === 'SOURCE_IP_PORT' && pool.provisioning_status.startsWith('PENDING_')))
      throw new Fault(
        501,
        "Provider 'amphora' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm.",
      );
  },
};
