/** `/v2.0/networks` and `/v2.0/subnets`. */
import type { Caller } from '../../cloud/identity.ts';
import { invalidInput, missing } from '../../cloud/local/network/faults.ts';
import type { LocalNetwork, LocalSubnet } from '../../cloud/local/network/records.ts';
import { maySee } from '../../cloud/local/network-service.ts';
import {
  createNetwork,
  createSubnet,
  deleteNetwork,
  deleteSubnet,
  updateNetwork,
  updateSubnet,
} from '../../cloud/local/network/topology.ts';
import type { Network } from '../../cloud/network.ts';
import type { JsonObject } from '../identity/fields.ts';
import {
  absent,
  address,
  addressOrNull,
  boolean,
  cidr,
  forbidden,
  integer,
  listOf,
  objectOf,
  projectId,
  readAttributes,
  tags,
  text,
  uuid,
  uuidOrNull,
} from './attributes.ts';
import type { Given } from './attributes.ts';
import type { Collection } from './collection.ts';
import { ownerOf, requireOwner, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';

const networkAttributes = {
  project_id: { read: projectId, in: 'POST' },
  name: { read: text, in: 'both' },
  description: { read: text, in: 'both' },
  admin_state_up: { read: boolean, in: 'both' },
  mtu: { read: integer(1280, 9216), in: 'both' },
  port_security_enabled: { read: boolean, in: 'both' },
  qos_policy_id: { read: uuidOrNull, in: 'both' },
  tags: { read: tags, in: 'POST' },
  shared: { read: boolean, in: 'both', adminOnly: true },
  host_reachable: { read: boolean, in: 'POST', adminOnly: true },
  'router:external': { read: boolean, in: 'both' },
  is_default: { read: absent, in: 'both' },
  dns_domain: { read: absent, in: 'both' },
  availability_zone_hints: { read: absent, in: 'POST' },
} as const;
const meaningless = ['is_default', 'dns_domain', 'availability_zone_hints'] as const;

const poolMembers = { start: { read: address, in: 'both' }, end: { read: address, in: 'both' } } as const;
const routeMembers = { destination: { read: cidr, in: 'both' }, nexthop: { read: address, in: 'both' } } as const;

const subnetAttributes = {
  project_id: { read: projectId, in: 'POST' },
  network_id: { read: uuid, in: 'POST' },
  cidr: { read: cidr, in: 'POST' },
  ip_version: { read: integer(4, 6), in: 'POST' },
  name: { read: text, in: 'both' },
  description: { read: text, in: 'both' },
  gateway_ip: { read: addressOrNull, in: 'both' },
  allocation_pools: { read: listOf(objectOf(poolMembers, ['start', 'end']), 20), in: 'both' },
  host_routes: { read: listOf(objectOf(routeMembers, ['destination', 'nexthop']), 20), in: 'both' },
  dns_nameservers: { read: listOf(address, 5), in: 'both' },
  enable_dhcp: { read: boolean, in: 'both' },
  tags: { read: tags, in: 'POST' },
  ipv6_address_mode: { read: absent, in: 'POST' },
  ipv6_ra_mode: { read: absent, in: 'POST' },
  subnetpool_id: { read: absent, in: 'POST' },
  segment_id: { read: absent, in: 'both' },
  service_types: { read: absent, in: 'both' },
  dns_publish_fixed_ip: { read: absent, in: 'both' },
} as const;

/** Networks: one's own and shared ones. */
export function networksOf({ network }: NetworkContext): Collection<LocalNetwork & Network> {
  const found = async (id: string): Promise<LocalNetwork & Network> => (await network.findNetwork(id, null)) ?? refuse(id);
  return {
    path: '/networks',
    singular: 'network',
    plural: 'networks',
    missing: missing.network,
    list: async (caller) => (await network.listNetworks()).filter((each) => maySee(each, scopeOf(caller))),
    find: (id, caller) => network.findNetwork(id, scopeOf(caller)),
    show: (items, caller) => items.map((each) => showNetwork(each, caller)),
    async create(body, caller) {
      const {
        project_id,
        tags: labels,
        'router:external': is_external = false,
        ...given
      } = keptOf(readAttributes(networkAttributes, body, 'POST', caller));
      if (is_external && !caller.is_admin) throw forbidden('an external network is for administrators to make');
      const made = await createNetwork(network.topology, { name: '', ...given, is_external, project_id: ownerOf(caller, project_id) });
      if (labels !== undefined) await updateNetwork(network.topology, made.id, { tags: labels });
      return found(made.id);
    },
    async update(item, body, caller) {
      const {
        project_id: _project,
        tags: _tags,
        'router:external': is_external = item.is_external === true,
        ...given
      } = keptOf(readAttributes(networkAttributes, body, 'PUT', caller));
      if (is_external !== (item.is_external === true)) throw invalidInput("'router:external' cannot be changed");
      await updateNetwork(network.topology, item.id, given);
      return found(item.id);
    },
    remove: (item) => deleteNetwork(network.topology, item.id),
    setTags: (item, labels) => updateNetwork(network.topology, item.id, { tags: labels }),
  };
}

/** Subnets of the networks that the caller sees. */
export function subnetsOf({ network }: NetworkContext): Collection<LocalSubnet> {
  return {
    path: '/subnets',
    singular: 'subnet',
    plural: 'subnets',
    missing: missing.subnet,
    async list(caller) {
      const networks = (await network.listNetworks()).filter((each) => maySee(each, scopeOf(caller)));
      const visible = new Set(networks.map((each) => each.id));
      return (await network.topology.store.list<LocalSubnet>('network.subnet')).filter((subnet) => visible.has(subnet.network_id));
    },
    find: (id, caller) => network.findSubnet(id, scopeOf(caller)),
    show: (items) => items.map(showSubnet),
    async create(body, caller) {
      const all = readAttributes(subnetAttributes, body, 'POST', caller);
      const { project_id, tags: labels, network_id, cidr: range, ip_version } = all;
      const given = subnetChange(all);
      if (network_id === undefined || range === undefined) throw invalidInput(`a subnet needs a network_id and a cidr`);
      if (ip_version !== undefined && (ip_version === 6) !== range.includes(':'))
        throw invalidInput(`'cidr' is not of ip_version '${ip_version}'`);
      const parent = (await network.findNetwork(network_id, scopeOf(caller))) ?? refuse(network_id);
      requireOwner(caller, parent);
      const asked = project_id ?? (caller.is_admin ? (parent.project_id ?? undefined) : undefined);
      const made = await createSubnet(network.topology, {
        name: '',
        ...given,
        network_id,
        cidr: range,
        project_id: ownerOf(caller, asked),
      });
      return labels === undefined ? made : updateSubnet(network.topology, made.id, { tags: labels });
    },
    async update(item, body, caller) {
      return updateSubnet(network.topology, item.id, subnetChange(readAttributes(subnetAttributes, body, 'PUT', caller)));
    },
    remove: (item) => deleteSubnet(network.topology, item.id),
    setTags: (item, labels) => updateSubnet(network.topology, item.id, { tags: labels }),
  };
}

const kept = ['name', 'description', 'gateway_ip', 'allocation_pools', 'host_routes', 'dns_nameservers', 'enable_dhcp'] as const;

/** What of a body may be changed later. */
function subnetChange(given: Given<typeof subnetAttributes>): Pick<typeof given, (typeof kept)[number]> {
  return Object.fromEntries(kept.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])));
}

function showNetwork({ bootstrap_key: _key, is_external = false, ...network }: LocalNetwork & Network, caller: Caller): JsonObject {
  const provider = { 'provider:network_type': 'local', 'provider:physical_network': null, 'provider:segmentation_id': null };
  return {
    ...network,
    tenant_id: network.project_id,
    status: 'ACTIVE',
    'router:external': is_external,
    is_default: false,
    availability_zones: [],
    availability_zone_hints: [],
    ipv4_address_scope: null,
    ipv6_address_scope: null,
    dns_domain: '',
    l2_adjacency: true,
    ...(caller.is_admin ? provider : {}),
  };
}

function showSubnet({ bootstrap_key: _key, ...subnet }: LocalSubnet): JsonObject {
  const absent = { ipv6_address_mode: null, ipv6_ra_mode: null, subnetpool_id: null, segment_id: null, service_types: [] };
  return { ...subnet, tenant_id: subnet.project_id, ...absent, dns_publish_fixed_ip: false };
}

/** What of a body is written: not what has no meaning here. */
function keptOf(given: Given<typeof networkAttributes>): Omit<typeof given, (typeof meaningless)[number]> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !(meaningless as readonly string[]).includes(name)));
}

function refuse(id: string): never {
  throw missing.network(id);
}
