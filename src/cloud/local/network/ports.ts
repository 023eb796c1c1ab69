/** Ports of this machine's networks: who has which addresses. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { newId } from '../../../lib/ids.ts';
import type { FixedIp, Port, PortSpec } from '../../network.ts';
import { contains, parseAddress, parseCidr } from './addresses.ts';
import { addressTaken, namedAddress } from './allocation.ts';
import type { AddressBook } from './allocation.ts';
import { invalidInput, missing, NetworkFault } from './faults.ts';
import {
  allocationId,
  allocationRecord,
  deleteOf,
  deviceRecord,
  floatingIpRecord,
  guardRecord,
  insertOf,
  macRecord,
  newCommon,
  portKey,
  portRecord,
  touched,
  updateOf,
} from './records.ts';
import type { FloatingIp, LocalNetwork, LocalPort, LocalSubnet } from './records.ts';
import type { DefaultGroup } from './security-groups.ts';
import type { Turns } from './turns.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordChange, RecordStore } from '../record-store.ts';

/** What ports need. */
export type PortsContext = {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly book: AddressBook;
  readonly inTurn: Turns;
  /** Called after a change of what the machine translates, filters or slows down, with the port whose limit was lifted; throws when it cannot. */
  readonly onTrafficChanged: (lifted?: LocalPort) => Promise<void>;
};

/** A wish for an address: of a subnet, a given one, or a given one of any subnet of the network. */
export type WantedIp = { readonly subnet_id?: string; readonly ip_address?: string };

/** What a port may be given beyond what the contract knows; `managed`: it is ours, and a second of the same device and name is the same. */
export type LocalPortSpec = Omit<PortSpec, 'fixed_ips'> & {
  readonly fixed_ips: readonly WantedIp[];
  readonly managed: boolean;
  readonly description?: string;
  readonly admin_state_up?: boolean;
  readonly port_security_enabled?: boolean;
  /** Not given: one is drawn. */
  readonly mac_address?: string;
  /** The group that it gets instead of `security_groups`, made with it when it is not there: a port that is refused leaves none behind. */
  readonly defaultGroup?: () => Promise<DefaultGroup>;
};

/** What of a port may be changed. */
export type PortChange = Partial<Omit<LocalPort, 'id' | 'network_id' | 'project_id' | 'mac_address' | 'fixed_ips'>> & {
  readonly fixed_ips?: readonly WantedIp[];
};

/** How often a write that met others is tried again: each time with what is known by then. */
const ATTEMPTS = 12;

/** Makes a port, or returns the one that is there already. Throws `NetworkFault` 400, 404 or 409. */
export async function createPort(context: PortsContext, spec: LocalPortSpec): Promise<LocalPort> {
  if (spec.vnic_type === 'direct') throw invalidInput('ports of this machine are not virtual functions of a network card (SR-IOV)');
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const present = await findAdoptable(context.store, spec);
    if (present !== null) return present;
    const made = await tryCreate(context, spec);
    if (made !== null) {
      if (hasTraffic(made)) await context.onTrafficChanged();
      return made;
    }
  }
  throw new NetworkFault(
    409,
    'IpAddressGenerationFailure',
    `Cannot find a free address on network ${spec.network_id}: too many others try.`,
  );
}

