/** The story that controllers are killed in: load balancers that are made, changed and deleted, by a client that insists. */
import assert from 'node:assert/strict';
import type { ApiClient } from './octavia.ts';
import { until } from './octavia.ts';
import { asMember, type Stage } from './stage.ts';
import { membersOf, type Resource, showLoadBalancer } from './load-balancers.ts';
import { askMany } from './traffic.ts';

const base = '/v2/lbaas';

/** Who should answer at which port, as was asked for. */
type Wanted = { readonly [port: number]: readonly string[] };

/** One load balancer of the story, or the place of one. */
export type Slot = { readonly name: string; id: string | null; wanted: Wanted };

/** One thing that the story does to one load balancer; returns when the API has taken it. */
export type Deed = { readonly name: string; readonly run: (stage: Stage, slot: Slot) => Promise<void> };

/** The deeds in their order; the last one leads back to the first. */
export const deeds: readonly Deed[] = [
  { name: 'create', run: create },
  { name: 'add member', run: addMember },
  { name: 'weight 0', run: (stage, slot) => setWeight(stage, slot, 0, { 80: ['blue'] }) },
  { name: 'add listener', run: addListener },
  { name: 'rename', run: rename },
  { name: 'weight 1', run: (stage, slot) => setWeight(stage, slot, 1, { 80: ['blue', 'green'], 81: ['green'] }) },
  { name: 'delete listener', run: removeListener },
  { name: 'delete member', run: removeMember },
  { name: 'delete', run: removeAll },
];

/** Waits until a load balancer is as asked, in the API and on the wire. Throws when it is in ERROR or not so within half a minute. */
export async function settle({ client }: Stage, slot: Slot): Promise<void> {
  const { id } = slot;
  if (id === null) return;
  if (Object.keys(slot.wanted).length === 0) {
    await until(async () => (await insist(client, 'GET', `${base}/loadbalancers/${id}`)).status === 404, `${slot.name} is gone`, 30_000);
    slot.id = null;
    return;
  }
  const shown = await until(
    async () => {
      const answer = await insist(client, 'GET', `${base}/loadbalancers/${id}`);
      const lb = (answer.body as { loadbalancer?: Resource & { vip_address: string } } | null)?.loadbalancer;
      assert.equal(answer.status, 200, `${slot.name}: ${answer.status}`);
      assert.notEqual(lb?.provisioning_status, 'ERROR', slot.name);
      return lb?.provisioning_status === 'ACTIVE' && lb;
    },
    `${slot.name} is ACTIVE`,
    30_000,
  );
  for (const [port, names] of Object.entries(slot.wanted)) {
    const answered = await askMany({ address: shown.vip_address, port: Number(port) }, 6);
    assert.deepEqual([...answered.keys()].toSorted(), [...names].toSorted(), `${slot.name}:${port} after a settled change`);
  }
}

/** A request, again and again while nobody listens or the load balancer is busy. Answers what is neither 409 nor 503. */
async function insist(client: ApiClient, method: string, path: string, body?: object): ReturnType<ApiClient['send']> {
  return until(
    async () => {
      try {
        const answer = await client.send(method, path, body);
        return answer.status === 409 || answer.status === 503 ? null : answer;
      } catch {
        return null;
      }
    },
    `${method} ${path} is answered`,
    40_000,
  );
}

/** Asks once, and does it until it shows: whether a request whose answer was lost has been done is seen by looking. */
async function make<T>(what: string, find: () => Promise<T | undefined>, attempt: () => ReturnType<ApiClient['send']>): Promise<T> {
  return until(
    async () => {
      try {
        const found = await find();
        if (found !== undefined) return found;
        const { status, body } = await attempt();
        assert.ok(status === 201 || status === 409 || status === 503, `${what}: ${status} ${JSON.stringify(body)}`);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        // Nobody listens: the controllers are dead just now.
      }
      return null;
    },
    what,
    40_000,
  );
}

async function create({ client, subnet, blue }: Stage, slot: Slot): Promise<void> {
  const body = {
    name: slot.name,
    vip_subnet_id: subnet.id,
    listeners: [{ name: 'first', protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'first' } }],
    pools: [{ name: 'first', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(blue)] }],
  };
  const find = async (): Promise<Resource | undefined> =>
    (await client.call<{ loadbalancers: Resource[] }>('GET', `${base}/loadbalancers?name=${slot.name}`)).loadbalancers.find(
      (each) => each.provisioning_status !== 'PENDING_DELETE',
    );
  const made = await make(`create ${slot.name}`, find, () => client.send('POST', `${base}/loadbalancers`, { loadbalancer: body }));
  slot.id = made.id;
  slot.wanted = { 80: ['blue'] };
}

