/** Networks and subnets of this machine. */
import type { Clock } from '../../../lib/clock.ts';
import { newId } from '../../../lib/ids.ts';
import {
  canonicalAddress,
  contains,
  defaultPools,
  formatAddress,
  formatCidr,
  hostsOf,
  overlaps,
  parseAddress,
  parseCidr,
  rangeOf,
} from './addresses.ts';
import type { AllocationPool, Cidr } from './addresses.ts';
import { invalidInput, missing, NetworkFault } from './faults.ts';
import { allocationId, deleteOf, guardRecord, insertOf, networkRecord, newCommon, subnetRecord, touched, updateOf } from './records.ts';
import type { Allocation, FloatingIp, LocalNetwork, LocalPort, LocalSubnet } from './records.ts';
import type { Turns } from './turns.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore } from '../record-store.ts';

/** What networks and subnets need. */
export type TopologyContext = {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly inTurn: Turns;
  /** Called after a network's records are gone, so that its bridge goes too. */
  readonly onNetworkDeleted: (network_id: string) => Promise<void>;
  /** Called after a change of what the machine translates or filters. */
  readonly onTrafficChanged: () => Promise<void>;
};

/** What a network may be given. */
export type NetworkSpec = Pick<LocalNetwork, 'name' | 'project_id'> &
  Partial<
    Pick<
      LocalNetwork,
      'description' | 'shared' | 'mtu' | 'port_security_enabled' | 'host_reachable' | 'is_external' | 'admin_state_up' | 'qos_policy_id'
    >
  >;

/** What a subnet may be given; `gateway_ip` absent: the first address, null: none. */
export type SubnetSpec = Pick<LocalSubnet, 'name' | 'project_id' | 'network_id' | 'cidr'> &
  Partial<Pick<LocalSubnet, 'description' | 'gateway_ip' | 'allocation_pools' | 'host_routes' | 'dns_nameservers' | 'enable_dhcp'>>;

/** Tenants may have any range but these, which mean something else on every machine. */
const reserved = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3', '::/16', 'fe80::/10', 'ff00::/8'].flatMap(
  (text) => parseCidr(text) ?? [],
);
const prefixes = { 4: { shortest: 8, longest: 30 }, 6: { shortest: 32, longest: 126 } } as const;

/** A network that is not stored yet. */
export function newNetwork(spec: NetworkSpec, now_ms: number, bootstrap_key: string | null = null): LocalNetwork {
  return {
    bootstrap_key,
    ...newCommon(newId(), now_ms, spec),
    mtu: spec.mtu ?? 1500,
    port_security_enabled: spec.port_security_enabled ?? true,
    shared: spec.shared ?? false,
    host_reachable: spec.host_reachable ?? false,
    is_external: spec.is_external ?? false,
    admin_state_up: spec.admin_state_up ?? true,
    qos_policy_id: spec.qos_policy_id ?? null,
  };
}

/** A subnet that is not stored yet. Throws `NetworkFault` 400 or 409 for ranges that cannot be. */
export function newSubnet(spec: SubnetSpec, now_ms: number, bootstrap_key: string | null = null): LocalSubnet {
  const cidr = readCidr(spec.cidr);
  const gateway_ip =
    spec.gateway_ip === undefined ? formatAddress({ version: cidr.version, value: cidr.first + 1n }) : readGateway(cidr, spec.gateway_ip);
  const gateway = gateway_ip === null ? null : parseAddress(gateway_ip);
  return {
    ...newCommon(newId(), now_ms, spec),
    bootstrap_key,
    network_id: spec.network_id,
    ip_version: cidr.version,
    cidr: formatCidr(cidr),
    gateway_ip,
    allocation_pools:
      spec.allocation_pools === undefined ? defaultPools(cidr, gateway) : readPools(cidr, gateway_ip, spec.allocation_pools),
    host_routes: spec.host_routes ?? [],
    dns_nameservers: spec.dns_nameservers ?? [],
    enable_dhcp: spec.enable_dhcp ?? true,
  };
}

/** Stores a network. */
export async function createNetwork({ store, clock }: TopologyContext, spec: NetworkSpec): Promise<LocalNetwork> {
  const network = newNetwork(spec, clock.now());
  await store.write([insertOf(networkRecord(network)), insertOf(guardRecord(network.id))]);
  return network;
}

