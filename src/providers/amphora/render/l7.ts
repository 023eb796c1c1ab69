/**
 * L7 policies as lines of a frontend, in order of position: the first policy whose rules all match decides.
 *
 * HAProxy goes through `http-request` lines first and through `use_backend` lines afterwards. A policy that sends to a pool and stands
 * before one that rejects or redirects therefore only notes its backend; the later ones look at the note.
 */
import { type L7PolicyTree, type ListenerTree, type Owner, type PoolTree, Terminal } from '../../../model/index.ts';
import { hasRequests } from '../../../model/rules/l7policy.ts';
import { type ConfigLine, escapeLogFormat } from '../../../wire/haproxy-text.ts';
import { aclFile, type ListFile, listPath, mapFile } from '../../../wire/list-files.ts';
import { baseWords, leaderOf, type ServedPolicy, type Unit, unitsOf } from './l7-groups.ts';
import { type ListPlace, ruleLine, term } from './l7-rule.ts';
import { backendName, fetchArgument, isServed, ownedLine } from './lines.ts';

export type { ServedPolicy } from './l7-groups.ts';

/** So many rules of a listener have their pattern in a list of its own; with more, the patterns stay in the lines: each list is an upload. */
const mostRuleLists = 200;

/** What the note is called, and the ACL that tells whether there is one. */
const NOTE = 'txn.l7_pool';
const NOTED = 'l7_noted';

const ownerOf = ({ id }: L7PolicyTree): Owner => ({ type: 'l7policy', id });

/**
 * The policies in effect: switched on, with a rule that is, and for a pool one that is served. One of whose rules was refused is
 * left out as a whole: without that rule it would match more than it should. Throws `Terminal` for one that can have no effect.
 */
export function servedPolicies(listener: ListenerTree, pools: ReadonlyMap<string, PoolTree>): ServedPolicy[] {
  return listener.l7policies.flatMap((policy) => {
    const rules = policy.rules.filter((rule) => rule.admin_state_up && rule.provisioning_status !== 'PENDING_DELETE');
    if (!policy.admin_state_up || !isServed(policy) || rules.length === 0 || rules.some((rule) => rule.refused)) return [];
    checkTarget(policy, listener);
    return policy.action === 'REDIRECT_TO_POOL' && !pools.has(policy.redirect_pool_id ?? '') ? [] : [{ policy, rules }];
  });
}

/** What comes first where actions decide the order. */
const ranks: Readonly<Record<L7PolicyTree['action'], number>> = { REJECT: 0, REDIRECT_TO_URL: 1, REDIRECT_PREFIX: 1, REDIRECT_TO_POOL: 2 };

/** The policies in the order in which they decide: by position, or by what they do and then by position. */
export function inOrder(policies: readonly ServedPolicy[], by: 'position' | 'action'): readonly ServedPolicy[] {
  return by === 'position' ? policies : policies.toSorted((a, b) => ranks[a.policy.action] - ranks[b.policy.action]);
}

const targetOf = { REDIRECT_TO_POOL: 'redirect_pool_id', REDIRECT_TO_URL: 'redirect_url', REDIRECT_PREFIX: 'redirect_prefix' } as const;

function checkTarget(policy: L7PolicyTree, { protocol }: ListenerTree): void {
  if (!hasRequests(protocol)) throw new Terminal(ownerOf(policy), `a listener of protocol ${protocol} reads no requests`);
  if (policy.action !== 'REJECT' && policy[targetOf[policy.action]] === null)
    throw new Terminal(ownerOf(policy), `the policy has no ${targetOf[policy.action]}`);
}

/** The lines of a frontend, all `use_backend` last. `place` is null when the agent takes no lists. */
export function l7Lines(listener: ListenerTree, policies: readonly ServedPolicy[], place: ListPlace | null): ConfigLine[] {
  const units = unitsOf(policies, place !== null);
  const singles = units.reduce((count, unit) => count + (unit.kind === 'single' ? unit.served.rules.length : 0), 0);
  const isPool = (unit: Unit): boolean => leaderOf(unit).action === 'REDIRECT_TO_POOL';
  const lastStop = units.findLastIndex((unit) => !isPool(unit));
  const firstNote = units.findIndex(isPool);
  const hasNotes = firstNote !== -1 && firstNote < lastStop;
  const lines = units.map((unit, index) => {
    const match = matchOf(unit, listener, index, singles > mostRuleLists ? withoutRuleLists(place) : withRuleLists(place));
    const guard = hasNotes && index > firstNote ? [`!${NOTED}`] : [];
    const isLast = index > lastStop;
    return [...match.lines, actionLine(unit, listener, match, isLast ? [] : guard, isLast)];
  });
  return [
    ...baseLines(units),
    ...(hasNotes ? noteLines(leaderOf(units[firstNote] as Unit)) : []),
    ...lines.slice(0, lastStop + 1).flat(),
    ...(hasNotes ? [useNote(leaderOf(units[firstNote] as Unit))] : []),
    ...lines.slice(lastStop + 1).flat(),
  ];
}

