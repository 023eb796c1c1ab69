/** From what a card is to have and what it has to the lines of `ip -batch`. Pure. */
import { hostBits } from './addresses.ts';
import type { FileRoute, FileRule, InterfaceFile } from './interface-file.ts';
import type { Link } from './traffic.ts';

/** Two batches: the first must succeed as a whole; in the second, what is there (or gone) already fails without harm. */
export type CardCommands = { readonly needed: readonly string[]; readonly lenient: readonly string[] };

/**
 * The commands that make a card what its file says: name, MTU, addresses, up, routes, rules.
 *
 * Addresses come before the link goes up: then the kernel announces them (arp_notify, ndisc_notify). A card that was up
 * announces all its addresses when its MAC address is set to what it is.
 *
 * @param before the file of this card so far: what it had and the new one has not is taken away
 * @param announces false where keepalived announces the VIP
 */
export function cardCommands(file: InterfaceFile, link: Link, before: InterfaceFile | undefined, announces: boolean): CardCommands {
  const { name } = file;
  const isRenamed = link.ifname !== name;
  const isUp = link.flags.includes('UP') && !isRenamed;
  const wanted = file.addresses.filter((each) => each.octavia_owned !== false);
  const missing = wanted.filter(
    ({ address, prefixlen }) => !link.addr_info.some((each) => each.local === address && each.prefixlen === prefixlen),
  );
  // An address of keepalived's on this card is neither wanted nor surplus.
  const surplus = link.addr_info.filter(
    (each) =>
      each.scope === 'global' && !file.addresses.some(({ address, prefixlen }) => address === each.local && prefixlen === each.prefixlen),
  );
  const needed = [
    ...(isRenamed ? [`link set dev ${link.ifname} down`, `link set dev ${link.ifname} name ${name}`] : []),
    ...(file.mtu !== undefined && file.mtu !== link.mtu ? [`link set dev ${name} mtu ${file.mtu}`] : []),
    ...surplus.map(({ local, prefixlen }) => `address del ${local}/${prefixlen} dev ${name}`),
    ...missing.map(
      ({ address, prefixlen }) => `address replace ${address}/${prefixlen} dev ${name}${hostBits(address) === 128 ? ' nodad' : ''}`,
    ),
    ...(isUp ? [] : [`link set dev ${name} up`]),
    ...(isUp && announces && missing.length > 0 ? [announcement(file)] : []),
    ...file.routes.map((route) => `route replace ${routeWords(route, name)}`),
  ];
  const isKept = (route: FileRoute): boolean => file.routes.some((each) => JSON.stringify(each) === JSON.stringify(route));
  const goneRules = (before?.rules ?? []).filter((rule) => !file.rules.some((each) => each.src === rule.src));
  const lenient = [
    ...(before?.routes ?? []).filter((route) => !isKept(route)).map((route) => `route del ${routeWords(route, name)}`),
    ...goneRules.map((rule) => `rule del ${ruleWords(rule)}`),
    ...file.rules.map((rule) => `rule add ${ruleWords(rule)}`),
  ];
  return { needed, lenient };
}

/** Makes the kernel announce all addresses of a card (gratuitous ARP, unsolicited neighbour advertisement). */
export function announcement(file: Pick<InterfaceFile, 'name' | 'mac_address'>): string {
  return `link set dev ${file.name} address ${file.mac_address}`;
}

/** What a kernel without IPv6 can have of a card. */
export function withoutIpv6(file: InterfaceFile): InterfaceFile {
  const isOld = (address: string): boolean => !address.includes(':');
  return {
    ...file,
    addresses: file.addresses.filter(({ address }) => isOld(address)),
    routes: file.routes.filter(({ dst }) => isOld(dst)),
    rules: file.rules.filter(({ src }) => isOld(src)),
  };
}

function routeWords({ dst, gateway, prefsrc, scope, table }: FileRoute, name: string): string {
  const isIpv6 = dst.includes(':');
  return [
    dst,
    ...(gateway === undefined ? [] : ['via', gateway]),
    'dev',
    name,
    ...(gateway === undefined ? [] : ['onlink']),
    ...(prefsrc === undefined ? [] : ['src', prefsrc]),
    // IPv6 routes have no scope.
    ...(scope === undefined || isIpv6 ? [] : ['scope', scope]),
    ...(table === undefined ? [] : ['table', String(table)]),
  ].join(' ');
}

function ruleWords({ src, src_len, table }: FileRule): string {
  return `from ${src}/${src_len} table ${table} priority 100`;
}
