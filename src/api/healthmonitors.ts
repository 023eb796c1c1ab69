/** Health monitors (api-ref "Health Monitor"). */
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import { Fault, type HealthMonitor, healthmonitorFields, type Pool } from '../model/index.ts';
import { checkMonitor, httpProbeDefaults, isHttpProbe } from '../model/rules/healthmonitor.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, checkQuota, markPool, partGate, updatedIdentity } from './change.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { checkPoolMutable } from './members.ts';
import { namesIn, newHealthMonitor, noOption } from './tree/new-rows.ts';
import { enforce } from './policy/enforce.ts';
import { findPool, poolIn, withPool } from './pools.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { readObject } from './request/read-object.ts';
import { healthmonitors } from './resources.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';

/** `GET /healthmonitors` */
export const listHealthMonitors = (call: Call): Promise<Answer> => showMany(call, healthmonitors);

/** `GET /healthmonitors/:id` */
export const showHealthMonitor = (call: Call): Promise<Answer> => showOne(call, healthmonitors);

/** `POST /healthmonitors` */
export async function createHealthMonitor(call: Call): Promise<Answer> {
  const body = readObject(call, healthmonitors, bodies.healthmonitor.post);
  if (body['pool_id'] === null) throw notFound('Pool', null);
  const found = await findPool(call, body['pool_id'] as string);
  const { id: pool_id, loadbalancer_id, project_id } = found;
  enforce(call, 'healthmonitor', 'post', project_id);
  const { options } = call.deps;
  checkPoolMutable(found);
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = poolIn(tree, pool_id);
    checkPoolMutable(pool);
    const monitor = newHealthMonitor(body, pool_id, { project_id, now, now_ms: call.deps.clock.now(), options });
    checkMonitor(monitor, namesIn(body), pool.protocol, options);
    await checkQuota(call, tx, project_id, { healthmonitor: 1 });
    if (hasTagTwice(body) || pool.healthmonitor !== null) throw new Fault(409, 'This pool already has a health monitor');
    await insertRows(tx, 'healthmonitor', [monitor]);
    await insertTags(tx, [{ id: monitor.id, tags: tagsOf(body) ?? [] }]);
    await markPool(space, pool_id, true);
    return {
      tree: withPool(tree, { ...pool, healthmonitor: monitor }),
      change: { action: 'create', owner: { type: 'healthmonitor', id: monitor.id } },
      result: await presentStored(call, tx, healthmonitors, monitor),
    };
  });
  return { status: 201, body: answer };
}

/** The health monitor of the route and its pool. Throws `Fault` 403 or 404. */
async function findMonitor(call: Call, action: string): Promise<{ readonly monitor: HealthMonitor; readonly pool: Pool }> {
  const id = call.params['id'] ?? '';
  const monitor = await findRow(call.deps.db.read, 'healthmonitor', id);
  if (monitor === undefined) throw notFound('Health Monitor', id);
  enforce(call, 'healthmonitor', action, monitor.project_id);
  return { monitor, pool: await findPool(call, monitor.pool_id) };
}

/** `PUT /healthmonitors/:id` */
export async function updateHealthMonitor(call: Call): Promise<Answer> {
  const body = readObject(call, healthmonitors, bodies.healthmonitor.put);
  const { monitor: found, pool: itsPool } = await findMonitor(call, 'put');
  for (const name of ['delay', 'timeout', 'max_retries']) if (body[name] === null) throw noOption('None', name);
  checkPoolMutable(itsPool);
  const { id, pool_id } = found;
  const answer = await changeLoadBalancer(call, itsPool.loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = poolIn(tree, pool_id);
    checkPoolMutable(pool);
    if (pool.healthmonitor?.id !== id) throw notFound('Health Monitor', id);
    const change = { ...monitorChange(call, body, pool.healthmonitor), ...updatedIdentity(now) };
    const after = { ...pool.healthmonitor, ...change };
    checkMonitor(after, namesIn(body), pool.protocol, call.deps.options);
    await updateRows(tx, 'healthmonitor', [id], change);
    await updateTags(tx, id, body);
    await markPool(space, pool_id, true);
    return {
      tree: withPool(tree, { ...pool, healthmonitor: after }),
      change: { action: 'update', owner: { type: 'healthmonitor', id } },
      result: await presentStored(call, tx, healthmonitors, after),
    };
  });
  return { status: 200, body: answer };
}

function monitorChange(call: Call, body: JsonObject, before: HealthMonitor): Partial<HealthMonitor> {
  const change = changedColumns(healthmonitorFields, body, call.deps.options) as Partial<HealthMonitor>;
  if (!isHttpProbe(before.type)) return change;
  const names = Object.keys(httpProbeDefaults) as (keyof typeof httpProbeDefaults)[];
  return { ...change, ...Object.fromEntries(names.filter((name) => body[name] === null).map((name) => [name, httpProbeDefaults[name]])) };
}

/** `DELETE /healthmonitors/:id` */
export async function deleteHealthMonitor(call: Call): Promise<Answer> {
  const { monitor, pool: itsPool } = await findMonitor(call, 'delete');
  checkPoolMutable(itsPool);
  const { id, pool_id } = monitor;
  await changeLoadBalancer(call, itsPool.loadbalancer_id, partGate, async (space) => {
    const pool = poolIn(space.tree, pool_id);
    checkPoolMutable(pool);
    if (pool.healthmonitor?.id !== id) throw notFound('Health Monitor', id);
    await updateRows(space.tx, 'healthmonitor', [id], { provisioning_status: 'PENDING_DELETE', updated_at: space.now });
    await markPool(space, pool_id, true);
    return {
      tree: withPool(space.tree, { ...pool, healthmonitor: { ...pool.healthmonitor, provisioning_status: 'PENDING_DELETE' } }),
      change: { action: 'delete', owner: { type: 'healthmonitor', id } },
      result: true,
    };
  });
  return { status: 204 };
}
