/** Listeners (api-ref "Listeners"). */
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import { sumStatistics } from '../db/statistics.ts';
import { Fault, type Listener, listenerFields, type ListenerTree, type LoadBalancer, type LoadBalancerTree } from '../model/index.ts';
import { checkListenerFields, checkListenerPlace, refusal } from '../model/rules/listener.ts';
import type { Answer, Call } from './call.ts';
import { checkCertificates } from './request/certificates.ts';
import { changeLoadBalancer, checkQuota, partGate, updatedIdentity } from './change.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { listenerTlsDefaults, namesIn, newListener } from './tree/new-rows.ts';
import { enforce } from './policy/enforce.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { readObject } from './request/read-object.ts';
import { listeners } from './resources.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';

/** `GET /listeners` */
export const listListeners = (call: Call): Promise<Answer> => showMany(call, listeners);

/** `GET /listeners/:id` */
export const showListener = (call: Call): Promise<Answer> => showOne(call, listeners);

/** `POST /listeners` */
export async function createListener(call: Call): Promise<Answer> {
  const body = readObject(call, listeners, bodies.listener.post);
  const loadbalancer_id = body['loadbalancer_id'] as string | null;
  const loadbalancer = loadbalancer_id === null ? undefined : await findRow(call.deps.db.read, 'loadbalancer', loadbalancer_id);
  if (loadbalancer === undefined) throw notFound('Load Balancer', loadbalancer_id);
  enforce(call, 'listener', 'post', loadbalancer.project_id);
  if (((body['l7policies'] as unknown[] | null | undefined) ?? []).length > 0 || (body['default_pool'] ?? null) !== null)
    throw refusal('default_pool and l7policies can only be given when a whole load balancer is created.');
  await checkCertificatesOf(call, loadbalancer, body);
  const { options } = call.deps;
  const answer = await changeLoadBalancer(call, loadbalancer.id, partGate, async ({ tx, tree, now }) => {
    const listener = newListener(body, loadbalancer.id, {
      project_id: loadbalancer.project_id,
      now,
      now_ms: call.deps.clock.now(),
      options,
    });
    await checkQuota(call, tx, loadbalancer.project_id, { listener: 1 });
    checkListenerPlace(listener, tree.loadbalancer, tree.listeners, tree.pools);
    if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
    if (new Set(listener.sni_container_refs).size < listener.sni_container_refs.length)
      throw new Fault(409, 'sni_container_refs names a certificate twice.');
    await insertRows(tx, 'listener', [listener]);
    await insertTags(tx, [{ id: listener.id, tags: tagsOf(body) ?? [] }]);
    return {
      tree: { ...tree, listeners: [...tree.listeners, { ...listener, l7policies: [] }] },
      change: { action: 'create', owner: { type: 'listener', id: listener.id } },
      result: await presentStored(call, tx, listeners, listener),
    };
  });
  return { status: 201, body: answer };
}

/** Which protocols can have certificates: elsewhere a reference is refused for being there. */
const mayHaveTls = (protocol: unknown): boolean => protocol === 'TERMINATED_HTTPS' || protocol === 'PROMETHEUS';

/** Rules that need no look-up come first, so that their refusals win. */
async function checkCertificatesOf(call: Call, loadbalancer: LoadBalancer, body: JsonObject): Promise<void> {
  if (!mayHaveTls(body['protocol'])) return;
  const { clock, options } = call.deps;
  newListener(body, loadbalancer.id, { project_id: loadbalancer.project_id, now: '', now_ms: clock.now(), options });
  await checkCertificates(call, body, { project_id: loadbalancer.project_id });
}

/** The listener of the route. Throws `Fault` 403 or 404. */
async function findListener(call: Call, action: string): Promise<Listener> {
  const id = call.params['id'] ?? '';
  const listener = await findRow(call.deps.db.read, 'listener', id);
  if (listener === undefined) throw notFound('Listener', id);
  enforce(call, 'listener', action, listener.project_id);
  return listener;
}