/** Changes a port. Throws `NetworkFault` 404, or for addresses 400 or 409. */
export function updatePort(context: PortsContext, id: string, change: PortChange): Promise<LocalPort> {
  return context.inTurn(`port ${id}`, async () => {
    const before = await context.store.get<LocalPort>('network.port', id);
    if (before === null) throw missing.port(id);
    const { fixed_ips: wanted, ...rest } = change;
    const plan = wanted === undefined ? null : await chooseAddresses(context, before.network_id, wanted, before.fixed_ips);
    const after: LocalPort = {
      ...before,
      ...rest,
      // One that we made stays ours without a device too, or nobody would find it to remove it.
      managed: before.adoptable || (rest.managed ?? before.managed),
      ...touched(before, context.clock.now()),
      fixed_ips: plan?.fixed_ips ?? before.fixed_ips,
    };
    const freed = before.fixed_ips.filter((each) => !after.fixed_ips.some((kept) => allocationId(kept) === allocationId(each)));
    const added = after.fixed_ips.filter((each) => !before.fixed_ips.some((kept) => allocationId(kept) === allocationId(each)));
    const moves = [
      ...freed.map((each) => deleteOf(allocationRecord({ ...each, port_id: id }))),
      ...added.map((each) => insertOf(allocationRecord({ ...each, port_id: id }))),
    ];
    const guards = added.length === 0 ? [] : guardsOf(before.network_id, added);
    const floating = await freedFloatingIps(context, id, freed);
    const written = await tryWrite(context, plan?.promised ?? [], [
      ...guards,
      updateOf(portRecord(after)),
      ...deviceChange(before, after),
      ...moves,
      ...floating,
    ]);
    if (!written) throw await whyNot(context.store, before, added);
    context.book.release(freed);
    if (floating.length > 0 || isOtherTraffic(before, after))
      await context.onTrafficChanged(after.qos_policy_id === null ? after : undefined);
    return after;
  });
}

/** Removes a port; one that is not there is success. */
export async function deletePort(context: PortsContext, id: string): Promise<void> {
  await context.inTurn(`port ${id}`, async () => {
    const port = await context.store.get<LocalPort>('network.port', id);
    if (port === null) return;
    const belongings = [macRecord(port.mac_address, id), ...port.fixed_ips.map((each) => allocationRecord({ ...each, port_id: id }))];
    const device = port.managed && port.device_id !== '' ? [deleteOf(deviceRecord(port.device_id, id))] : [];
    await context.store.write([deleteOf(portRecord(port)), ...belongings.map(deleteOf), ...device]);
    context.book.release(port.fixed_ips);
    // Not in the same write: one that is removed at the same time would refuse it. Whoever reads one whose port is gone sees it free.
    const floating = await freedFloatingIps(context, id, port.fixed_ips);
    if (floating.length > 0) await tryWrite(context, [], floating);
    if (floating.length > 0 || hasTraffic(port)) await context.onTrafficChanged();
  });
}

/** What filters and limits of traffic depend on. */
function isOtherTraffic(before: LocalPort, after: LocalPort): boolean {
  const named = ({ security_groups, qos_policy_id, fixed_ips, device_id }: LocalPort): string =>
    JSON.stringify([security_groups.toSorted(), qos_policy_id, fixed_ips, device_id]);
  return (hasTraffic(before) || hasTraffic(after)) && named(before) !== named(after);
}

/** Filters and limits need to know of ports that have something which they follow. */
function hasTraffic({ security_groups, qos_policy_id }: LocalPort): boolean {
  return security_groups.length > 0 || qos_policy_id !== null;
}

/** Floating IPs that stood for addresses of a port which it has no more stand for nothing. */
async function freedFloatingIps(
  { store, clock }: PortsContext,
  port_id: string,
  freed: readonly FixedIp[],
): Promise<readonly RecordChange[]> {
  if (freed.length === 0) return [];
  const found = await store.list<FloatingIp>('network.floating_ip', { name: port_id });
  const gone = found.filter((each) => freed.some(({ ip_address }) => ip_address === each.fixed_ip_address));
  return gone.map((each) => updateOf(floatingIpRecord({ ...each, port_id: null, fixed_ip_address: null, ...touched(each, clock.now()) })));
}

/** Our ports by exact match; tenants' own are not among them, whatever device they claim. */
export async function listManagedPorts(
  store: RecordStore,
  filter: { readonly device_id?: string; readonly name?: string; readonly device_owner?: string },
): Promise<readonly LocalPort[]> {
  const { device_id, name, device_owner } = filter;
  const found =
    device_id === undefined
      ? await store.list<LocalPort>('network.port', name === undefined ? {} : { name })
      : await portsOfDevice(store, device_id);
  return found.filter(
    (port) =>
      port.managed &&
      (device_id === undefined || port.device_id === device_id) &&
      (name === undefined || port.name === name) &&
      (device_owner === undefined || port.device_owner === device_owner),
  );
}

