/** Security groups as rules of the bridges: one nft table (family bridge) in the namespace that holds them. */
import { isIP } from 'node:net';
import { CommandError, run } from '../../../lib/run.ts';
import { checkedAddress } from './ip.ts';
import { NETNS_DIR, stateNames, wireNames } from './names.ts';
import type { FilterRule, PortFilter } from './traffic.ts';

const ICMP = 1;
const ICMPV6 = 58;
/** Protocols whose header begins with two ports: TCP, DCCP, UDP, SCTP, UDP-Lite. */
const withPorts = [6, 33, 17, 132, 136];

/**
 * The table's text. Only what goes to the named addresses is looked at, each packet by itself: answers to what the port's owner asks go
 * to its own address, which is not among them. Neighbour discovery always passes, or an address would vanish from its network.
 */
export function filtersText(state_id: string, filters: readonly PortFilter[]): string {
  const { table } = stateNames(state_id);
  const doors = filters.flatMap(({ port_id, addresses }, index) => {
    const { bridgeSide } = wireNames(state_id, port_id);
    const words = { 4: 'ip', 6: 'ip6' } as const;
    return ([4, 6] as const).flatMap((version) => {
      const own = addresses.filter((each) => familyOf(each) === version).map(checkedTarget);
      return own.length === 0 ? [] : [`    oifname "${bridgeSide}" ${words[version]} daddr { ${own.join(', ')} } jump port_${index}`];
    });
  });
  const rooms = filters.flatMap(({ rules }, index) => [
    `  chain port_${index} {`,
    ...rules.flatMap(ruleLine),
    '    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
    '    drop',
    '  }',
  ]);
  const isEmpty = doors.length === 0;
  return [
    `table bridge ${table} {}`,
    `delete table bridge ${table}`,
    ...(isEmpty
      ? []
      : [`table bridge ${table} {`, ...rooms, '  chain forward {', '    type filter hook forward priority 0; policy accept;']),
    ...(isEmpty ? [] : [...doors, '  }', '}']),
    '',
  ].join('\n');
}

/** Replaces the table as a whole. Throws `CommandError` when nft refuses. */
export async function applyFilters(state_id: string, filters: readonly PortFilter[]): Promise<void> {
  const { fabric } = stateNames(state_id);
  try {
    await run('nsenter', [`--net=${NETNS_DIR}/${fabric}`, 'nft', '-f', '-'], { input: filtersText(state_id, filters) });
  } catch (error) {
    // A kernel without that family has no table to remove, either.
    if (filters.length > 0 || !(error instanceof CommandError)) throw error;
  }
}

function ruleLine({ version, protocol, least, most, remotes }: FilterRule): readonly string[] {
  const from = remotes?.filter((each) => familyOf(each) === version).map(checkedTarget);
  // A group without members lets nobody in.
  if (from?.length === 0) return [];
  const words = [
    version === 4 ? 'ether type ip' : 'ether type ip6',
    ...(from === undefined ? [] : [`${version === 4 ? 'ip' : 'ip6'} saddr { ${from.join(', ')} }`]),
    ...(protocol === null ? [] : [`meta l4proto ${Number(protocol)}`]),
    ...detailOf(protocol, least, most),
  ];
  return [`    ${words.join(' ')} accept`];
}

function detailOf(protocol: number | null, least: number | null, most: number | null): readonly string[] {
  if (least === null) return [];
  if (protocol === ICMP || protocol === ICMPV6) {
    const word = protocol === ICMP ? 'icmp' : 'icmpv6';
    return [`${word} type ${Number(least)}`, ...(most === null ? [] : [`${word} code ${Number(most)}`])];
  }
  return protocol !== null && withPorts.includes(protocol) ? [`th dport ${Number(least)}-${Number(most ?? least)}`] : [];
}

function familyOf(text: string): number {
  return isIP(text.split('/')[0] ?? '');
}

function checkedTarget(text: string): string {
  const [address = '', prefix] = text.split('/');
  return checkedAddress(address, prefix === undefined ? (isIP(address) === 4 ? 32 : 128) : Number(prefix));
}
