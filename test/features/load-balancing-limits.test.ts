/** What a load balancer must never do: go down with a part that is refused, reach the management network, leave something behind. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test, type TestContext } from 'node:test';
import { change, findSubnet, makeLoadBalancer, removeLoadBalancer, type Resource, waitMember } from '../support/load-balancers.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { asMember, machineState, monitor, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask, startTraffic, tellFailures } from '../support/traffic.ts';

test('the limits of a load balancer on this machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const stories: Readonly<Record<string, (stage: Stage, t: TestContext) => Promise<void>>> = {
    'what HAProxy refuses goes to ERROR while its siblings go on serving': refused,
    'a member address on the management network is never reached': managementIsOutOfReach,
    'a cascading delete leaves nothing on the machine': leavesNothing,
  };
  for (const [name, story] of Object.entries(stories)) await t.test(name, (inner) => story(stage, inner));
});

async function refused({ client, subnet, blue, green }: Stage, t: TestContext): Promise<void> {
  const lb = await makeLoadBalancer(client, wholeTree('refused', subnet.id, [asMember(blue), asMember(green)]));
  const vip = vipOf(lb);
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  // A new listener is a reload: the old worker closes idle connections, but refuses none.
  const steady = startTraffic(t, { ...vip, connections: 'keep-alive' });
  const make = (path: string, body: object): Promise<Resource> => change(client, lb.id, 'POST', path, body);
  const listener = await make('/listeners', { listener: { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 81 } });
  const pool = await make('/pools', { pool: { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } });
  await make(`/pools/${pool.id}/members`, { member: asMember(blue) });
  // A range that runs backwards: the API lets it through, as the reference does, and only HAProxy sees that it is none.
  const odd = await make('/healthmonitors', { healthmonitor: { ...monitor, expected_codes: '400-200', pool_id: pool.id } });
  const shown = await client.call<{ healthmonitor: Resource & { fault?: string } }>('GET', `/v2/lbaas/healthmonitors/${odd.id}`);
  assert.equal(shown.healthmonitor.provisioning_status, 'ERROR');
  assert.match(shown.healthmonitor.fault ?? '', /invalid range of status codes/u);
  const statuses = await Promise.all(
    [`/listeners/${listener.id}`, `/pools/${pool.id}`].map(async (path) => {
      const answer = await client.call<Record<string, Resource>>('GET', `/v2/lbaas${path}`);
      return Object.values(answer)[0]?.provisioning_status;
    }),
  );
  assert.deepEqual(statuses, ['ACTIVE', 'ACTIVE']);
  assert.equal(await ask({ ...vip, port: 81 }), 'blue', 'the sibling without its monitor serves');
  // Corrected, it is served: what is refused once is not refused for ever.
  await change(client, lb.id, 'PUT', `/healthmonitors/${odd.id}`, { healthmonitor: { expected_codes: '200-204' } });
  await waitMember(client, pool.id, 'blue', 'ONLINE');
  await steady.stop();
  assert.equal(steady.failures().length, 0, tellFailures(steady.failures()));
  await removeLoadBalancer(client, lb.id);
}

async function managementIsOutOfReach({ client, admin, subnet, green }: Stage, t: TestContext): Promise<void> {
  const management = await findSubnet(admin, 'lb-mgmt-subnet');
  assert.ok(management, 'an administrator sees the management subnet');
  let arrived = 0;
  const trap = createServer((socket) => {
    arrived += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => trap.listen(0, management.gateway_ip, resolve));
  t.after(() => trap.close());
  const { port } = trap.address() as { port: number };
  const first = await makeLoadBalancer(client, wholeTree('bait', subnet.id, [asMember(green)]));
  const { amphorae } = await admin.call<{ amphorae: { lb_network_ip: string; compute_id: string }[] }>(
    'GET',
    `/v2.0/octavia/amphorae?loadbalancer_id=${first.id}`,
  );
  const hostile = [
    { name: 'controller', address: management.gateway_ip, protocol_port: port },
    { name: 'agent', address: amphorae[0]?.lb_network_ip ?? '', protocol_port: 9443 },
  ];
  const pool = { healthmonitor: { ...monitor, type: 'TCP' } };
  const lb = await makeLoadBalancer(client, wholeTree('hostile', subnet.id, hostile, pool, 'TCP'));
  await waitMember(client, poolOf(lb), 'controller', 'ERROR');
  await waitMember(client, poolOf(lb), 'agent', 'ERROR');
  await assert.rejects(ask(vipOf(lb, 'tcp')));
  assert.equal(arrived, 0, 'a connection from the traffic side reached the management network');
  // The same connection from where controllers are arrives, so the trap is sound.
  await assert.rejects(ask({ address: management.gateway_ip, port, protocol: 'tcp' }));
  assert.equal(arrived, 1);
  await removeLoadBalancer(client, lb.id);
  await removeLoadBalancer(client, first.id);
}

async function leavesNothing(stage: Stage): Promise<void> {
  const { client, subnet, blue, green } = stage;
  const { loadbalancers } = await client.call<{ loadbalancers: Resource[] }>('GET', '/v2/lbaas/loadbalancers');
  await Promise.all(loadbalancers.map(({ id }) => removeLoadBalancer(client, id)));
  const before = await machineState(stage);
  const lb = await makeLoadBalancer(client, wholeTree('gone', subnet.id, [asMember(blue), asMember(green)]));
  const during = await machineState(stage);
  for (const kind of ['instance', 'process', 'netns', 'wire', 'port', 'amphora'])
    assert.ok(count(during, kind) > count(before, kind), `a load balancer shows as ${kind}`);
  await removeLoadBalancer(client, lb.id);
  assert.deepEqual(await machineState(stage), before);
  for (const kind of ['instance', 'process', 'amphora']) assert.equal(count(before, kind), 0);
}

const count = (lines: readonly string[], kind: string): number => lines.filter((line) => line.startsWith(`${kind} `)).length;