async function portsOfDevice(store: RecordStore, device_id: string): Promise<readonly LocalPort[]> {
  const index = await store.list<{ readonly port_id: string }>('network.allocation', { name: `device/${device_id}` });
  const ports = await Promise.all(index.map(({ port_id }) => store.get<LocalPort>('network.port', port_id)));
  return ports.filter((port) => port !== null);
}

async function findAdoptable(store: RecordStore, spec: LocalPortSpec): Promise<LocalPort | null> {
  if (!spec.managed || spec.device_id === '') return null;
  const [found] = await store.list<LocalPort>('network.port', { unique_key: portKey(spec.device_id, spec.name) });
  if (found !== undefined && found.network_id !== spec.network_id) {
    throw new NetworkFault(409, 'PortInUse', `Port ${found.id} of the name ${spec.name} is on another network, ${found.network_id}.`);
  }
  return found ?? null;
}

/** One attempt; null: others were faster, look again. */
async function tryCreate(context: PortsContext, spec: LocalPortSpec): Promise<LocalPort | null> {
  const { fixed_ips, promised } = await chooseAddresses(context, spec.network_id, spec.fixed_ips, null);
  const planned = await spec.defaultGroup?.();
  const port = newPort(planned === undefined ? spec : { ...spec, security_groups: [planned.group.id] }, fixed_ips, context.clock.now());
  const changes = [
    ...guardsOf(spec.network_id, fixed_ips),
    ...(planned?.changes ?? []),
    insertOf(portRecord(port)),
    insertOf(macRecord(port.mac_address, port.id)),
    ...fixed_ips.map((each) => insertOf(allocationRecord({ ...each, port_id: port.id }))),
    ...deviceChange(null, port),
  ];
  if (await tryWrite(context, promised, changes)) return port;
  if (spec.mac_address !== undefined) await refuseTakenMac(context.store, spec.mac_address);
  const named = fixed_ips.filter((each) => !promised.includes(each));
  if ((await findAdoptable(context.store, spec)) === null) await refuseIfTaken(context.store, spec.network_id, named);
  return null;
}

function newPort(spec: LocalPortSpec, fixed_ips: readonly FixedIp[], now_ms: number): LocalPort {
  const { network_id, device_id, device_owner, managed } = spec;
  return {
    ...newCommon(newId(), now_ms, spec),
    network_id,
    device_id,
    device_owner,
    managed,
    adoptable: managed,
    fixed_ips,
    mac_address: spec.mac_address ?? newMac(),
    security_groups: spec.security_groups ?? [],
    allowed_address_pairs: spec.allowed_address_pairs ?? [],
    qos_policy_id: spec.qos_policy_id ?? null,
    admin_state_up: spec.admin_state_up ?? true,
    port_security_enabled: spec.port_security_enabled ?? true,
  };
}

/** Writes; afterwards the address book knows what became of its promises. False on a conflict. */
export async function tryWrite(
  { store, book }: PortsContext,
  promised: readonly FixedIp[],
  changes: readonly RecordChange[],
): Promise<boolean> {
  let written = false;
  try {
    await store.write(changes);
    written = true;
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
  } finally {
    book.settle(promised, written);
  }
  return written;
}