/** Host and path of a request in one text, when a group looks at both. */
function baseLines(units: readonly Unit[]): ConfigLine[] {
  const first = units.find((unit) => baseWords(unit) !== null);
  return first === undefined ? [] : (baseWords(first) ?? []).map((words) => ownedLine(ownerOf(leaderOf(first)), ...words));
}

const noteLines = (policy: L7PolicyTree): ConfigLine[] => [ownedLine(ownerOf(policy), 'acl', NOTED, `var(${NOTE})`, '-m', 'found')];

const useNote = (policy: L7PolicyTree): ConfigLine => ownedLine(ownerOf(policy), 'use_backend', `%[var(${NOTE})]`, 'if', NOTED);

/** Where lists of single rules and of groups may lie. */
type Places = { readonly rule: ListPlace | null; readonly group: ListPlace | null };

const withRuleLists = (place: ListPlace | null): Places => ({ rule: place, group: place });
const withoutRuleLists = (place: ListPlace | null): Places => ({ rule: null, group: place });

/** How a unit is recognised: ACLs, the words of the condition, and the expression that looks its target up when it is a group. */
type Match = { readonly lines: readonly ConfigLine[]; readonly condition: readonly string[]; readonly lookup: string | null };

function matchOf(unit: Unit, listener: ListenerTree, index: number, places: Places): Match {
  if (unit.kind === 'single') {
    const { rules } = unit.served;
    return { lines: rules.map((rule) => ruleLine(rule, places.rule)), condition: rules.map(term), lookup: null };
  }
  // Numbered, not named after a policy: when policies come and go only the content of the list changes.
  const name = `l7_${index + 1}`;
  const slot = `l7-${listener.id}-${index + 1}`;
  const place = places.group as ListPlace;
  const acl = (tokens: readonly string[], list: ListFile): ConfigLine => ({
    tokens: ['acl', name, ...tokens],
    owner: ownerOf(leaderOf(unit)),
    lists: [list],
  });
  if (leaderOf(unit).action === 'REJECT') {
    const patterns = unit.entries.map(([pattern]) => pattern);
    const list = aclFile(slot, patterns);
    const tokens = [...unit.look.comparison, '-f', listPath(place.base_path, place.loadbalancer_id, list.name)];
    return { lines: [acl(tokens, list)], condition: [name], lookup: null };
  }
  const map = mapFile(
    slot,
    unit.entries.map(([pattern, policy]) => [pattern, targetText(policy, listener)] as const),
  );
  const path = fetchArgument(listPath(place.base_path, place.loadbalancer_id, map.name));
  const lookup = `${unit.look.subject},${unit.look.compare_type === 'STARTS_WITH' ? 'map_beg' : 'map_str'}(${path})`;
  return { lines: [acl([lookup, '-m', 'found'], map)], condition: [name], lookup };
}

/** Where a policy sends to, as it stands in a map. */
function targetText(policy: L7PolicyTree, listener: ListenerTree): string {
  if (policy.action === 'REDIRECT_TO_POOL') return backendName(policy.redirect_pool_id ?? '', listener.id);
  return (policy.action === 'REDIRECT_TO_URL' ? policy.redirect_url : policy.redirect_prefix) ?? '';
}

function actionLine(unit: Unit, listener: ListenerTree, match: Match, guard: readonly string[], isLast: boolean): ConfigLine {
  const policy = leaderOf(unit);
  const condition = ['if', ...match.condition, ...guard];
  const target = targetText(policy, listener);
  const text = match.lookup === null ? escapeLogFormat(target) : `%[${match.lookup}]`;
  const code = policy.redirect_http_code === null ? [] : ['code', String(policy.redirect_http_code)];
  const words = ((): string[] => {
    switch (policy.action) {
      case 'REJECT':
        return ['http-request', 'deny'];
      case 'REDIRECT_TO_URL':
        return ['http-request', 'redirect', 'location', text, ...code];
      case 'REDIRECT_PREFIX':
        return ['http-request', 'redirect', 'prefix', text, ...code];
      case 'REDIRECT_TO_POOL':
        return isLast ? ['use_backend', text] : ['http-request', `set-var(${NOTE})`, match.lookup ?? `str(${target})`];
    }
  })();
  return ownedLine(ownerOf(policy), ...words, ...condition);
}
