/** Real bytes through real amphorae: what a tenant sees of algorithms, weights and members that die. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  change,
  makeLoadBalancer,
  membersOf,
  operatingStatuses,
  removeLoadBalancer,
  type Resource,
  waitMember,
} from '../support/load-balancers.ts';
import { plugTenantMachine, startMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { type ApiClient, until } from '../support/octavia.ts';
import { asMember, detection_ms, monitor, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask, askMany, startTraffic, tellFailures } from '../support/traffic.ts';

test('a load balancer on this machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const stories: Readonly<Record<string, (stage: Stage, t: TestContext) => Promise<void>>> = {
    'HTTP on IPv4: a member that dies gets no requests within the promised time, and gets them again when it is back': diesAndComesBack,
    'TCP on IPv6: lines go to both members, and all to the other when one dies': tcpOnIpv6,
    'weights, administrative state and deletion of a member take effect without losing a request': changesOfMembers,
    'least connections: a busy member gets no new request': leastConnections,
    'source IP: one client stays with one member': sourceIp,
    'members are exchanged in one call, by address and port; addresses of the cloud are refused': batch,
    'statistics count what went through': statistics,
    'a member in a machine of the tenant gets requests': tenantMachine,
  };
  for (const [name, story] of Object.entries(stories)) await t.test(name, (inner) => story(stage, inner));
});

async function diesAndComesBack({ client, subnet, blue, green }: Stage, t: TestContext): Promise<void> {
  const lb = await makeLoadBalancer(client, wholeTree('death', subnet.id, [asMember(blue), asMember(green)]));
  const vip = vipOf(lb);
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  assert.deepEqual(Object.fromEntries(await askMany(vip, 20)), { blue: 10, green: 10 });

  const traffic = startTraffic(t, { ...vip, connections: 'fresh' });
  const died_ms = Date.now();
  await blue.kill();
  const took_ms = await waitMember(client, poolOf(lb), 'blue', 'ERROR');
  await until(() => Date.now() > died_ms + detection_ms + 500, 'the promised time is over');
  const late = traffic.failures().filter(({ at_ms }) => at_ms > died_ms + detection_ms);
  assert.equal(late.length, 0, tellFailures(late));
  t.diagnostic(`${traffic.failures().length} requests failed before; the API showed ERROR after ${Math.round(took_ms)} ms`);
  // A heartbeat a second carries it to the API.
  assert.ok(took_ms < detection_ms + 2000, `ERROR after ${took_ms} ms`);
  assert.deepEqual(await operatingStatuses(client, lb.id), ['DEGRADED', 'ONLINE', 'DEGRADED']);

  await traffic.stop();
  await blue.start();
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  assert.deepEqual(Object.fromEntries(await askMany(vip, 20)), { blue: 10, green: 10 });
  await until(async () => (await operatingStatuses(client, lb.id)).every((each) => each === 'ONLINE'), 'all are ONLINE again');
  await removeLoadBalancer(client, lb.id);
}

async function tcpOnIpv6({ client, subnet6 }: Stage, t: TestContext): Promise<void> {
  if (!subnet6) return t.skip('the kernel has no IPv6');
  const options = { address: subnet6.gateway_ip, protocol: 'tcp' } as const;
  const red = await startMember(t, { ...options, name: 'red' });
  const gold = await startMember(t, { ...options, name: 'gold' });
  const pool = { healthmonitor: { ...monitor, type: 'TCP' } };
  const lb = await makeLoadBalancer(client, wholeTree('six', subnet6.id, [asMember(red), asMember(gold)], pool, 'TCP'));
  const vip = vipOf(lb, 'tcp');
  assert.match(lb.vip_address, /:/u);
  await waitMember(client, poolOf(lb), 'red', 'ONLINE');
  assert.deepEqual(Object.fromEntries(await askMany(vip, 10)), { red: 5, gold: 5 });

  await red.kill();
  await waitMember(client, poolOf(lb), 'red', 'ERROR');
  assert.deepEqual(Object.fromEntries(await askMany(vip, 10)), { gold: 10 });
  const steady = startTraffic(t, { ...vip, connections: 'persistent' });
  await red.start();
  await waitMember(client, poolOf(lb), 'red', 'ONLINE');
  assert.deepEqual(Object.fromEntries(await askMany(vip, 10)), { red: 5, gold: 5 });
  await steady.stop();
  assert.equal(steady.failures().length, 0, tellFailures(steady.failures()));
  await removeLoadBalancer(client, lb.id);
}

async function changesOfMembers({ client, subnet, blue, green }: Stage, t: TestContext): Promise<void> {
  const lb = await makeLoadBalancer(client, { name: 'steps', vip_subnet_id: subnet.id });
  const make = (path: string, body: object): Promise<Resource> => change(client, lb.id, 'POST', path, body);
  const listener = await make('/listeners', { listener: { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 80 } });
  const pool = await make('/pools', { pool: { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } });
  const members = `/pools/${pool.id}/members`;
  await make(members, { member: asMember(blue) });
  const second = await make(members, { member: { ...asMember(green), weight: 3 } });
  const vip = vipOf(lb);
  await until(async () => (await ask(vip).catch(() => '')) !== '', 'the first byte comes');

  const fresh = startTraffic(t, { ...vip, connections: 'fresh' });
  const steady = startTraffic(t, { ...vip, connections: 'keep-alive' });
  const answers = async (): Promise<object> => Object.fromEntries(await askMany(vip, 16));
  const set = (fields: object): Promise<unknown> => change(client, lb.id, 'PUT', `${members}/${second.id}`, { member: fields });
  await until(() => steady.sent() > 4, 'traffic flows');
  const shares = await askMany(vip, 40);
  assert.ok((shares.get('green') ?? 0) >= 25 && (shares.get('blue') ?? 0) >= 5, `three to one: ${[...shares].join(' ')}`);
  await set({ weight: 0 });
  assert.deepEqual(await answers(), { blue: 16 }, 'weight 0');
  await set({ weight: 1, admin_state_up: false });
  assert.deepEqual(await answers(), { blue: 16 }, 'switched off');
  await waitMember(client, pool.id, 'green', 'OFFLINE');
  await set({ admin_state_up: true });
  assert.ok('green' in (await answers()), 'switched on');
  await make('/healthmonitors', { healthmonitor: { ...monitor, pool_id: pool.id } });
  await waitMember(client, pool.id, 'green', 'ONLINE');
  assert.ok('green' in (await answers()), 'with a monitor');
  await change(client, lb.id, 'DELETE', `${members}/${second.id}`);
  assert.deepEqual(await answers(), { blue: 16 }, 'deleted');

  for (const [kind, traffic] of Object.entries({ fresh, steady })) {
    await traffic.stop();
    assert.equal(traffic.failures().length, 0, `${kind}: ${tellFailures(traffic.failures())}`);
  }
  await removeLoadBalancer(client, lb.id);
}

async function leastConnections({ client, subnet, blue, green }: Stage): Promise<void> {
  const pool = { lb_algorithm: 'LEAST_CONNECTIONS' };
  const lb = await makeLoadBalancer(client, wholeTree('least', subnet.id, [asMember(blue), asMember(green)], pool));
  const vip = vipOf(lb);
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  const slow = ask(vip, '/?ms=1500');
  await new Promise((resolve) => setImmediate(resolve));
  await until(async () => (await connectionsOf(client, lb.id)) > 0, 'the slow request is under way', 1400).catch(() => undefined);
  const quick = await askMany(vip, 6);
  const busy = await slow;
  assert.deepEqual([...quick.keys()], [busy === 'blue' ? 'green' : 'blue']);
  await removeLoadBalancer(client, lb.id);
}

async function sourceIp({ client, subnet, blue, green }: Stage): Promise<void> {
  const pool = { lb_algorithm: 'SOURCE_IP' };
  const lb = await makeLoadBalancer(client, wholeTree('source', subnet.id, [asMember(blue), asMember(green)], pool));
  const vip = vipOf(lb);
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  const [[chosen, count] = ['', 0], ...others] = await askMany(vip, 20);
  assert.deepEqual([count, others.length], [20, 0]);
  const other = chosen === 'blue' ? 'green' : 'blue';
  const { id = '' } = (await membersOf(client, poolOf(lb))).get(chosen) ?? {};
  await change(client, lb.id, 'DELETE', `/pools/${poolOf(lb)}/members/${id}`);
  assert.deepEqual(Object.fromEntries(await askMany(vip, 5)), { [other]: 5 });
  await removeLoadBalancer(client, lb.id);
}

async function batch({ client, subnet, blue, green }: Stage): Promise<void> {
  const lb = await makeLoadBalancer(client, { ...wholeTree('batch', subnet.id, [asMember(blue)]) });
  const path = `/pools/${poolOf(lb)}/members`;
  const answering = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) await waitMember(client, poolOf(lb), name, 'ONLINE');
    assert.deepEqual([...(await askMany(vipOf(lb), 8)).keys()].toSorted(), names);
  };
  const before = (await membersOf(client, poolOf(lb))).get('blue');
  await change(client, lb.id, 'PUT', `${path}?additive_only=true`, { members: [asMember(green)] });
  await answering('blue', 'green');
  assert.equal((await membersOf(client, poolOf(lb))).get('blue')?.id, before?.id, 'what is not named stays');
  await change(client, lb.id, 'PUT', path, { members: [{ ...asMember(green), weight: 7 }] });
  await answering('green');
  assert.deepEqual(
    [...(await membersOf(client, poolOf(lb))).values()].map(({ name, weight }) => [name, weight]),
    [['green', 7]],
  );
  await change(client, lb.id, 'PUT', path, { members: [asMember(blue), { ...asMember(green), weight: 0 }] });
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  assert.deepEqual([...(await askMany(vipOf(lb), 8)).keys()], ['blue']);
  const metadata = { member: { address: '169.254.169.254', protocol_port: 80 } };
  assert.equal((await client.send('POST', `/v2/lbaas${path}`, metadata)).status, 400);
  await removeLoadBalancer(client, lb.id);
}

async function statistics({ client, subnet, blue, green }: Stage): Promise<void> {
  const lb = await makeLoadBalancer(client, wholeTree('stats', subnet.id, [asMember(blue), asMember(green)]));
  await until(async () => (await ask(vipOf(lb)).catch(() => '')) !== '', 'the first byte comes');
  await askMany(vipOf(lb), 30);
  type Stats = { total_connections: number; bytes_in: number; bytes_out: number };
  const stats = await until(async () => {
    const answer = await client.call<{ stats: Stats }>('GET', `/v2/lbaas/loadbalancers/${lb.id}/stats`);
    return answer.stats.total_connections >= 30 && answer.stats;
  }, '30 connections are counted');
  assert.ok(stats.bytes_in > 30 * 40 && stats.bytes_out > 30 * 60, JSON.stringify(stats));
  await removeLoadBalancer(client, lb.id);
}

async function connectionsOf(client: ApiClient, id: string): Promise<number> {
  const { stats } = await client.call<{ stats: { active_connections: number } }>('GET', `/v2/lbaas/loadbalancers/${id}/stats`);
  return stats.active_connections;
}

async function tenantMachine({ client, octavia, state_id, subnet, green }: Stage, t: TestContext): Promise<void> {
  const body = { port: { network_id: subnet.network_id, fixed_ips: [{ subnet_id: subnet.id }] } };
  const { port } = await client.call<{ port: { id: string; fixed_ips: { ip_address: string }[] } }>('POST', '/network/v2.0/ports', body);
  const addresses = [`${port.fixed_ips[0]?.ip_address}/${subnet.cidr.split('/')[1]}`];
  const machine = await plugTenantMachine(t, { state_id, state_dir: octavia.state_dir, network_id: subnet.network_id, addresses });
  const far = await startMember(t, { name: 'far', address: machine.addresses[0] ?? '', port: 8080, netns: machine.name });
  const lb = await makeLoadBalancer(client, wholeTree('machine', subnet.id, [asMember(far), asMember(green)]));
  await waitMember(client, poolOf(lb), 'far', 'ONLINE');
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  assert.deepEqual(Object.fromEntries(await askMany(vipOf(lb), 10)), { far: 5, green: 5 });
  await removeLoadBalancer(client, lb.id);
  await client.call('DELETE', `/network/v2.0/ports/${port.id}`);
}