/** Addresses for wishes; those in `held` stay when they are wished for again (null: the port is new). `promised` are the ones that were free to choose. */
export async function chooseAddresses(
  context: PortsContext,
  network_id: string,
  wishes: readonly WantedIp[],
  held: readonly FixedIp[] | null,
): Promise<{ readonly fixed_ips: readonly FixedIp[]; readonly promised: readonly FixedIp[] }> {
  const network = await context.store.get<LocalNetwork>('network.network', network_id);
  if (network === null) throw missing.network(network_id);
  const subnets = await context.store.list<LocalSubnet>('network.subnet', { name: network_id });
  const wanted = wishes.length === 0 && held === null ? firstChoice(subnets) : wishes;
  const fixed_ips: FixedIp[] = [];
  const promised: FixedIp[] = [];
  try {
    for (const wish of wanted) {
      const subnet = subnetFor(network_id, subnets, wish);
      const kept = held?.find(
        (each) => each.subnet_id === subnet.id && (wish.ip_address ?? each.ip_address) === each.ip_address && !fixed_ips.includes(each),
      );
      const address = kept ?? (wish.ip_address === undefined ? await context.book.choose(subnet) : namedAddress(subnet, wish.ip_address));
      if (kept === undefined && wish.ip_address === undefined) promised.push(address);
      fixed_ips.push(address);
    }
    if (new Set(fixed_ips.map(allocationId)).size < fixed_ips.length) throw invalidInput('an address is asked for twice');
  } catch (error) {
    context.book.settle(promised, false);
    throw error;
  }
  return { fixed_ips, promised };
}

/** The network chooses: an IPv4 address where it can, else an IPv6 one; none on a network without subnets. */
function firstChoice(subnets: readonly LocalSubnet[]): readonly WantedIp[] {
  const subnet = subnets.find((each) => each.ip_version === 4) ?? subnets[0];
  return subnet === undefined ? [] : [{ subnet_id: subnet.id }];
}

function subnetFor(network_id: string, subnets: readonly LocalSubnet[], { subnet_id, ip_address }: WantedIp): LocalSubnet {
  const address = ip_address === undefined ? null : parseAddress(ip_address);
  const found = subnets.find((subnet) => {
    if (subnet_id !== undefined) return subnet.id === subnet_id;
    const cidr = parseCidr(subnet.cidr);
    return address !== null && cidr !== null && contains(cidr, address);
  });
  if (found !== undefined) return found;
  if (subnet_id !== undefined)
    throw invalidInput(`Failed to create port on network ${network_id}, because fixed_ips included invalid subnet ${subnet_id}`);
  throw new NetworkFault(
    400,
    'InvalidIpForNetwork',
    `IP address ${ip_address ?? ''} is not a valid IP for any of the subnets on the specified network.`,
  );
}

/** Updates of the guards of a network and of the subnets of addresses; always in the same order, so that two writes never wait for each other. */
export function guardsOf(network_id: string, fixed_ips: readonly FixedIp[]): readonly RecordChange[] {
  const subnet_ids = [...new Set(fixed_ips.map((each) => each.subnet_id))].toSorted();
  return [network_id, ...subnet_ids].map((id) => updateOf(guardRecord(id)));
}

function deviceChange(before: LocalPort | null, after: LocalPort): readonly RecordChange[] {
  const old = before !== null && before.managed ? before.device_id : '';
  const next = after.managed ? after.device_id : '';
  if (old === next) return [];
  return [...(old === '' ? [] : [deleteOf(deviceRecord(old, after.id))]), ...(next === '' ? [] : [insertOf(deviceRecord(next, after.id))])];
}

async function whyNot(store: RecordStore, port: Port, added: readonly FixedIp[]): Promise<NetworkFault> {
  if ((await store.get('network.port', port.id)) === null) return missing.port(port.id);
  await refuseIfTaken(store, port.network_id, added);
  return new NetworkFault(409, 'RetryRequest', `Port ${port.id} was changed by somebody else at the same time.`);
}

/** Throws the 409 for the first of these addresses that is taken. */
export async function refuseIfTaken(store: RecordStore, network_id: string, named: readonly FixedIp[]): Promise<void> {
  for (const each of named) {
    if ((await store.get('network.allocation', allocationId(each))) !== null) throw addressTaken(each.ip_address, network_id);
  }
}

async function refuseTakenMac(store: RecordStore, mac_address: string): Promise<void> {
  const { kind, id } = macRecord(mac_address, '');
  if ((await store.get(kind, id)) !== null) throw new NetworkFault(409, 'MacAddressInUse', `The mac address ${mac_address} is in use.`);
}

/** 46 random bits, marked as locally administered and as one station's (IEEE 802 §8.2). */
function newMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
