/** Arithmetic on IP addresses and networks, as text and big integers. Pure: runs in a browser, too. */

/** An address as a number. */
export type AddressNumber = { readonly version: 4 | 6; readonly value: bigint };

/** Reads an IPv4 or IPv6 address; null when it is none. IPv4 takes four decimal numbers without leading zeros. */
export function parseAddress(text: string): AddressNumber | null {
  const value = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  return value === null ? null : { version: text.includes(':') ? 6 : 4, value };
}

function parseIpv4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/u.test(part) && Number(part) < 256)) return null;
  return parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function parseIpv6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1)?.at(-1);
  if (last?.includes('.')) {
    const v4 = parseIpv4(last);
    if (v4 === null) return null;
    groups.at(-1)?.splice(-1, 1, (v4 >> 16n).toString(16), (v4 & 0xffffn).toString(16));
  }
  const given = groups.flat();
  if (!given.every((group) => /^[0-9a-f]{1,4}$/iu.test(group))) return null;
  if (halves.length === 1 ? given.length !== 8 : given.length > 7) return null;
  const filled = [...(groups[0] ?? []), ...Array.from({ length: 8 - given.length }, () => '0'), ...(groups[1] ?? [])];
  return filled.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** An address in its canonical text form (RFC 5952 for IPv6). */
export function formatAddress({ version, value }: AddressNumber): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const [start, length] = longestZeros(groups);
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

function longestZeros(groups: readonly string[]): [number, number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === '0') length += 1;
    if (length > best[1]) best = [start, length];
  }
  return best;
}

/** A network in CIDR notation with its host bits cleared; an address alone gets /32 or /128; null: neither. */
export function maskCidr(text: string): string | null {
  const cidr = parseCidr(text);
  return cidr === null ? null : `${formatAddress(cidr)}/${cidr.prefix}`;
}

/** Reads a network in CIDR notation, host bits cleared; null when it is none. */
export function parseCidr(text: string): (AddressNumber & { readonly prefix: number }) | null {
  const [host = '', length, ...rest] = text.split('/');
  const address = parseAddress(host);
  if (address === null || rest.length > 0) return null;
  const bits = address.version === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : prefixOf(length, address.version);
  if (prefix === null || prefix > bits) return null;
  const mask = ((1n << BigInt(bits)) - 1n) ^ ((1n << BigInt(bits - prefix)) - 1n);
  return { version: address.version, value: address.value & mask, prefix };
}

/** The length that is meant: a number or, for IPv4, a mask of either kind (255.0.0.0, 0.255.255.255); null: neither. */
function prefixOf(text: string, version: 4 | 6): number | null {
  if (/^\d{1,3}$/u.test(text)) return Number(text);
  const mask = version === 4 ? parseIpv4(text) : null;
  if (mask === null) return null;
  const bits = mask.toString(2).padStart(32, '0');
  const network = (/^(1*)0*$/u.exec(bits) ?? /^(0*)1*$/u.exec(bits))?.[1];
  return network === undefined ? null : network.length;
}

/** Is the address part of the network? False when either is malformed or of another family. */
export function cidrContains(cidr: string, address: string): boolean {
  const network = parseCidr(cidr);
  const host = parseAddress(address);
  if (network === null || host === null || network.version !== host.version) return false;
  const shift = BigInt((network.version === 4 ? 32 : 128) - network.prefix);
  return host.value >> shift === network.value >> shift;
}

/** The same address in one spelling, so that two can be compared; what is no address stays as it is. */
export function canonicalAddress(text: string): string {
  const address = parseAddress(text);
  return address === null ? text : formatAddress(address);
}

/** 4 or 6 for an address, null for anything else. */
export const ipVersion = (text: string): 4 | 6 | null => parseAddress(text)?.version ?? null;