/** Changes a network. Throws `NetworkFault` 404. */
export function updateNetwork(
  context: TopologyContext,
  id: string,
  change: Partial<Omit<NetworkSpec, 'project_id'>> & Pick<Partial<LocalNetwork>, 'tags'>,
): Promise<LocalNetwork> {
  return context.inTurn(`network ${id}`, async () => {
    const before = await context.store.get<LocalNetwork>('network.network', id);
    if (before === null) throw missing.network(id);
    const after = { ...before, ...change, ...touched(before, context.clock.now()) };
    await orMissing(context.store.write([updateOf(networkRecord(after))]), missing.network(id));
    return after;
  });
}

/** Removes a network with its subnets. Throws `NetworkFault` 404, 409 while it has ports. */
export async function deleteNetwork(context: TopologyContext, id: string): Promise<void> {
  const { store } = context;
  await context.inTurn(`network ${id}`, async () => {
    if ((await store.get('network.network', id)) === null) throw missing.network(id);
    await closed(
      store,
      id,
      () => refuseUsedNetwork(store, id),
      async () => {
        const subnets = await store.list<LocalSubnet>('network.subnet', { name: id });
        const records = subnets.flatMap((subnet) => [subnetRecord(subnet), guardRecord(subnet.id)]);
        await store.write([...records.map(deleteOf), { action: 'delete', kind: 'network.network', id }]);
      },
    );
  });
  await context.onNetworkDeleted(id);
  await context.onTrafficChanged();
}

/** Stores a subnet. Throws `NetworkFault` 400, 404 or 409. */
export function createSubnet(context: TopologyContext, spec: SubnetSpec): Promise<LocalSubnet> {
  const { store, clock } = context;
  // One at a time: whether ranges overlap is asked of all that are there.
  return context.inTurn('subnets', async () => {
    const network = await store.get<LocalNetwork>('network.network', spec.network_id);
    if (network === null) throw missing.network(spec.network_id);
    const subnet = newSubnet(spec, clock.now());
    await refuseOverlap(store, network, subnet);
    const changes = [updateOf(guardRecord(network.id)), insertOf(subnetRecord(subnet)), insertOf(guardRecord(subnet.id))];
    await orMissing(store.write(changes), missing.network(network.id));
    if (network.is_external === true) await context.onTrafficChanged();
    return subnet;
  });
}

/** Changes a subnet; its range stays. Throws `NetworkFault` 400, 404 or 409. */
export function updateSubnet(
  context: TopologyContext,
  id: string,
  change: Partial<Omit<SubnetSpec, 'project_id' | 'network_id' | 'cidr'>> & Pick<Partial<LocalSubnet>, 'tags'>,
): Promise<LocalSubnet> {
  const { store, clock } = context;
  return context.inTurn(`subnet ${id}`, async () => {
    const before = await store.get<LocalSubnet>('network.subnet', id);
    if (before === null) throw missing.subnet(id);
    const cidr = readCidr(before.cidr);
    const gateway_ip = change.gateway_ip === undefined ? before.gateway_ip : readGateway(cidr, change.gateway_ip);
    const allocation_pools = readPools(cidr, gateway_ip, change.allocation_pools ?? before.allocation_pools);
    if (gateway_ip !== null && (await store.get('network.allocation', allocationId({ subnet_id: id, ip_address: gateway_ip }))) !== null) {
      throw new NetworkFault(409, 'GatewayIpInUse', `Current gateway ip ${gateway_ip} already in use by a port. Unable to update.`);
    }
    const after = { ...before, ...change, gateway_ip, allocation_pools, ...touched(before, clock.now()) };
    await orMissing(store.write([updateOf(subnetRecord(after))]), missing.subnet(id));
    return after;
  });
}

/** Removes a subnet. Throws `NetworkFault` 404, 409 while a port has an address of it. */
export async function deleteSubnet({ store, inTurn, onTrafficChanged }: TopologyContext, id: string): Promise<void> {
  await inTurn(`subnet ${id}`, async () => {
    const subnet = await store.get<LocalSubnet>('network.subnet', id);
    if (subnet === null) throw missing.subnet(id);
    await closed(
      store,
      id,
      () => refuseUsedSubnet(store, id),
      () => store.write([deleteOf(subnetRecord(subnet))]),
    );
  });
  await onTrafficChanged();
}

async function refuseUsedNetwork(store: RecordStore, id: string): Promise<void> {
  const ports = (await store.list<LocalPort>('network.port')).filter((port) => port.network_id === id);
  const floating = (await store.list<FloatingIp>('network.floating_ip')).filter((each) => each.floating_network_id === id);
  if (ports.length + floating.length === 0) return;
  const message = `Unable to complete operation on network ${id}. There are one or more ports still in use on the network.`;
  throw new NetworkFault(409, 'NetworkInUse', message);
}

