/** Load balancers, all but their creation (api-ref "Load Balancers"). */
import { condemnAmphorae } from '../db/reconciliations.ts';
import { findRow, updateRows } from '../db/rows.ts';
import { sumStatistics } from '../db/statistics.ts';
import { loadTree } from '../db/tree.ts';
import { Fault, type LoadBalancer, loadbalancerFields, type LoadBalancerTree, type ProvisioningStatus } from '../model/index.ts';
import { refusal } from '../model/rules/listener.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, updatedIdentity, wholeGate } from './change.ts';
import { checkVnicGroups } from './flavors/choose.ts';
import { changedColumns } from './request/fill.ts';
import { enforce } from './policy/enforce.ts';
import { presentStored, updateTags } from './present.ts';
import { isTrue } from './http/query.ts';
import { notFound, showMany, showOne } from './read.ts';
import { readObject } from './request/read-object.ts';
import { loadbalancers } from './resources.ts';
import { bodies } from './request/shapes.ts';
import { statusTree } from './tree/status-tree.ts';
import type { JsonObject } from './request/validate.ts';

/** `GET /loadbalancers` */
export const listLoadBalancers = (call: Call): Promise<Answer> => showMany(call, loadbalancers);

/** `GET /loadbalancers/:id` */
export const showLoadBalancer = (call: Call): Promise<Answer> => showOne(call, loadbalancers);

/** The load balancer of the route. Throws `Fault` 403 or 404. */
async function findLoadBalancer(call: Call, action: string): Promise<LoadBalancer> {
  const id = call.params['id'] ?? '';
  const loadbalancer = await findRow(call.deps.db.read, 'loadbalancer', id);
  if (loadbalancer === undefined) throw notFound('Load Balancer', id);
  enforce(call, 'loadbalancer', action, loadbalancer.project_id);
  return loadbalancer;
}

/** `PUT /loadbalancers/:id` */
export async function updateLoadBalancer(call: Call): Promise<Answer> {
  const body = readObject(call, loadbalancers, bodies.loadbalancer.put);
  const { id, project_id } = await findLoadBalancer(call, 'put');
  if (Object.hasOwn(body, 'vip_sg_ids')) enforce(call, 'loadbalancer', 'put:vip_sg_ids', project_id);
  await checkNamed(call, body);
  const groups = (body['vip_sg_ids'] as string[] | null | undefined) ?? [];
  const answer = await changeLoadBalancer(call, id, wholeGate(['ACTIVE']), async ({ tx, tree, now }) => {
    checkVnicGroups(tree.loadbalancer.vip_vnic_type, groups);
    const change = { ...loadbalancerChange(call, body), ...updatedIdentity(now) };
    const after = { ...tree.loadbalancer, ...change };
    await updateRows(tx, 'loadbalancer', [id], change);
    await updateTags(tx, id, body);
    return {
      tree: { ...tree, loadbalancer: after },
      change: { action: 'update', owner: { type: 'loadbalancer', id } },
      result: await presentStored(call, tx, loadbalancers, after),
    };
  });
  return { status: 200, body: answer };
}

function loadbalancerChange(call: Call, body: JsonObject): Partial<LoadBalancer> {
  const change = changedColumns(loadbalancerFields, body, call.deps.options) as Partial<LoadBalancer>;
  return change.vip_sg_ids === undefined ? change : { ...change, vip_sg_ids: [...new Set(change.vip_sg_ids)] };
}

/** What an update names in the network must exist for the caller. */
async function checkNamed(call: Call, body: JsonObject): Promise<void> {
  const { catalog, options } = call.deps;
  const project_id = options.allow_invisible_resource_usage || call.caller.is_admin ? null : call.caller.project_id;
  const policy = (body['vip_qos_policy_id'] as string | null | undefined) ?? null;
  if (policy !== null && (await catalog.findQosPolicy(policy, project_id)) === null)
    throw new Fault(400, `qos_policy ${policy} not found.`);
  for (const id of (body['vip_sg_ids'] as string[] | null | undefined) ?? [])
    if ((await catalog.findSecurityGroup(id, project_id)) === null) throw new Fault(400, `Security Group ${id} not found.`);
}

/** `DELETE /loadbalancers/:id`, with `?cascade=true` for everything in it, too. */
export async function deleteLoadBalancer(call: Call): Promise<Answer> {
  const { id } = await findLoadBalancer(call, 'delete');
  const cascades = isTrue(call.query.last('cascade'));
  const { db } = call.deps;
  if (!cascades) refuseWithChildren(await loadTree(db.read, id));
  await changeLoadBalancer(call, id, wholeGate(['ACTIVE', 'ERROR']), async ({ tx, tree, now }) => {
    if (!cascades) refuseWithChildren(tree);
    const pending = { provisioning_status: 'PENDING_DELETE', updated_at: now } as const;
    const ids = (rows: readonly { readonly id: string }[]): string[] => rows.map((row) => row.id);
    const policies = tree.listeners.flatMap((listener) => listener.l7policies);
    await updateRows(tx, 'l7rule', ids(policies.flatMap((policy) => policy.rules)), pending);
    await updateRows(tx, 'l7policy', ids(policies), pending);
    await updateRows(tx, 'listener', ids(tree.listeners), pending);
    await updateRows(tx, 'pool', ids(tree.pools), pending);
    await updateRows(tx, 'member', ids(tree.pools.flatMap((pool) => pool.members)), pending);
    await updateRows(
      tx,
      'healthmonitor',
      ids(tree.pools.flatMap((pool) => (pool.healthmonitor === null ? [] : [pool.healthmonitor]))),
      pending,
    );
    return {
      tree: { ...tree, loadbalancer: { ...tree.loadbalancer, ...pending } },
      change: { action: 'delete', owner: { type: 'loadbalancer', id } },
      result: true,
      status: 'PENDING_DELETE',
    };
  });
  return { status: 204 };
}

function refuseWithChildren(tree: LoadBalancerTree | null): void {
  if (tree !== null && tree.listeners.length + tree.pools.length > 0)
    throw refusal(`Cannot delete Load Balancer ${tree.loadbalancer.id} - it has children`);
}

/** `PUT /loadbalancers/:id/failover`: every amphora is replaced. */
export async function failoverLoadBalancer(call: Call): Promise<Answer> {
  const { id } = await findLoadBalancer(call, 'put_failover');
  const mutable: readonly ProvisioningStatus[] = ['ACTIVE', 'ERROR'];
  await changeLoadBalancer(call, id, wholeGate(mutable), async ({ tx, tree }) => {
    await condemnAmphorae(tx, id);
    return { tree, change: { action: 'failover', owner: { type: 'loadbalancer', id } }, result: true };
  });
  return { status: 202 };
}

/** `GET /loadbalancers/:id/status` */
export async function showStatusTree(call: Call): Promise<Answer> {
  const id = call.params['id'] ?? '';
  const tree = await loadTree(call.deps.db.read, id);
  if (tree === null || tree.loadbalancer.provisioning_status === 'DELETED') throw notFound('Load Balancer', id);
  enforce(call, 'loadbalancer', 'get_status', tree.loadbalancer.project_id);
  return { status: 200, body: { statuses: { loadbalancer: statusTree(tree) } } };
}

/** `GET /loadbalancers/:id/stats` */
export async function showLoadBalancerStatistics(call: Call): Promise<Answer> {
  const { id } = await findLoadBalancer(call, 'get_stats');
  return { status: 200, body: { stats: await sumStatistics(call.deps.db.read, { loadbalancer_id: id }) } };
}
