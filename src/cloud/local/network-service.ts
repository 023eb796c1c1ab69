/** The embedded network service: a subset of Neutron over the record store. It decides who has which address; bridges follow. */
import { systemClock } from '../../lib/clock.ts';
import type { Clock } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Network, NetworkCatalog, PortService } from '../network.ts';
import { parseAddress, contains, sizeOf } from './network/addresses.ts';
import { createAddressBook, usableRanges } from './network/allocation.ts';
import { bootstrapNetworks } from './network-bootstrap.ts';
import type { BootstrapNetworks, DefaultNetworks } from './network-bootstrap.ts';
import { invalidInput, missing } from './network/faults.ts';
import { createPort, deletePort, listManagedPorts, updatePort } from './network/ports.ts';
import type { LocalPortSpec, PortChange, PortsContext } from './network/ports.ts';
import type { Allocation, LocalNetwork, LocalPort, LocalSubnet, QosPolicy, SecurityGroup } from './network/records.ts';
import type { SecurityGroupsContext } from './network/security-groups.ts';
import type { TopologyContext } from './network/topology.ts';
import { createTurns } from './network/turns.ts';
import type { RecordStore } from './record-store.ts';

/** What a port of a tenant may be made of: `createTenantPort` is for the facade, `createPort` for us. */
export type TenantPorts = {
  createTenantPort(spec: Omit<LocalPortSpec, 'managed'>): Promise<LocalPort>;
  changeTenantPort(id: string, change: PortChange): Promise<LocalPort>;
};

/** The embedded network service: the two contracts of a network, and what its facade and the local cloud need. */
export type LocalNetworkService = Omit<NetworkCatalog, 'findNetwork' | 'findSubnet' | 'findPort'> &
  PortService &
  TenantPorts & {
    /** More than the catalog's: everything this machine knows of the network. */
    findNetwork(id: string, project_id: string | null): Promise<(LocalNetwork & Network) | null>;
    findSubnet(id: string, project_id: string | null): Promise<LocalSubnet | null>;
    findPort(id: string, project_id: string | null): Promise<LocalPort | null>;
    listNetworks(): Promise<readonly (LocalNetwork & Network)[]>;
    listSubnets(network_id: string): Promise<readonly LocalSubnet[]>;
    bootstrapNetworks(wanted: BootstrapNetworks): Promise<DefaultNetworks>;
    /** What the facade reads and writes with, over the functions of network/topology and network/security-groups. */
    readonly topology: TopologyContext & SecurityGroupsContext;
    /** The same for network/floating-ips. */
    readonly addressing: PortsContext;
  };

/** What the service is made of. */
export type LocalNetworkOptions = {
  readonly store: RecordStore;
  readonly clock?: Clock;
  /** Called when a network is gone, so that its bridge goes too. */
  readonly onNetworkDeleted?: (network_id: string) => Promise<void>;
  /** Called after a change of floating IPs, or of the security groups and limits of ports; throws when the machine cannot follow. */
  readonly onTrafficChanged?: (lifted?: LocalPort) => Promise<void>;
};

/** The embedded network service over a store. */
export function createLocalNetwork(options: LocalNetworkOptions): LocalNetworkService {
  const nothing = (): Promise<void> => Promise.resolve();
  const { store, clock = systemClock, onNetworkDeleted = nothing, onTrafficChanged = nothing } = options;
  const topology = { store, clock, inTurn: createTurns(), onNetworkDeleted, onTrafficChanged };
  const ports = { ...topology, book: createAddressBook(store) };
  return {
    topology,
    addressing: ports,
    bootstrapNetworks: (wanted) => bootstrapNetworks(topology, wanted),
    ...catalogOf(store),
    async createPort(spec) {
      await refuseExternal(store, spec.network_id);
      await requireKnown(store, spec.security_groups ?? [], spec.qos_policy_id ?? null);
      return createPort(ports, { ...spec, managed: true });
    },
    async createTenantPort(spec) {
      await refuseExternal(store, spec.network_id);
      return createPort(ports, { ...spec, managed: false });
    },
    changeTenantPort: (id, change) => updatePort(ports, id, change),
    listPorts: (filter) => listManagedPorts(store, filter),
    // A tenant's port is ours as long as it is somebody's device by our word.
    updatePort: (id, change) =>
      updatePort(ports, id, { ...change, ...(change.device_id === undefined ? {} : { managed: change.device_id !== '' }) }),
    deletePort: (id) => deletePort(ports, id),
  };
}

