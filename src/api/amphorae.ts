/** Amphorae, for administrators (api-ref "Amphora"). */
import { askForConfiguration, condemnAmphora, removeFailedAmphora } from '../db/reconciliations.ts';
import { findRow, lockRow } from '../db/rows.ts';
import { amphoraStatistics, findHaproxyReport, findLiveAmphora } from '../db/statistics.ts';
import { type Amphora, Fault } from '../model/index.ts';
import type { Answer, Call } from './call.ts';
import { immutable } from './change.ts';
import { timestamp } from './deps.ts';
import { enforce } from './policy/enforce.ts';
import { notFound, showMany, showOne } from './read.ts';
import { amphorae } from './resources.ts';

/** `GET /amphorae` */
export async function listAmphorae(call: Call): Promise<Answer> {
  enforce(call, 'amphora', 'get_all', call.caller.project_id);
  return showMany(call, amphorae, { anyProject: true });
}

/** `GET /amphorae/:id` */
export const showAmphora = (call: Call): Promise<Answer> => showOne(call, amphorae);

/**
 * The amphora that a request names. As in the reference, failover and configuration are judged by the project of its load balancer,
 * which matters when a policy file gives them to owners; the rest by the caller's own. Throws `Fault` 403, then 404.
 */
async function findAmphora(call: Call, action: 'delete' | 'put_config' | 'put_failover'): Promise<Amphora> {
  const id = call.params['id'] ?? '';
  const { read } = call.deps.db;
  const amphora = await findLiveAmphora(read, id);
  const owned = action === 'delete' ? null : (amphora?.loadbalancer_id ?? null);
  const loadbalancer = owned === null ? undefined : await findRow(read, 'loadbalancer', owned);
  enforce(call, 'amphora', action, loadbalancer?.project_id ?? call.caller.project_id);
  if (amphora === undefined) throw notFound('Amphora', id);
  return amphora;
}

/**
 * `GET /amphorae/:id/stats`: its counters, one entry for each listener, and how its HAProxy was changed: an addition that clients
 * of the reference do not look at.
 */
export async function showAmphoraStatistics(call: Call): Promise<Answer> {
  const id = call.params['id'] ?? '';
  enforce(call, 'amphora', 'get_stats', call.caller.project_id);
  const rows = await amphoraStatistics(call.deps.db.read, id);
  if (rows.length === 0) throw notFound('Amphora stats for', id);
  const haproxy = await findHaproxyReport(call.deps.db.read, id);
  return { status: 200, body: { amphora_stats: rows, ...(haproxy !== null && { amphora_haproxy: JSON.parse(haproxy) as object }) } };
}

/** `PUT /amphorae/:id/failover`: this one is replaced. */
export async function failoverAmphora(call: Call): Promise<Answer> {
  const { id, loadbalancer_id } = await findAmphora(call, 'put_failover');
  if (loadbalancer_id === null) throw orphaned(id);
  const { db } = call.deps;
  await db.tx(async (tx) => {
    // Unlike the failover of a load balancer, this one is refused in ERROR.
    const loadbalancer = await lockRow(tx, 'loadbalancer', loadbalancer_id);
    if (loadbalancer?.provisioning_status !== 'ACTIVE' || !(await condemnAmphora(tx, id)))
      throw immutable('Load Balancer', loadbalancer_id);
    await db.notify('reconcile', loadbalancer_id, tx);
  });
  return { status: 202 };
}

/** `PUT /amphorae/:id/config`: the agent gets its configuration anew, whatever its load balancer does just now. */
export async function configureAmphora(call: Call): Promise<Answer> {
  const { id, loadbalancer_id } = await findAmphora(call, 'put_config');
  if (loadbalancer_id === null) throw orphaned(id);
  const { db } = call.deps;
  await db.tx(async (tx) => {
    await askForConfiguration(tx, id, loadbalancer_id);
    await db.notify('reconcile', loadbalancer_id, tx);
  });
  return { status: 202 };
}

/** `DELETE /amphorae/:id`: only one that is in ERROR; its load balancer gets another. */
export async function deleteAmphora(call: Call): Promise<Answer> {
  const { id, loadbalancer_id } = await findAmphora(call, 'delete');
  const { db, clock } = call.deps;
  await db.tx(async (tx) => {
    if (!(await removeFailedAmphora(tx, id, timestamp(clock)))) throw immutable('amphora', id);
    if (loadbalancer_id !== null) await db.notify('reconcile', loadbalancer_id, tx);
  });
  return { status: 204 };
}

const orphaned = (id: string): Fault => new Fault(409, `Amphora ${id} does not belong to a load balancer.`);
