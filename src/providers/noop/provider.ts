/** The no-op provider, as upstream's: accepts everything and never reports back, so what it is given stays PENDING. */
import type { Tx } from '../../db/database.ts';
import type { Capability, Metadata, Provider, Step } from '../provider.ts';

/** What it lists; it takes anything else, too. */
const open = (capabilities: readonly Capability[]): Metadata => ({ capabilities, isOpen: true, findRefusal: async () => null });

/** What flavors and availability zones can say to it. */
export const noopMetadata = {
  flavor: open([{ name: 'amp_image_tag', description: 'The glance image tag to use for this load balancer.', type: 'string' }]),
  availability_zone: open([
    { name: 'compute_zone', description: 'The compute availability zone to use for this loadbalancer.', type: 'string' },
    { name: 'volume_zone', description: 'The volume availability zone to use for this loadbalancer.', type: 'string' },
  ]),
} as const;

/** The address of its VIPs (upstream's noop_driver), which exist nowhere. */
export const noopVip = '198.0.2.5';

/** Makes the provider under the name that requests use. */
export function noopProvider(name: string, description: string): Provider<null, Step, Tx> & { readonly made_up_vip: string } {
  return {
    describe: () => ({ name, description, reports_back: false }),
    metadata: noopMetadata,
    made_up_vip: noopVip,
    validate: () => undefined,
    observe: async () => null,
    plan: () => ({ steps: [], wait: null }),
    apply: async () => undefined,
  };
}
