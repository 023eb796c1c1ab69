/** New rows of L7 policies and rules from the bodies of create requests, checked by the rules of the model. */
import { type L7Policy, l7policyFields, type L7Rule, l7ruleFields } from '../../model/index.ts';
import { consistentTarget, type Target } from '../../model/rules/l7policy.ts';
import { checkRule } from '../../model/rules/l7rule.ts';
import { newIdentity } from '../change.ts';
import { newColumns } from '../request/fill.ts';
import type { JsonObject } from '../request/validate.ts';
import { newOrderedId } from './ids.ts';
import type { Birth } from './new-rows.ts';

const targetNames = ['action', 'redirect_pool_id', 'redirect_url', 'redirect_prefix', 'redirect_http_code'] as const;

/** What of a body says where a policy sends requests: only what it names. */
export const targetIn = (body: JsonObject): Partial<Target> =>
  Object.fromEntries(targetNames.filter((name) => Object.hasOwn(body, name)).map((name) => [name, body[name]]));

/** The position that a body asks for: the last when it names none. */
export const wantedPosition = (body: JsonObject): number =>
  (body['position'] as number | null | undefined) ?? l7policyFields.position.fallback;

/** A new L7 policy at this position. Throws `Fault` 400. */
export function newPolicy(body: JsonObject, listener_id: string, position: number, { project_id, now, now_ms, options }: Birth): L7Policy {
  const columns = newColumns(l7policyFields, body, options) as unknown as L7Policy;
  const target = consistentTarget(targetIn(columns as unknown as JsonObject)) as Partial<L7Policy>;
  return { ...columns, ...target, ...newIdentity(newOrderedId(now_ms), project_id, now), listener_id, position };
}

/** A new L7 rule. Throws `Fault` 400. */
export function newRule(body: JsonObject, l7policy_id: string, { project_id, now, now_ms, options }: Birth): L7Rule {
  const columns = newColumns(l7ruleFields, body, options) as unknown as L7Rule;
  checkRule(columns);
  return { ...columns, ...newIdentity(newOrderedId(now_ms), project_id, now), l7policy_id };
}
