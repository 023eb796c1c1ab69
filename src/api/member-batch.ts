/** All members of a pool in one request (api-ref "Batch Update Members"). */
import { insertRows, insertTags, replaceTags, updateRows } from '../db/rows.ts';
import { type Member, memberFields, type PoolTree } from '../model/index.ts';
import { refusal } from '../model/rules/listener.ts';
import { checkMemberAddress, duplicateMember, memberKey } from '../model/rules/member.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, checkQuota, markPool, partGate, updatedIdentity, type Workspace } from './change.ts';
import { newColumns, tagsOf } from './request/fill.ts';
import { checkPoolMutable, checkSubnets, poolOf } from './members.ts';
import { newMember } from './tree/new-rows.ts';
import { enforce } from './policy/enforce.ts';
import { poolIn, withPool } from './pools.ts';
import { isTrue } from './http/query.ts';
import { readList } from './request/read-object.ts';
import { bodies } from './request/shapes.ts';
import { invalid, type JsonObject } from './request/validate.ts';

/** What a batch comes to. */
type Batch = {
  readonly created: readonly { readonly row: Member; readonly body: JsonObject }[];
  readonly updated: readonly { readonly row: Member; readonly change: Partial<Member>; readonly body: JsonObject }[];
  readonly deleted: readonly Member[];
};

/** `PUT /pools/:pool_id/members` */
export async function batchMembers(call: Call): Promise<Answer> {
  const found = await poolOf(call);
  const list = readList(call, { root: 'members', argument: 'members_' }, bodies.member.batch);
  const isAdditive = isTrue(call.query.last('additive_only'));
  for (const action of ['post', 'put', ...(isAdditive ? [] : ['delete'])]) enforce(call, 'member', action, found.project_id);
  for (const body of list) checkMemberAddress(body['address'] as string, call.deps.options.reserved_ips);
  await checkSubnets(call, list);
  checkPoolMutable(found);
  await changeLoadBalancer(call, found.loadbalancer_id, partGate, async (space) => {
    const pool = poolIn(space.tree, found.id);
    checkPoolMutable(pool);
    const batch = planBatch(call, pool, list, {
      isAdditive,
      now: space.now,
      allow_member_sriov: space.tree.flavor?.allow_member_sriov === true,
    });
    if (batch.created.length + batch.updated.length + batch.deleted.length === 0) return null;
    await checkQuota(call, space.tx, pool.project_id, { member: batch.created.length - batch.deleted.length });
    await writeBatch(space, batch);
    await markPool(space, pool.id, true);
    return {
      tree: withPool(space.tree, afterBatch(pool, batch)),
      change: { action: 'update', owner: { type: 'pool', id: pool.id } },
      result: true,
    };
  });
  return { status: 202 };
}

/** How a batch is to be understood. */
type Terms = { readonly isAdditive: boolean; readonly now: string; readonly allow_member_sriov: boolean };

function planBatch(call: Call, pool: PoolTree, list: readonly JsonObject[], { isAdditive, now, allow_member_sriov }: Terms): Batch {
  const existing = new Map(pool.members.map((member) => [memberKey(member), member]));
  const birth = { project_id: pool.project_id, now, now_ms: call.deps.clock.now(), options: call.deps.options, allow_member_sriov };
  const named = new Set<string>();
  const created: Batch['created'][number][] = [];
  const updated: Batch['updated'][number][] = [];
  for (const body of list) {
    const key = memberKey(body as unknown as Member);
    const before = existing.get(key);
    if (named.has(key))
      throw before === undefined
        ? duplicateMember(body as unknown as Member)
        : refusal('Member must be updated only once in the same request.');
    named.add(key);
    if (before === undefined) created.push({ row: newMember(body, { id: pool.id, hasMonitor: pool.healthmonitor !== null }, birth), body });
    else {
      if (body['backup'] === null) throw invalid('backup', null, 'Mandatory field missing.');
      const wanted = batchChange(call, body);
      // A list of a thousand with one new weight writes one row.
      if (before.provisioning_status === 'ACTIVE' && tagsOf(body) === undefined && isSame(before, wanted)) continue;
      const change = { ...wanted, ...updatedIdentity(now) };
      updated.push({ row: { ...before, ...change }, change, body });
    }
  }
  const deleted = isAdditive ? [] : pool.members.filter((member) => !named.has(memberKey(member)));
  return { created, updated, deleted };
}

const isSame = (before: Member, wanted: Partial<Member>): boolean =>
  (Object.keys(wanted) as (keyof Member)[]).every((name) => before[name] === wanted[name]);

/** What is left out goes back to its default, except the name and the subnet, which stay. */
function batchChange(call: Call, body: JsonObject): Partial<Member> {
  const columns = newColumns(memberFields, body, call.deps.options) as Partial<Member>;
  const { address: _address, protocol_port: _port, project_id: _project, name, subnet_id, ...change } = columns;
  return {
    ...change,
    ...(Object.hasOwn(body, 'name') && name !== undefined && { name }),
    ...(Object.hasOwn(body, 'subnet_id') && subnet_id !== undefined && { subnet_id }),
  };
}

async function writeBatch({ tx, now }: Workspace, { created, updated, deleted }: Batch): Promise<void> {
  await updateRows(
    tx,
    'member',
    deleted.map((member) => member.id),
    { provisioning_status: 'PENDING_DELETE', updated_at: now },
  );
  for (const { row, change, body } of updated) {
    await updateRows(tx, 'member', [row.id], change);
    const tags = tagsOf(body);
    if (tags !== undefined) await replaceTags(tx, row.id, tags);
  }
  await insertRows(
    tx,
    'member',
    created.map(({ row }) => row),
  );
  await insertTags(
    tx,
    created.map(({ row, body }) => ({ id: row.id, tags: tagsOf(body) ?? [] })),
  );
}

function afterBatch(pool: PoolTree, { created, updated, deleted }: Batch): PoolTree {
  const changed = new Map(updated.map(({ row }) => [row.id, row]));
  for (const member of deleted) changed.set(member.id, { ...member, provisioning_status: 'PENDING_DELETE' });
  return { ...pool, members: [...pool.members.map((member) => changed.get(member.id) ?? member), ...created.map(({ row }) => row)] };
}
