/** Pools (api-ref "Pools"). */
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import { Fault, type LoadBalancerTree, type Pool, poolFields, type PoolTree } from '../model/index.ts';
import { checkPoolBehind, refusal } from '../model/rules/listener.ts';
import { checkPersistence, checkPoolTls, type PersistenceRequest } from '../model/rules/pool.ts';
import type { Answer, Call } from './call.ts';
import { checkCertificates } from './request/certificates.ts';
import { changeLoadBalancer, checkQuota, markPool, partGate, updatedIdentity } from './change.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { namesIn, newPool, poolTlsDefaults, wholePersistence } from './tree/new-rows.ts';
import { enforce } from './policy/enforce.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { readObject } from './request/read-object.ts';
import { pools } from './resources.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';

/** `GET /pools` */
export const listPools = (call: Call): Promise<Answer> => showMany(call, pools);

/** `GET /pools/:id` */
export const showPool = (call: Call): Promise<Answer> => showOne(call, pools);

/** `POST /pools` */
export async function createPool(call: Call): Promise<Answer> {
  const body = readObject(call, pools, bodies.pool.post);
  const { loadbalancer_id, project_id } = await findParent(call, body);
  if (((body['members'] as unknown[] | null | undefined) ?? []).length > 0 || (body['healthmonitor'] ?? null) !== null)
    throw refusal('members and healthmonitor can only be given when a whole load balancer is created.');
  enforce(call, 'pool', 'post', project_id);
  await checkCertificates(call, body, { project_id });
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = newPool(body, loadbalancer_id, { project_id, now, now_ms: call.deps.clock.now(), options: call.deps.options });
    await checkQuota(call, tx, project_id, { pool: 1 });
    const listener_id = (body['listener_id'] as string | null | undefined) ?? null;
    const linked = listener_id === null ? tree : linkListener(tree, listener_id, pool);
    if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
    await insertRows(tx, 'pool', [pool]);
    await insertTags(tx, [{ id: pool.id, tags: tagsOf(body) ?? [] }]);
    if (listener_id !== null) await updateRows(tx, 'listener', [listener_id], { default_pool_id: pool.id, ...updatedIdentity(now) });
    return {
      tree: { ...linked, pools: [...linked.pools, { ...pool, members: [], healthmonitor: null }] },
      change: { action: 'create', owner: { type: 'pool', id: pool.id } },
      result: await presentStored(call, tx, pools, pool),
    };
  });
  return { status: 201, body: answer };
}

/** The load balancer that a new pool belongs to: named, or that of the listener it is for. */
async function findParent(call: Call, body: JsonObject): Promise<{ readonly loadbalancer_id: string; readonly project_id: string | null }> {
  const { read } = call.deps.db;
  const named = (body['loadbalancer_id'] as string | null | undefined) ?? null;
  const listener_id = (body['listener_id'] as string | null | undefined) ?? null;
  if (named === null && listener_id === null) throw refusal('Must provide at least one of: loadbalancer_id, listener_id');
  const listener = listener_id === null ? undefined : await findRow(read, 'listener', listener_id);
  if (listener_id !== null && listener === undefined) throw notFound('Listener', listener_id);
  const loadbalancer_id = named ?? (listener?.loadbalancer_id as string);
  const loadbalancer = await findRow(read, 'loadbalancer', loadbalancer_id);
  if (loadbalancer === undefined) throw notFound('Load Balancer', loadbalancer_id);
  return { loadbalancer_id, project_id: loadbalancer.project_id };
}

/** The tree with a new pool as the default pool of a listener. Throws `Fault` 400, 404 or 409. */
function linkListener(tree: LoadBalancerTree, listener_id: string, pool: Pool): LoadBalancerTree {
  const listener = tree.listeners.find((each) => each.id === listener_id);
  if (listener === undefined) throw notFound('Listener', listener_id);
  checkPoolBehind(listener.protocol, pool.protocol);
  if (listener.default_pool_id !== null) throw new Fault(409, 'This listener already has a default pool');
  return { ...tree, listeners: tree.listeners.map((each) => (each.id === listener_id ? { ...each, default_pool_id: pool.id } : each)) };
}

