/** What users, operators and bad luck do in a history, as the API would write it. */
import {
  askForConfiguration,
  bumpGeneration,
  condemnAmphora,
  condemnAmphorae,
  insertReconciliation,
  removeFailedAmphora,
} from '../../src/db/reconciliations.ts';
import type { Tx } from '../../src/db/database.ts';
import { shiftPolicies } from '../../src/db/l7policies.ts';
import { loadTree } from '../../src/db/tree.ts';
import {
  sampleListenerRow,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePolicy,
  samplePool,
  sampleRule,
} from '../support/sample-trees.ts';
import { poison, unspeakable, type World } from './world.ts';

/** Makes a load balancer with a listener, a pool and a member, PENDING_CREATE. */
export async function create(world: World): Promise<string> {
  const { newId } = world;
  const id = newId();
  const pool_id = newId();
  const pending = { provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE' } as const;
  const vip = { vip_subnet_id: 'subnet', vip_network_id: 'network', vip_address: null, vip_port_id: null };
  const topology = world.random() < 0.3 ? 'ACTIVE_STANDBY' : 'SINGLE';
  const { members: _members, healthmonitor: _monitor, ...pool } = samplePool({ ...pending, id: pool_id, loadbalancer_id: id });
  await world.db.tx(async (tx) => {
    await tx
      .insertInto('loadbalancer')
      .values(sampleLoadBalancer({ ...pending, ...vip, id, topology }))
      .execute();
    await insertReconciliation(tx, id);
    await tx.insertInto('pool').values(pool).execute();
    await tx
      .insertInto('listener')
      .values(sampleListenerRow({ ...pending, id: newId(), loadbalancer_id: id, default_pool_id: pool_id }))
      .execute();
    await tx
      .insertInto('member')
      .values(sampleMember(1, { ...pending, operating_status: 'NO_MONITOR', id: newId(), pool_id }))
      .execute();
  });
  return id;
}

/** PENDING_UPDATE and a new generation, if the load balancer may be changed now. */
async function mayChange(
  tx: Tx,
  id: string,
  from: readonly ('ACTIVE' | 'ERROR')[],
  to: 'PENDING_UPDATE' | 'PENDING_DELETE',
): Promise<boolean> {
  const changed = await tx
    .updateTable('loadbalancer')
    .set({ provisioning_status: to })
    .where('id', '=', id)
    .where('provisioning_status', 'in', from)
    .executeTakeFirst();
  if (changed.numUpdatedRows === 0n) return false;
  await bumpGeneration(tx, id);
  return true;
}

const membersOf = (tx: Tx, id: string) =>
  tx
    .selectFrom('member')
    .innerJoin('pool', 'pool.id', 'member.pool_id')
    .select(['member.id', 'member.pool_id'])
    .where('pool.loadbalancer_id', '=', id)
    .execute();

/** Changes the weight of a member. */
export const reweigh = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    if (!(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    for (const member of (await membersOf(tx, id)).slice(0, 1)) {
      await tx
        .updateTable('member')
        .set({ weight: Math.floor(world.random() * 256), provisioning_status: 'PENDING_UPDATE', refused: false, fault: null })
        .where('id', '=', member.id)
        .execute();
    }
    return true;
  });

/** Adds a member. */
export const addMember = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const members = await membersOf(tx, id);
    const pool_id = members[0]?.pool_id;
    if (pool_id === undefined || !(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const address = `10.9.${Math.floor(world.random() * 250)}.${Math.floor(world.random() * 250)}`;
    await tx
      .insertInto('member')
      .values(sampleMember(2, { id: world.newId(), pool_id, address, provisioning_status: 'PENDING_CREATE' }))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return true;
  });

/** Adds a member on a network of its own, or one that HAProxy refuses. */
export const addOddMember = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const pool_id = (await poolsOf(tx, id))[0]?.id;
    if (pool_id === undefined || !(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const kinds = [{ address: poison }, { address: unspeakable }, { address: '10.1.200.1', subnet_id: 'subnet-2' }] as const;
    const odd = kinds[Math.floor(world.random() * kinds.length)];
    await tx
      .insertInto('member')
      .values(sampleMember(3, { id: world.newId(), pool_id, ...odd, provisioning_status: 'PENDING_CREATE' }))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    return true;
  });

const poolsOf = (tx: Tx, id: string) => tx.selectFrom('pool').select('id').where('loadbalancer_id', '=', id).execute();

/** Adds a health monitor, or deletes the one there is. */
export const changeMonitor = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const pool_id = (await poolsOf(tx, id))[0]?.id;
    if (pool_id === undefined || !(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const existing = await tx
      .updateTable('healthmonitor')
      .set({ provisioning_status: 'PENDING_DELETE' })
      .where('pool_id', '=', pool_id)
      .executeTakeFirst();
    if (existing.numUpdatedRows > 0n) return true;
    const monitor = sampleMonitor({ id: world.newId(), pool_id, provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE' });
    await tx.insertInto('healthmonitor').values(monitor).execute();
    await tx.updateTable('member').set({ operating_status: 'OFFLINE' }).where('pool_id', '=', pool_id).execute();
    return true;
  });

/** Adds an L7 policy with a rule, which HAProxy may refuse, or deletes the first; the others make room or close ranks. */
export const changePolicies = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const tree = await loadTree(tx, id);
    const listener = tree?.listeners[0];
    if (tree === null || listener === undefined || !(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const { l7policies } = listener;
    const [first] = l7policies;
    if (first !== undefined && world.random() < 0.4) {
      await tx.updateTable('l7policy').set({ provisioning_status: 'PENDING_DELETE' }).where('id', '=', first.id).execute();
      await shiftPolicies(tx, listener.id, { from: 2, to: l7policies.length, by: -1 });
      return true;
    }
    const position = 1 + Math.floor(world.random() * (l7policies.length + 1));
    await shiftPolicies(tx, listener.id, { from: position, to: l7policies.length, by: 1 });
    const pending = { provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE' } as const;
    const { rules: _rules, ...policy } = samplePolicy(1, { ...pending, id: world.newId(), listener_id: listener.id, position });
    const pool = world.random() < 0.5 ? tree.pools[0] : undefined;
    await tx
      .insertInto('l7policy')
      .values(pool === undefined ? policy : { ...policy, action: 'REDIRECT_TO_POOL', redirect_pool_id: pool.id })
      .execute();
    const values = ['/', '/', poison, unspeakable];
    const value = values[Math.floor(world.random() * values.length)] ?? '/';
    const rule = sampleRule(1, { ...pending, id: world.newId(), l7policy_id: policy.id, value });
    await tx.insertInto('l7rule').values(rule).execute();
    return true;
  });

/** Deletes the listener or the pool, or makes a new one where there is none. */
export const changeShape = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    if (!(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const part = world.random() < 0.5 ? 'listener' : 'pool';
    const gone = await tx
      .updateTable(part)
      .set({ provisioning_status: 'PENDING_DELETE' })
      .where('loadbalancer_id', '=', id)
      .executeTakeFirst();
    if (gone.numUpdatedRows > 0n) return true;
    const pending = { id: world.newId(), loadbalancer_id: id, provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE' } as const;
    if (part === 'listener')
      await tx
        .insertInto('listener')
        .values(sampleListenerRow({ ...pending, default_pool_id: null }))
        .execute();
    else {
      const { members: _members, healthmonitor: _monitor, ...pool } = samplePool(pending);
      await tx.insertInto('pool').values(pool).execute();
    }
    return true;
  });

/** The certificates come due, as housekeeping finds: the load balancer stays ACTIVE meanwhile. */
export const rotate = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const due = await tx
      .updateTable('amphora')
      .set({ cert_busy: true })
      .where('loadbalancer_id', '=', id)
      .where('status', '=', 'ALLOCATED')
      .executeTakeFirst();
    if (due.numUpdatedRows > 0n) await bumpGeneration(tx, id);
    return due.numUpdatedRows > 0n;
  });

/** An administrator gives an agent its configuration anew. */
export const configure = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const amphora = await tx
      .selectFrom('amphora')
      .select('id')
      .where('loadbalancer_id', '=', id)
      .where('status', '!=', 'DELETED')
      .executeTakeFirst();
    if (amphora !== undefined) await askForConfiguration(tx, amphora.id, id);
    return amphora !== undefined;
  });

/** An amphora is in ERROR, as one of an older deployment may be, and an administrator deletes it. */
export const removeFailed = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    const amphora = await tx
      .updateTable('amphora')
      .set({ status: 'ERROR' })
      .where('loadbalancer_id', '=', id)
      .where('status', '=', 'ALLOCATED')
      .returning('id')
      .executeTakeFirst();
    return amphora !== undefined && removeFailedAmphora(tx, amphora.id, '2026-01-01T00:00:00');
  });

