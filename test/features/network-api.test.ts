/** The network facade: what stock clients send, and what Neutron would answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withEmbeddedServices } from '../support/embedded-services.ts';
import type { Answer } from '../support/embedded-services.ts';
import { assertNeutronError, idsOf, networkRoot as root, networkWorld as world } from '../support/network-facade.ts';

test('the version is found without a token, everything else needs one', async (t) => {
  const { call } = await world(t);
  for (const url of ['/network', '/network/']) {
    const { status, body } = await call('GET', url);
    assert.deepEqual([status, body.versions[0].id, body.versions[0].status], [200, 'v2.0', 'CURRENT']);
    assert.equal(body.versions[0].links[0].href, 'http://lb.example:9876/network/v2.0/');
  }
  assert.equal((await call('GET', `${root}/`)).status, 200);
  for (const path of ['networks', 'subnets', 'ports', 'security-groups', 'floatingips', 'extensions', 'quotas/x', 'qos/policies']) {
    const answer = await call('GET', `${root}/${path}`);
    assert.deepEqual([answer.status, answer.body.error.code], [401, 401]);
  }
});

test('a tenant sees the shared network with its subnets, by id and by name, and not the management network', async (t) => {
  const { as, call, admin, private_id, networks } = await world(t);
  const { body } = await as('GET', '/networks');
  const external = networks.external?.network.id ?? '';
  assert.deepEqual(idsOf({ body } as Answer, 'networks'), [private_id, external]);
  const [shown] = body.networks;
  assert.deepEqual(
    [shown.status, shown.shared, shown['router:external'], shown.subnets.length, shown.tenant_id],
    ['ACTIVE', true, false, 2, shown.project_id],
  );
  assert.deepEqual(idsOf(await as('GET', `/networks?id=${private_id}`), 'networks'), [private_id]);
  assert.deepEqual(idsOf(await as('GET', '/networks?name=private&router:external=False'), 'networks'), [private_id]);
  assert.deepEqual(idsOf(await as('GET', '/networks?router:external=True'), 'networks'), [external]);
  assert.deepEqual(idsOf(await as('GET', '/networks?id=not-a-uuid'), 'networks'), []);
  const management = networks.management.network.id;
  assertNeutronError(await as('GET', `/networks/${management}`), 404, 'NetworkNotFound');
  assert.deepEqual(idsOf(await as('GET', `/networks?id=${management}`), 'networks'), []);
  assert.equal((await call('GET', `${root}/networks`, admin)).body.networks.length, 3);
  const subnets = (await as('GET', `/subnets?ip_version=4&network_id=${private_id}`)).body.subnets;
  assert.deepEqual([subnets.length, subnets[0].name, subnets[0].gateway_ip], [1, 'private-subnet', '198.18.1.1']);
});

test('unknown ids and paths are a 404 in Neutron’s form', async (t) => {
  const { as } = await world(t);
  for (const path of [
    '/networks/x',
    '/subnets/%00',
    '/ports/00000000-0000-0000-0000-000000000000',
    '/security-groups/private',
    '/nothing',
    '/qos/policies/x',
  ]) {
    assertNeutronError(await as('GET', path), 404);
  }
  assertNeutronError(await as('DELETE', '/ports/x'), 404, 'PortNotFound');
  assertNeutronError(await as('PUT', '/networks/x', { network: {} }), 404, 'NetworkNotFound');
});

test('a port is made, found by each of its attributes, changed and removed', async (t) => {
  const { as, private_id, subnet_id, project_ids } = await world(t);
  const wanted = { network_id: private_id, name: 'vip', fixed_ips: [{ subnet_id, ip_address: '198.18.1.50' }], tags: ['a', 'b'] };
  const made = await as('POST', '/ports', { port: wanted });
  assert.equal(made.status, 201);
  const { port } = made.body;
  assert.match(port.mac_address, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/u);
  assert.deepEqual(
    [port.project_id, port.status, port.admin_state_up, port.managed, port.adoptable],
    [project_ids.demo, 'DOWN', true, undefined, undefined],
  );
  assert.deepEqual(port.fixed_ips, [{ subnet_id, ip_address: '198.18.1.50' }]);
  const finders = [
    `id=${port.id}`,
    'name=vip',
    'name=other&name=vip',
    `network_id=${private_id}`,
    `mac_address=${port.mac_address}`,
    `fixed_ips=subnet_id%3D${subnet_id}&fixed_ips=ip_address%3D198.18.1.50`,
    'fixed_ips=ip_address_substr%3D1.5',
    'tags=a,b',
    'tags-any=x,b',
    'not-tags=a,x',
    'admin_state_up=true',
    'device_id=',
    'unknown=ignored',
  ];
  for (const query of finders) assert.deepEqual(idsOf(await as('GET', `/ports?${query}`), 'ports'), [port.id], query);
  for (const query of ['name=other', 'fixed_ips=ip_address%3D198.18.1.5', 'tags=a,x', 'not-tags-any=a', 'admin_state_up=false']) {
    assert.deepEqual(idsOf(await as('GET', `/ports?${query}`), 'ports'), [], query);
  }
  assert.deepEqual((await as('GET', '/ports?fields=id&fields=name')).body.ports, [{ id: port.id, name: 'vip' }]);
  const changed = (await as('PUT', `/ports/${port.id}`, { port: { name: 'new', fixed_ips: [{ subnet_id, ip_address: '198.18.1.60' }] } }))
    .body.port;
  assert.deepEqual(
    [changed.name, changed.fixed_ips[0].ip_address, changed.revision_number],
    ['new', '198.18.1.60', port.revision_number + 1],
  );
  const again = await as('POST', '/ports', { port: wanted });
  assert.equal(again.status, 201);
  assertNeutronError(await as('POST', '/ports', { port: wanted }), 409, 'IpAddressAlreadyAllocated');
  assert.deepEqual((await as('PUT', `/ports/${port.id}`, { port: { fixed_ips: [] } })).body.port.fixed_ips, []);
  assert.equal((await as('DELETE', `/ports/${port.id}`)).status, 204);
  assertNeutronError(await as('GET', `/ports/${port.id}`), 404, 'PortNotFound');
});

test('two ports of a tenant may have one name and device: only ours are adopted', async (t) => {
  const { as, private_id } = await world(t);
  const port = { network_id: private_id, name: 'x', device_id: 'lb-1' };
  const ids = [await as('POST', '/ports', { port }), await as('POST', '/ports', { port })].map((answer) => answer.body.port.id);
  assert.notEqual(ids[0], ids[1]);
});

test('a load balancer’s port is shown to its tenant for ever, and cannot be removed or bent by him', async (t) => {
  const { as, call, admin, network, private_id, subnet_id, project_ids } = await world(t);
  const spec = {
    name: 'octavia-lb-1',
    network_id: private_id,
    project_id: project_ids.demo,
    fixed_ips: [{ subnet_id }],
    device_id: 'lb-1',
    device_owner: 'Octavia',
  };
  const { id } = await network.createPort(spec);
  const shown = (await as('GET', `/ports/${id}`)).body.port;
  assert.deepEqual([shown.device_owner, shown.status], ['Octavia', 'ACTIVE']);
  assertNeutronError(await as('DELETE', `/ports/${id}`), 409, 'ServicePortInUse');
  for (const port of [{ device_id: 'mine' }, { device_owner: '' }, { fixed_ips: [] }])
    assertNeutronError(await as('PUT', `/ports/${id}`, { port }), 409);
  const group = (await as('POST', '/security-groups', { security_group: { name: 'g' } })).body.security_group.id;
  assert.deepEqual((await as('PUT', `/ports/${id}`, { port: { security_groups: [group] } })).body.port.security_groups, [group]);
  assertNeutronError(await as('DELETE', `/security-groups/${group}`), 409, 'SecurityGroupInUse');
  assert.equal((await call('DELETE', `${root}/ports/${id}`, admin)).status, 204);
  for (const device_owner of ['Octavia', 'network:dhcp']) {
    assertNeutronError(await as('POST', '/ports', { port: { network_id: private_id, device_owner } }), 403, 'PolicyNotAuthorized');
  }
});

test('bad input is a 400 that says what is wrong, and nothing is made', async (t) => {
  const { as, private_id, subnet_id } = await world(t);
  const bad: readonly (readonly [path: string, body: unknown])[] = [
    ['/ports', undefined],
    ['/ports', '{'],
    ['/ports', []],
    ['/ports', {}],
    ['/ports', { port: [] }],
    ['/ports', { ports: [] }],
    ['/ports', { port: {} }],
    ['/ports', { port: { network_id: 5 } }],
    ['/ports', { port: { network_id: private_id, colour: 'red' } }],
    ['/ports', { port: { network_id: private_id, __proto__x: 1 } }],
    ['/ports', { port: { network_id: private_id, id: private_id } }],
    ['/ports', { port: { network_id: private_id, name: 5 } }],
    ['/ports', { port: { network_id: private_id, name: 'a\0b' } }],
    ['/ports', { port: { network_id: private_id, name: 'x'.repeat(256) } }],
    ['/ports', { port: { network_id: private_id, admin_state_up: 'maybe' } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: 'x' } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: [{ subnet_id: 'x' }] } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: [{ subnet: subnet_id }] } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: [{ ip_address: '10.0.0.1' }] } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: [{ subnet_id, ip_address: '198.18.1.300' }] } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: [{ ip_address: 'fe80::1%eth0' }] } }],
    ['/ports', { port: { network_id: private_id, fixed_ips: Array.from({ length: 11 }, () => ({ subnet_id })) } }],
    [
      '/ports',
      {
        port: {
          network_id: private_id,
          fixed_ips: [
            { subnet_id, ip_address: '198.18.1.9' },
            { subnet_id, ip_address: '198.18.1.9' },
          ],
        },
      },
    ],
    ['/ports', { port: { network_id: private_id, allowed_address_pairs: [{}] } }],
    ['/ports', { port: { network_id: private_id, allowed_address_pairs: [{ ip_address: '10.0.0.0/99' }] } }],
    ['/ports', { port: { network_id: private_id, tags: [''] } }],
    ['/networks', { network: { name: 'x', mtu: 5 } }],
    ['/subnets', { subnet: { cidr: '10.0.0.0/24' } }],
    ['/subnets', { subnet: { network_id: private_id } }],
    ['/security-groups', { security_group: { name: {} } }],
    ['/security-group-rules', { security_group_rule: { direction: 'ingress' } }],
  ];
  for (const [path, body] of bad) {
    const answer = await as('POST', path, body);
    assert.equal(answer.status, 400, `${path} ${JSON.stringify(body)} → ${JSON.stringify(answer.body)}`);
  }
  assert.deepEqual((await as('GET', '/ports')).body.ports, []);
  assertNeutronError(await as('POST', '/ports', { port: { network_id: '00000000-0000-0000-0000-000000000000' } }), 404, 'NetworkNotFound');
  assertNeutronError(
    await as('POST', '/ports', { port: { network_id: private_id, security_groups: [private_id] } }),
    404,
    'SecurityGroupNotFound',
  );
  for (const query of ['limit=x', 'limit=-1', 'sort_key=nope', 'sort_key=name&sort_dir=up', 'sort_dir=asc'])
    assertNeutronError(await as('GET', `/networks?${query}`), 400);
});

test('lists are cut into pages that can be followed in both directions', async (t) => {
  const { as, private_id } = await world(t);
  for (const name of ['c', 'a', 'e', 'b', 'd']) await as('POST', '/ports', { port: { network_id: private_id, name } });
  const follow = async (query: string): Promise<string[][]> => {
    const pages: string[][] = [];
    let path: string | null = `/ports?${query}`;
    while (path !== null) {
      const { body }: Answer = await as('GET', path);
      pages.push(body.ports.map((each: { name: string }) => each.name));
      const next: string | undefined = body.ports_links?.find((each: { rel: string }) => each.rel === 'next')?.href;
      path = next === undefined ? null : next.slice(next.indexOf('/ports'));
    }
    return pages;
  };
  assert.deepEqual(await follow('limit=2&sort_key=name&sort_dir=asc'), [['a', 'b'], ['c', 'd'], ['e']]);
  assert.deepEqual(await follow('limit=2&sort_key=name&sort_dir=desc'), [['e', 'd'], ['c', 'b'], ['a']]);
  assert.deepEqual(await follow('limit=5'), [['c', 'a', 'e', 'b', 'd']]);
  const all = (await as('GET', '/ports?sort_key=name&sort_dir=asc')).body.ports;
  const before = await as('GET', `/ports?sort_key=name&sort_dir=asc&limit=2&page_reverse=True&marker=${all[3].id}`);
  assert.deepEqual(
    before.body.ports.map((each: { name: string }) => each.name),
    ['b', 'c'],
  );
  assertNeutronError(await as('GET', '/ports?limit=2&marker=nope'), 404);
});

test('a tenant has networks of his own, which nobody else sees, and cannot touch shared ones', async (t) => {
  const { as, call, admin, login, identity, private_id } = await world(t);
  const network = (await as('POST', '/networks', { network: { name: 'own', tags: ['x'] } })).body.network;
  const made = await as('POST', '/subnets', {
    subnet: { network_id: network.id, ip_version: 4, cidr: '10.1.2.3/24', dns_nameservers: ['9.9.9.9'] },
  });
  assert.deepEqual([made.status, made.body.subnet.cidr, made.body.subnet.gateway_ip], [201, '10.1.2.0/24', '10.1.2.1']);
  assert.deepEqual((await as('GET', `/networks/${network.id}`)).body.network.subnets, [made.body.subnet.id]);
  assert.equal(
    (await as('PUT', `/subnets/${made.body.subnet.id}`, { subnet: { name: 's', gateway_ip: null } })).body.subnet.gateway_ip,
    null,
  );
  assertNeutronError(await as('POST', '/subnets', { subnet: { network_id: network.id, cidr: '10.1.2.128/25' } }), 400);
  assertNeutronError(await as('POST', '/subnets', { subnet: { network_id: private_id, cidr: '10.9.0.0/24' } }), 403, 'PolicyNotAuthorized');
  assertNeutronError(await as('PUT', `/networks/${private_id}`, { network: { name: 'mine' } }), 403, 'PolicyNotAuthorized');
  assertNeutronError(await as('DELETE', `/networks/${private_id}`), 403, 'PolicyNotAuthorized');
  for (const extra of [{ shared: true }, { 'router:external': true }, { host_reachable: true }, { project_id: 'f'.repeat(32) }])
    assertNeutronError(await as('POST', '/networks', { network: extra }), 403);
  const stranger = await identity.users.create({
    name: 's',
    password: 'secret',
    domain_id: 'default',
    description: '',
    email: null,
    enabled: true,
    default_project_id: null,
  });
  const project = await identity.projects.create({ name: 'other', domain_id: 'default', description: '', enabled: true, tags: [] });
  const role = (await identity.roles.list()).find((each) => each.name === 'reader');
  await identity.roles.grant(stranger.id, role?.id ?? '', { type: 'project', id: project.id });
  await identity.users.update(stranger.id, { default_project_id: project.id, password: passwordOfDemo });
  const auth = { auth: { identity: { methods: ['password'], password: { user: { id: stranger.id, password: passwordOfDemo } } } } };
  const reader = String((await call('POST', '/identity/v3/auth/tokens', null, auth)).headers['x-subject-token']);
  assertNeutronError(await call('GET', `${root}/networks/${network.id}`, reader), 404);
  assertNeutronError(await call('POST', `${root}/networks`, reader, { network: {} }), 403, 'PolicyNotAuthorized');
  assert.equal((await as('DELETE', `/networks/${network.id}`)).status, 204);
  assertNeutronError(await as('GET', `/subnets/${made.body.subnet.id}`), 404, 'SubnetNotFound');
  assert.equal(
    (await call('POST', `${root}/networks`, admin, { network: { shared: true, project_id: project.id } })).body.network.project_id,
    project.id,
  );
  assert.notEqual(await login('demo'), reader);
});
const passwordOfDemo = 'another-password';

test('security groups come with two rules, take others, and refuse the same twice; each project has one by itself', async (t) => {
  const { as, private_id } = await world(t);
  const group = (await as('POST', '/security-groups', { security_group: { name: 'web', description: 'd' } })).body.security_group;
  assert.deepEqual(
    group.security_group_rules.map((each: { direction: string; ethertype: string }) => [each.direction, each.ethertype]),
    [
      ['egress', 'IPv4'],
      ['egress', 'IPv6'],
    ],
  );
  const rule = {
    security_group_id: group.id,
    direction: 'ingress',
    protocol: 'tcp',
    port_range_min: 80,
    port_range_max: '81',
    remote_ip_prefix: '10.0.0.0/8',
  };
  const made = await as('POST', '/security-group-rules', { security_group_rule: rule });
  assert.deepEqual([made.status, made.body.security_group_rule.ethertype, made.body.security_group_rule.port_range_max], [201, 'IPv4', 81]);
  assertNeutronError(await as('POST', '/security-group-rules', { security_group_rule: rule }), 409, 'SecurityGroupRuleExists');
  const wrong = [
    { port_range_min: 90 },
    { protocol: null },
    { ethertype: 'IPv6' },
    { direction: 'up' },
    { protocol: 300 },
    { remote_ip_prefix: 'x' },
    { port_range_max: 70_000 },
  ];
  for (const change of wrong)
    assertNeutronError(await as('POST', '/security-group-rules', { security_group_rule: { ...rule, ...change } }), 400);
  assert.equal((await as('GET', `/security-group-rules?security_group_id=${group.id}`)).body.security_group_rules.length, 3);
  assert.equal((await as('DELETE', `/security-group-rules/${made.body.security_group_rule.id}`)).status, 204);
  assert.equal((await as('PUT', `/security-groups/${group.id}`, { security_group: { name: 'w' } })).body.security_group.name, 'w');
  assert.equal((await as('DELETE', `/security-groups/${group.id}`)).status, 204);
  assert.equal((await as('GET', '/security-group-rules')).body.security_group_rules.length, 0);

  const [own] = (await as('GET', '/security-groups?name=default')).body.security_groups;
  assert.deepEqual(
    own.security_group_rules.map((each: { direction: string; remote_group_id: string | null }) => [each.direction, each.remote_group_id]),
    [
      ['egress', null],
      ['ingress', own.id],
      ['egress', null],
      ['ingress', own.id],
    ],
  );
  assert.deepEqual(idsOf(await as('GET', '/security-groups'), 'security_groups'), [own.id]);
  assertNeutronError(await as('DELETE', `/security-groups/${own.id}`), 409, 'SecurityGroupCannotRemoveDefault');
  assertNeutronError(await as('PUT', `/security-groups/${own.id}`, { security_group: { name: 'x' } }), 409);
  assertNeutronError(
    await as('POST', '/security-groups', { security_group: { name: 'default' } }),
    409,
    'SecurityGroupDefaultAlreadyExists',
  );
  const port = { network_id: private_id };
  assert.deepEqual((await as('POST', '/ports', { port })).body.port.security_groups, [own.id]);
  assert.deepEqual((await as('POST', '/ports', { port: { ...port, port_security_enabled: false } })).body.port.security_groups, []);
  assert.deepEqual((await as('POST', '/ports', { port: { ...port, security_groups: [] } })).body.port.security_groups, []);
});

test('tags are replaced, added and removed', async (t) => {
  const { as } = await world(t);
  const { id } = (await as('POST', '/networks', { network: { name: 'n' } })).body.network;
  assert.deepEqual((await as('PUT', `/networks/${id}/tags`, { tags: ['b', 'a', 'b'] })).body, { tags: ['b', 'a'] });
  assert.equal((await as('PUT', `/networks/${id}/tags/c%20d`)).status, 201);
  assert.equal((await as('DELETE', `/networks/${id}/tags/a`)).status, 204);
  assert.deepEqual((await as('GET', `/networks/${id}/tags`)).body, { tags: ['b', 'c d'] });
  assert.equal((await as('GET', `/networks/${id}/tags/b`)).status, 204);
  assert.equal((await as('GET', `/networks/${id}/tags/z`)).status, 404);
  assert.equal((await as('DELETE', `/networks/${id}/tags`)).status, 204);
  assertNeutronError(await as('PUT', `/networks/${id}/tags`, { tags: 5 }), 400);
});

test('what this machine has none of is an empty list, it is the only router, and quotas are unlimited', async (t) => {
  const { as, project_ids } = await world(t);
  assert.deepEqual((await as('GET', '/floatingips?port_id=x&fixed_ip_address=y')).body, { floatingips: [] });
  const [router] = (await as('GET', '/routers')).body.routers;
  assert.deepEqual([router.name, router.status, typeof router.external_gateway_info.network_id], ['host', 'ACTIVE', 'string']);
  const [seen] = (await as('GET', '/network-ip-availabilities?network_name=private&ip_version=4')).body.network_ip_availabilities;
  assert.deepEqual([seen.total_ips, seen.used_ips, seen.subnet_ip_availability.length], [253, 0, 1]);
  assertNeutronError(await as('POST', '/routers', { router: { name: 'r' } }), 403, 'PolicyNotAuthorized');
  assertNeutronError(await as('DELETE', `/routers/${router.id}`), 403, 'PolicyNotAuthorized');
  assert.deepEqual(
    (await as('GET', '/availability_zones')).body.availability_zones.map((zone: { resource: string }) => zone.resource),
    ['network', 'router'],
  );
  assert.deepEqual((await as('GET', '/subnetpools')).body, { subnetpools: [] });
  assert.deepEqual((await as('GET', '/qos/policies?name=x')).body, { policies: [] });
  assert.equal((await as('GET', `/quotas/${project_ids.demo}`)).body.quota.port, -1);
  assertNeutronError(await as('GET', `/quotas/${project_ids.admin}`), 403);
  assert.equal((await as('GET', '/extensions/security-group')).body.extension.alias, 'security-group');
  assertNeutronError(await as('GET', '/extensions/trunk'), 404);
});

test('without authentication the resources are at the root, and quotas are left to the load-balancer API', async (t) => {
  const { call, networks } = await withEmbeddedServices(t, { noauth: true });
  assert.equal((await call('GET', '/v2.0/networks')).body.networks.length, 3);
  assert.equal((await call('GET', '/v2/networks?name=private')).body.networks.length, 1);
  const made = await call('POST', '/v2.0/ports', 'notused', { port: { network_id: networks.tenant.network.id } });
  assert.deepEqual([made.status, made.body.port.project_id], [201, null]);
  assert.equal((await call('GET', '/v2.0/quotas/x')).body.NeutronError, undefined);
  // `openstack --os-auth-type none loadbalancer create --project x` looks for it first.
  assert.equal((await call('GET', '/projects/x')).body.project.id, 'x');
  assert.equal((await call('GET', '/projects/x%20y')).status, 404);
});