/** The listener within its locked tree. Throws `Fault` 404 when it is gone meanwhile. */
export const listenerIn = (tree: LoadBalancerTree, id: string): ListenerTree => {
  const listener = tree.listeners.find((each) => each.id === id);
  if (listener === undefined) throw notFound('Listener', id);
  return listener;
};

/** The tree with one listener replaced. */
export const withListener = (tree: LoadBalancerTree, listener: ListenerTree): LoadBalancerTree => ({
  ...tree,
  listeners: tree.listeners.map((each) => (each.id === listener.id ? listener : each)),
});

/** `PUT /listeners/:id` */
export async function updateListener(call: Call): Promise<Answer> {
  const body = readObject(call, listeners, bodies.listener.put);
  const stored = await findListener(call, 'put');
  const { id, loadbalancer_id, protocol, project_id } = stored;
  if (mayHaveTls(protocol)) await checkCertificates(call, body, { project_id, before: stored });
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async ({ tx, tree, now }) => {
    const before = listenerIn(tree, id);
    const change = { ...listenerChange(call, body, before), ...updatedIdentity(now) };
    const after: ListenerTree = { ...before, ...change };
    const client_authentication = body['client_authentication'] === null ? null : after.client_authentication;
    // An authority that goes away takes no setting with it: the reference looks only at what the request carries.
    const judged = Object.hasOwn(body, 'client_authentication') ? client_authentication : 'NONE';
    checkHstsOptions(body, after);
    checkListenerFields({ ...after, client_authentication: judged }, namesIn(body), call.deps.options, true);
    // What was allowed before a load balancer got groups of its own stays, and does not stand in the way of other changes.
    const placed = Object.hasOwn(body, 'allowed_cidrs') ? after : { ...after, allowed_cidrs: [] };
    checkListenerPlace(placed, tree.loadbalancer, tree.listeners, tree.pools);
    await updateRows(tx, 'listener', [id], change);
    await updateTags(tx, id, body);
    return {
      tree: withListener(tree, after),
      change: { action: 'update', owner: { type: 'listener', id } },
      result: await presentStored(call, tx, listeners, after),
    };
  });
  return { status: 200, body: answer };
}

function listenerChange(call: Call, body: Readonly<Record<string, unknown>>, before: Listener): Partial<Listener> {
  const { options } = call.deps;
  const given = changedColumns(listenerFields, body, options) as Partial<Listener>;
  const change = given.allowed_cidrs === undefined ? given : { ...given, allowed_cidrs: [...new Set(given.allowed_cidrs)] };
  const defaults = listenerTlsDefaults(body, options);
  const cleared = (Object.keys(defaults) as (keyof Listener)[]).filter((name) => Object.hasOwn(body, name) && body[name] === null);
  const isTls = before.protocol === 'TERMINATED_HTTPS' || cleared.length > 0;
  return isTls ? { ...change, ...Object.fromEntries(cleared.map((name) => [name, defaults[name]])) } : change;
}

function checkHstsOptions(body: Readonly<Record<string, unknown>>, after: Listener): void {
  const isOn = body['hsts_include_subdomains'] === true || body['hsts_preload'] === true;
  if (isOn && after.hsts_max_age === null)
    throw refusal('Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well.');
}

/** `DELETE /listeners/:id` */
export async function deleteListener(call: Call): Promise<Answer> {
  const { id, loadbalancer_id } = await findListener(call, 'delete');
  await changeLoadBalancer(call, loadbalancer_id, partGate, async ({ tx, tree, now }) => {
    const listener = { ...listenerIn(tree, id), provisioning_status: 'PENDING_DELETE' as const };
    await updateRows(tx, 'listener', [id], { provisioning_status: 'PENDING_DELETE', updated_at: now });
    return {
      tree: withListener(tree, listener),
      change: { action: 'delete', owner: { type: 'listener', id } },
      result: true,
    };
  });
  return { status: 204 };
}

/** `GET /listeners/:id/stats` */
export async function showListenerStatistics(call: Call): Promise<Answer> {
  const { id } = await findListener(call, 'get_stats');
  return { status: 200, body: { stats: await sumStatistics(call.deps.db.read, { listener_id: id }) } };
}
