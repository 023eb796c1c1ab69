/** L7 policies (api-ref "L7 Policies"). */
import { shiftPolicies } from '../db/l7policies.ts';
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import {
  Fault,
  type L7Policy,
  l7policyFields,
  type L7PolicyTree,
  type Listener,
  type ListenerTree,
  type LoadBalancerTree,
} from '../model/index.ts';
import {
  clearedTargets,
  consistentTarget,
  positionAmong,
  type Shift,
  shifted,
  shiftForGone,
  shiftForMove,
  shiftForNew,
  type Target,
} from '../model/rules/l7policy.ts';
import { checkPoolBehind, refusal } from '../model/rules/listener.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, checkQuota, partGate, updatedIdentity, type Workspace } from './change.ts';
import { listenerIn, withListener } from './listeners.ts';
import { enforce } from './policy/enforce.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { readObject } from './request/read-object.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';
import { l7policies } from './resources.ts';
import { newPolicy, targetIn, wantedPosition } from './tree/new-l7.ts';

/** `GET /l7policies` */
export const listPolicies = (call: Call): Promise<Answer> => showMany(call, l7policies);

/** `GET /l7policies/:id` */
export const showPolicy = (call: Call): Promise<Answer> => showOne(call, l7policies);

/** The policies that have a position: all but those being deleted. */
export const placedPolicies = ({ l7policies: list }: ListenerTree): L7PolicyTree[] =>
  list.filter((policy) => policy.provisioning_status !== 'PENDING_DELETE');

/** `POST /l7policies` */
export async function createPolicy(call: Call): Promise<Answer> {
  const body = readObject(call, l7policies, bodies.l7policy.post);
  const found = await findListenerOf(call, body['listener_id'] as string | null);
  const { id: listener_id, loadbalancer_id, project_id } = found;
  enforce(call, 'l7policy', 'post', project_id);
  if (((body['rules'] as unknown[] | null | undefined) ?? []).length > 0)
    throw refusal('rules can only be given when a whole load balancer is created.');
  await checkRedirectPool(call, found, body['redirect_pool_id']);
  consistentTarget(targetIn(body));
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const listener = listenerIn(tree, listener_id);
    const placed = placedPolicies(listener);
    const position = positionAmong(placed.length, wantedPosition(body));
    const birth = { project_id, now, now_ms: call.deps.clock.now(), options: call.deps.options };
    const policy = newPolicy(body, listener_id, position, birth);
    checkTargetPool(tree, listener, policy);
    await checkQuota(call, tx, project_id, { l7policy: 1 });
    if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
    const shift = shiftForNew(position, placed.length);
    await shiftRows(space, listener_id, shift);
    await insertRows(tx, 'l7policy', [policy]);
    await insertTags(tx, [{ id: policy.id, tags: tagsOf(body) ?? [] }]);
    await markListener(space, listener_id);
    return {
      tree: withListener(tree, { ...listener, l7policies: inOrder([...shifted(placed, shift), { ...policy, rules: [] }]) }),
      change: { action: 'create', owner: { type: 'l7policy', id: policy.id } },
      result: await presentStored(call, tx, l7policies, policy),
    };
  });
  return { status: 201, body: answer };
}

async function findListenerOf(call: Call, id: string | null): Promise<Listener> {
  const listener = id === null ? undefined : await findRow(call.deps.db.read, 'listener', id);
  if (listener === undefined) throw notFound('Listener', id);
  return listener;
}

/** Throws `Fault` 400 or 404 when the listener can have no policies or a pool that a request names cannot be behind it. */
async function checkRedirectPool(call: Call, { protocol }: Listener, pool_id: unknown): Promise<void> {
  if (protocol === 'PROMETHEUS') throw new Fault(400, 'Protocol PROMETHEUS listeners cannot have child objects.');
  if (typeof pool_id !== 'string') return;
  const pool = await findRow(call.deps.db.read, 'pool', pool_id);
  if (pool === undefined) throw notFound('Pool', pool_id);
  checkPoolBehind(protocol, pool.protocol);
}

/** The pool must be one of this load balancer's, and stay. Throws `Fault` 400 or 404. */
function checkTargetPool(tree: LoadBalancerTree, { protocol }: Listener, { redirect_pool_id }: Partial<Target>): void {
  if (redirect_pool_id === null || redirect_pool_id === undefined) return;
  const pool = tree.pools.find((each) => each.id === redirect_pool_id && each.provisioning_status !== 'PENDING_DELETE');
  if (pool === undefined) throw notFound('Pool', redirect_pool_id);
  checkPoolBehind(protocol, pool.protocol);
}

const inOrder = (list: readonly L7PolicyTree[]): L7PolicyTree[] => list.toSorted((a, b) => a.position - b.position);