async function addMember({ client, green }: Stage, slot: Slot): Promise<void> {
  const pool_id = await poolOf(client, slot, 'first');
  await makeMember(client, pool_id, asMember(green));
  slot.wanted = { 80: ['blue', 'green'] };
}

async function setWeight({ client }: Stage, slot: Slot, weight: number, wanted: Wanted): Promise<void> {
  const pool_id = await poolOf(client, slot, 'first');
  const green = await patiently(async () => (await membersOf(client, pool_id)).get('green'));
  const answer = await insist(client, 'PUT', `${base}/pools/${pool_id}/members/${green.id}`, { member: { weight } });
  assert.equal(answer.status, 200);
  slot.wanted = wanted;
}

async function addListener({ client, green }: Stage, slot: Slot): Promise<void> {
  const listener = { name: 'second', loadbalancer_id: slot.id, protocol: 'HTTP', protocol_port: 81 };
  const made = await make(
    `listener of ${slot.name}`,
    () => findListener(client, slot),
    () => client.send('POST', `${base}/listeners`, { listener }),
  );
  const pool = { name: 'second', listener_id: made.id, protocol: 'HTTP', lb_algorithm: 'LEAST_CONNECTIONS' };
  const findPool = async (): Promise<Resource | undefined> =>
    (await client.call<{ pools: Resource[] }>('GET', `${base}/pools?name=second&loadbalancer_id=${slot.id}`)).pools[0];
  const { id } = await make(`pool of ${slot.name}`, findPool, () => client.send('POST', `${base}/pools`, { pool }));
  await makeMember(client, id, asMember(green));
  slot.wanted = { ...slot.wanted, 81: ['green'] };
}

async function rename({ client }: Stage, slot: Slot): Promise<void> {
  const description = `of ${slot.name}`;
  const answer = await insist(client, 'PUT', `${base}/loadbalancers/${slot.id}`, { loadbalancer: { description } });
  assert.equal(answer.status, 200);
}

async function removeListener({ client }: Stage, slot: Slot): Promise<void> {
  const listener = await patiently(async () => (await findListener(client, slot)) ?? null);
  await remove(client, `/listeners/${listener.id}`);
  await remove(client, `/pools/${await poolOf(client, slot, 'second')}`);
  slot.wanted = { 80: ['blue', 'green'] };
}

async function removeMember({ client }: Stage, slot: Slot): Promise<void> {
  const pool_id = await poolOf(client, slot, 'first');
  const blue = await patiently(async () => (await membersOf(client, pool_id)).get('blue'));
  await remove(client, `/pools/${pool_id}/members/${blue.id}`);
  slot.wanted = { 80: ['green'] };
}

async function removeAll({ client }: Stage, slot: Slot): Promise<void> {
  await remove(client, `/loadbalancers/${slot.id}?cascade=true`);
  slot.wanted = {};
}

async function remove(client: ApiClient, path: string): Promise<void> {
  const { status, body } = await insist(client, 'DELETE', `${base}${path}`);
  assert.ok(status === 204 || status === 404, `DELETE ${path}: ${status} ${JSON.stringify(body)}`);
}

async function makeMember(client: ApiClient, pool_id: string, member: ReturnType<typeof asMember>): Promise<void> {
  await make(
    `member ${member.name}`,
    async () => (await membersOf(client, pool_id)).get(member.name),
    () => client.send('POST', `${base}/pools/${pool_id}/members`, { member }),
  );
}

const poolOf = async (client: ApiClient, slot: Slot, name: string): Promise<string> =>
  (
    await patiently(
      async () => (await client.call<{ pools: Resource[] }>('GET', `${base}/pools?name=${name}&loadbalancer_id=${slot.id}`)).pools[0],
    )
  ).id;

const findListener = async (client: ApiClient, slot: Slot): Promise<Resource | undefined> =>
  (await client.call<{ listeners: Resource[] }>('GET', `${base}/listeners?name=second&loadbalancer_id=${slot.id}`)).listeners[0];

/** Reads while controllers may be dead. */
const patiently = <T>(read: () => Promise<T | null | undefined>): Promise<T> =>
  until<T>(() => read().catch(() => null), 'something can be read', 40_000);

/** Of a load balancer that must not have been touched: the amphora it runs on. */
export async function amphoraOf({ admin, client }: Stage, id: string): Promise<string> {
  const { amphorae } = await admin.call<{ amphorae: { compute_id: string }[] }>('GET', `/v2.0/octavia/amphorae?loadbalancer_id=${id}`);
  const { provisioning_status } = await showLoadBalancer(client, id);
  return `${provisioning_status} on ${amphorae.map((amphora) => amphora.compute_id).join(' ')}`;
}
