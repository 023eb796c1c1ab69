/** What keeps the networks of a state apart on the host: one nft table of its own in the host's namespace. */
import { CommandError, run } from '../../../lib/run.ts';
import { stateNames } from './names.ts';

/**
 * The table's text. Interface names carry the kind of network, so the rules never change when networks come and go.
 *
 * - Nothing is forwarded from a tenant network to another (of any state) or to a management network, nor the other way.
 * - On the host, a network's machines reach only the addresses of their own leg (`gateway_ip`): neither the address on the
 *   management network nor those that the host has elsewhere. Without connection tracking, which would cost each packet of the host.
 */
export function firewallText(state_id: string): string {
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
    ...forward,
    '  }',
    '  chain input {',
    '    type filter hook input priority -10; policy accept;',
    ...input,
    '  }',
    '}',
    '',
  ].join('\n');
}

/** Replaces the table as a whole. Throws `CommandError` when nft is missing or refuses. */
export async function applyFirewall(state_id: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: firewallText(state_id) });
}

/** Removes the table; one that is not there is success. */
export async function removeFirewall(state_id: string): Promise<void> {
  try {
    await run('nft', ['delete', 'table', 'inet', stateNames(state_id).table]);
  } catch (error) {
    if (!(error instanceof CommandError) || !/No such file/u.test(error.stderr)) throw error;
  }
}
