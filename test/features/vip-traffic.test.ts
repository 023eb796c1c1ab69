/** What a network does with the traffic of a VIP on this machine: floating IPs, security groups and bandwidth limits, by real bytes. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { run } from '../../src/lib/run.ts';
import { change, makeLoadBalancer, removeLoadBalancer, type ShownLoadBalancer, waitActive } from '../support/load-balancers.ts';
import { plugTenantMachine } from '../support/members.ts';
import { createNamespace, namespacesUnavailable, tracesOf } from '../support/namespaces.ts';
import { type ApiClient, until } from '../support/octavia.ts';
import { asMember, openStage, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask } from '../support/traffic.ts';

type FloatingIp = {
  readonly id: string;
  readonly floating_ip_address: string;
  readonly fixed_ip_address: string | null;
  readonly port_id: string | null;
  readonly status: string;
};
type Made = { readonly id: string };
type World = { readonly stage: Stage; readonly lb: ShownLoadBalancer };

const net = '/network/v2.0';

test('the network of a VIP on this machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue } = stage;
  const lb = await makeLoadBalancer(client, wholeTree('web', subnet.id, [asMember(blue)]));
  assert.equal(await ask(vipOf(lb)), 'blue');
  const stories: Readonly<Record<string, (world: World, t: TestContext) => Promise<void>>> = {
    'security groups of the VIP decide who gets in, by their rules as they are now': securityGroups,
    'a bandwidth limit slows the VIP down, follows its rule, and goes with the policy': bandwidth,
    'a port that the user brought carries the VIP, cannot be taken away meanwhile, and is the user’s again afterwards': userPort,
    'a floating IP leads to the load balancer from here, from another machine and from a tenant’s': floatingIp,
    'a floating IP outlives a killed controller and rules that were lost, and is free when its load balancer is gone': floatingIpSurvives,
  };
  for (const [name, story] of Object.entries(stories)) await t.test(name, (inner) => story({ stage, lb }, inner));
  await stage.octavia.destroy();
  assert.deepEqual(await tracesOf(stage.state_id), []);
});

async function securityGroups({ stage: { client }, lb }: World): Promise<void> {
  const { security_group } = await client.call<{ security_group: Made }>('POST', `${net}/security-groups`, {
    security_group: { name: 'web' },
  });
  const allow = async (rule: object): Promise<string> => {
    const body = { security_group_rule: { security_group_id: security_group.id, direction: 'ingress', protocol: 'tcp', ...rule } };
    return (await client.call<{ security_group_rule: Made }>('POST', `${net}/security-group-rules`, body)).security_group_rule.id;
  };
  await allow({ port_range_min: 8080, port_range_max: 8080 });
  await setVip(client, lb, { vip_sg_ids: [security_group.id] });
  await assert.rejects(ask(vipOf(lb)), /no answer/u);
  const rule = await allow({ port_range_min: 80, port_range_max: 80 });
  assert.equal(await ask(vipOf(lb)), 'blue');
  await client.call('DELETE', `${net}/security-group-rules/${rule}`);
  await allow({ port_range_min: 80, port_range_max: 80, remote_ip_prefix: '192.0.2.0/24' });
  await assert.rejects(ask(vipOf(lb)), /no answer/u);
  assert.equal((await client.send('DELETE', `${net}/security-groups/${security_group.id}`)).status, 409);
  await setVip(client, lb, { vip_sg_ids: null });
  assert.equal(await ask(vipOf(lb)), 'blue');
  await client.call('DELETE', `${net}/security-groups/${security_group.id}`);
}

async function userPort({ stage: { client, subnet, green } }: World): Promise<void> {
  type Port = { id: string; device_id: string; fixed_ips: { ip_address: string }[] };
  const body = { port: { network_id: subnet.network_id, fixed_ips: [{ subnet_id: subnet.id }] } };
  const { port } = await client.call<{ port: Port }>('POST', `${net}/ports`, body);
  const tree = wholeTree('own-port', subnet.id, [asMember(green)]) as Record<string, unknown>;
  const lb = await makeLoadBalancer(client, { ...tree, vip_port_id: port.id });
  assert.deepEqual([lb.vip_port_id, lb.vip_address], [port.id, port.fixed_ips[0]?.ip_address]);
  assert.equal(await ask(vipOf(lb)), 'green');
  assert.equal((await client.send('DELETE', `${net}/ports/${port.id}`)).status, 409);
  await removeLoadBalancer(client, lb.id);
  const after = await client.call<{ port: Port }>('GET', `${net}/ports/${port.id}`);
  assert.deepEqual([after.port.device_id, after.port.fixed_ips], ['', port.fixed_ips]);
  await client.call('DELETE', `${net}/ports/${port.id}`);
}

async function bandwidth({ stage: { client, state_id }, lb }: World): Promise<void> {
  const { policy } = await client.call<{ policy: Made }>('POST', `${net}/qos/policies`, { policy: { name: 'slow' } });
  const rules = `${net}/qos/policies/${policy.id}/bandwidth_limit_rules`;
  const limit = (direction: string, max_kbps: number): Promise<{ bandwidth_limit_rule: Made }> =>
    client.call('POST', rules, { bandwidth_limit_rule: { direction, max_kbps } });
  const rate = async (): Promise<string> => {
    const namespaces = (await run('ip', ['netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');
    const own = namespaces.filter((name) => name === `oct-${state_id}` || (name.startsWith(`oct-${state_id}-`) && name.endsWith('-t')));
    const listed = await Promise.all(own.map((name) => run('tc', ['-n', name, 'qdisc', 'show'])));
    return [...listed.join('\n').matchAll(/qdisc tbf .* rate (\S+)/gu)]
      .map((match) => match[1])
      .toSorted()
      .join(' ');
  };
  const { bandwidth_limit_rule: ingress } = await limit('ingress', 800);
  await limit('egress', 4000);
  assert.equal(await rate(), '');
  const free_ms = await swallow(lb.vip_address);
  await setVip(client, lb, { vip_qos_policy_id: policy.id });
  assert.equal(await rate(), '4Mbit 800Kbit');
  assert.equal((await client.send('POST', rules, { bandwidth_limit_rule: { direction: 'ingress', max_kbps: 1 } })).status, 409);
  // 400 kbit more than the burst that Neutron would allow by default, at 800 kbit a second.
  const slow_ms = await swallow(lb.vip_address);
  assert.ok(slow_ms > 400 && free_ms < 300, `${slow_ms} ms with a limit, ${free_ms} ms without`);
  await client.call('PUT', `${rules}/${ingress.id}`, { bandwidth_limit_rule: { max_kbps: 9000 } });
  assert.equal(await rate(), '4Mbit 9Mbit');
  await client.call('DELETE', `${rules}/${ingress.id}`);
  assert.equal(await rate(), '4Mbit');
  assert.equal((await client.send('DELETE', `${net}/qos/policies/${policy.id}`)).status, 409);
  await setVip(client, lb, { vip_qos_policy_id: null });
  assert.equal(await rate(), '');
  await client.call('DELETE', `${net}/qos/policies/${policy.id}`);
}

async function floatingIp({ stage, lb }: World, t: TestContext): Promise<void> {
  const { client, state_id, octavia, subnet } = stage;
  const [external] = (await client.call<{ networks: Made[] }>('GET', `${net}/networks?router:external=True`)).networks;
  const made = await client.call<{ floatingip: FloatingIp }>('POST', `${net}/floatingips`, {
    floatingip: { floating_network_id: external?.id, port_id: lb.vip_port_id },
  });
  const { id, floating_ip_address: address } = made.floatingip;
  assert.deepEqual([made.floatingip.fixed_ip_address, made.floatingip.status], [lb.vip_address, 'ACTIVE']);
  assert.equal(await ask({ address, port: 80 }), 'blue');

  // Other machines: one beside the host, and one of a tenant. The host's owner lets packets through.
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  const far = await createNamespace();
  t.after(far.remove);
  await run('ip', ['link', 'add', `far${state_id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', far.name]);
  await run('ip', ['address', 'add', '192.0.2.1/24', 'dev', `far${state_id}`]);
  await run('ip', ['link', 'set', `far${state_id}`, 'up']);
  for (const words of ['link set eth0 up', 'address add 192.0.2.2/24 dev eth0', 'route add default via 192.0.2.1'])
    await run('ip', ['-n', far.name, ...words.split(' ')]);
  assert.equal(await askFrom(far.name, address), 'blue');
  const inside = subnet.cidr.replace(/\.0\/24$/u, '.200/24');
  const machine = await plugTenantMachine(t, {
    state_id,
    state_dir: octavia.state_dir,
    network_id: subnet.network_id,
    addresses: [inside],
  });
  await run('ip', ['-n', machine.name, 'route', 'add', 'default', 'via', subnet.gateway_ip]);
  assert.equal(await askFrom(machine.name, address), 'blue');

  // A load balancer has one; given back, nothing answers there.
  const second = await client.call<{ floatingip: FloatingIp }>('POST', `${net}/floatingips`, {
    floatingip: { floating_network_id: external?.id },
  });
  const again = { floatingip: { port_id: lb.vip_port_id } };
  assert.equal((await client.send('PUT', `${net}/floatingips/${second.floatingip.id}`, again)).status, 409);
  await client.call('PUT', `${net}/floatingips/${id}`, { floatingip: { port_id: null } });
  await assert.rejects(ask({ address, port: 80 }));
  await client.call('PUT', `${net}/floatingips/${second.floatingip.id}`, again);
  assert.equal(await ask({ address: second.floatingip.floating_ip_address, port: 80 }), 'blue');
  await client.call('DELETE', `${net}/floatingips/${id}`);
}

async function floatingIpSurvives({ stage, lb }: World): Promise<void> {
  const { octavia, state_id } = stage;
  const all = async (): Promise<FloatingIp[]> =>
    (await stage.client.call<{ floatingips: FloatingIp[] }>('GET', `${net}/floatingips`)).floatingips;
  const [floating] = await all();
  const target = { address: floating?.floating_ip_address ?? '', port: 80 };
  assert.equal(await ask(target), 'blue');
  await octavia.kill();
  assert.equal(await ask(target), 'blue');
  // As after a reboot: the rules and the addresses are lost.
  await run('nft', ['delete', 'table', 'inet', `oct_${state_id}`]);
  await run('ip', ['link', 'delete', `ocf${state_id}floats`]);
  await octavia.start();
  assert.equal(await ask(target), 'blue');
  await removeLoadBalancer(stage.client, lb.id);
  const [left] = await until(async () => {
    const listed = await all();
    return listed[0]?.status === 'DOWN' && listed;
  }, 'the floating IP is free');
  assert.deepEqual([left?.port_id, left?.fixed_ip_address], [null, null]);
  assert.doesNotMatch(await run('ip', ['-o', '-4', 'address', 'show']), new RegExp(`${target.address}/`, 'u'));
  assert.doesNotMatch(await run('nft', ['list', 'ruleset']), /dnat/u);
  await stage.client.call('DELETE', `${net}/floatingips/${left?.id}`);
}

/** How long a VIP takes to swallow 150 kB: a second request behind them is answered when all of the first has gone through. */
function swallow(host: string): Promise<number> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    let answers = '';
    const socket = connect({ host, port: 80 });
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      answers += chunk.toString();
      if (answers.split('HTTP/1.1 200').length < 3) return;
      socket.destroy();
      resolve(performance.now() - begun);
    });
    socket.write('POST / HTTP/1.1\r\nHost: vip\r\nContent-Length: 150000\r\n\r\n');
    socket.write(Buffer.alloc(150_000, 'x'));
    socket.write('GET / HTTP/1.1\r\nHost: vip\r\n\r\n');
  });
}

async function setVip(client: ApiClient, lb: ShownLoadBalancer, body: object): Promise<void> {
  await change(client, lb.id, 'PUT', `/loadbalancers/${lb.id}`, { loadbalancer: body });
  await waitActive(client, lb.id);
}

/** One request from another namespace. */
function askFrom(netns: string, address: string): Promise<string> {
  return run('nsenter', [`--net=/run/netns/${netns}`, 'curl', '-fsS', '--max-time', '3', `http://${address}/`]);
}
