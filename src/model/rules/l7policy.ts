/** Rules of L7 policies: what action and target demand of each other, and where a policy stands among the others. Pure. */
import { Fault } from '../faults.ts';
import type { L7Policy } from '../l7policy.ts';
import type { ListenerTree } from '../tree.ts';

/** The pools that serve a listener: its default pool, and those of policies that are switched on and have rules, as the reference counts them. */
export function poolIdsOf(listener: ListenerTree): ReadonlySet<string> {
  const redirects = listener.l7policies.filter((policy) => policy.admin_state_up && policy.rules.length > 0);
  return new Set([listener.default_pool_id, ...redirects.map((policy) => policy.redirect_pool_id)].filter((id) => id !== null));
}

/** The listeners' protocols that read requests, and so can have policies. */
export const hasRequests = (protocol: string): boolean => protocol === 'HTTP' || protocol === 'TERMINATED_HTTPS';

/** What says where a policy sends requests. */
export type Target = Pick<L7Policy, 'redirect_pool_id' | 'redirect_url' | 'redirect_prefix' | 'redirect_http_code'> & {
  readonly action: L7Policy['action'] | null;
};

const wrong = (message: string): Fault => new Fault(400, `Invalid L7 Policy arguments: ${message}`);

/**
 * Makes action and targets of a request consistent, in the reference's order: the action clears what it has no use for,
 * then a target that is left decides the action. What neither names stays out, and so unchanged in an update.
 * Throws `Fault` 400. A pool of a whole tree is given as any text that is not empty.
 */
export function consistentTarget(request: Readonly<Partial<Target>>): Partial<Target> {
  const target: { -readonly [Name in keyof Target]?: Target[Name] } = { ...request };
  if (Object.hasOwn(request, 'action')) applyAction(target);
  if (target.redirect_pool_id && (target.redirect_url || target.redirect_prefix))
    throw wrong('Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time');
  if (target.redirect_pool_id)
    Object.assign(target, { action: 'REDIRECT_TO_POOL', redirect_url: null, redirect_prefix: null, redirect_http_code: null });
  if (target.redirect_url) Object.assign(target, { action: 'REDIRECT_TO_URL', redirect_pool_id: null, redirect_prefix: null });
  if (target.redirect_prefix) Object.assign(target, { action: 'REDIRECT_PREFIX', redirect_pool_id: null, redirect_url: null });
  if (target.redirect_url || target.redirect_prefix) target.redirect_http_code ??= 302;
  return target;
}

function applyAction(target: { -readonly [Name in keyof Target]?: Target[Name] }): void {
  switch (target.action) {
    case 'REJECT':
      Object.assign(target, { redirect_url: null, redirect_pool_id: null });
      return;
    case 'REDIRECT_TO_URL':
      if (!target.redirect_url) throw wrong('redirect_url must not be None');
      target.redirect_pool_id = null;
      return;
    case 'REDIRECT_TO_POOL':
      if (!target.redirect_pool_id) throw wrong('redirect_pool_id or redirect_pool must not be None');
      target.redirect_url = null;
      return;
    case 'REDIRECT_PREFIX':
      if (!target.redirect_prefix) throw wrong('redirect_prefix must not be None');
      return;
    default:
      throw new Fault(400, 'Invalid L7 Policy action specified: None');
  }
}

/** What an update with this consistent target clears besides: the targets of the actions that the policy no longer has. */
export function clearedTargets({ action }: Partial<Target>): Partial<Target> {
  switch (action) {
    case 'REJECT':
      return { redirect_url: null, redirect_pool_id: null, redirect_prefix: null, redirect_http_code: null };
    case 'REDIRECT_TO_URL':
      return { redirect_pool_id: null, redirect_prefix: null };
    case 'REDIRECT_TO_POOL':
      return { redirect_url: null, redirect_prefix: null, redirect_http_code: null };
    case 'REDIRECT_PREFIX':
      return { redirect_url: null, redirect_pool_id: null };
    default:
      return {};
  }
}

const userInfo = String.raw`(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*@`;
const hostName = String.raw`(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+`;
const httpUrl = new RegExp(String.raw`^https?://(?:${userInfo})?(?:${hostName}|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?(?:[/?#].*)?$`, 'us');
const fourNumbers = /^https?:\/\/(?:[^@/?#]*@)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?=[:/?#]|$)/u;

/** Is it a URL of HTTP with a host, without spaces and control characters? Answers the refusal, or null. */
export function refuseUrl(url: string): string | null {
  // oxlint-disable-next-line no-control-regex
  const isUrl = !/[\u0000-\u0020\u007f-\u009f]/u.test(url) && httpUrl.test(url);
  const numbers = fourNumbers.exec(url)?.slice(1) ?? [];
  return isUrl && numbers.every((number) => Number(number) < 256) ? null : 'Value must be a valid URL string';
}

/** Something with a place in a list. */
type Placed = { readonly id: string; readonly position: number };

/** Where something ends up that wants a position in a list of `count` others: positions begin at 1 and have no gaps. */
export const positionAmong = (count: number, wanted: number): number => Math.min(wanted, count + 1);

/** The neighbours that make room or close a gap: those from `from` to `to` move by `by`. */
export type Shift = { readonly from: number; readonly to: number; readonly by: 1 | -1 };

/** What moves when something new takes this position among `count`, null: nothing. */
export const shiftForNew = (position: number, count: number): Shift | null =>
  position > count ? null : { from: position, to: count, by: 1 };

/** What moves when something leaves this position. */
export const shiftForGone = (position: number, count: number): Shift | null =>
  position >= count ? null : { from: position + 1, to: count, by: -1 };

/** What else moves when something goes from one position to another. */
export function shiftForMove(from: number, to: number): Shift | null {
  if (from === to) return null;
  return from < to ? { from: from + 1, to, by: -1 } : { from: to, to: from - 1, by: 1 };
}

/** The list after a shift. */
export function shifted<T extends Placed>(list: readonly T[], shift: Shift | null): T[] {
  if (shift === null) return [...list];
  const moves = ({ position }: Placed): boolean => position >= shift.from && position <= shift.to;
  return list.map((each) => (moves(each) ? { ...each, position: each.position + shift.by } : each));
}
