/** Members of a pool, one by one (api-ref "Members"). */
import { findMemberOf } from '../db/members.ts';
import { findRow, insertRows, insertTags, updateRows } from '../db/rows.ts';
import { Fault, type Member, memberFields, type Pool, type PoolTree } from '../model/index.ts';
import { duplicateMember, memberKey } from '../model/rules/member.ts';
import type { Answer, Call } from './call.ts';
import { changeLoadBalancer, checkQuota, immutable, markPool, partGate, updatedIdentity } from './change.ts';
import { Refusal } from './http/errors.ts';
import { changedColumns, hasTagTwice, tagsOf } from './request/fill.ts';
import { newMember } from './tree/new-rows.ts';
import { enforce } from './policy/enforce.ts';
import { poolIn, withPool } from './pools.ts';
import { presentStored, updateTags } from './present.ts';
import { notFound, showMany, showOne } from './read.ts';
import { readObject } from './request/read-object.ts';
import { members } from './resources.ts';
import { bodies } from './request/shapes.ts';
import type { JsonObject } from './request/validate.ts';

/** The pool of the route. Throws `Refusal` 404: the path itself leads nowhere. */
export async function poolOf(call: Call): Promise<Pool> {
  const id = call.params['pool_id'] ?? '';
  const pool = await findRow(call.deps.db.read, 'pool', id);
  if (pool === undefined) throw new Refusal(404, 'Bad Request', `Pool ${id} not found.`);
  return pool;
}

/** `GET /pools/:pool_id/members` */
export async function listMembers(call: Call): Promise<Answer> {
  const pool = await poolOf(call);
  enforce(call, 'member', 'get_all', pool.project_id);
  return showMany(call, members, { where: [{ column: 'pool_id', value: pool.id }], anyProject: true });
}

/** `GET /pools/:pool_id/members/:id` */
export async function showMember(call: Call): Promise<Answer> {
  const pool = await poolOf(call);
  return showOne(call, members, [{ column: 'pool_id', value: pool.id }]);
}

/** Throws `Fault` 400 when a subnet that a member names does not exist for the caller. */
export async function checkSubnets(call: Call, bodies: readonly JsonObject[]): Promise<void> {
  const { catalog, options } = call.deps;
  const ids = new Set(bodies.map((body) => body['subnet_id'] as string | null | undefined).filter((id) => id !== null && id !== undefined));
  const project_id = options.allow_invisible_resource_usage || call.caller.is_admin ? null : call.caller.project_id;
  for (const id of ids) if ((await catalog.findSubnet(id, project_id)) === null) throw new Fault(400, `Subnet ${id} not found.`);
}

/** Throws `Fault` 409 while the pool itself is being changed. */
export function checkPoolMutable(pool: Pick<Pool, 'id' | 'provisioning_status'>): void {
  if (pool.provisioning_status !== 'ACTIVE') throw immutable('Pool', pool.id);
}

/** `POST /pools/:pool_id/members` */
export async function createMember(call: Call): Promise<Answer> {
  // Whatever is asked of a pool that does not exist is a 404.
  const { id: pool_id, loadbalancer_id, project_id, provisioning_status } = await poolOf(call);
  const body = readObject(call, members, bodies.member.post);
  enforce(call, 'member', 'post', project_id);
  await checkSubnets(call, [body]);
  checkPoolMutable({ id: pool_id, provisioning_status });
  const answer = await changeLoadBalancer(call, loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = poolIn(tree, pool_id);
    checkPoolMutable(pool);
    const member = newMember(
      body,
      { id: pool_id, hasMonitor: pool.healthmonitor !== null },
      {
        project_id,
        now,
        now_ms: call.deps.clock.now(),
        options: call.deps.options,
        allow_member_sriov: tree.flavor?.allow_member_sriov === true,
      },
    );
    await checkQuota(call, tx, project_id, { member: 1 });
    if (hasTagTwice(body) || pool.members.some((each) => memberKey(each) === memberKey(member))) throw duplicateMember(member);
    await insertRows(tx, 'member', [member]);
    await insertTags(tx, [{ id: member.id, tags: tagsOf(body) ?? [] }]);
    await markPool(space, pool_id, true);
    return {
      tree: withPool(tree, { ...pool, members: [...pool.members, member] }),
      change: { action: 'create', owner: { type: 'member', id: member.id } },
      result: await presentStored(call, tx, members, member),
    };
  });
  return { status: 201, body: answer };
}

const memberIn = (pool: PoolTree, id: string): Member => {
  const member = pool.members.find((each) => each.id === id);
  if (member === undefined) throw notFound('Member', id);
  return member;
};

const withMember = (pool: PoolTree, member: Member): PoolTree => ({
  ...pool,
  members: pool.members.map((each) => (each.id === member.id ? member : each)),
});

/** The member of the route and its pool. Throws `Fault` 403 or 404. */
async function findMember(call: Call, action: string): Promise<{ readonly pool: Pool; readonly id: string }> {
  const pool = await poolOf(call);
  const id = call.params['id'] ?? '';
  const found = await findMemberOf(call.deps.db.read, pool.id, id);
  if (found === undefined) throw notFound('Member', id);
  enforce(call, 'member', action, found.project_id);
  return { pool, id };
}

/** `PUT /pools/:pool_id/members/:id` */
export async function updateMember(call: Call): Promise<Answer> {
  const pool_id = (await poolOf(call)).id;
  const body = readObject(call, members, bodies.member.put);
  const { pool: found, id } = await findMember(call, 'put');
  checkPoolMutable(found);
  const answer = await changeLoadBalancer(call, found.loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = poolIn(tree, pool_id);
    checkPoolMutable(pool);
    const change = { ...(changedColumns(memberFields, body, call.deps.options) as Partial<Member>), ...updatedIdentity(now) };
    const member = { ...memberIn(pool, id), ...change };
    await updateRows(tx, 'member', [id], change);
    await updateTags(tx, id, body);
    await markPool(space, pool_id, true);
    return {
      tree: withPool(tree, withMember(pool, member)),
      change: { action: 'update', owner: { type: 'member', id } },
      result: await presentStored(call, tx, members, member),
    };
  });
  return { status: 200, body: answer };
}

/** `DELETE /pools/:pool_id/members/:id` */
export async function deleteMember(call: Call): Promise<Answer> {
  const { pool: found, id } = await findMember(call, 'delete');
  checkPoolMutable(found);
  await changeLoadBalancer(call, found.loadbalancer_id, partGate, async (space) => {
    const { tx, tree, now } = space;
    const pool = poolIn(tree, found.id);
    checkPoolMutable(pool);
    const member = { ...memberIn(pool, id), provisioning_status: 'PENDING_DELETE' as const };
    await updateRows(tx, 'member', [id], { provisioning_status: 'PENDING_DELETE', updated_at: now });
    await markPool(space, pool.id, true);
    return { tree: withPool(tree, withMember(pool, member)), change: { action: 'delete', owner: { type: 'member', id } }, result: true };
  });
  return { status: 204 };
}
