/** Rules of L7 policies across objects. Pure. */
import type { ListenerTree } from '../tree.ts';

/** The pools that serve a listener: its default pool, and those of policies that are switched on and have rules, as the reference counts them. */
export function poolIdsOf(listener: ListenerTree): ReadonlySet<string> {
  const redirects = listener.l7policies.filter((policy) => policy.admin_state_up && policy.rules.length > 0);
  return new Set([listener.default_pool_id, ...redirects.map((policy) => policy.redirect_pool_id)].filter((id) => id !== null));
}
