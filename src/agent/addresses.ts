/** Addresses in plug requests: they become words of `ip` commands, so each is checked to be nothing else. Pure. */
import { isIPv4, isIPv6 } from 'node:net';
import { refuse } from './answers.ts';

/** An address in the kernel's spelling. Throws a refusal with 400. */
export function checkedAddress(value: unknown, what: string): string {
  if (typeof value === 'string' && isIPv4(value)) return value;
  // A zone (`%eth0`) passes for IPv6 with Node; we want none.
  if (typeof value === 'string' && isIPv6(value) && !value.includes('%')) return new URL(`http://[${value}]`).hostname.slice(1, -1);
  throw refuse(400, 'Invalid request', `${what} is no IP address`);
}

/** An address that may be missing. */
export function optionalAddress(value: unknown, what: string): string | undefined {
  return value === undefined || value === null || value === '' ? undefined : checkedAddress(value, what);
}

/** A network as `address/prefix length`. Throws a refusal with 400. */
export function checkedCidr(value: unknown, what: string): { readonly address: string; readonly prefixlen: number } {
  const [address, length, ...rest] = typeof value === 'string' ? value.split('/') : [];
  const prefixlen = /^\d{1,3}$/u.test(length ?? '') ? Number(length) : -1;
  const checked = checkedAddress(address, what);
  if (rest.length > 0 || prefixlen < 0 || prefixlen > hostBits(checked)) throw refuse(400, 'Invalid request', `${what} is no network`);
  return { address: checked, prefixlen };
}

/** The length of a prefix that means one host: 32 or 128. */
export function hostBits(address: string): 32 | 128 {
  return isIPv6(address) ? 128 : 32;
}

/** A MAC address in lower case. Throws a refusal with 400. */
export function checkedMac(value: unknown): string {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/iu.test(value))
    throw refuse(400, 'Invalid request', 'mac_address is no MAC address');
  return value.toLowerCase();
}

/** True when the network holds the address; both of one family. */
export function contains(network: { readonly address: string; readonly prefixlen: number }, address: string): boolean {
  const bits = hostBits(address);
  if (bits !== hostBits(network.address)) return false;
  const shift = BigInt(bits - network.prefixlen);
  return numberOf(network.address) >> shift === numberOf(address) >> shift;
}

function numberOf(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  // A checked address is in the spelling of a URL: groups of hexadecimal digits, `::` at most once, no dots.
  const [left = '', right] = address.split('::');
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '');
  const [before, after] = [groups(left), groups(right ?? '')];
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}