async function refuseUsedSubnet(store: RecordStore, id: string): Promise<void> {
  if ((await store.list<Allocation>('network.allocation', { name: id })).length === 0) return;
  const message = `Unable to complete operation on subnet ${id}: One or more ports have an IP allocation from this subnet.`;
  throw new NetworkFault(409, 'SubnetInUse', message);
}

/**
 * Does work while nobody can put anything into a network or subnet; opens it again when the work fails. What is refused anyway is
 * refused before, so that the refusal writes nothing; again once closed, because something may have come in between.
 */
async function closed(store: RecordStore, id: string, refuse: () => Promise<void>, work: () => Promise<void>): Promise<void> {
  await refuse();
  const guard = guardRecord(id);
  await store.write([deleteOf(guard)]);
  try {
    await refuse();
    await work();
  } catch (error) {
    await store.write([insertOf(guard)]);
    throw error;
  }
}

async function orMissing(write: Promise<void>, fault: NetworkFault): Promise<void> {
  try {
    await write;
  } catch (error) {
    throw error instanceof RecordConflict ? new NetworkFault(fault.status, fault.type, fault.message, { cause: error }) : error;
  }
}

/** On one network nothing may overlap; neither may two networks that the host is part of, or it could not tell them apart. */
async function refuseOverlap(store: RecordStore, network: LocalNetwork, subnet: LocalSubnet): Promise<void> {
  const cidr = readCidr(subnet.cidr);
  const networks = await store.list<LocalNetwork>('network.network');
  const near = new Set(networks.filter((each) => each.id === network.id || (onHost(network) && onHost(each))).map((each) => each.id));
  const rival = (await store.list<LocalSubnet>('network.subnet')).find(
    (each) => near.has(each.network_id) && overlaps(readCidr(each.cidr), cidr),
  );
  if (rival === undefined) return;
  throw invalidInput(`Requested subnet with cidr: ${subnet.cidr} for network: ${network.id} overlaps with another subnet`);
}

/** Whether the host itself has to do with a network's addresses. */
function onHost({ host_reachable, is_external }: LocalNetwork): boolean {
  return host_reachable || is_external === true;
}

function readCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === null) throw invalidInput(`'${text}' is not a valid IP subnet`);
  const { shortest, longest } = prefixes[cidr.version];
  if (cidr.prefix < shortest || cidr.prefix > longest)
    throw invalidInput(`the prefix of ${text} is not between ${shortest} and ${longest}`);
  if (reserved.some((range) => overlaps(range, cidr))) throw invalidInput(`${text} is a reserved range`);
  return cidr;
}

function readGateway(cidr: Cidr, text: string | null): string | null {
  if (text === null) return null;
  const address = parseAddress(text);
  if (address === null || !contains(hostsOf(cidr), address)) throw invalidInput(`Gateway is not valid on subnet`);
  return formatAddress(address);
}

function readPools(cidr: Cidr, gateway_ip: string | null, pools: readonly AllocationPool[]): readonly AllocationPool[] {
  const gateway = gateway_ip === null ? null : parseAddress(gateway_ip);
  const ranges = pools.map((pool) => {
    const range = rangeOf(pool);
    if (range === null) throw invalidInput(`The allocation pool ${pool.start}-${pool.end} is not valid`);
    const hosts = hostsOf(cidr);
    if (range.version !== cidr.version || range.first < hosts.first || range.last > hosts.last) {
      throw new NetworkFault(
        400,
        'OutOfBoundsAllocationPool',
        `The allocation pool ${pool.start}-${pool.end} spans beyond the subnet cidr ${formatCidr(cidr)}.`,
      );
    }
    if (gateway !== null && contains(range, gateway)) {
      const message = `Gateway ip ${gateway_ip ?? ''} conflicts with allocation pool ${pool.start}-${pool.end}.`;
      throw new NetworkFault(409, 'GatewayConflictWithAllocationPools', message);
    }
    return range;
  });
  const clash = ranges.some((range, index) => ranges.some((other, place) => place > index && overlaps(range, other)));
  if (clash)
    throw new NetworkFault(409, 'OverlappingAllocationPools', `Found overlapping allocation pools for subnet ${formatCidr(cidr)}.`);
  return pools.map(({ start, end }) => ({ start: canonicalAddress(start) ?? start, end: canonicalAddress(end) ?? end }));
}
