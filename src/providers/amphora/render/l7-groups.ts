/**
 * Policies that can be decided together: neighbours in the order of positions with the same action and rules of the same
 * kind. One look into a list or a map stands for all of them, so that a listener's thousandth policy costs what its second does, and
 * one more needs no reload.
 */
import type { L7PolicyTree, L7Rule } from '../../../model/index.ts';
import { isListEntry } from '../../../wire/list-files.ts';
import { comparisonOf, patternOf } from './l7-rule.ts';

/** A policy in effect, and its rules in effect. */
export type ServedPolicy = { readonly policy: L7PolicyTree; readonly rules: readonly L7Rule[] };

/** Host in small letters and path of a request in one text, which `baseLines` note. */
const BASE = 'txn.l7_base';

/** What a policy that can be grouped looks at. */
type Look = {
  /** What neighbours must have in common. */
  readonly kind: string;
  readonly pattern: string;
  readonly compare_type: L7Rule['compare_type'];
  /** The words of an ACL before its patterns. */
  readonly comparison: readonly string[];
  /** The expression that a map is asked with; null: a map cannot tell. */
  readonly subject: string | null;
};

/** One policy, or several that one look-up decides; `entries` are the patterns and whose policies they are, the first that applies wins. */
export type Unit =
  | { readonly kind: 'single'; readonly served: ServedPolicy }
  | { readonly kind: 'group'; readonly look: Look; readonly entries: readonly (readonly [pattern: string, policy: L7PolicyTree])[] };

/** The policy that stands for a unit: its first. */
export const leaderOf = (unit: Unit): L7PolicyTree =>
  unit.kind === 'single' ? unit.served.policy : (unit.entries[0]?.[1] as L7PolicyTree);

/** Divides policies, in order of position, into those that stand alone and groups; without lists all stand alone. */
export function unitsOf(policies: readonly ServedPolicy[], has_lists: boolean): Unit[] {
  const looks = policies.map((served) => (has_lists ? lookOf(served) : null));
  const units: Unit[] = [];
  for (let at = 0; at < policies.length;) {
    const served = policies[at] as ServedPolicy;
    const look = looks[at] ?? null;
    let end = at + 1;
    if (look !== null) while (end < policies.length && looks[end]?.kind === look.kind) end += 1;
    if (look === null || end === at + 1) units.push({ kind: 'single', served });
    else units.push({ kind: 'group', look, entries: entriesOf(policies.slice(at, end), looks.slice(at, end)) });
    at = end;
  }
  return units;
}

/** What a policy looks at, when that is something that can be listed; else null. */
function lookOf({ policy, rules }: ServedPolicy): Look | null {
  if (rules.some((rule) => rule.invert)) return null;
  const [first, second, ...more] = rules;
  if (first === undefined || more.length > 0) return null;
  const look = second === undefined ? lookOfOne(first) : lookOfPair(first, second);
  if (look === null || !isListEntry(look.pattern)) return null;
  const isMappable =
    look.subject !== null && !look.pattern.includes(' ') && isListEntry(policy.redirect_url ?? policy.redirect_prefix ?? '-');
  if (policy.action !== 'REJECT' && !isMappable) return null;
  return { ...look, kind: JSON.stringify([policy.action, policy.redirect_http_code, look.kind]) };
}

const isExact = ({ compare_type }: L7Rule): boolean => compare_type === 'EQUAL_TO';
const mayBeMapped = (rule: L7Rule): boolean => isExact(rule) || rule.compare_type === 'STARTS_WITH';

/** An expression stays alone, so that a refusal names its rule. A map answers for one text, not for each of a header's values. */
function lookOfOne(rule: L7Rule): Look | null {
  const { type, key, compare_type } = rule;
  if (type.startsWith('SSL_') || compare_type === 'REGEX') return null;
  const subjects: Partial<Record<L7Rule['type'], string>> = { HOST_NAME: 'req.hdr(host),lower', PATH: 'path' };
  return {
    kind: JSON.stringify([type, key, compare_type]),
    pattern: type === 'HOST_NAME' ? patternOf(rule).toLowerCase() : patternOf(rule),
    compare_type,
    comparison: comparisonOf(rule),
    subject: mayBeMapped(rule) ? (subjects[type] ?? null) : null,
  };
}

/** A host and a path of it, as ingress controllers make them, are one text: a path begins with a slash, and a host has none. */
function lookOfPair(one: L7Rule, other: L7Rule): Look | null {
  const host = [one, other].find((rule) => rule.type === 'HOST_NAME' && isExact(rule));
  const path = [one, other].find((rule) => rule.type === 'PATH' && mayBeMapped(rule));
  if (host === undefined || path === undefined || patternOf(host).includes('/') || !patternOf(path).startsWith('/')) return null;
  return {
    kind: JSON.stringify(['HOST_NAME and PATH', path.compare_type]),
    pattern: patternOf(host).toLowerCase() + patternOf(path),
    compare_type: path.compare_type,
    comparison: [`var(${BASE})`, '-m', isExact(path) ? 'str' : 'beg'],
    subject: `var(${BASE})`,
  };
}

/** What must be noted of a request before groups of this unit's kind are asked; null: nothing. */
export const baseWords = (unit: Unit): readonly (readonly string[])[] | null =>
  unit.kind === 'group' && unit.look.subject === `var(${BASE})`
    ? [
        ['http-request', 'set-var(txn.l7_path)', 'path'],
        ['http-request', `set-var(${BASE})`, 'req.hdr(host),lower,concat(,txn.l7_path)'],
      ]
    : null;

/** Patterns in order, without those that an earlier one makes unreachable: of beginnings a map finds the longest, which is then also the first. */
function entriesOf(policies: readonly ServedPolicy[], looks: readonly (Look | null)[]): (readonly [string, L7PolicyTree])[] {
  const seen = new Set<string>();
  return policies.flatMap(({ policy }, index) => {
    const { pattern, compare_type } = looks[index] as Look;
    const isShadowed = compare_type === 'STARTS_WITH' ? hasBeginning(pattern, seen) : seen.has(pattern);
    seen.add(pattern);
    return isShadowed ? [] : [[pattern, policy] as const];
  });
}

function hasBeginning(pattern: string, among: ReadonlySet<string>): boolean {
  for (let end = 1; end <= pattern.length; end += 1) if (among.has(pattern.slice(0, end))) return true;
  return false;
}
