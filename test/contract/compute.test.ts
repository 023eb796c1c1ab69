import { randomUUID } from 'node:crypto';
import { FakeCompute } from '../../src/cloud/fake/compute.ts';
import { FakeClock } from '../../src/lib/clock.ts';
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

const NOT_UNIQUE = 'names are not unique in this cloud, as in Nova';

computeContract({
  name: 'fake compute',
  skips: {
    'the same name again is the same instance': NOT_UNIQUE,
    'the same name twice at once is one instance': NOT_UNIQUE,
    'deleting while it is being created ends without the instance': NOT_UNIQUE,
  },
  open: async () => {
    const clock = new FakeClock();
    const compute = new FakeCompute({ clock, newId: randomUUID, build_ms: 60_000, late_listing_ms: 5_000, random: Math.random });
    return {
      compute,
      again: async () => compute,
      createPort: async () => randomUUID(),
      spec: instanceSpec,
      settle: () => clock.advance(10_000),
      close: async () => undefined,
    };
  },
});