type Catalog = Pick<LocalNetworkService, keyof NetworkCatalog | 'listNetworks' | 'listSubnets'>;

function catalogOf(store: RecordStore): Catalog {
  const listSubnets = (network_id: string): Promise<readonly LocalSubnet[]> =>
    store.list<LocalSubnet>('network.subnet', { name: network_id });
  const withSubnets = async (network: LocalNetwork): Promise<LocalNetwork & Network> => {
    return { ...network, subnets: (await listSubnets(network.id)).map((subnet) => subnet.id) };
  };
  const findNetwork: Catalog['findNetwork'] = async (id, project_id) => {
    const network = await find<LocalNetwork>(store, 'network.network', id);
    return network !== null && maySee(network, project_id) ? withSubnets(network) : null;
  };
  return {
    findNetwork,
    listSubnets,
    listNetworks: async () => Promise.all((await store.list<LocalNetwork>('network.network')).map(withSubnets)),
    async findSubnet(id, project_id) {
      const subnet = await find<LocalSubnet>(store, 'network.subnet', id);
      if (subnet === null || (project_id !== null && (await findNetwork(subnet.network_id, project_id)) === null)) return null;
      return subnet;
    },
    findPort: (id, project_id) => findOwn<LocalPort>(store, 'network.port', id, project_id),
    findSecurityGroup: (id, project_id) => findOwn<SecurityGroup>(store, 'network.security_group', id, project_id),
    findQosPolicy: (id, project_id) => findOwn<QosPolicy>(store, 'network.qos_policy', id, project_id),
    countFreeAddresses: (subnet_id) => countFreeAddresses(store, subnet_id),
  };
}

/** Whether a project may see a thing: its own, one that is shared, an external network; null sees all. */
export function maySee(
  thing: { readonly project_id: string | null; readonly shared?: boolean; readonly is_external?: boolean },
  project_id: string | null,
): boolean {
  return project_id === null || thing.project_id === project_id || thing.shared === true || thing.is_external === true;
}

async function findOwn<T extends { readonly project_id: string | null }>(
  store: RecordStore,
  kind: Parameters<RecordStore['get']>[0],
  id: string,
  project_id: string | null,
): Promise<T | null> {
  const found = await find<T>(store, kind, id);
  return found !== null && maySee(found, project_id) ? found : null;
}

/** Ids come from outside: what cannot be one is not looked up. */
async function find<T>(store: RecordStore, kind: Parameters<RecordStore['get']>[0], id: string): Promise<T | null> {
  return isUuid(id) ? store.get<T>(kind, id.toLowerCase()) : null;
}

async function countFreeAddresses(store: RecordStore, subnet_id: string): Promise<number> {
  const subnet = await find<LocalSubnet>(store, 'network.subnet', subnet_id);
  if (subnet === null) return 0;
  const ranges = usableRanges(subnet);
  const taken = (await store.list<Allocation>('network.allocation', { name: subnet.id })).filter(({ ip_address }) => {
    const address = parseAddress(ip_address);
    return address !== null && ranges.some((range) => contains(range, address));
  });
  const free = sizeOf(ranges) - BigInt(taken.length);
  return Number(free < 0n ? 0n : free);
}

/** Nothing is plugged into an external network: it has no bridge, only addresses that stand for others. Throws `NetworkFault` 400. */
async function refuseExternal(store: RecordStore, network_id: string): Promise<void> {
  const network = await find<LocalNetwork>(store, 'network.network', network_id);
  if (network?.is_external === true) throw invalidInput(`network ${network.name} is external: it has floating IPs only, no ports`);
}

/** Throws `NetworkFault` 404 or 400 when a security group or policy does not exist. */
async function requireKnown(store: RecordStore, security_groups: readonly string[], qos_policy_id: string | null): Promise<void> {
  for (const id of security_groups) if ((await find(store, 'network.security_group', id)) === null) throw missing.security_group(id);
  if (qos_policy_id !== null && (await find(store, 'network.qos_policy', qos_policy_id)) === null)
    throw invalidInput(`QoS policy ${qos_policy_id} does not exist`);
}
