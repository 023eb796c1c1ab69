/** Bandwidth limits of ports: a token bucket at each end of the wire, as each end can only slow down what it sends. */
import { CommandError, run } from '../../../lib/run.ts';
import { checkedInterface, checkedMac, checkedNamespace } from './ip.ts';
import { stateNames, wireNames } from './names.ts';
import type { PortLimit, Rate } from './traffic.ts';

/** How long a packet may wait before it is dropped. */
const LATENCY_MS = 50;
/** A bucket below this cannot hold what one interrupt sends (tc-tbf(8)). */
const LEAST_BURST_BYTES = 16_384;

/** `tc qdisc` for an interface and a rate. Pure. */
export function limitWords(link: string, { kbps, burst_kbit }: Rate): readonly string[] {
  // Neutron's own default: 80 % of a second.
  const burst_bytes = Math.max(LEAST_BURST_BYTES, Math.round(125 * (burst_kbit === 0 ? 0.8 * kbps : burst_kbit)));
  const bucket = ['rate', `${Number(kbps)}kbit`, 'burst', `${burst_bytes}b`, 'latency', `${LATENCY_MS}ms`];
  return ['qdisc', 'replace', 'dev', checkedInterface(link), 'root', 'tbf', ...bucket];
}

/** Makes a port as fast as it may be; null in a direction lifts the limit. A wire that is not there is left for when it is plugged. */
export async function applyLimit(state_id: string, limit: PortLimit, netns: string | null): Promise<void> {
  const { fabric } = stateNames(state_id);
  await applyRate(fabric, wireNames(state_id, limit.port_id).bridgeSide, limit.ingress);
  if (netns === null) return;
  const link = await linkOf(netns, limit.mac_address);
  if (link !== null) await applyRate(netns, link, limit.egress);
}

async function applyRate(netns: string, link: string, rate: Rate | null): Promise<void> {
  const words = rate === null ? ['qdisc', 'delete', 'dev', checkedInterface(link), 'root'] : limitWords(link, rate);
  try {
    await run('tc', ['-n', checkedNamespace(netns), ...words]);
  } catch (error) {
    if (
      !(error instanceof CommandError) ||
      !/Cannot find device|Cannot open network namespace|handle of zero|No such file/u.test(error.stderr)
    )
      throw error;
  }
}

type Link = { readonly ifname?: string; readonly address?: string };

/** The interface of a port inside its namespace, where it was given a name of its own. */
async function linkOf(netns: string, mac_address: string): Promise<string | null> {
  const mac = checkedMac(mac_address).toLowerCase();
  try {
    const links = JSON.parse((await run('ip', ['-n', checkedNamespace(netns), '-j', 'link', 'show'])) || '[]') as readonly Link[];
    return links.find((link) => link.address?.toLowerCase() === mac)?.ifname ?? null;
  } catch (error) {
    if (error instanceof CommandError && /Cannot open network namespace/u.test(error.stderr)) return null;
    throw error;
  }
}
