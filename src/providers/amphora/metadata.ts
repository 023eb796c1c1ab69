/** What flavors and availability zones can say to the amphora provider, and whether the cloud can give it. */
import type { Compute, InstanceWish } from '../../cloud/compute.ts';
import type { NetworkCatalog } from '../../cloud/network.ts';
import type { FlavorData, ZoneData } from '../../model/index.ts';
import type { Capability, Metadata } from '../provider.ts';

const flavorCapabilities: readonly Capability[] = [
  {
    name: 'loadbalancer_topology',
    description:
      'The load balancer topology. One of: SINGLE - One amphora per load balancer. ACTIVE_STANDBY - Two amphora per load balancer.',
    type: 'string',
    words: ['ACTIVE_STANDBY', 'SINGLE'],
  },
  { name: 'compute_flavor', description: 'The compute driver flavor ID.', type: 'string' },
  { name: 'amp_image_tag', description: 'The amphora image tag.', type: 'string' },
  { name: 'sriov_vip', description: 'When true, the VIP port will be created using an SR-IOV VF port.', type: 'boolean' },
  {
    name: 'allow_member_sriov',
    description: 'When true, users can request a member port be SR-IOV enabled at member creation time.',
    type: 'boolean',
  },
];

const zoneCapabilities: readonly Capability[] = [
  { name: 'compute_zone', description: 'The compute availability zone.', type: 'string' },
  { name: 'volume_zone', description: 'The volume availability zone.', type: 'string' },
  { name: 'management_network', description: 'The management network ID for the amphora.', type: 'string' },
  {
    name: 'valid_vip_networks',
    description:
      'List of network IDs that are allowed for VIP use. This overrides/replaces the list of allowed networks configured in `octavia.conf`.',
    type: 'array',
  },
];

/** The cloud that is asked. */
export type MetadataSources = { readonly compute: Pick<Compute, 'findRefusal'>; readonly catalog: Pick<NetworkCatalog, 'findNetwork'> };

/** What the provider understands; whether the cloud has it is asked when a profile is made and when a load balancer names it. */
export function amphoraMetadata({ compute, catalog }: MetadataSources): {
  readonly flavor: Metadata;
  readonly availability_zone: Metadata;
} {
  return {
    flavor: {
      capabilities: flavorCapabilities,
      isOpen: false,
      findRefusal: (data) => compute.findRefusal(wishOfFlavor(data as FlavorData)),
    },
    availability_zone: {
      capabilities: zoneCapabilities,
      isOpen: false,
      async findRefusal(data) {
        const zone = data as ZoneData;
        const ids = [...(zone.management_network === undefined ? [] : [zone.management_network]), ...(zone.valid_vip_networks ?? [])];
        for (const id of ids) {
          if (typeof id !== 'string' || (await catalog.findNetwork(id, null)) === null) return `Network ${String(id)} not found.`;
        }
        return compute.findRefusal(wishOfZone(zone));
      },
    },
  };
}

/** What a flavor asks of the compute service. */
export const wishOfFlavor = ({ compute_flavor, amp_image_tag, sriov_vip, allow_member_sriov }: FlavorData): InstanceWish => ({
  compute_flavor: compute_flavor ?? null,
  image_tag: amp_image_tag ?? null,
  vnic_type: sriov_vip === true || allow_member_sriov === true ? 'direct' : 'normal',
});

/** What an availability zone asks of the compute service. */
export const wishOfZone = ({ compute_zone, volume_zone, management_network }: ZoneData): InstanceWish => ({
  availability_zone: compute_zone ?? null,
  volume_zone: volume_zone ?? null,
  ...(management_network !== undefined && { network_ids: [management_network] }),
});
