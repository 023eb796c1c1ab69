/**
 * The network service that has everything: upstream's `network_noop_driver`. Every id exists, addresses are made up, and
 * ports that were made are remembered. `createStrictNetwork` knows only what it was given, for tests of refusals.
 */
import { Fault } from '../../model/index.ts';
import { newId } from '../../lib/ids.ts';
import { cidrContains, formatAddress, ipVersion, parseCidr } from '../../model/rules/addresses.ts';
import type { Network, NetworkCatalog, Port, PortService, PortSpec, Subnet } from '../network.ts';
import { PortTable } from './port-table.ts';

/** A network service in memory. */
export type FakeNetwork = NetworkCatalog &
  PortService & {
    /** Every port there is, for tests to look at. */
    readonly ports: ReadonlyMap<string, Port>;
    /** Makes the next calls of `createPort` fail with this error; null: no longer. */
    failPorts(error: Error | null): void;
  };

/** The address of every VIP for which none was asked (RFC 5737 TEST-NET-2). */
const NOOP_VIP = '198.51.100.1';

/** The network on which every subnet is, and the subnet of every network, when nothing says otherwise. */
const NOOP_NETWORK = '4d2b3c5e-0000-4000-8000-000000000001';
const NOOP_SUBNET = '4d2b3c5e-0000-4000-8000-000000000002';

/** The subnets of a network that has every subnet. */
const everySubnet: readonly string[] = Object.assign([NOOP_SUBNET], { includes: () => true });

type Lookups = {
  readonly networkOf: (subnet_id: string) => string;
  readonly addressFor: (fixed: PortSpec['fixed_ips'][number], ports: ReadonlyMap<string, Port>) => string;
};

/** The network service in which every id exists. */
export function createNoopNetwork(): FakeNetwork {
  const service = createPorts({ networkOf: () => NOOP_NETWORK, addressFor: (fixed) => fixed.ip_address ?? NOOP_VIP });
  const subnet = (id: string): Subnet => ({
    id,
    name: '',
    network_id: NOOP_NETWORK,
    project_id: null,
    ip_version: 4,
    cidr: '198.51.100.0/24',
    gateway_ip: '198.51.100.254',
    host_routes: [],
  });
  return {
    ...service,
    findNetwork: async (id) => ({ ...emptyNetwork, id, subnets: everySubnet }),
    findSubnet: async (id) => subnet(id),
    // A port that nobody made has no addresses, so it cannot carry a VIP.
    findPort: async (id) => service.ports.get(id) ?? { ...emptyPort, id, network_id: NOOP_NETWORK },
    findSecurityGroup: async (id) => ({ id }),
    findQosPolicy: async (id) => ({ id }),
    countFreeAddresses: async () => 100,
  };
}

/** What a strict network knows from the start. */
export type Known = {
  readonly networks?: readonly (Pick<Network, 'id'> & Partial<Network>)[];
  readonly subnets?: readonly (Pick<Subnet, 'id' | 'network_id' | 'cidr'> & Partial<Subnet>)[];
  readonly ports?: readonly (Pick<Port, 'id' | 'network_id' | 'fixed_ips'> & Partial<Port>)[];
  readonly security_groups?: readonly string[];
  readonly qos_policies?: readonly string[];
};

/** A network service that knows these networks, subnets and ports, and gives each address once. */
export function createStrictNetwork(known: Known): FakeNetwork {
  const subnets = new Map<string, Subnet>((known.subnets ?? []).map((each) => [each.id, wholeSubnet(each)]));
  const networks = new Map<string, Network>((known.networks ?? []).map((each) => [each.id, wholeNetwork(each, subnets)]));
  const service = createPorts({
    networkOf: (id) => subnets.get(id)?.network_id ?? '',
    addressFor: (fixed, ports) => takeAddress(subnets.get(fixed.subnet_id), fixed, ports),
  });
  for (const port of known.ports ?? []) service.put({ ...emptyPort, ...port });
  const visible = <T extends { readonly project_id: string | null }>(found: T | undefined, project_id: string | null): T | null =>
    found === undefined || (project_id !== null && found.project_id !== null && found.project_id !== project_id) ? null : found;
  return {
    ...service,
    findNetwork: async (id, project_id) => visible(networks.get(id), networks.get(id)?.shared ? null : project_id),
    findSubnet: async (id, project_id) =>
      visible(subnets.get(id), networks.get(subnets.get(id)?.network_id ?? '')?.shared ? null : project_id),
    findPort: async (id, project_id) => visible(service.ports.get(id), project_id),
    findSecurityGroup: async (id) => (known.security_groups?.includes(id) ? { id } : null),
    findQosPolicy: async (id) => (known.qos_policies?.includes(id) ? { id } : null),
    countFreeAddresses: async (id) => freeAddresses(subnets.get(id), service.ports),
  };
}

const emptyNetwork = { name: '', project_id: null, subnets: [], mtu: 1500, port_security_enabled: true, shared: false } as const;

