/** Rules of an L7 policy (api-ref "L7 Rules"). */
import { findRuleOf } from '../db/l7rules.ts';
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import {
  Fault,
  type L7Policy,
  type L7PolicyTree,
  type L7Rule,
  l7ruleFields,
  maxRulesPerPolicy,
  type LoadBalancerTree,
} from '../model/index.ts';
import { checkRule, keylessTypes, type RuleCondition } from '../model/rules/l7rule.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, checkQuota, immutable, partGate, updatedIdentity, type Workspace } from './change.ts';
import { listenerIn, withListener } from './listeners.ts';
import { markListener, policyIn, withPolicy } from './l7policies.ts';
import { enforce } from './policy/enforce.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { readObject } from './request/read-object.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';
import { l7rules } from './resources.ts';
import { newRule } from './tree/new-l7.ts';

/** The policy of the route. Throws `Fault` 404. */
async function policyOf(call: Call): Promise<L7Policy> {
  const id = call.params['l7policy_id'] ?? '';
  const policy = await findRow(call.deps.db.read, 'l7policy', id);
  if (policy === undefined) throw notFound('L7 Policy', id);
  return policy;
}

/** `GET /l7policies/:l7policy_id/rules` */
export async function listRules(call: Call): Promise<Answer> {
  const policy = await policyOf(call);
  enforce(call, 'l7rule', 'get_all', policy.project_id);
  return showMany(call, l7rules, { where: [{ column: 'l7policy_id', value: policy.id }], anyProject: true });
}

/** `GET /l7policies/:l7policy_id/rules/:id` */
export async function showRule(call: Call): Promise<Answer> {
  const policy = await policyOf(call);
  return showOne(call, l7rules, [{ column: 'l7policy_id', value: policy.id }]);
}

/** Throws `Fault` 409 while the policy itself is being changed. */
function checkPolicyMutable({ id, provisioning_status }: Pick<L7Policy, 'id' | 'provisioning_status'>): void {
  if (provisioning_status !== 'ACTIVE') throw immutable('L7Policy', id);
}

/** The load balancer that a policy belongs to. Throws `Fault` 404 when the policy's listener is gone meanwhile. */
async function loadBalancerOf(call: Call, { listener_id }: L7Policy): Promise<string> {
  const listener = await findRow(call.deps.db.read, 'listener', listener_id);
  if (listener === undefined) throw notFound('Listener', listener_id);
  return listener.loadbalancer_id;
}

/** What a change of one rule comes to: the policy with its rules afterwards, and what is answered. */
type RuleChange<T> = { readonly rules: readonly L7Rule[]; readonly id: string; readonly result: T };

/** Carries out a change of a policy's rules: policy and listener are marked, the provider sees the whole. */
async function changeRules<T>(
  call: Call,
  found: L7Policy,
  action: 'create' | 'update' | 'delete',
  work: (space: Workspace, policy: L7PolicyTree) => Promise<RuleChange<T>>,
): Promise<T | null> {
  return changeLoadBalancer(call, await loadBalancerOf(call, found), partGate, async (space) => {
    const { tx, tree, now } = space;
    const listener = listenerIn(tree, found.listener_id);
    const policy = policyIn(listener, found.id);
    checkPolicyMutable(policy);
    const { rules, id, result } = await work(space, policy);
    const pending = { provisioning_status: 'PENDING_UPDATE', updated_at: now } as const;
    await updateRows(tx, 'l7policy', [policy.id], pending);
    await markListener(space, listener.id);
    const after: LoadBalancerTree = withListener(tree, withPolicy(listener, { ...policy, ...pending, rules }));
    return { tree: after, change: { action, owner: { type: 'l7rule', id } }, result };
  });
}

const tooMany = (l7policy_id: string): Fault => new Fault(409, `Too many rules on L7 policy ${l7policy_id}`);

