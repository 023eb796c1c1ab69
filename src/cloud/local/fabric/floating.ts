/** Floating IPs as addresses of the host: on a wire of their own, so that they go with it. */
import { run } from '../../../lib/run.ts';
import { checkedAddress, ipBatch, isAlreadyThere, isMissing } from './ip.ts';
import { stateNames } from './names.ts';
import type { Traffic } from './traffic.ts';

/** Behind what the host may know of these ranges by itself. */
const METRIC = 20_000;

type Listed = { readonly addr_info?: readonly { readonly family?: string; readonly local?: string }[] };

/**
 * Gives the host the floating IPs that stand for something, and no others. The ranges are routed to the wire, where nobody is: what stands
 * for nothing is not asked elsewhere, and a later first start of another state sees that they are taken.
 */
export async function applyFloating(state_id: string, { ranges, translations }: Traffic): Promise<void> {
  const { fabric, floating } = stateNames(state_id);
  const { fabricSide, hostSide } = floating;
  if (ranges.length === 0) {
    await ipBatch([`link delete ${fabricSide}`], fabric).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
    return;
  }
  try {
    await ipBatch([`link add name ${fabricSide} up type veth peer name ${hostSide} netns ${process.pid}`], fabric);
  } catch (error) {
    if (!isAlreadyThere(error)) throw error;
  }
  const wanted = translations.map((each) => each.floating_ip_address);
  const present = (JSON.parse((await run('ip', ['-j', '-4', 'address', 'show', 'dev', hostSide])) || '[]') as readonly Listed[])
    .flatMap((link) => link.addr_info ?? [])
    .flatMap(({ local }) => local ?? []);
  await ipBatch([
    `link set ${hostSide} up`,
    ...ranges.map((cidr) => `route replace ${rangeOf(cidr)} dev ${hostSide} scope link metric ${METRIC}`),
    ...present
      .filter((address) => !wanted.includes(address))
      .map((address) => `address delete ${checkedAddress(address, 32)} dev ${hostSide}`),
    ...wanted
      .filter((address) => !present.includes(address))
      .map((address) => `address add ${checkedAddress(address, 32)} dev ${hostSide}`),
  ]);
}

function rangeOf(cidr: string): string {
  const [address = '', prefix = ''] = cidr.split('/');
  return checkedAddress(address, Number(prefix));
}