const emptyPort = {
  name: '',
  project_id: null,
  mac_address: 'fa:16:3e:00:00:01',
  fixed_ips: [],
  device_id: '',
  device_owner: '',
  security_groups: [],
  allowed_address_pairs: [],
  qos_policy_id: null,
  tags: [],
} as const;

const wholeSubnet = (given: Pick<Subnet, 'id' | 'network_id' | 'cidr'> & Partial<Subnet>): Subnet => ({
  name: '',
  project_id: null,
  ip_version: given.cidr.includes(':') ? 6 : 4,
  gateway_ip: null,
  host_routes: [],
  ...given,
});

const wholeNetwork = (given: Pick<Network, 'id'> & Partial<Network>, subnets: ReadonlyMap<string, Subnet>): Network => ({
  ...emptyNetwork,
  subnets: [...subnets.values()].filter((each) => each.network_id === given.id).map((each) => each.id),
  ...given,
});

function createPorts(lookups: Lookups): PortService & { ports: PortTable; put(port: Port): void; failPorts(error: Error | null): void } {
  const ports = new PortTable();
  let failure: Error | null = null;
  return {
    ports,
    put: (port) => void ports.set(port.id, port),
    failPorts: (error) => void (failure = error),
    async createPort(spec) {
      if (failure !== null) throw failure;
      const [same] = ports.list({ name: spec.name, device_id: spec.device_id });
      if (same !== undefined) return same;
      const port = newPort(spec, lookups, ports);
      ports.set(port.id, port);
      return port;
    },
    listPorts: async (filter) => ports.list(filter),
    async updatePort(id, change) {
      const port = ports.get(id);
      if (port === undefined) throw new Fault(404, `Port ${id} not found.`);
      const changed = { ...port, ...change };
      ports.set(id, changed);
      return changed;
    },
    deletePort: async (id) => void ports.delete(id),
  };
}

function newPort(spec: PortSpec, lookups: Lookups, ports: ReadonlyMap<string, Port>): Port {
  const wanted = spec.fixed_ips.length > 0 ? spec.fixed_ips : [{ subnet_id: NOOP_SUBNET }];
  const fixed_ips = wanted.map((fixed) => ({ subnet_id: fixed.subnet_id, ip_address: lookups.addressFor(fixed, ports) }));
  const id = newId();
  return {
    ...emptyPort,
    id,
    // Interfaces are told apart by this.
    mac_address: `fa:16:3e:${[0, 2, 4].map((at) => id.slice(at, at + 2)).join(':')}`,
    name: spec.name,
    network_id: spec.network_id || lookups.networkOf(wanted[0]?.subnet_id ?? ''),
    project_id: spec.project_id,
    fixed_ips,
    device_id: spec.device_id,
    device_owner: spec.device_owner,
    security_groups: spec.security_groups ?? [],
    allowed_address_pairs: spec.allowed_address_pairs ?? [],
    qos_policy_id: spec.qos_policy_id ?? null,
    ...(spec.vnic_type !== undefined && { vnic_type: spec.vnic_type }),
  };
}

const taken = (ports: ReadonlyMap<string, Port>): Set<string> =>
  new Set([...ports.values()].flatMap((port) => port.fixed_ips.map((ip) => ip.ip_address)));

function takeAddress(subnet: Subnet | undefined, fixed: PortSpec['fixed_ips'][number], ports: ReadonlyMap<string, Port>): string {
  if (subnet === undefined) throw new Fault(400, `Subnet ${fixed.subnet_id} not found.`);
  const used = taken(ports);
  if (fixed.ip_address !== undefined) {
    if (!cidrContains(subnet.cidr, fixed.ip_address)) throw new Fault(400, `IP address ${fixed.ip_address} is not of subnet ${subnet.id}.`);
    if (used.has(fixed.ip_address)) throw new Fault(409, `IP address ${fixed.ip_address} is already in use.`);
    return fixed.ip_address;
  }
  const network = parseCidr(subnet.cidr);
  const most = addressCount(subnet);
  for (let host = 1n; network !== null && host <= most; host += 1n) {
    const address = formatAddress({ version: network.version, value: network.value + host });
    if (address !== subnet.gateway_ip && !used.has(address)) return address;
  }
  throw new Fault(409, `No more IP addresses on subnet ${subnet.id}.`);
}

/** Hosts of a subnet; of a large one as many as anybody will ask for. */
function addressCount(subnet: Subnet): bigint {
  const network = parseCidr(subnet.cidr);
  const bits = (ipVersion(subnet.cidr.split('/')[0] ?? '') === 6 ? 128 : 32) - (network?.prefix ?? 0);
  return bits > 16 ? 65_534n : 2n ** BigInt(bits) - 2n;
}

function freeAddresses(subnet: Subnet | undefined, ports: ReadonlyMap<string, Port>): number {
  if (subnet === undefined) return 0;
  const used = [...taken(ports)].filter((address) => cidrContains(subnet.cidr, address)).length;
  return Number(addressCount(subnet)) - used - (subnet.gateway_ip === null ? 0 : 1);
}
