/** UDP through a load balancer on this machine: from the API to datagrams and back. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { askByFlows, openDatagramClient } from '../support/features/datagrams.ts';
import { change, makeLoadBalancer, membersOf, operatingStatuses, removeLoadBalancer, waitMember } from '../support/load-balancers.ts';
import { startMember, type TestMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { until } from '../support/octavia.ts';
import { asMember, commandOf, openStage, poolOf, type Stage } from '../support/stage.ts';

const monitor = { type: 'UDP-CONNECT', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 };

test('UDP on this machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t, { env: { OS_API_SETTINGS__UDP_CONNECT_MIN_INTERVAL_HEALTH_MONITOR: '1' } });
  const { gateway_ip } = stage.subnet;
  const red = await startMember(t, { name: 'red', address: gateway_ip, protocol: 'udp' });
  const gold = await startMember(t, { name: 'gold', address: gateway_ip, protocol: 'udp' });
  const stories: Readonly<Record<string, (stage: Stage, t: TestContext, red: TestMember, gold: TestMember) => Promise<void>>> = {
    'flows are shared, one stays where it is, and moves at once when its member dies': flows,
    'weights, states and networks that may come in take effect on new flows': changes,
    'a client stays at its member by persistence and by the hash of its address': clients,
    'IPv6, beside a TCP listener at the same port, with statistics': besideTcp,
    'what is killed comes back, and takes no datagram with it; what is deleted is gone': kills,
  };
  for (const [name, story] of Object.entries(stories)) await t.test(name, (inner) => story(stage, inner, red, gold));
});

const tree = (name: string, vip_subnet_id: string, members: readonly object[], pool: object = {}, listener: object = {}): object => ({
  name,
  vip_subnet_id,
  listeners: [{ name: 'l', protocol: 'UDP', protocol_port: 5000, default_pool: { name: 'p' }, ...listener }],
  pools: [{ name: 'p', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN', members, healthmonitor: monitor, ...pool }],
});

async function flows({ client, subnet }: Stage, t: TestContext, red: TestMember, gold: TestMember): Promise<void> {
  const lb = await makeLoadBalancer(client, tree('flows', subnet.id, [asMember(red), asMember(gold)]));
  const target = { address: lb.vip_address, port: 5000 };
  await waitMember(client, poolOf(lb), 'red', 'ONLINE');
  await waitMember(client, poolOf(lb), 'gold', 'ONLINE');
  assert.deepEqual(await askByFlows(t, target, 20), { red: 10, gold: 10 });
  assert.deepEqual(await operatingStatuses(client, lb.id), ['ONLINE', 'ONLINE', 'ONLINE']);

  const steady = Array.from({ length: 4 }, () => openDatagramClient(t, target));
  const first = await Promise.all(steady.map((one) => one.ask()));
  for (let round = 0; round < 3; round += 1) assert.deepEqual(await Promise.all(steady.map((one) => one.ask())), first);
  assert.deepEqual(first.toSorted(), ['gold', 'gold', 'red', 'red']);

  await red.kill();
  await waitMember(client, poolOf(lb), 'red', 'ERROR');
  assert.deepEqual(await Promise.all(steady.map((one) => one.ask())), ['gold', 'gold', 'gold', 'gold']);
  assert.deepEqual(await askByFlows(t, target, 10), { gold: 10 });
  assert.deepEqual(await operatingStatuses(client, lb.id), ['DEGRADED', 'ONLINE', 'DEGRADED']);
  await red.start();
  await waitMember(client, poolOf(lb), 'red', 'ONLINE');
  assert.deepEqual(await askByFlows(t, target, 10), { red: 5, gold: 5 });
  await removeLoadBalancer(client, lb.id);
}

async function changes({ client, subnet }: Stage, t: TestContext, red: TestMember, gold: TestMember): Promise<void> {
  const lb = await makeLoadBalancer(client, tree('changes', subnet.id, [{ ...asMember(red), weight: 3 }, asMember(gold)]));
  const target = { address: lb.vip_address, port: 5000 };
  assert.deepEqual(await askByFlows(t, target, 16), { red: 12, gold: 4 });
  const members = await membersOf(client, poolOf(lb));
  const put = (name: string, member: object) =>
    change(client, lb.id, 'PUT', `/pools/${poolOf(lb)}/members/${members.get(name)?.id}`, { member });

  const steady = openDatagramClient(t, target);
  assert.equal(await steady.ask(), 'red', 'after a whole turn the first member is next');
  await put('red', { weight: 0 });
  assert.deepEqual(await askByFlows(t, target, 6), { gold: 6 });
  assert.equal(await steady.ask(), 'red', 'what flows already goes on');
  await waitMember(client, poolOf(lb), 'red', 'DRAINING');
  await put('red', { admin_state_up: false, weight: 1 });
  assert.equal(await steady.ask(), 'gold', 'switched off, it loses its flows');
  await waitMember(client, poolOf(lb), 'red', 'OFFLINE');
  await put('red', { admin_state_up: true });
  assert.deepEqual(await askByFlows(t, target, 6), { red: 3, gold: 3 });

  const [listener] = lb.listeners;
  const set = (change_: object) => change(client, lb.id, 'PUT', `/listeners/${listener?.id}`, { listener: change_ });
  await set({ allowed_cidrs: ['192.0.2.0/24', '192.0.2.0/28'] });
  assert.equal(await steady.ask(), null, 'a network that may not come in');
  await set({ allowed_cidrs: [subnet.cidr] });
  assert.notEqual(await steady.ask(), null);
  await set({ allowed_cidrs: null, connection_limit: 1 });
  await change(client, lb.id, 'DELETE', `/pools/${poolOf(lb)}/members/${members.get('gold')?.id}`);
  const within = openDatagramClient(t, target);
  assert.equal(await within.ask(), 'red');
  assert.equal(await openDatagramClient(t, target).ask(), null, 'one more than the limit');
  assert.equal(await within.ask(), 'red', 'the flow within the limit goes on');
  await removeLoadBalancer(client, lb.id);
}

async function clients({ client, subnet }: Stage, t: TestContext, red: TestMember, gold: TestMember): Promise<void> {
  const session_persistence = { type: 'SOURCE_IP', persistence_timeout: 60 };
  const members = [asMember(red), asMember(gold)];
  const lb = await makeLoadBalancer(client, tree('clients', subnet.id, members, { session_persistence }));
  const target = { address: lb.vip_address, port: 5000 };
  const [first, ...others] = Object.keys(await askByFlows(t, target, 8));
  assert.deepEqual(others, [], 'all flows of a client go to one member');
  const [dying, other] = first === 'red' ? [red, gold] : [gold, red];
  await waitMember(client, poolOf(lb), other.name, 'ONLINE');
  await dying.kill();
  await waitMember(client, poolOf(lb), dying.name, 'ERROR');
  assert.deepEqual(await askByFlows(t, target, 4), { [other.name]: 4 });
  await dying.start();
  await waitMember(client, poolOf(lb), dying.name, 'ONLINE');
  assert.deepEqual(await askByFlows(t, target, 4), { [other.name]: 4 }, 'it stays where it went');

  await change(client, lb.id, 'PUT', `/pools/${poolOf(lb)}`, { pool: { session_persistence: null, lb_algorithm: 'SOURCE_IP' } });
  assert.equal(Object.keys(await askByFlows(t, target, 8)).length, 1);
  await change(client, lb.id, 'PUT', `/pools/${poolOf(lb)}`, { pool: { lb_algorithm: 'LEAST_CONNECTIONS' } });
  // Who has the least gets the most: the shares themselves are told by the cases of the rules.
  assert.equal((await askByFlows(t, target, 12))['nobody'], undefined);
  await removeLoadBalancer(client, lb.id);
}

async function besideTcp({ client, subnet6 }: Stage, t: TestContext): Promise<void> {
  if (!subnet6) return t.skip('the kernel has no IPv6');
  const blue = await startMember(t, { name: 'blue', address: subnet6.gateway_ip, protocol: 'udp' });
  const lb = await makeLoadBalancer(client, tree('six', subnet6.id, [asMember(blue)], { healthmonitor: null }));
  await change(client, lb.id, 'POST', '/listeners', { listener: { loadbalancer_id: lb.id, protocol: 'TCP', protocol_port: 5000 } });
  const target = { address: lb.vip_address, port: 5000 };
  assert.deepEqual(await askByFlows(t, target, 3), { blue: 3 });
  await waitMember(client, poolOf(lb), 'blue', 'NO_MONITOR');
  const statistics = async () => {
    const answer = await client.call<{ stats: Record<string, number> }>('GET', `/v2/lbaas/listeners/${lb.listeners[0]?.id}/stats`);
    return answer.stats;
  };
  const counted = await until(async () => {
    const stats = await statistics();
    return stats['total_connections'] === 3 && stats;
  }, 'the flows are counted');
  assert.ok((counted['bytes_in'] ?? 0) >= 3 * 58 && (counted['bytes_out'] ?? 0) > (counted['bytes_in'] ?? 0), JSON.stringify(counted));
  await until(async () => (await operatingStatuses(client, lb.id)).every((each) => each === 'ONLINE'), 'both listeners are ONLINE');
  await removeLoadBalancer(client, lb.id);
}

async function kills(stage: Stage, t: TestContext, red: TestMember, gold: TestMember): Promise<void> {
  const { client, subnet, state_id } = stage;
  const lb = await makeLoadBalancer(client, tree('kills', subnet.id, [asMember(red), asMember(gold)]));
  const target = { address: lb.vip_address, port: 5000 };
  const engines = () =>
    findMarked(state_id).filter(({ pid }) => commandOf(pid).includes('datagram') && commandOf(pid)[0]?.endsWith('node'));
  assert.equal(engines().length, 1);
  const [before] = engines();
  process.kill(before?.pid ?? 0, 'SIGKILL');
  assert.deepEqual(await askByFlows(t, target, 10), { red: 5, gold: 5 });
  await until(() => engines().length === 1 && engines()[0]?.pid !== before?.pid, 'the engine is started again');
  await red.kill();
  await waitMember(client, poolOf(lb), 'red', 'ERROR');
  assert.deepEqual(await askByFlows(t, target, 4), { gold: 4 });
  await red.start();

  await change(client, lb.id, 'DELETE', `/listeners/${lb.listeners[0]?.id}`);
  assert.deepEqual(await askByFlows(t, target, 1), { nobody: 1 });
  await until(() => engines().length === 0, 'the engine is gone');
  await removeLoadBalancer(client, lb.id);
}
