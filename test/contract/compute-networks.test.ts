import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { CommandError, run } from '../../src/lib/run.ts';
import { createLocalCloud, instanceSpec } from '../support/local-cloud.ts';
import type { TestCloud } from '../support/local-cloud.ts';
import { ipv4, ipv6 } from '../support/local-ports.ts';
import type { TestNetwork } from '../support/local-ports.ts';
import { createNamespace, namespacesUnavailable, randomMac, tracesOf } from '../support/namespaces.ts';
import type { TestNamespace } from '../support/namespaces.ts';

const options = { skip: namespacesUnavailable(), timeout: 60_000 };

async function open(t: TestContext): Promise<TestCloud> {
  const cloud = await createLocalCloud();
  t.after(cloud.destroy);
  return cloud;
}

/** A machine in a network, with the addresses of that number and the network's gateways. */
async function machine(t: TestContext, cloud: TestCloud, on: TestNetwork, host: number): Promise<TestNamespace> {
  const netns = await createNamespace();
  t.after(netns.remove);
  await cloud.fabric.plugNamespace(on.network, netns.name, {
    mac: randomMac(),
    name: 'eth0',
    addresses: [`${ipv4(on, host)}/24`, `${ipv6(on, host)}/64`],
    gateways: [ipv4(on, 1), ipv6(on, 1)],
  });
  return netns;
}

/** True when an echo comes back; `from` null: from the host. Traffic stays between namespaces of the test. */
async function canPing(from: TestNamespace | null, address: string): Promise<boolean> {
  const command = ['-e', PING, address];
  try {
    await (from === null ? run(process.execPath, command) : from.run(process.execPath, ...command));
    return true;
  } catch (error) {
    if (error instanceof CommandError && error.code === 3) return false;
    throw error;
  }
}

/** The names of those addresses that answer. */
async function reachableOf(from: TestNamespace, addresses: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const answers = await Promise.all(
    Object.entries(addresses).map(async ([name, address]) => ((await canPing(from, address)) ? name : null)),
  );
  return answers.filter((name) => name !== null);
}

/** A connection that is refused came through; one that times out, or has no route, did not. */
const PING = `
const socket = require('node:net').connect({ host: process.argv[1], port: 9 });
socket.setTimeout(1000, () => process.exit(3));
socket.on('connect', () => process.exit(0));
socket.on('error', (error) => process.exit(error.code === 'ECONNREFUSED' ? 0 : 3));`;

test('machines of one network see each other by IPv4 and IPv6', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork();
  const first = await machine(t, cloud, network, 20);
  await machine(t, cloud, network, 21);
  assert.equal(await canPing(first, ipv4(network, 21)), true);
  assert.equal(await canPing(first, ipv6(network, 21)), true);
});

test('two networks with the same addresses do not meet', options, async (t) => {
  const cloud = await open(t);
  const [red, blue] = [await cloud.addNetwork(), await cloud.addNetwork()];
  assert.equal(red.base4, blue.base4);
  const first = await machine(t, cloud, red, 20);
  await machine(t, cloud, blue, 21);
  assert.equal(await canPing(first, ipv4(blue, 21)), false);
});

test('the host and a reachable network reach each other at the gateway addresses', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  const member = await machine(t, cloud, network, 20);
  assert.equal(await canPing(null, ipv4(network, 20)), true);
  assert.equal(await canPing(null, ipv6(network, 20)), true);
  assert.equal(await canPing(member, ipv4(network, 1)), true);
  assert.equal(await canPing(member, ipv6(network, 1)), true);
});

test('a network that is not reachable has no leg on the host', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork();
  await machine(t, cloud, network, 20);
  const links = (await tracesOf(cloud.state_id)).filter((line) => line.startsWith('link'));
  assert.deepEqual(links, []);
});

test(
  'a tenant reaches neither the management network nor other addresses of the host nor another tenant through it',
  options,
  async (t) => {
    const cloud = await open(t);
    const [red, blue] = [await cloud.addNetwork({ host_reachable: true }), await cloud.addNetwork({ host_reachable: true })];
    const instance = await cloud.compute.createInstance(instanceSpec());
    const tenant = await machine(t, cloud, red, 20);
    await machine(t, cloud, blue, 20);
    await withForwarding(async () => {
      assert.equal(await canPing(null, instance.lb_network_ip ?? ''), true, 'the host reaches the agent');
      assert.deepEqual(
        await reachableOf(tenant, {
          'an agent': instance.lb_network_ip ?? '',
          'the host on the management network': ipv4(cloud.management, 1),
          'the host on another network': ipv4(blue, 1),
          'another tenant': ipv4(blue, 20),
          'another tenant by IPv6': ipv6(blue, 20),
        }),
        [],
      );
    });
  },
);

