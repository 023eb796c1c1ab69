import { computeContract } from './compute-contract.ts';
import { createLocalCloud, instanceSpec, openLocalCloud } from '../support/local-cloud.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import type { Launcher } from '../../src/cloud/local/compute/sandbox.ts';

for (const launcher of ['bwrap', 'unshare'] satisfies Launcher[]) {
  computeContract({
    name: `local compute by ${launcher}`,
    unavailable: namespacesUnavailable(),
    open: async () => {
      const cloud = await createLocalCloud({ launcher });
      const network = await cloud.addNetwork();
      return {
        compute: cloud.compute,
        again: async () => (await openLocalCloud(cloud.state_dir, { launcher })).compute,
        createPort: async () => cloud.addPort(network).port.id,
        spec: instanceSpec,
        close: cloud.destroy,
      };
    },
  });
}
