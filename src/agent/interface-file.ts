/** What a network card of the traffic namespace is to have, in the form of upstream's interface files. Pure. */
import type { FixedIp, HostRoute } from '../wire/agent-api.ts';
import { checkedAddress, checkedCidr, checkedMac, contains, hostBits, optionalAddress } from './addresses.ts';
import { refuse } from './answers.ts';

/** An address; `octavia_owned: false` when keepalived puts it on the card of the master. */
export type FileAddress = { readonly address: string; readonly prefixlen: number; readonly octavia_owned?: boolean };

/** A route out of the card; without gateway what it leads to is on the link. `table` is 1 for answers from the VIP. */
export type FileRoute = {
  readonly dst: string;
  readonly gateway?: string;
  readonly prefsrc?: string;
  readonly scope?: 'link';
  readonly table?: 1;
};

/** Packets from this source look into that table. */
export type FileRule = { readonly src: string; readonly src_len: number; readonly table: 1 };

/** A card: kept as JSON, and applied again when the agent starts. */
export type InterfaceFile = {
  readonly name: string;
  readonly if_type: 'vip' | 'backend';
  readonly mac_address: string;
  readonly mtu?: number;
  /** The primary VIP, on the card that has it. */
  readonly vip?: string;
  readonly addresses: readonly FileAddress[];
  readonly routes: readonly FileRoute[];
  readonly rules: readonly FileRule[];
};

/** The card of the VIP is always this one. */
export const VIP_INTERFACE = 'eth1';

type Network = { readonly address: string; readonly prefixlen: number };
type Vip = {
  readonly address: string;
  readonly network: Network;
  readonly gateway: string | undefined;
  readonly host_routes: readonly Route[];
};
type Route = { readonly dst: string; readonly gateway: string };

/**
 * The card that `POST /plug/vip/{vip}` asks for. Throws a refusal with 400.
 *
 * In an ACTIVE_STANDBY pair keepalived owns VIPs and the routes of table 1.
 */
export function vipInterface(vip: unknown, body: Readonly<Record<string, unknown>>, topology: 'SINGLE' | 'ACTIVE_STANDBY'): InterfaceFile {
  const primary = readVip({ ...body, ip_address: vip }, 'vip');
  const vips = [primary, ...listOf(body['additional_vips'], 'additional_vips').map((each) => readVip(each, 'an additional VIP'))];
  const vrrp = optionalAddress(body['vrrp_ip'], 'vrrp_ip');
  const isSingle = topology === 'SINGLE';
  // The port's own address makes the kernel's route to its subnet; a prefix length of one host would not.
  const own = vrrp === undefined ? [] : [{ address: vrrp, prefixlen: networkOf(vrrp, vips)?.prefixlen ?? hostBits(vrrp) }];
  const addresses = vips.map(({ address }) => ({ address, prefixlen: hostBits(address), octavia_owned: isSingle }));
  return {
    name: VIP_INTERFACE,
    if_type: 'vip',
    mac_address: checkedMac(body['mac_address']),
    ...mtuOf(body['mtu']),
    vip: primary.address,
    addresses: [...own, ...addresses.filter(({ address }) => address !== vrrp)],
    routes: vips.flatMap((each) => vipRoutes(each, vrrp, isSingle)),
    rules: isSingle ? vips.map(({ address }) => ({ src: address, src_len: hostBits(address), table: 1 as const })) : [],
  };
}

/** The card that `POST /plug/network` asks for. Throws a refusal with 400. */
export function networkInterface(name: string, body: Readonly<Record<string, unknown>>): InterfaceFile {
  const parts = fixedIps(body['fixed_ips']);
  return {
    name,
    if_type: 'backend',
    mac_address: checkedMac(body['mac_address']),
    ...mtuOf(body['mtu']),
    addresses: parts.map(({ address }) => address),
    routes: parts.flatMap(({ routes }) => routes),
    rules: [],
  };
}

/** The VIP's card when it also leads to members: their subnets' addresses and routes on top. */
export function withFixedIps(vip: InterfaceFile, fixed: unknown): InterfaceFile {
  const parts = fixedIps(fixed);
  const news = parts.map(({ address }) => address).filter(({ address }) => !vip.addresses.some((each) => each.address === address));
  return { ...vip, addresses: [...vip.addresses, ...news], routes: [...vip.routes, ...parts.flatMap(({ routes }) => routes)] };
}

function vipRoutes(vip: Vip, vrrp: string | undefined, isSingle: boolean): FileRoute[] {
  const subnet = cidr(vip.network);
  const everything = hostBits(vip.address) === 128 ? '::/0' : '0.0.0.0/0';
  const default_ = vip.gateway === undefined ? [] : [{ dst: everything, gateway: vip.gateway }];
  // Where the port has an address of the subnet, the kernel has made this route, with that address as the source.
  const link = vrrp !== undefined && contains(vip.network, vrrp) ? [] : [{ dst: subnet, scope: 'link' as const }];
  const answers: FileRoute[] = isSingle
    ? [{ dst: subnet, prefsrc: vip.address, scope: 'link', table: 1 }, ...default_.map((route) => ({ ...route, table: 1 as const }))]
    : [];
  return [...link, ...default_, ...vip.host_routes, ...answers, ...vip.host_routes.map((route) => ({ ...route, table: 1 as const }))];
}

function readVip(value: unknown, what: string): Vip {
  const fields = fieldsOf(value, what);
  const address = checkedAddress(fields['ip_address'], what);
  const network = checkedCidr(fields['subnet_cidr'], `subnet_cidr of ${what}`);
  return {
    address,
    network,
    gateway: optionalAddress(fields['gateway'], `gateway of ${what}`),
    host_routes: hostRoutes(fields['host_routes']),
  };
}

function fixedIps(value: unknown): { readonly address: FileAddress; readonly routes: readonly FileRoute[] }[] {
  return listOf(value, 'fixed_ips').map((each) => {
    const fields = fieldsOf(each, 'a fixed IP') as Partial<FixedIp>;
    const { prefixlen } = checkedCidr(fields.subnet_cidr, 'subnet_cidr of a fixed IP');
    return {
      address: { address: checkedAddress(fields.ip_address, 'ip_address of a fixed IP'), prefixlen },
      routes: hostRoutes(fields.host_routes),
    };
  });
}

function hostRoutes(value: unknown): Route[] {
  return listOf(value, 'host_routes').map((each) => {
    const { destination, nexthop } = fieldsOf(each, 'a host route') as Partial<HostRoute>;
    return {
      dst: cidr(checkedCidr(destination, 'destination of a host route')),
      gateway: checkedAddress(nexthop, 'nexthop of a host route'),
    };
  });
}

function networkOf(address: string, vips: readonly Vip[]): Network | undefined {
  return vips.find(({ network }) => contains(network, address))?.network;
}

function cidr(network: Network): string {
  return `${network.address}/${network.prefixlen}`;
}

function mtuOf(value: unknown): { mtu?: number } {
  if (value === undefined || value === null) return {};
  if (!Number.isInteger(value) || (value as number) < 576 || (value as number) > 65_535)
    throw refuse(400, 'Invalid request', 'mtu must be 576 to 65535');
  return { mtu: value as number };
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw refuse(400, 'Invalid request', `${what} is no list`);
  return value;
}

function fieldsOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw refuse(400, 'Invalid request', `${what} is no object`);
  return value as Readonly<Record<string, unknown>>;
}
