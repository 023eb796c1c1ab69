/** Words of haproxy.cfg that every section needs. */
import ipaddr from 'ipaddr.js';
import { type Listener, type Owner, type Pool, type ProvisioningStatus, Terminal } from '../../../model/index.ts';
import type { ConfigLine } from '../../../wire/haproxy-text.ts';

/** How a proxy reads what passes: as bytes, or as HTTP messages. */
export type Mode = 'tcp' | 'http';

/** One directive of its section's owner. */
export const line = (...tokens: readonly string[]): ConfigLine => ({ tokens });

/** One directive of another owner. */
export const ownedLine = (owner: Owner, ...tokens: readonly string[]): ConfigLine => ({ tokens, owner });

/** Does a resource belong into the configuration? What is being deleted does not, nor what was refused before and not changed since. */
export const isServed = (resource: { readonly provisioning_status: ProvisioningStatus; readonly refused: boolean }): boolean =>
  resource.provisioning_status !== 'PENDING_DELETE' && resource.provisioning_status !== 'DELETED' && !resource.refused;

/** How a listener's frontend reads traffic. */
export const modeOfListener = (listener: Pick<Listener, 'protocol'>): Mode => (httpProtocols.has(listener.protocol) ? 'http' : 'tcp');

const httpProtocols: ReadonlySet<string> = new Set<Listener['protocol']>(['HTTP', 'TERMINATED_HTTPS', 'PROMETHEUS']);

/** How a pool's backend reads traffic; PROXY pools read it as their listener does. */
export function modeOfPool(pool: Pick<Pool, 'protocol'>, listener: Pick<Listener, 'protocol'>): Mode {
  if (pool.protocol === 'HTTP') return 'http';
  return pool.protocol === 'PROXY' || pool.protocol === 'PROXYV2' ? modeOfListener(listener) : 'tcp';
}

/** Name of the backend of a pool behind one of its listeners, as upstream's agent and heartbeats have it. */
export const backendName = (pool_id: string, listener_id: string): string => `${pool_id}:${listener_id}`;

/** Name of the peers section, the same in both amphorae. */
export const peersName = (loadbalancer_id: string): string => `${loadbalancer_id.replaceAll('-', '')}_peers`;

/**
 * The address itself when it is an IPv4 or IPv6 address; else `Terminal`: HAProxy would read it as a host name to look
 * up, a socket's path or a file descriptor.
 */
export function checkedAddress(address: string, owner: Owner): string {
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(address) || (ipaddr.IPv6.isValid(address) && !address.includes('%'));
  if (!isAddress) throw new Terminal(owner, 'the address is not an IP address');
  return address;
}

/** The network itself when it is one in CIDR notation, else `Terminal`. */
export function checkedCidr(cidr: string, owner: Owner): string {
  const isCidr = ipaddr.IPv4.isValidCIDRFourPartDecimal(cidr) || (ipaddr.IPv6.isValidCIDR(cidr) && !cidr.includes('%'));
  if (!isCidr) throw new Terminal(owner, 'an allowed CIDR is not a network');
  return cidr;
}

/**
 * Text as one argument of a sample fetch or converter, where HAProxy reads it a second time: commas and parentheses divide,
 * quotes and backslashes quote (manual 2.6, section 2.2: "strong" and "weak" quotes also inside arguments).
 */
export const fetchArgument = (text: string): string =>
  /^[A-Za-z0-9_\-./!#$%&*+^`|~]+$/u.test(text) ? text : `"${text.replaceAll(/["\\]/gu, String.raw`\$&`)}"`;
