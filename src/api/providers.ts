/** Providers and what their flavors and availability zones can say (api-ref "Providers"). */
import { Fault } from '../model/index.ts';
import type { Answer, Call } from './call.ts';
import { readFields } from './request/list-args.ts';
import { enforce } from './policy/enforce.ts';

type Described = { readonly name: string; readonly description: string };

const amphoraFlavor: readonly Described[] = [
  { name: 'amp_image_tag', description: 'The amphora image tag.' },
  { name: 'compute_flavor', description: 'The compute driver flavor ID.' },
  {
    name: 'loadbalancer_topology',
    description:
      'The load balancer topology. One of: SINGLE - One amphora per load balancer. ACTIVE_STANDBY - Two amphora per load balancer.',
  },
  { name: 'sriov_vip', description: 'When true, the VIP port will be created using an SR-IOV VF port.' },
  { name: 'allow_member_sriov', description: 'When true, users can request a member port be SR-IOV enabled at member creation time.' },
];

const amphoraZone: readonly Described[] = [
  { name: 'compute_zone', description: 'The compute availability zone.' },
  { name: 'management_network', description: 'The management network ID for the amphora.' },
  {
    name: 'valid_vip_networks',
    description:
      'List of network IDs that are allowed for VIP use. This overrides/replaces the list of allowed networks configured in `octavia.conf`.',
  },
  { name: 'volume_zone', description: 'The volume availability zone.' },
];

const noopFlavor: readonly Described[] = [{ name: 'amp_image_tag', description: 'The glance image tag to use for this load balancer.' }];

const noopZone: readonly Described[] = [
  { name: 'compute_zone', description: 'The compute availability zone to use for this loadbalancer.' },
  { name: 'volume_zone', description: 'The volume availability zone to use for this loadbalancer.' },
];

const capabilities: Readonly<Record<string, { readonly flavor: readonly Described[]; readonly zone: readonly Described[] }>> = {
  amphora: { flavor: amphoraFlavor, zone: amphoraZone },
  octavia: { flavor: amphoraFlavor, zone: amphoraZone },
  noop_driver: { flavor: noopFlavor, zone: noopZone },
  'noop_driver-alt': { flavor: noopFlavor, zone: noopZone },
};

/** `GET /providers` */
export function listProviders(call: Call): Answer {
  enforce(call, 'provider', 'get_all', call.caller.project_id);
  const list = Object.entries(call.deps.options.enabled_provider_drivers).map(([name, description]) => ({ name, description }));
  return { status: 200, body: { providers: selectFields(call, list) } };
}

/** `GET /providers/:id/flavor_capabilities` */
export const listFlavorCapabilities = (call: Call): Answer => listCapabilities(call, 'provider-flavor', 'flavor', 'flavor_capabilities');

/** `GET /providers/:id/availability_zone_capabilities` */
export const listZoneCapabilities = (call: Call): Answer =>
  listCapabilities(call, 'provider-availability-zone', 'zone', 'availability_zone_capabilities');

function listCapabilities(call: Call, policy: string, of: 'flavor' | 'zone', root: string): Answer {
  enforce(call, policy, 'get_all', call.caller.project_id);
  const name = call.params['id'] ?? '';
  if (!Object.hasOwn(call.deps.options.enabled_provider_drivers, name)) throw new Fault(400, `Provider '${name}' is not enabled.`);
  const known = Object.hasOwn(capabilities, name) ? capabilities[name] : undefined;
  if (known === undefined) throw new Fault(501, `Provider '${name}' does not support a requested action: listing capabilities`);
  const asked = (field: 'name' | 'description'): string | undefined => call.query.last(field);
  const list = known[of].filter(
    (each) => (asked('name') ?? each.name) === each.name && (asked('description') ?? each.description) === each.description,
  );
  return { status: 200, body: { [root]: selectFields(call, list) } };
}

function selectFields(call: Call, list: readonly Described[]): unknown[] {
  const only = readFields(call.query, call.deps.options);
  return only === null ? [...list] : list.map((each) => Object.fromEntries(Object.entries(each).filter(([name]) => only.has(name))));
}
