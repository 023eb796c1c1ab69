/** Floating IPs: addresses of the external network, each of which may stand for a fixed address of a port that the host reaches. */
import { newId } from '../../../lib/ids.ts';
import { parseAddress } from './addresses.ts';
import { missing, NetworkFault } from './faults.ts';
import { chooseAddresses, guardsOf, refuseIfTaken, tryWrite } from './ports.ts';
import type { PortsContext } from './ports.ts';
import { allocationRecord, deleteOf, floatingIpRecord, insertOf, newCommon, touched, updateOf } from './records.ts';
import type { Traffic } from '../fabric/traffic.ts';
import type { FloatingIp, LocalNetwork, LocalPort, LocalSubnet } from './records.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore } from '../record-store.ts';

/** What a floating IP may be made of: with an address that one of its network, without any free one. */
export type FloatingIpSpec = {
  readonly project_id: string | null;
  readonly floating_network_id: string;
  readonly floating_ip_address?: string;
  readonly subnet_id?: string;
  readonly description?: string;
};

const ATTEMPTS = 12;

/** Takes an address of an external network. Throws `NetworkFault` 400, 404, or 409 when the address is taken or none is left. */
export async function createFloatingIp(context: PortsContext, spec: FloatingIpSpec): Promise<FloatingIp> {
  const network = await context.store.get<LocalNetwork>('network.network', spec.floating_network_id);
  if (network === null) throw missing.network(spec.floating_network_id);
  if (network.is_external !== true) {
    throw new NetworkFault(400, 'BadRequest', `Bad floatingip request: Network ${network.id} is not a valid external network.`);
  }
  const { floating_ip_address: ip_address, subnet_id } = spec;
  const wish = { ...(subnet_id === undefined ? {} : { subnet_id }), ...(ip_address === undefined ? {} : { ip_address }) };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const made = await tryCreate(context, spec, wish);
    if (made !== null) return made;
  }
  throw new NetworkFault(409, 'IpAddressGenerationFailure', `No more IP addresses available on network ${network.id}.`);
}

async function tryCreate(
  context: PortsContext,
  spec: FloatingIpSpec,
  wish: Parameters<typeof chooseAddresses>[2][number],
): Promise<FloatingIp | null> {
  const network_id = spec.floating_network_id;
  const { fixed_ips, promised } = await chooseAddresses(context, network_id, Object.keys(wish).length === 0 ? [] : [wish], null);
  const [address] = fixed_ips;
  if (address === undefined) throw new NetworkFault(409, 'IpAddressGenerationFailure', `Network ${network_id} has no subnet.`);
  const { name: _none, ...common } = newCommon(newId(), context.clock.now(), { ...spec, name: '' });
  const floating: FloatingIp = {
    ...common,
    floating_network_id: network_id,
    floating_ip_address: address.ip_address,
    subnet_id: address.subnet_id,
    port_id: null,
    fixed_ip_address: null,
  };
  const taken = allocationRecord({ ...address, port_id: floating.id });
  const changes = [...guardsOf(network_id, fixed_ips), insertOf(taken), insertOf(floatingIpRecord(floating))];
  if (await tryWrite(context, promised, changes)) return floating;
  await refuseIfTaken(context.store, network_id, promised.length === 0 ? fixed_ips : []);
  return null;
}

/** A floating IP; one whose port is gone stands for nothing. */
export async function findFloatingIp(store: RecordStore, id: string): Promise<FloatingIp | null> {
  const found = await store.get<FloatingIp>('network.floating_ip', id);
  return found === null ? null : free(found, await isPortGone(store, found));
}

/** All floating IPs, or those of a project. */
export async function listFloatingIps(store: RecordStore, filter: { readonly project_id?: string }): Promise<readonly FloatingIp[]> {
  const found = await store.list<FloatingIp>('network.floating_ip', filter);
  return Promise.all(found.map(async (each) => free(each, await isPortGone(store, each))));
}

/**
 * Lets a floating IP stand for an address of a port, or (null) for nothing. Throws `NetworkFault` 400 for an address that the port
 * does not have, 404 for a port that does not exist or that the host cannot reach, 409 when the address has one already.
 */
export async function associate(
  context: PortsContext,
  id: string,
  target: { readonly port_id: string; readonly fixed_ip_address?: string } | null,
  other: Partial<Pick<FloatingIp, 'description' | 'tags'>> = {},
): Promise<FloatingIp> {
  const fixed = target === null ? null : await fixedAddress(context.store, target);
  return changeFloatingIp(context, id, {
    ...other,
    port_id: target?.port_id ?? null,
    fixed_ip_address: fixed,
  });
}

/** Throws what `associate` would for a floating IP that is still to be made: then it is not made at all. */
export async function refuseTarget(
  { store }: Pick<PortsContext, 'store'>,
  target: { readonly port_id: string; readonly fixed_ip_address?: string },
): Promise<void> {
  const fixed = await fixedAddress(store, target);
  const rivals = await store.list<FloatingIp>('network.floating_ip', { name: target.port_id });
  const rival = rivals.find((each) => each.fixed_ip_address === fixed);
  if (rival !== undefined) throw alreadyAssigned(rival, target.port_id, fixed);
}

