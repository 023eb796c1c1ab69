/** What keeps the networks of a state apart on the host: one nft table of its own in the host's namespace. */
import { CommandError, run } from '../../../lib/run.ts';
import { checkedAddress } from './ip.ts';
import { stateNames } from './names.ts';
import type { Translation } from './traffic.ts';

/**
 * The table's text. Interface names carry the kind of network, so the rules never change when networks come and go.
 *
 * - Nothing is forwarded from a tenant network to another (of any state) or to a management network, nor the other way.
 * - On the host, a network's machines reach only the addresses of their own leg (`gateway_ip`): neither the address on the
 *   management network nor those that the host has elsewhere. Without connection tracking, which would cost each packet of the host.
 * - Floating IPs are translated to what they stand for, from here and from elsewhere. Only while there are some: translating tracks connections.
 */
export function firewallText(state_id: string, translations: readonly Translation[] = []): string {
  const { table, tenantLegs, managementLegs } = stateNames(state_id);
  const kinds = [tenantLegs, managementLegs];
  const forward = kinds.flatMap((from) => ['oct*', 'ocm*'].map((to) => `    iifname "${from}*" oifname "${to}" drop`));
  const input = kinds.map((from) => `    iifname "${from}*" fib daddr . iif type != { local, broadcast, multicast } drop`);
  return [
    // Adding first makes the deletion valid when there is no table yet; all of it is one transaction.
    `table inet ${table} {}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    '  chain forward {',
    '    type filter hook forward priority -10; policy accept;',
    // A tenant's own machine may ask for a floating IP of another one, or of itself.
    ...(translations.length === 0 ? [] : ['    ct status dnat accept']),
    ...forward,
    '  }',
    '  chain input {',
    '    type filter hook input priority -10; policy accept;',
    // The host asks from the floating IP itself, which is not an address of the leg that the answer comes by.
    ...(translations.length === 0 ? [] : ['    ct direction reply ct status dnat accept']),
    ...input,
    '  }',
    ...(translations.length === 0 ? [] : translationLines(translations, tenantLegs)),
    '}',
    '',
  ].join('\n');
}

/**
 * Who asks for a floating IP gets to the fixed address and keeps its own address, but for machines of the same subnet: their answers
 * would go past the host. What the fixed address sends out of the machine comes from the floating IP.
 */
function translationLines(translations: readonly Translation[], tenantLegs: string): readonly string[] {
  const pairs = translations.map((each) => ({
    floating: addressOf(each.floating_ip_address),
    fixed: addressOf(each.fixed_ip_address),
    cidr: rangeOf(each.cidr),
  }));
  const elements = (from: 'floating' | 'fixed', to: 'floating' | 'fixed'): string =>
    pairs.map((pair) => `${pair[from]} : ${pair[to]}`).join(', ');
  const map = (name: string, content: string): string => `  map ${name} { type ipv4_addr : ipv4_addr; elements = { ${content} } }`;
  const chain = (name: string, hook: string, lines: readonly string[]): readonly string[] => [
    `  chain ${name} {`,
    `    type nat hook ${hook};`,
    ...lines.map((line) => `    ${line}`),
    '  }',
  ];
  return [
    map('floating_to_fixed', elements('floating', 'fixed')),
    map('fixed_to_floating', elements('fixed', 'floating')),
    ...chain('from_elsewhere', 'prerouting priority -100', ['dnat ip to ip daddr map @floating_to_fixed']),
    ...chain('from_here', 'output priority -100', ['dnat ip to ip daddr map @floating_to_fixed']),
    ...chain('outward', 'postrouting priority 100', [
      ...pairs.map(({ fixed, cidr }) => `ip saddr ${cidr} ip daddr ${fixed} ct status dnat masquerade`),
      `oifname != "${tenantLegs}*" snat ip to ip saddr map @fixed_to_floating`,
    ]),
  ];
}

function addressOf(text: string): string {
  return checkedAddress(text, 32).split('/')[0] ?? '';
}

function rangeOf(cidr: string): string {
  const [address = '', prefix = ''] = cidr.split('/');
  return checkedAddress(address, Number(prefix));
}

/** Replaces the table as a whole. Throws `CommandError` when nft is missing or refuses. */
export async function applyFirewall(state_id: string, translations: readonly Translation[]): Promise<void> {
  await run('nft', ['-f', '-'], { input: firewallText(state_id, translations) });
}

/** Removes the table; one that is not there is success. */
export async function removeFirewall(state_id: string): Promise<void> {
  try {
    await run('nft', ['delete', 'table', 'inet', stateNames(state_id).table]);
  } catch (error) {
    if (!(error instanceof CommandError) || !/No such file/u.test(error.stderr)) throw error;
  }
}