test('the traffic side of an amphora does not reach the management network', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  const instance = await cloud.compute.createInstance(instanceSpec());
  const other = await cloud.compute.createInstance(instanceSpec());
  const { port } = cloud.addPort(network);
  await cloud.compute.attachPort(instance.compute_id, port.id);
  const { traffic, management } = cloud.compute.namespacesOf(instance.compute_id);
  const inside = (netns: string): TestNamespace => ({
    name: netns,
    run: (command, ...args) => run('nsenter', [`--net=/run/netns/${netns}`, '--', command, ...args]),
    remove: async () => undefined,
  });
  const [link] = JSON.parse(await run('ip', ['-n', traffic, '-j', 'link', 'show', 'type', 'veth'])) as {
    ifname: string;
    address: string;
    operstate: string;
  }[];
  assert.equal(link?.address, port.mac_address, 'the port has its hardware address');
  assert.equal(link?.operstate, 'DOWN', 'the agent brings it up');
  await run('ip', ['-n', traffic, 'addr', 'add', `${ipv4(network, 30)}/24`, 'dev', link?.ifname ?? '']);
  await run('ip', ['-n', traffic, 'link', 'set', link?.ifname ?? '', 'up']);
  await run('ip', ['-n', traffic, 'route', 'add', 'default', 'via', ipv4(network, 1)]);
  await withForwarding(async () => {
    assert.equal(await canPing(inside(traffic), ipv4(network, 1)), true, 'its own gateway');
    const forbidden = {
      controllers: ipv4(cloud.management, 1),
      itself: instance.lb_network_ip ?? '',
      'another agent': other.lb_network_ip ?? '',
    };
    assert.deepEqual(await reachableOf(inside(traffic), forbidden), []);
  });
  assert.equal(await canPing(inside(management), ipv4(cloud.management, 1)), true, 'the agent reaches the controllers');
  assert.equal(await canPing(inside(management), other.lb_network_ip ?? ''), false, 'an agent does not reach another agent');
});

test('two states on one machine do not meet, and destroying one leaves the other whole', options, async (t) => {
  const [one, two] = [await open(t), await open(t)];
  const [red, blue] = [await one.addNetwork({ host_reachable: true }), await two.addNetwork({ host_reachable: true })];
  const tenant = await machine(t, one, red, 20);
  await machine(t, two, blue, 20);
  const survivor = await two.compute.createInstance(instanceSpec());
  await one.compute.createInstance(instanceSpec());
  await withForwarding(async () => {
    assert.deepEqual(
      await reachableOf(tenant, { tenant: ipv4(blue, 20), host: ipv4(two.management, 1), agent: survivor.lb_network_ip ?? '' }),
      [],
    );
  });
  const before = await tracesOf(two.state_id);
  await one.destroy();
  assert.deepEqual(await tracesOf(one.state_id), []);
  assert.deepEqual(await tracesOf(two.state_id), before);
  assert.equal((await two.compute.listInstances({}))[0]?.compute_id, survivor.compute_id);
  assert.equal(await canPing(null, ipv4(blue, 20)), true);
});

test('a network that is removed leaves no bridge and no leg, and can be made again', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  await cloud.fabric.remove(network.network.id);
  await cloud.fabric.remove(network.network.id);
  assert.deepEqual(
    (await tracesOf(cloud.state_id)).filter((line) => line.startsWith('link')),
    [],
  );
  await cloud.fabric.ensure(network.network, network.subnets);
  await machine(t, cloud, network, 20);
  assert.equal(await canPing(null, ipv4(network, 20)), true);
});

test('a bridge that somebody removed is made again when a port is plugged', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  const { compute_id } = await cloud.compute.createInstance(instanceSpec());
  const links = JSON.parse(await run('ip', ['-n', cloud.fabric.namespace, '-j', 'link', 'show', 'type', 'bridge'])) as { ifname: string }[];
  for (const { ifname } of links) await run('ip', ['-n', cloud.fabric.namespace, 'link', 'delete', ifname]);
  await cloud.compute.attachPort(compute_id, cloud.addPort(network).port.id);
  await machine(t, cloud, network, 20);
  assert.equal(await canPing(null, ipv4(network, 20)), true);
});

test('many ask for the same network at once, and it is made once', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  await cloud.fabric.remove(network.network.id);
  await Promise.all(Array.from({ length: 10 }, () => cloud.fabric.ensure(network.network, network.subnets)));
  assert.equal((await tracesOf(cloud.state_id)).filter((line) => line.startsWith('link')).length, 1);
});

/**
 * A host that forwards, as many do: what must not pass is then stopped by our rules and not by luck. A real host is left as it is;
 * there, and only there, packets have a way out.
 */
async function withForwarding(fn: () => Promise<void>): Promise<void> {
  if ((await run('ip', ['route', 'show', 'default'])) !== '') return fn();
  await run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  await fn();
}