function alreadyAssigned(
  { floating_ip_address, id, floating_network_id }: FloatingIp,
  port_id: string,
  fixed: string,
  options: { readonly cause?: unknown } = {},
): NetworkFault {
  const message = `Cannot associate floating IP ${floating_ip_address} (${id}) with port ${port_id} using fixed IP ${fixed}, as that fixed IP already has a floating IP on external network ${floating_network_id}.`;
  return new NetworkFault(409, 'FloatingIPPortAlreadyAssociated', message, options);
}

/** Changes a floating IP. Throws `NetworkFault` 404 or 409. */
export function changeFloatingIp(
  context: PortsContext,
  id: string,
  change: Partial<Pick<FloatingIp, 'description' | 'tags' | 'port_id' | 'fixed_ip_address'>>,
): Promise<FloatingIp> {
  return context.inTurn(`floating ${id}`, async () => {
    const before = await context.store.get<FloatingIp>('network.floating_ip', id);
    if (before === null) throw missing.floating_ip(id);
    const after = { ...before, ...change, ...touched(before, context.clock.now()) };
    try {
      await context.store.write([updateOf(floatingIpRecord(after))]);
    } catch (error) {
      if (!(error instanceof RecordConflict)) throw error;
      if ((await context.store.get('network.floating_ip', id)) === null) throw missing.floating_ip(id);
      throw alreadyAssigned(before, after.port_id ?? '', after.fixed_ip_address ?? '', { cause: error });
    }
    return after;
  });
}

/** Gives an address back; one that is not there is success. */
export async function deleteFloatingIp(context: PortsContext, id: string): Promise<void> {
  await context.inTurn(`floating ${id}`, async () => {
    const found = await context.store.get<FloatingIp>('network.floating_ip', id);
    if (found === null) return;
    const address = { subnet_id: found.subnet_id, ip_address: found.floating_ip_address };
    await context.store.write([deleteOf(floatingIpRecord(found)), deleteOf(allocationRecord({ ...address, port_id: id }))]);
    context.book.release([address]);
  });
}

/** What the host has to do for floating IPs now. */
export async function floatingState(store: RecordStore): Promise<Pick<Traffic, 'ranges' | 'translations'>> {
  const external = (await store.list<LocalNetwork>('network.network')).filter((network) => network.is_external === true);
  const subnets = await Promise.all(external.map(({ id }) => store.list<LocalSubnet>('network.subnet', { name: id })));
  const used = (await listFloatingIps(store, {})).filter((each) => each.port_id !== null);
  const translations = await Promise.all(
    used.map(async ({ floating_ip_address, fixed_ip_address, port_id }) => {
      const port = await store.get<LocalPort>('network.port', port_id ?? '');
      const fixed = port?.fixed_ips.find((each) => each.ip_address === fixed_ip_address);
      const subnet = fixed === undefined ? null : await store.get<LocalSubnet>('network.subnet', fixed.subnet_id);
      return fixed === undefined || subnet === null ? [] : [{ floating_ip_address, fixed_ip_address: fixed.ip_address, cidr: subnet.cidr }];
    }),
  );
  const ranges = subnets.flat().flatMap(({ cidr, ip_version }) => (ip_version === 4 ? [cidr] : []));
  return { ranges, translations: translations.flat() };
}

async function fixedAddress(store: RecordStore, target: { readonly port_id: string; readonly fixed_ip_address?: string }): Promise<string> {
  const port = await store.get<LocalPort>('network.port', target.port_id);
  if (port === null) throw missing.port(target.port_id);
  const addresses = port.fixed_ips.map((each) => each.ip_address).filter((each) => parseAddress(each)?.version === 4);
  const asked = target.fixed_ip_address;
  if (asked !== undefined && !addresses.includes(asked))
    throw badRequest(`Port ${port.id} does not have fixed IP ${asked}, or it is not an IPv4 address`);
  const [first] = asked === undefined ? addresses : [asked];
  if (first === undefined) throw badRequest(`Cannot add floating IP to port ${port.id} that has no fixed IPv4 addresses`);
  if (asked === undefined && addresses.length > 1)
    throw badRequest(
      `Port ${port.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning a floating IP`,
    );
  await requireReachable(store, port, first);
  return first;
}

/** The host is the router: only where it has a leg does anything reach a port from outside. */
async function requireReachable(store: RecordStore, port: LocalPort, address: string): Promise<void> {
  const network = await store.get<LocalNetwork>('network.network', port.network_id);
  const subnet_id = port.fixed_ips.find((each) => each.ip_address === address)?.subnet_id ?? '';
  const subnet = await store.get<LocalSubnet>('network.subnet', subnet_id);
  if (network?.host_reachable === true && network.is_external !== true && subnet !== null && subnet.gateway_ip !== null) return;
  const message = `External network is not reachable from subnet ${subnet_id}. Therefore, cannot associate Port ${port.id} with a Floating IP.`;
  throw new NetworkFault(404, 'ExternalGatewayForFloatingIPNotFound', message);
}

function badRequest(message: string): NetworkFault {
  return new NetworkFault(400, 'BadRequest', `Bad floatingip request: ${message}.`);
}

async function isPortGone(store: RecordStore, { port_id }: FloatingIp): Promise<boolean> {
  return port_id !== null && (await store.get('network.port', port_id)) === null;
}

function free(floating: FloatingIp, isGone: boolean): FloatingIp {
  return isGone ? { ...floating, port_id: null, fixed_ip_address: null } : floating;
}
