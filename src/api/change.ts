/**
 * The path of every change: in one transaction lock the load balancer, refuse when it is not mutable, change rows, let
 * the provider say no, and ask for a new pass. Nothing outside the database is awaited in between.
 */
import type { Tx } from '../db/database.ts';
import { markLoadBalancer } from '../db/loadbalancers.ts';
import { type QuotaName, quotaExceeded } from '../db/quotas.ts';
import { insertRecords } from '../db/records.ts';
import { bumpGeneration } from '../db/reconciliations.ts';
import { lockRow, updateRows } from '../db/rows.ts';
import { loadTree } from '../db/tree.ts';
import { Fault, type ListenerTree, type LoadBalancer, type LoadBalancerTree, type ProvisioningStatus } from '../model/index.ts';
import { poolIdsOf } from '../model/rules/l7policy.ts';
import type { Change } from '../providers/provider.ts';
import type { Call } from './call.ts';
import { type ApiDeps, type ApiProvider, timestamp } from './deps.ts';
import { notFound } from './read.ts';

/** What a change sees: the load balancer as it is, locked, and the time of the change. */
export type Workspace = { readonly tx: Tx; readonly tree: LoadBalancerTree; readonly now: string };

/** What a change did: the tree as it will be, for the provider to judge, and what the caller gets. */
export type Done<T> = {
  readonly tree: LoadBalancerTree;
  readonly change: Change;
  readonly result: T;
  readonly status?: ProvisioningStatus;
};

/** When a load balancer may be changed, and what is said when it may not. */
export type Gate = { readonly mutable: readonly ProvisioningStatus[]; readonly refuse: (loadbalancer: LoadBalancer) => Fault };

/** The gate of changes to parts of a load balancer. */
export const partGate: Gate = {
  mutable: ['ACTIVE'],
  refuse: (loadbalancer) => immutable('Load Balancer', loadbalancer.id),
};

/** The gate of changes to the load balancer itself. */
export const wholeGate = (mutable: readonly ProvisioningStatus[]): Gate => ({
  mutable,
  refuse: ({ id, provisioning_status }) => new Fault(409, `Invalid state ${provisioning_status} of loadbalancer resource ${id}`),
});

/** The fault for something that a change is already under way for. */
export const immutable = (title: string, id: string): Fault => new Fault(409, `${title} ${id} is immutable and cannot be updated.`);

/**
 * Carries out a change of a load balancer; `work` does it and may run again when another transaction was in the way.
 * A result of null says that there was nothing to change: nothing is marked, nothing is asked for.
 */
export async function changeLoadBalancer<T>(
  call: Call,
  loadbalancer_id: string,
  gate: Gate,
  work: (space: Workspace) => Promise<Done<T> | null>,
): Promise<T | null> {
  const { db } = call.deps;
  return db.tx(async (tx) => {
    const loadbalancer = await lockRow(tx, 'loadbalancer', loadbalancer_id);
    if (loadbalancer === undefined) throw notFound('Load Balancer', loadbalancer_id);
    if (!gate.mutable.includes(loadbalancer.provisioning_status)) throw gate.refuse(loadbalancer);
    const tree = await loadTree(tx, loadbalancer_id);
    if (tree === null) throw notFound('Load Balancer', loadbalancer_id);
    const now = timestamp(call.deps.clock);
    const done = await work({ tx, tree, now });
    if (done === null) return null;
    // Nothing may keep a tenant from removing what a newer provider would no longer accept.
    if (done.change.action !== 'delete') providerOf(call.deps, loadbalancer.provider).validate(done.tree, done.change);
    await markLoadBalancer(tx, loadbalancer_id, done.status ?? 'PENDING_UPDATE', now);
    await bumpGeneration(tx, loadbalancer_id);
    await insertRecords(tx, call.pending, call.deps.clock.now());
    await db.notify('reconcile', loadbalancer_id, tx);
    return done.result;
  });
}

/** The provider of a load balancer. Throws `Fault` 400 when it is not enabled (any more), 501 when it could not be loaded. */
export function providerOf(deps: ApiDeps, name: string | null): ApiProvider {
  const wanted = name ?? deps.options.default_provider_driver;
  if (!Object.hasOwn(deps.options.enabled_provider_drivers, wanted)) throw new Fault(400, `Provider '${wanted}' is not enabled.`);
  const provider = deps.providers.get(wanted);
  if (provider === undefined) throw new Fault(501, `Provider '${wanted}' was not found.`);
  return provider;
}

/** Throws `Fault` 403 when the project may not have so many more. Without tokens nobody is counted. */
export async function checkQuota(
  call: Call,
  tx: Tx,
  project_id: string | null,
  more: Partial<Readonly<Record<QuotaName, number>>>,
): Promise<void> {
  if (call.deps.options.noauth || project_id === null) return;
  const exceeded = await quotaExceeded(tx, project_id, more, call.deps.options.quotas);
  if (exceeded.length > 0) throw new Fault(403, `Quota has been met for resources: ${exceeded.map(quotaTitle).join(', ')}`);
}

const quotaTitle = (name: QuotaName): string =>
  ({ loadbalancer: 'Load Balancer', healthmonitor: 'Health Monitor', l7policy: 'L7 Policy', l7rule: 'L7 Rule' })[name as string] ??
  name.charAt(0).toUpperCase() + name.slice(1);

/** The listeners that a pool serves. */
export const listenersOf = (tree: LoadBalancerTree, pool_id: string): ListenerTree[] =>
  tree.listeners.filter((each) => poolIdsOf(each).has(pool_id));

/**
 * Marks what a change of a pool touches: the listeners that use it and, unless it is new or going, the pool. What was refused
 * before is tried again: the change may be what it lacked.
 */
export async function markPool({ tx, tree, now }: Workspace, pool_id: string, self: boolean): Promise<void> {
  const pending = updatedIdentity(now);
  const ids = listenersOf(tree, pool_id).map((each) => each.id);
  await updateRows(tx, 'listener', ids, pending);
  if (self) await updateRows(tx, 'pool', [pool_id], pending);
}

/** The columns with which every row begins. */
export const newIdentity = (id: string, project_id: string | null, now: string, operating_status: 'OFFLINE' | 'NO_MONITOR' = 'OFFLINE') =>
  ({
    id,
    project_id,
    provisioning_status: 'PENDING_CREATE',
    operating_status,
    created_at: now,
    updated_at: null,
    fault: null,
    refused: false,
  }) as const;

/** The columns that every update of a row sets. */
export const updatedIdentity = (now: string) =>
  ({ provisioning_status: 'PENDING_UPDATE', updated_at: now, fault: null, refused: false }) as const;
