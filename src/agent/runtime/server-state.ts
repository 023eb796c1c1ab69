/** What of the old worker's servers a new one is to start with: their health, and nothing that the configuration says. Pure. */
import { serversIn } from './changer.ts';
import { parseServerLine } from './server-line.ts';

const FORCED = 1 | 8;

/**
 * The answer to `show servers state` as a file for a worker with this configuration. HAProxy would also take over weights, probes'
 * addresses and administrative states, which commands may have changed since and the configuration may have changed back: then
 * the process would not be what its configuration says.
 */
export function stateForReload(state: string, config: string): string {
  const rows = state.split('\n');
  const header = rows.find((row) => row.startsWith('# '));
  if (header === undefined) return '';
  const columns = header.slice(2).split(' ');
  const index = (name: string): number => columns.indexOf(name);
  const servers = serversIn(config);
  const kept = rows.flatMap((row) => {
    const fields = row.split(' ');
    if (row.startsWith('#') || fields.length < columns.length - 3) return [row];
    const line = parseServerLine(servers[`${fields[index('be_name')]}/${fields[index('srv_name')]}`] ?? []);
    const wasOff = (Number(fields[index('srv_admin_state')]) & FORCED) !== 0;
    if (line === undefined || line.is_disabled || wasOff) return [];
    fields[index('srv_admin_state')] = '0';
    for (const name of ['srv_uweight', 'srv_iweight']) fields[index(name)] = String(line.weight);
    if (index('srv_check_port') > 0) fields[index('srv_check_port')] = '0';
    if (index('srv_check_addr') > 0) fields[index('srv_check_addr')] = '-';
    return [fields.join(' ')];
  });
  return kept.join('\n');
}