async function shiftRows({ tx }: Workspace, listener_id: string, shift: Shift | null): Promise<void> {
  if (shift !== null) await shiftPolicies(tx, listener_id, shift);
}

/** Marks the listener whose policies change. */
export const markListener = ({ tx, now }: Workspace, id: string): Promise<void> =>
  updateRows(tx, 'listener', [id], { provisioning_status: 'PENDING_UPDATE', updated_at: now });

/** The policy of the route and its listener. Throws `Fault` 403 or 404. */
async function findPolicy(call: Call, action: string): Promise<{ readonly policy: L7Policy; readonly listener: Listener }> {
  const id = call.params['id'] ?? '';
  const policy = await findRow(call.deps.db.read, 'l7policy', id);
  if (policy === undefined) throw notFound('L7 Policy', id);
  enforce(call, 'l7policy', action, policy.project_id);
  return { policy, listener: await findListenerOf(call, policy.listener_id) };
}

/** The policy within its listener's locked tree. Throws `Fault` 404 when it is gone meanwhile. */
export function policyIn(listener: ListenerTree, id: string): L7PolicyTree {
  const policy = listener.l7policies.find((each) => each.id === id);
  if (policy === undefined) throw notFound('L7 Policy', id);
  return policy;
}

/** The listener with one policy replaced. */
export const withPolicy = (listener: ListenerTree, policy: L7PolicyTree): ListenerTree => ({
  ...listener,
  l7policies: listener.l7policies.map((each) => (each.id === policy.id ? policy : each)),
});

/** `PUT /l7policies/:id` */
export async function updatePolicy(call: Call): Promise<Answer> {
  const body = readObject(call, l7policies, bodies.l7policy.put);
  const { policy: found, listener: itsListener } = await findPolicy(call, 'put');
  if (Object.keys(body).length === 0) throw new Fault(400, 'Invalid L7 Policy arguments: Invalid update options');
  const target = consistentTarget(targetIn(body));
  await checkRedirectPool(call, itsListener, target.redirect_pool_id);
  const { id, listener_id } = found;
  const answer = await changeLoadBalancer(call, itsListener.loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const listener = listenerIn(tree, listener_id);
    const before = policyIn(listener, id);
    checkTargetPool(tree, listener, target);
    const placed = placedPolicies(listener);
    const position = changedPosition(body, before, placed.length);
    const change = { ...policyChange(call, body, target), position, ...updatedIdentity(now) };
    const after: L7PolicyTree = { ...before, ...change };
    const shift = shiftForMove(before.position, position);
    await shiftRows(space, listener_id, shift);
    await updateRows(tx, 'l7policy', [id], change);
    await updateTags(tx, id, body, true);
    await markListener(space, listener_id);
    const { rules: _rules, ...row } = after;
    const others = shifted(
      placed.filter((each) => each.id !== id),
      shift,
    );
    return {
      tree: withListener(tree, { ...listener, l7policies: inOrder([...others, after]) }),
      change: { action: 'update', owner: { type: 'l7policy', id } },
      result: await presentStored(call, tx, l7policies, row),
    };
  });
  return { status: 200, body: answer };
}

const changedPosition = (body: JsonObject, before: L7Policy, count: number): number =>
  positionAmong(count - 1, (body['position'] as number | null | undefined) ?? before.position);

function policyChange(call: Call, body: JsonObject, target: Partial<Target>): Partial<L7Policy> {
  const { position: _position, ...change } = changedColumns(l7policyFields, body, call.deps.options) as Partial<L7Policy>;
  return { ...change, ...(target as Partial<L7Policy>), ...(clearedTargets(target) as Partial<L7Policy>) };
}

/** `DELETE /l7policies/:id` */
export async function deletePolicy(call: Call): Promise<Answer> {
  const { policy: found, listener: itsListener } = await findPolicy(call, 'delete');
  const { id, listener_id } = found;
  await changeLoadBalancer(call, itsListener.loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const listener = listenerIn(tree, listener_id);
    const before = policyIn(listener, id);
    const pending = { provisioning_status: 'PENDING_DELETE', updated_at: now } as const;
    await updateRows(tx, 'l7policy', [id], pending);
    // The others close ranks at once: nobody can ask for a position before this one is gone.
    const placed = placedPolicies(listener);
    const shift = before.provisioning_status === 'PENDING_DELETE' ? null : shiftForGone(before.position, placed.length);
    await shiftRows(space, listener_id, shift);
    await markListener(space, listener_id);
    return {
      tree: withListener(tree, withPolicy(listener, { ...before, ...pending })),
      change: { action: 'delete', owner: { type: 'l7policy', id } },
      result: true,
    };
  });
  return { status: 204 };
}
