/** Addresses as numbers: subnets, their pools, and what is in them. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address; `value` counts from 0 at 0.0.0.0 or at `::`. */
export type Address = { readonly version: 4 | 6; readonly value: bigint };

/** A range of addresses of one version, both ends included. */
export type Range = { readonly version: 4 | 6; readonly first: bigint; readonly last: bigint };

/** A range that is a subnet. */
export type Cidr = Range & { readonly prefix: number };

/** First and last address of a pool, as Neutron writes them. */
export type AllocationPool = { readonly start: string; readonly end: string };

/** The address that a text is, or null; zones (`fe80::1%eth0`) and short forms of IPv4 are not taken. */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { version: 4, value: numberOf(ipaddr.IPv4.parse(text).toByteArray()) };
  if (isIPv6(text) && !text.includes('%')) return { version: 6, value: numberOf(ipaddr.IPv6.parse(text).toByteArray()) };
  return null;
}

/** The text of an address: dotted, or RFC 5952. */
export function formatAddress({ version, value }: Address): string {
  const length = version === 4 ? 4 : 16;
  const bytes = Array.from({ length }, (_, index) => Number((value >> BigInt(8 * (length - 1 - index))) & 255n));
  return version === 4 ? bytes.join('.') : new ipaddr.IPv6(bytes).toRFC5952String();
}

/** The same address in its one written form; null when it is none. */
export function canonicalAddress(text: string): string | null {
  const address = parseAddress(text);
  return address === null ? null : formatAddress(address);
}

/** The subnet that a text is; bits behind the prefix are dropped, as Neutron does. */
export function parseCidr(text: string): Cidr | null {
  const shape = /^(?<address>[0-9A-Fa-f:.]+)\/(?<prefix>\d{1,3})$/u.exec(text)?.groups;
  const address = parseAddress(shape?.['address'] ?? '');
  if (address === null) return null;
  const bits = address.version === 4 ? 32 : 128;
  const prefix = Number(shape?.['prefix']);
  if (prefix > bits) return null;
  const size = 1n << BigInt(bits - prefix);
  const first = address.value - (address.value % size);
  return { version: address.version, first, last: first + size - 1n, prefix };
}

/** The text of a subnet. */
export function formatCidr({ version, first, prefix }: Cidr): string {
  return `${formatAddress({ version, value: first })}/${prefix}`;
}

/** What instances can have: without the network's own address and, for IPv4, the broadcast address (RFC 4291 §2.6.1: `::` of a subnet is for routers). */
export function hostsOf(cidr: Cidr): Range {
  return { version: cidr.version, first: cidr.first + 1n, last: cidr.version === 4 ? cidr.last - 1n : cidr.last };
}

/** Whether an address is in a range. */
export function contains(range: Range, address: Address): boolean {
  return range.version === address.version && address.value >= range.first && address.value <= range.last;
}

/** Whether two ranges have an address in common. */
export function overlaps(one: Range, other: Range): boolean {
  return one.version === other.version && one.first <= other.last && other.first <= one.last;
}

/** A pool as a range; null when it is not one. */
export function rangeOf(pool: AllocationPool): Range | null {
  const start = parseAddress(pool.start);
  const end = parseAddress(pool.end);
  if (start === null || end === null || start.version !== end.version || start.value > end.value) return null;
  return { version: start.version, first: start.value, last: end.value };
}

/** Every host address of a subnet but the gateway: one pool, or two around it. */
export function defaultPools(cidr: Cidr, gateway: Address | null): readonly AllocationPool[] {
  const hosts = hostsOf(cidr);
  const parts =
    gateway === null || !contains(hosts, gateway)
      ? [hosts]
      : [
          { ...hosts, last: gateway.value - 1n },
          { ...hosts, first: gateway.value + 1n },
        ];
  return parts.filter((part) => part.first <= part.last).map(poolOf);
}

function poolOf({ version, first, last }: Range): AllocationPool {
  return { start: formatAddress({ version, value: first }), end: formatAddress({ version, value: last }) };
}

/** How many addresses ranges hold together. */
export function sizeOf(ranges: readonly Range[]): bigint {
  return ranges.reduce((sum, range) => sum + range.last - range.first + 1n, 0n);
}

/** The first free address of the ranges, looking from `from` on and then from the beginning; null: all are taken. Takes as many steps as are taken in a row. */
export function firstFree(ranges: readonly Range[], from: bigint, isTaken: (value: bigint) => boolean): bigint | null {
  const rest = ranges.map((range) => ({ ...range, first: range.first > from ? range.first : from }));
  for (const { first, last } of [...rest, ...ranges]) {
    for (let value = first; value <= last; value += 1n) if (!isTaken(value)) return value;
  }
  return null;
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