/** `POST /l7policies/:l7policy_id/rules` */
export async function createRule(call: Call): Promise<Answer> {
  const found = await policyOf(call);
  const body = readObject(call, l7rules, bodies.l7rule.post);
  const { project_id } = found;
  enforce(call, 'l7rule', 'post', project_id);
  const { clock, options } = call.deps;
  newRule(body, found.id, { project_id, now: '', now_ms: clock.now(), options });
  checkPolicyMutable(found);
  const answer = await changeRules(call, found, 'create', async ({ tx, now }, policy) => {
    if (policy.rules.length >= maxRulesPerPolicy) throw tooMany(policy.id);
    const rule = newRule(body, policy.id, { project_id, now, now_ms: clock.now(), options });
    await checkQuota(call, tx, project_id, { l7rule: 1 });
    if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
    await insertRows(tx, 'l7rule', [rule]);
    await insertTags(tx, [{ id: rule.id, tags: tagsOf(body) ?? [] }]);
    return { rules: [...policy.rules, rule], id: rule.id, result: await presentStored(call, tx, l7rules, rule) };
  });
  return { status: 201, body: answer };
}

/** The rule of the route. Throws `Fault` 403 or 404. */
async function findRule(call: Call, policy: L7Policy, action: string): Promise<L7Rule> {
  const id = call.params['id'] ?? '';
  const rule = await findRuleOf(call.deps.db.read, policy.id, id);
  if (rule === undefined) throw notFound('L7 Rule', id);
  enforce(call, 'l7rule', action, rule.project_id);
  return rule;
}

const ruleIn = (policy: L7PolicyTree, id: string): L7Rule => {
  const rule = policy.rules.find((each) => each.id === id);
  if (rule === undefined) throw notFound('L7 Rule', id);
  return rule;
};

const replaced = (rules: readonly L7Rule[], rule: L7Rule): L7Rule[] => rules.map((each) => (each.id === rule.id ? rule : each));

/** `PUT /l7policies/:l7policy_id/rules/:id` */
export async function updateRule(call: Call): Promise<Answer> {
  const found = await policyOf(call);
  const body = readObject(call, { ...l7rules, argument: 'l7rule_' }, bodies.l7rule.put);
  const { id, ...known } = await findRule(call, found, 'put');
  checkRule(conditionAfter(known, body));
  checkPolicyMutable(found);
  const answer = await changeRules(call, found, 'update', async ({ tx, now }, policy) => {
    const before = ruleIn(policy, id);
    checkRule(conditionAfter(before, body));
    const change = { ...ruleChange(call, body, before), ...updatedIdentity(now) };
    const rule = { ...before, ...change };
    await updateRows(tx, 'l7rule', [id], change);
    await updateTags(tx, id, body, true);
    return { rules: replaced(policy.rules, rule), id, result: await presentStored(call, tx, l7rules, rule) };
  });
  return { status: 200, body: answer };
}

/** What a rule would say after an update; a field that the update clears is null. */
const conditionAfter = (before: RuleCondition, body: JsonObject): RuleCondition => ({ ...before, ...(body as Partial<RuleCondition>) });

function ruleChange(call: Call, body: JsonObject, before: L7Rule): Partial<L7Rule> {
  const change = changedColumns(l7ruleFields, body, call.deps.options) as Partial<L7Rule>;
  return keylessTypes.includes(change.type ?? before.type) ? { ...change, key: null } : change;
}

/** `DELETE /l7policies/:l7policy_id/rules/:id` */
export async function deleteRule(call: Call): Promise<Answer> {
  const found = await policyOf(call);
  const { id } = await findRule(call, found, 'delete');
  checkPolicyMutable(found);
  await changeRules(call, found, 'delete', async ({ tx, now }, policy) => {
    const rule = { ...ruleIn(policy, id), provisioning_status: 'PENDING_DELETE' as const };
    await updateRows(tx, 'l7rule', [id], { provisioning_status: 'PENDING_DELETE', updated_at: now });
    return { rules: replaced(policy.rules, rule), id, result: true };
  });
  return { status: 204 };
}
