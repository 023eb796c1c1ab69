/**
 * Policies that can be decided together: neighbours in the order of positions with the same action and one rule of the same
 * kind. One look into a list or a map stands for all of them, so that a listener's thousandth policy costs what its second does, and
 * one more needs no reload.
 */
import type { L7PolicyTree, L7Rule } from '../../../model/index.ts';
import { isListEntry } from '../../../wire/list-files.ts';
import { patternOf } from './l7-rule.ts';

/** A policy in effect, and its rules in effect. */
export type ServedPolicy = { readonly policy: L7PolicyTree; readonly rules: readonly L7Rule[] };

/** One policy, or several that one look-up decides; `entries` are the patterns and whose policies they are, the first that applies wins. */
export type Unit =
  | { readonly kind: 'single'; readonly served: ServedPolicy }
  | { readonly kind: 'group'; readonly rule: L7Rule; readonly entries: readonly (readonly [pattern: string, policy: L7PolicyTree])[] };

/** The policy that stands for a unit: its first. */
export const leaderOf = (unit: Unit): L7PolicyTree =>
  unit.kind === 'single' ? unit.served.policy : (unit.entries[0]?.[1] as L7PolicyTree);

/** Divides policies, in order of position, into those that stand alone and groups; without lists all stand alone. */
export function unitsOf(policies: readonly ServedPolicy[], has_lists: boolean): Unit[] {
  const units: Unit[] = [];
  for (let at = 0; at < policies.length;) {
    const served = policies[at] as ServedPolicy;
    const kind = has_lists ? kindOf(served) : null;
    let end = at + 1;
    if (kind !== null) while (end < policies.length && kindOf(policies[end] as ServedPolicy) === kind) end += 1;
    const [rule] = served.rules;
    if (kind === null || end === at + 1 || rule === undefined) units.push({ kind: 'single', served });
    else units.push({ kind: 'group', rule, entries: entriesOf(policies.slice(at, end)) });
    at = end;
  }
  return units;
}

/** What neighbours must have in common; null: cannot be grouped. */
function kindOf({ policy, rules }: ServedPolicy): string | null {
  const [rule] = rules;
  if (rules.length !== 1 || rule === undefined || rule.invert || !isListEntry(patternOf(rule))) return null;
  const isReject = policy.action === 'REJECT';
  if (isReject ? !mayListRule(rule) : !mayMapRule(rule)) return null;
  return JSON.stringify([policy.action, policy.redirect_http_code, rule.type, rule.key, rule.compare_type]);
}

/** Any pattern that matches rejects; an expression stays alone, so that a refusal names its rule. */
const mayListRule = ({ type, compare_type }: L7Rule): boolean => !type.startsWith('SSL_') && compare_type !== 'REGEX';

/** A map answers for one text, not for each of a header's values, and finds the longest of several beginnings. */
const mayMapRule = (rule: L7Rule): boolean =>
  (rule.type === 'HOST_NAME' || rule.type === 'PATH') &&
  (rule.compare_type === 'EQUAL_TO' || rule.compare_type === 'STARTS_WITH') &&
  !patternOf(rule).includes(' ');

/** Patterns in order, without those that an earlier one makes unreachable: the longest that matches is then also the first. */
function entriesOf(policies: readonly ServedPolicy[]): (readonly [string, L7PolicyTree])[] {
  const seen = new Set<string>();
  return policies.flatMap(({ policy, rules: [rule] }) => {
    if (rule === undefined) return [];
    const pattern = rule.type === 'HOST_NAME' ? patternOf(rule).toLowerCase() : patternOf(rule);
    const isShadowed =
      rule.compare_type === 'STARTS_WITH'
        ? Array.from({ length: pattern.length }, (_, end) => pattern.slice(0, end + 1)).some((beginning) => seen.has(beginning))
        : seen.has(pattern);
    seen.add(pattern);
    return isShadowed ? [] : [[pattern, policy] as const];
  });
}
