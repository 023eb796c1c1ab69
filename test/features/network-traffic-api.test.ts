/** The network facade: floating IPs, external networks and QoS policies. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../support/embedded-services.ts';
import { assertNeutronError, idsOf, networkRoot as root, networkWorld as world } from '../support/network-facade.ts';

test('floating IPs are taken, pointed at ports that the host reaches, and given back', async (t) => {
  const { as, call, admin, networks, private_id, subnet_id } = await world(t);
  const floating_network_id = networks.external?.network.id ?? '';
  const make = (more: object = {}): Promise<Answer> => as('POST', '/floatingips', { floatingip: { floating_network_id, ...more } });
  const one = (await make({ description: 'd', tags: ['t'] })).body.floatingip;
  assert.deepEqual(
    [one.floating_ip_address, one.status, one.port_id, one.port_details, one.router_id, one.tags],
    ['203.0.113.1', 'DOWN', null, null, null, ['t']],
  );
  assertNeutronError(await make({ floating_ip_address: '203.0.113.1' }), 409, 'IpAddressAlreadyAllocated');
  assertNeutronError(await make({ floating_ip_address: '203.0.114.1' }), 400);
  assertNeutronError(await make({ floating_network_id: private_id }), 400, 'BadRequest');
  assertNeutronError(await make({ port_id: one.id }), 404, 'PortNotFound');
  assert.equal((await make({ floating_ip_address: '203.0.113.77' })).body.floatingip.floating_ip_address, '203.0.113.77');

  const fixed_ips = [
    { subnet_id, ip_address: '198.18.1.50' },
    { subnet_id, ip_address: '198.18.1.51' },
  ];
  const port = (await as('POST', '/ports', { port: { network_id: private_id, name: 'p', fixed_ips } })).body.port;
  const put = (id: string, floatingip: object): Promise<Answer> => as('PUT', `/floatingips/${id}`, { floatingip });
  assertNeutronError(await put(one.id, { port_id: port.id }), 400, 'BadRequest');
  assertNeutronError(await put(one.id, { port_id: port.id, fixed_ip_address: '198.18.1.9' }), 400, 'BadRequest');
  const set = (await put(one.id, { port_id: port.id, fixed_ip_address: '198.18.1.51' })).body.floatingip;
  assert.deepEqual([set.status, set.fixed_ip_address, set.port_details.name], ['ACTIVE', '198.18.1.51', 'p']);
  const found = await as('GET', `/floatingips?port_id=${port.id}&fixed_ip_address=198.18.1.51`);
  assert.deepEqual(idsOf(found, 'floatingips'), [one.id]);
  assertNeutronError(await make({ port_id: port.id, fixed_ip_address: '198.18.1.51' }), 409, 'FloatingIPPortAlreadyAssociated');
  assert.equal((await as('GET', '/floatingips')).body.floatingips.length, 2);

  // An address that the port gives up takes the floating IP along; so does the port.
  await as('PUT', `/ports/${port.id}`, { port: { fixed_ips: [fixed_ips[0]] } });
  assert.deepEqual((await as('GET', `/floatingips/${one.id}`)).body.floatingip.port_id, null);
  assert.equal((await put(one.id, { port_id: port.id })).body.floatingip.fixed_ip_address, '198.18.1.50');
  assert.equal((await as('DELETE', `/ports/${port.id}`)).status, 204);
  assert.deepEqual((await as('GET', `/floatingips/${one.id}`)).body.floatingip.fixed_ip_address, null);

  const own = (await as('POST', '/networks', { network: { name: 'own' } })).body.network.id;
  await as('POST', '/subnets', { subnet: { network_id: own, cidr: '10.0.0.0/24' } });
  const far = (await as('POST', '/ports', { port: { network_id: own } })).body.port.id;
  assertNeutronError(await put(one.id, { port_id: far }), 404, 'ExternalGatewayForFloatingIPNotFound');
  assertNeutronError(await as('POST', '/ports', { port: { network_id: floating_network_id } }), 400, 'InvalidInput');
  assertNeutronError(await call('DELETE', `${root}/networks/${floating_network_id}`, admin), 409, 'NetworkInUse');
  assert.equal((await as('DELETE', `/floatingips/${one.id}`)).status, 204);
  assertNeutronError(await as('GET', `/floatingips/${one.id}`), 404, 'FloatingIPNotFound');
});

test('an administrator makes an external network of the site’s own addresses', async (t) => {
  const { as, call, admin } = await world(t);
  const post = (path: string, body: object): Promise<Answer> => call('POST', `${root}${path}`, admin, body);
  const { id } = (await post('/networks', { network: { name: 'lan', 'router:external': true } })).body.network;
  const pools = [{ start: '192.0.2.10', end: '192.0.2.11' }];
  await post('/subnets', { subnet: { network_id: id, cidr: '192.0.2.0/24', gateway_ip: '192.0.2.1', allocation_pools: pools } });
  const make = (): Promise<Answer> => as('POST', '/floatingips', { floatingip: { floating_network_id: id } });
  assert.deepEqual(
    [(await make()).body.floatingip.floating_ip_address, (await make()).body.floatingip.floating_ip_address],
    ['192.0.2.10', '192.0.2.11'],
  );
  assertNeutronError(await make(), 409, 'IpAddressGenerationFailure');
  assertNeutronError(await call('PUT', `${root}/networks/${id}`, admin, { network: { 'router:external': false } }), 400);
});

test('QoS policies have a bandwidth limit for each direction', async (t) => {
  const { as, call, admin, private_id } = await world(t);
  const { policy } = (await as('POST', '/qos/policies', { policy: { name: 'q', description: 'd' } })).body;
  assert.deepEqual([policy.shared, policy.is_default, policy.rules], [false, false, []]);
  const rules = `/qos/policies/${policy.id}/bandwidth_limit_rules`;
  const make = (rule: unknown): Promise<Answer> => as('POST', rules, { bandwidth_limit_rule: rule });
  const made = await make({ max_kbps: 1000 });
  const rule = made.body.bandwidth_limit_rule;
  assert.deepEqual([made.status, rule.direction, rule.max_kbps, rule.max_burst_kbps], [201, 'egress', 1000, 0]);
  assertNeutronError(await make({ max_kbps: 5 }), 409, 'QoSRulesConflict');
  for (const wrong of [{}, { max_kbps: 0 }, { max_kbps: 5, direction: 'up' }, { max_kbps: '1; drop' }, 5])
    assertNeutronError(await make(wrong), 400);
  assert.equal((await make({ max_kbps: 7, direction: 'ingress' })).status, 201);
  assertNeutronError(await as('PUT', `${rules}/${rule.id}`, { bandwidth_limit_rule: { direction: 'ingress' } }), 409);
  const alias = `/qos/alias-bandwidth-limit-rules/${rule.id}`;
  assert.equal((await as('PUT', alias, { bandwidth_limit_rule: { max_kbps: 9 } })).body.bandwidth_limit_rule.max_kbps, 9);
  assert.deepEqual(
    (await as('GET', `/qos/policies/${policy.id}`)).body.policy.rules.map((each: { type: string; max_kbps: number }) => [
      each.type,
      each.max_kbps,
    ]),
    [
      ['bandwidth_limit', 9],
      ['bandwidth_limit', 7],
    ],
  );
  assert.equal((await as('GET', rules)).body.bandwidth_limit_rules.length, 2);
  assert.deepEqual((await as('GET', '/qos/rule-types')).body, { rule_types: [{ type: 'bandwidth_limit' }] });
  const port = (await as('POST', '/ports', { port: { network_id: private_id, qos_policy_id: policy.id } })).body.port;
  assertNeutronError(await as('DELETE', `/qos/policies/${policy.id}`), 409, 'QosPolicyInUse');
  await as('DELETE', `/ports/${port.id}`);
  assert.equal((await as('DELETE', `${rules}/${rule.id}`)).status, 204);
  const { id } = (await call('POST', `${root}/qos/policies`, admin, { policy: { name: 'all', shared: true } })).body.policy;
  assertNeutronError(await as('DELETE', `/qos/policies/${id}`), 403);
  assertNeutronError(await as('POST', `/qos/policies/${id}/bandwidth_limit_rules`, { bandwidth_limit_rule: { max_kbps: 5 } }), 403);
  assert.equal((await as('DELETE', `/qos/policies/${policy.id}`)).status, 204);
  assertNeutronError(await as('GET', rules), 404, 'QosPolicyNotFound');
});
