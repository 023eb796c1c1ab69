/** What the reference's amphora provider refuses. */
import type { ApiProvider } from '../../src/api/deps.ts';
import { createNoopNetwork } from '../../src/cloud/fake/network.ts';
import { Fault } from '../../src/model/index.ts';
import { hasRequests } from '../../src/model/rules/l7policy.ts';
import { amphoraMetadata } from '../../src/providers/amphora/metadata.ts';
import { noopMetadata, noopVip } from '../../src/providers/noop/provider.ts';

/** Its cloud has everything, as that of upstream's no-op drivers. */
const everything = { compute: { findRefusal: async () => null }, catalog: createNoopNetwork() };

/** A provider that can do what the reference's can. */
export const referenceProvider: ApiProvider = {
  metadata: amphoraMetadata(everything),
  validate(tree, change) {
    if (change.action !== 'create' && change.action !== 'update') return;
    if (tree.pools.some((pool) => pool.lb_algorithm === 'SOURCE_IP_PORT' && pool.provisioning_status.startsWith('PENDING_')))
      throw new Fault(
        501,
        "Provider 'amphora' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm.",
      );
    const listener = tree.listeners.find((each) => each.l7policies.some((policy) => policy.id === change.owner.id));
    if (change.action === 'create' && listener !== undefined && !hasRequests(listener.protocol))
      throw new Fault(
        501,
        `Provider 'amphora' does not support a requested option: ${listener.protocol} protocol listeners do not support L7 policies`,
      );
  },
};

/** The reference's no-op provider. */
export const referenceNoopProvider: ApiProvider = { ...referenceProvider, metadata: noopMetadata, made_up_vip: noopVip };