/** Deletes all members but one. */
export const dropMembers = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    if (!(await mayChange(tx, id, ['ACTIVE'], 'PENDING_UPDATE'))) return false;
    const ids = (await membersOf(tx, id)).slice(1).map((member) => member.id);
    if (ids.length > 0) await tx.updateTable('member').set({ provisioning_status: 'PENDING_DELETE' }).where('id', 'in', ids).execute();
    return true;
  });

/** Asks for new amphorae. */
export const failover = (world: World, id: string): Promise<boolean> =>
  world.db.tx(async (tx) => {
    if (!(await mayChange(tx, id, ['ACTIVE', 'ERROR'], 'PENDING_UPDATE'))) return false;
    await condemnAmphorae(tx, id);
    return true;
  });

/** Deletes the load balancer with all its parts. */
export const remove = (world: World, id: string): Promise<boolean> =>
  world.db.tx((tx) => mayChange(tx, id, ['ACTIVE', 'ERROR'], 'PENDING_DELETE'));

/** The cloud loses an instance, and the health manager notices. */
export async function loseInstance(world: World, id: string): Promise<boolean> {
  const victim = world.compute.all().find((instance) => instance.loadbalancer_id === id && instance.status === 'ACTIVE');
  if (!victim) return false;
  world.compute.lose(victim.compute_id);
  return world.db.tx((tx) => condemnAmphora(tx, victim.amphora_id));
}

/** Somebody deletes a port by hand; the periodic look at ACTIVE load balancers finds it. */
export async function losePort(world: World, id: string): Promise<boolean> {
  const victim = [...world.network.ports.values()].find((port) => port.device_id === `lb-${id}`);
  if (!victim || !(await world.db.tx((tx) => mayChange(tx, id, ['ACTIVE', 'ERROR'], 'PENDING_UPDATE')))) return false;
  world.network.ports.delete(victim.id);
  return true;
}
