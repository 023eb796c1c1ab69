/** What the API knows and amphorae cannot do, in the reference's words. Pure. */
import { Fault, type LoadBalancerTree, transportOf, vipsOf } from '../../model/index.ts';
import { ipVersion } from '../../model/rules/addresses.ts';
import { hasRequests, poolIdsOf } from '../../model/rules/l7policy.ts';
import type { Change } from '../provider.ts';

/** Throws `Fault` 501 for a change after which the tree would need what amphorae cannot do; `provider` is the name that the user knows. */
export function checkSupported(provider: string, tree: LoadBalancerTree, change: Change): void {
  const refusal = refuse(tree, change);
  if (refusal !== null) throw new Fault(501, `Provider '${provider}' does not support a requested option: ${refusal}`);
}

function refuse(tree: LoadBalancerTree, { action, owner }: Change): string | null {
  if (tree.pools.some((pool) => pool.lb_algorithm === 'SOURCE_IP_PORT'))
    return 'Amphora provider does not support SOURCE_IP_PORT algorithm.';
  const isNewPolicy = action === 'create' && owner.type === 'l7policy';
  const listener = tree.listeners.find((each) => isNewPolicy && each.l7policies.some((policy) => policy.id === owner.id));
  if (listener !== undefined && !hasRequests(listener.protocol))
    return `${listener.protocol} protocol listeners do not support L7 policies`;
  return owner.type === 'member' || owner.type === 'pool' ? refuseFamilies(tree) : null;
}

/** Datagrams are passed on as they are: a member needs a VIP of its own kind of address. Those that were there before may stay. */
function refuseFamilies(tree: LoadBalancerTree): string | null {
  const served = new Set(vipsOf(tree.loadbalancer).map((vip) => ipVersion(vip.ip_address)));
  const ids = new Set(tree.listeners.filter(({ protocol }) => transportOf(protocol) !== 'tcp').flatMap((each) => [...poolIdsOf(each)]));
  const pool = tree.pools
    .filter(({ id }) => ids.has(id))
    .find(({ members }) => members.some((each) => each.provisioning_status === 'PENDING_CREATE' && !served.has(ipVersion(each.address))));
  return pool === undefined
    ? null
    : `This provider doesn't support mixing IPv4 and IPv6 addresses for its VIP and members in ${pool.protocol} load balancers.`;
}