/** The pool of the route's `:id` or `:pool_id`. Throws `Fault` 404; who may is the caller's to ask. */
export async function findPool(call: Call, id: string): Promise<Pool> {
  const pool = await findRow(call.deps.db.read, 'pool', id);
  if (pool === undefined) throw notFound('Pool', id);
  return pool;
}

/** The pool within its locked tree. Throws `Fault` 404 when it is gone meanwhile. */
export const poolIn = (tree: LoadBalancerTree, id: string): PoolTree => {
  const pool = tree.pools.find((each) => each.id === id);
  if (pool === undefined) throw notFound('Pool', id);
  return pool;
};

/** The tree with one pool replaced. */
export const withPool = (tree: LoadBalancerTree, pool: PoolTree): LoadBalancerTree => ({
  ...tree,
  pools: tree.pools.map((each) => (each.id === pool.id ? pool : each)),
});

/** `PUT /pools/:id` */
export async function updatePool(call: Call): Promise<Answer> {
  const body = readObject(call, pools, bodies.pool.put);
  const stored = await findPool(call, call.params['id'] ?? '');
  const { id, loadbalancer_id, project_id } = stored;
  enforce(call, 'pool', 'put', project_id);
  await checkCertificates(call, body, { project_id, before: stored });
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const before = poolIn(tree, id);
    const change = { ...poolChange(call, body, before), ...updatedIdentity(now) };
    const after = { ...before, ...change };
    checkPoolTls(after, namesIn(body), call.deps.options, true);
    await markPool(space, id, false);
    await updateRows(tx, 'pool', [id], change);
    await updateTags(tx, id, body);
    const { members: _members, healthmonitor: _monitor, ...row } = after;
    return {
      tree: withPool(tree, after),
      change: { action: 'update', owner: { type: 'pool', id } },
      result: await presentStored(call, tx, pools, row),
    };
  });
  return { status: 200, body: answer };
}

function poolChange(call: Call, body: JsonObject, before: Pool): Partial<Pool> {
  const { options } = call.deps;
  const { session_persistence: _, ...change } = changedColumns(poolFields, body, options) as Partial<Pool>;
  if (Object.hasOwn(body, 'lb_algorithm') && body['lb_algorithm'] === null)
    throw new Fault(400, 'None is not a valid option for lb_algorithm');
  if (body['tls_enabled'] === null) throw new Fault(400, 'None is not a valid option for tls_enabled');
  const tls = poolTlsDefaults(body, options);
  const cleared = (Object.keys(tls) as (keyof Pool)[]).filter((name) => Object.hasOwn(body, name));
  return {
    ...change,
    ...Object.fromEntries(cleared.map((name) => [name, tls[name]])),
    ...(Object.hasOwn(body, 'session_persistence') && { session_persistence: changedPersistence(body['session_persistence'], before) }),
  };
}

/** What becomes of a session persistence: null removes it, a part of one changes the stored one. */
function changedPersistence(given: unknown, before: Pool): Pool['session_persistence'] {
  if (given === null) return null;
  const request = given as PersistenceRequest;
  const type = request.type ?? before.session_persistence?.type;
  checkPersistence(before.protocol, { ...request, ...(type !== undefined && { type }) }, true);
  if (type === undefined) throw refusal('Field "type" must be specified for a new session persistence.');
  const kept = type === before.session_persistence?.type ? before.session_persistence : {};
  return wholePersistence({ ...kept, ...request, type });
}

/** `DELETE /pools/:id` */
export async function deletePool(call: Call): Promise<Answer> {
  const { id, loadbalancer_id, project_id } = await findPool(call, call.params['id'] ?? '');
  enforce(call, 'pool', 'delete', project_id);
  await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = { ...poolIn(tree, id), provisioning_status: 'PENDING_DELETE' as const };
    const user = tree.listeners.flatMap((listener) => listener.l7policies).find((policy) => policy.redirect_pool_id === id);
    if (user !== undefined) throw new Fault(409, `Pool ${id} is in use by L7 policy ${user.id}`);
    await markPool(space, id, false);
    await updateRows(tx, 'pool', [id], { provisioning_status: 'PENDING_DELETE', updated_at: now });
    return { tree: withPool(tree, pool), change: { action: 'delete', owner: { type: 'pool', id } }, result: true };
  });
  return { status: 204 };
}
