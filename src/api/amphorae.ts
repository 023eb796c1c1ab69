/** Amphorae, for administrators (api-ref "Amphora"). */
import { condemnAmphora } from '../db/reconciliations.ts';
import { lockRow } from '../db/rows.ts';
import { amphoraStatistics, findLiveAmphora } from '../db/statistics.ts';
import { type Amphora, Fault } from '../model/index.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, immutable } from './change.ts';
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

async function findAmphora(call: Call, action: string): Promise<Amphora> {
  const id = call.params['id'] ?? '';
  enforce(call, 'amphora', action, call.caller.project_id);
  const amphora = await findLiveAmphora(call.deps.db.read, id);
  if (amphora === undefined) throw notFound('Amphora', id);
  return amphora;
}

/** `GET /amphorae/:id/stats`: its counters, one entry for each listener. */
export async function showAmphoraStatistics(call: Call): Promise<Answer> {
  const id = call.params['id'] ?? '';
  enforce(call, 'amphora', 'get_stats', call.caller.project_id);
  const rows = await amphoraStatistics(call.deps.db.read, id);
  if (rows.length === 0) throw notFound('Amphora stats for', id);
  return { status: 200, body: { amphora_stats: rows } };
}

/** `PUT /amphorae/:id/failover`: this one is replaced. */
export async function failoverAmphora(call: Call): Promise<Answer> {
  const { id, loadbalancer_id } = await findAmphora(call, 'put_failover');
  if (loadbalancer_id === null) throw new Fault(409, `Amphora ${id} does not belong to a load balancer.`);
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

/** `PUT /amphorae/:id/config`: the agent gets its configuration anew, which every pass sees to. */
export async function configureAmphora(call: Call): Promise<Answer> {
  const { loadbalancer_id } = await findAmphora(call, 'put_config');
  if (loadbalancer_id !== null) {
    const gate = { mutable: ['ACTIVE'] as const, refuse: () => immutable('Load Balancer', loadbalancer_id) };
    await changeLoadBalancer(call, loadbalancer_id, gate, async ({ tree }) => ({
      tree,
      change: { action: 'update', owner: { type: 'loadbalancer', id: loadbalancer_id } },
      result: true,
    }));
  }
  return { status: 202 };
}

/** `DELETE /amphorae/:id`: only one that is in ERROR; its load balancer gets another. */
export async function deleteAmphora(call: Call): Promise<Answer> {
  const { id, status, loadbalancer_id } = await findAmphora(call, 'delete');
  const { db } = call.deps;
  if (status !== 'ERROR') throw immutable('amphora', id);
  await db.tx(async (tx) => {
    if (!(await condemnAmphora(tx, id))) throw immutable('amphora', id);
    if (loadbalancer_id !== null) await db.notify('reconcile', loadbalancer_id, tx);
  });
  return { status: 204 };
}
