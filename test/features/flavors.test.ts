/** Flavors, availability zones and their profiles: what an administrator offers, and what load balancers get of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStrictNetwork } from '../../src/cloud/fake/network.ts';
import { type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const UNKNOWN = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';
const NIL = '00000000-0000-0000-0000-000000000000';

/** The two kinds side by side: they behave alike, but for their names and keys. */
const kinds = [
  {
    profiles: 'flavorprofiles',
    profile: 'flavorprofile',
    links: 'flavorprofile_links',
    list: 'flavorprofiles',
    data: 'flavor_data',
    offers: 'flavors',
    offer: 'flavor',
    offerList: 'flavors',
    profile_id: 'flavor_profile_id',
    key: 'id',
    used: 'Flavor profile',
    gone: ['Flavor Profile', 'Flavor'],
    article: 'A flavor',
    valid: '{"loadbalancer_topology": "SINGLE"}',
    named: 'flavor_id',
  },
  {
    profiles: 'availabilityzoneprofiles',
    profile: 'availability_zone_profile',
    links: 'availability_zone_profile_links',
    list: 'availability_zone_profiles',
    data: 'availability_zone_data',
    offers: 'availabilityzones',
    offer: 'availability_zone',
    offerList: 'availability_zones',
    profile_id: 'availability_zone_profile_id',
    key: 'name',
    used: 'Availability Zone Profile',
    gone: ['Availability Zone Profile', 'Availability Zone'],
    article: 'A availability zone',
    valid: '{"compute_zone": "nova"}',
    named: 'availability_zone',
  },
] as const;

type Kind = (typeof kinds)[number];

const fault = (answer: { readonly status: number; readonly body: { readonly faultstring?: string } }) => [
  answer.status,
  answer.body?.faultstring,
];

async function newProfile(api: ApiTest, kind: Kind, data: string = kind.valid, provider_name = 'amphora'): Promise<string> {
  const answer = await api.call('POST', `/${kind.profiles}`, { [kind.profile]: { name: 'p', provider_name, [kind.data]: data } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body[kind.profile].id;
}

let serial = 0;

/** Answers the key of a new flavor (availability zone). */
async function newOffer(api: ApiTest, kind: Kind, data: string = kind.valid, provider?: string): Promise<string> {
  serial += 1;
  const profile = await newProfile(api, kind, data, provider);
  const answer = await api.call('POST', `/${kind.offers}`, { [kind.offer]: { name: `o${serial}`, [kind.profile_id]: profile } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body[kind.offer][kind.key];
}

const newLoadBalancer = (api: ApiTest, body: object) =>
  api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, ...body } });

for (const kind of kinds) {
  test(`${kind.profiles}: made, shown, listed, changed and removed`, async (t) => {
    const api = await withApi(t);
    const path = `/${kind.profiles}`;
    const whole = { name: 'p', provider_name: 'amphora', [kind.data]: kind.valid };
    const made = await api.call('POST', path, { [kind.profile]: whole });
    const { id } = made.body[kind.profile];
    assert.deepEqual(made.body, { [kind.profile]: { id, ...whole } });
    assert.deepEqual((await api.call('GET', `${path}/${id}`)).body, made.body);
    assert.deepEqual((await api.call('GET', `${path}/${id}?fields=name`)).body, { [kind.profile]: { name: 'p' } });
    const second = await newProfile(api, kind);
    const ids = [id, second].toSorted();
    assert.deepEqual((await api.call('GET', `${path}?limit=1`)).body[kind.links].length, 1);
    const page = await api.call('GET', `${path}?limit=1&marker=${ids[0]}&fields=id`);
    assert.deepEqual(page.body[kind.list], [{ id: ids[1] }]);
    assert.deepEqual((await api.call('GET', `${path}?id=${id}&provider_name=amphora&fields=id`)).body[kind.list], [{ id }]);
    assert.deepEqual((await api.call('GET', `${path}?name=none`)).body, { [kind.list]: [], [kind.links]: [] });
    for (const query of ['project_id=p', 'tenant_id=p', 'foo=1', 'sort=created_at', `marker=${UNKNOWN}`])
      assert.equal((await api.call('GET', `${path}?${query}`)).status, 400, query);
    const renamed = await api.call('PUT', `${path}/${id}`, { [kind.profile]: { name: 'q', provider_name: 'noop_driver' } });
    assert.deepEqual([renamed.status, renamed.body[kind.profile]], [200, { id, ...whole, name: 'q', provider_name: 'noop_driver' }]);
    // The no-op provider takes anything, the amphora provider does not, whichever of the two changes.
    assert.equal((await api.call('PUT', `${path}/${id}`, { [kind.profile]: { [kind.data]: '[1]' } })).status, 200);
    const both = { [kind.profile]: { provider_name: 'amphora', [kind.data]: '[1]' } };
    assert.deepEqual(fault(await api.call('PUT', `${path}/${id}`, both)), [
      501,
      "Provider 'amphora' does not support a requested option: [1] is not of type 'object'",
    ]);
    assert.equal((await api.call('DELETE', `${path}/${id}`)).status, 204);
    assert.deepEqual(fault(await api.call('GET', `${path}/${id}`)), [404, `${kind.gone[0]} ${id} not found.`]);
    assert.deepEqual(fault(await api.call('DELETE', `${path}/${id}`)), [404, `${kind.used} ${id} not found.`]);
    assert.deepEqual(fault(await api.call('PUT', `${path}/${id}`, { [kind.profile]: {} })), [404, `${kind.gone[0]} ${id} not found.`]);
    for (const [method, body] of [['GET'], ['PUT', { [kind.profile]: {} }], ['DELETE']] as const)
      assert.deepEqual(fault(await api.call(method, `${path}/${NIL}`, body)), [404, `${kind.used} ${NIL} not found.`], method);
  });

  test(`${kind.offers}: made, shown, listed, changed and removed`, async (t) => {
    const api = await withApi(t);
    const path = `/${kind.offers}`;
    const profile = await newProfile(api, kind);
    const made = await api.call('POST', path, { [kind.offer]: { name: 'a', [kind.profile_id]: profile } });
    const { id } = made.body[kind.offer];
    const shown = { ...(kind.key === 'id' && { id }), name: 'a', description: '', enabled: true, [kind.profile_id]: profile };
    assert.deepEqual([made.status, made.body], [201, { [kind.offer]: shown }]);
    const key = kind.key === 'id' ? id : 'a';
    assert.deepEqual((await api.call('GET', `${path}/${key}`)).body, made.body);
    const other = { [kind.offer]: { name: 'b', enabled: false, description: 'd', [kind.profile_id]: profile } };
    const second = (await api.call('POST', path, other)).body[kind.offer];
    const names = async (query: string): Promise<string[]> =>
      (await api.call('GET', `${path}?${query}`)).body[kind.offerList].map((each: { name: string }) => each.name);
    assert.deepEqual(await names('enabled=false'), ['b']);
    assert.deepEqual(await names(`${kind.profile_id}=${profile}&sort=name:desc`), ['b', 'a']);
    assert.deepEqual(await names('description=d'), ['b']);
    assert.deepEqual(await names(`sort=name&limit=1&marker=${key}`), ['b']);
    assert.deepEqual(fault(await api.call('POST', path, other)), [409, `${kind.article} of b already exists.`]);
    const orphan = { [kind.offer]: { name: 'c', [kind.profile_id]: UNKNOWN } };
    assert.deepEqual(fault(await api.call('POST', path, orphan)), [400, `${kind.gone[0]} ${UNKNOWN} not found.`]);
    const changed = await api.call('PUT', `${path}/${key}`, { [kind.offer]: { enabled: false, description: 'x' } });
    assert.deepEqual([changed.status, changed.body[kind.offer]], [200, { ...shown, enabled: false, description: 'x' }]);
    const reset = await api.call('PUT', `${path}/${key}`, { [kind.offer]: { enabled: true, description: null } });
    assert.deepEqual(reset.body[kind.offer], shown);
    assert.equal((await api.call('PUT', `${path}/${key}`, { [kind.offer]: { enabled: null } })).status, 400);
    assert.equal((await api.call('PUT', `${path}/${key}`, { [kind.offer]: { [kind.profile_id]: profile } })).status, 400);
    if (kind.key === 'id') {
      assert.deepEqual(fault(await api.call('PUT', `${path}/${key}`, { flavor: { name: 'b' } })), [409, 'A flavor of b already exists.']);
    }
    assert.equal((await api.call('DELETE', `${path}/${second[kind.key]}`)).status, 204);
    for (const gone of [second[kind.key], NIL])
      for (const [method, body] of [['GET'], ['PUT', { [kind.offer]: {} }], ['DELETE']] as const)
        assert.deepEqual(fault(await api.call(method, `${path}/${gone}`, body)), [404, `${kind.gone[1]} ${gone} not found.`], method);
  });

  test(`${kind.offers}: what is used stays as it is`, async (t) => {
    const api = await withApi(t);
    const profile = await newProfile(api, kind);
    const name = 'used';
    const offer = (await api.call('POST', `/${kind.offers}`, { [kind.offer]: { name, [kind.profile_id]: profile } })).body[kind.offer];
    const key = offer[kind.key];
    const inUse = [409, `${kind.used} ${profile} is in use and cannot be modified.`];
    const change = (body: object) => api.call('PUT', `/${kind.profiles}/${profile}`, { [kind.profile]: body });
    for (const body of [{ [kind.data]: kind.valid }, { [kind.data]: '{' }, { provider_name: 'octavia' }])
      assert.deepEqual(fault(await change(body)), inUse, JSON.stringify(body));
    assert.equal((await change({ name: 'renamed' })).status, 200);
    assert.deepEqual(fault(await api.call('DELETE', `/${kind.profiles}/${profile}`)), inUse);
    const lb = (await newLoadBalancer(api, { [kind.named]: key })).body.loadbalancer;
    assert.equal(lb[kind.named], key);
    assert.deepEqual(fault(await api.call('DELETE', `/${kind.offers}/${key}`)), [
      409,
      `${kind.gone[1]} ${key} is in use and cannot be modified.`,
    ]);
    assert.deepEqual((await api.call('GET', `/loadbalancers?${kind.named}=${key}&fields=id`)).body.loadbalancers, [{ id: lb.id }]);
    assert.equal((await api.act('DELETE', `/loadbalancers/${lb.id}`)).status, 204);
    assert.equal((await api.call('DELETE', `/${kind.offers}/${key}`)).status, 204);
    assert.equal((await api.call('DELETE', `/${kind.profiles}/${profile}`)).status, 204);
  });

  test(`${kind.offers}: no load balancer is ever made with one that goes at the same time`, async (t) => {
    const api = await withApi(t, { worker: false });
    for (let round = 0; round < 5; round += 1) {
      const key = await newOffer(api, kind);
      const [removed, ...made] = await Promise.all([
        api.call('DELETE', `/${kind.offers}/${key}`),
        ...Array.from({ length: 4 }, () =>
          api.call('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, [kind.named]: key } }),
        ),
      ]);
      const isThere = (await api.call('GET', `/${kind.offers}/${key}`)).status === 200;
      assert.ok(removed.status === 204 || removed.status === 409, JSON.stringify(removed.body));
      assert.equal(isThere, removed.status === 409);
      for (const { status } of made) assert.ok(isThere ? status === 201 || status === 400 : status === 400, `${removed.status} ${status}`);
    }
  });
}

test('a profile says only what its provider understands, in the words of the reference', async (t) => {
  const api = await withApi(t);
  const refuse = async (kind: Kind, data: unknown, provider_name = 'amphora') =>
    fault(await api.call('POST', `/${kind.profiles}`, { [kind.profile]: { name: 'p', provider_name, [kind.data]: data } }));
  const [flavor, zone] = kinds;
  const unsupported = (text: string, provider = 'amphora') => [501, `Provider '${provider}' does not support a requested option: ${text}`];
  const cases: readonly (readonly [Kind, string, string])[] = [
    [flavor, '[]', "[] is not of type 'object'"],
    [flavor, 'null', "None is not of type 'object'"],
    [flavor, '"x"', "'x' is not of type 'object'"],
    [flavor, '{"b": 1, "a": 2, "compute_flavor": 5}', "Additional properties are not allowed ('a', 'b' were unexpected)"],
    [flavor, '{"nothing": 1}', "Additional properties are not allowed ('nothing' was unexpected)"],
    [flavor, '{"loadbalancer_topology": "single"}', "loadbalancer_topology 'single' is not one of ['ACTIVE_STANDBY', 'SINGLE']"],
    [flavor, '{"compute_flavor": 5, "loadbalancer_topology": 5}', "loadbalancer_topology 5 is not of type 'string'"],
    [flavor, '{"sriov_vip": 1}', "sriov_vip 1 is not of type 'boolean'"],
    [flavor, '{"amp_image_tag": null}', "amp_image_tag None is not of type 'string'"],
    [zone, '{"valid_vip_networks": "x"}', "valid_vip_networks 'x' is not of type 'array'"],
    [zone, '{"compute_zone": {"a": [1, true]}}', "compute_zone {'a': [1, True]} is not of type 'string'"],
  ];
  for (const [kind, data, text] of cases) assert.deepEqual(await refuse(kind, data), unsupported(text), data);
  assert.deepEqual(
    await refuse(flavor, '{"x": 1}', 'octavia'),
    unsupported("Additional properties are not allowed ('x' was unexpected)", 'octavia'),
  );
  assert.deepEqual(await refuse(flavor, '{'), [400, '{ is not a valid option for flavor_data']);
  assert.deepEqual(await refuse(zone, null), [400, 'None is not a valid option for availability_zone_data']);
  assert.deepEqual(await refuse(flavor, '{}', 'nothing'), [400, "Provider 'nothing' is not enabled."]);
  assert.deepEqual(await refuse(flavor, 5), [400, "Invalid input for field/attribute flavor_data. Value: '5'. Value should be string"]);
  assert.equal((await refuse(flavor, `"${'x'.repeat(4095)}"`))[0], 400);
  assert.equal((await refuse(flavor, '[]', 'noop_driver'))[0], 201);
});

test('what the cloud does not have is refused before anybody can ask for it', async (t) => {
  const network = createStrictNetwork({
    networks: [{ id: 'c55e7725-894c-400e-bd00-000000000001' }],
    subnets: [{ id: SUBNET, network_id: 'c55e7725-894c-400e-bd00-000000000001', cidr: '192.0.2.0/24' }],
  });
  const api = await withApi(t, { network, refusalOf: async (wish) => (wish.vnic_type === 'direct' ? 'no such card' : null) });
  const post = async (kind: Kind, data: object) =>
    fault(
      await api.call('POST', `/${kind.profiles}`, {
        [kind.profile]: { name: 'p', provider_name: 'amphora', [kind.data]: JSON.stringify(data) },
      }),
    );
  const [flavor, zone] = kinds;
  assert.deepEqual(await post(flavor, { sriov_vip: true }), [400, 'Validation failure: no such card']);
  assert.deepEqual(await post(flavor, { allow_member_sriov: true }), [400, 'Validation failure: no such card']);
  assert.equal((await post(flavor, { sriov_vip: false, compute_flavor: 'x' }))[0], 201);
  assert.deepEqual(await post(zone, { valid_vip_networks: [UNKNOWN] }), [400, `Validation failure: Network ${UNKNOWN} not found.`]);
  assert.deepEqual(await post(zone, { management_network: 'x' }), [400, 'Validation failure: Network x not found.']);
});

test('a load balancer names what is offered by its provider, or is refused as by the reference', async (t) => {
  const api = await withApi(t);
  const [flavor, zone] = kinds;
  const refused = async (body: object) => fault(await newLoadBalancer(api, body));
  const pair = await newOffer(api, flavor, '{"loadbalancer_topology": "ACTIVE_STANDBY"}', 'octavia');
  const quiet = await newOffer(api, flavor, '{"x": 1}', 'noop_driver');
  const sriov = await newOffer(api, flavor, '{"sriov_vip": true}');
  const off = await newOffer(api, flavor);
  await api.call('PUT', `/flavors/${off}`, { flavor: { enabled: false } });
  assert.deepEqual(await refused({ flavor_id: UNKNOWN }), [400, 'Validation failure: Invalid flavor_id.']);
  assert.deepEqual(await refused({ flavor_id: null }), [400, 'Validation failure: Invalid flavor_id.']);
  assert.deepEqual(await refused({ flavor_id: UNKNOWN, availability_zone: 'x' }), [400, 'Validation failure: Invalid flavor_id.']);
  for (const flavor_id of [off, NIL])
    assert.deepEqual(await refused({ flavor_id }), [400, `The selected flavor is not allowed in this deployment: ${flavor_id}`]);
  assert.deepEqual(await refused({ flavor_id: pair, provider: 'amphora' }), [
    400,
    `Flavor '${pair}' is not compatible with provider 'amphora'`,
  ]);
  assert.deepEqual(await refused({ flavor_id: pair, provider: null }), [400, `Flavor '${pair}' is not compatible with provider 'None'`]);
  const groups = { flavor_id: sriov, vip_sg_ids: [UNKNOWN] };
  const noGroups = [400, 'Validation failure: VIP Security Groups are not allowed with VNIC direct type'];
  assert.deepEqual(await refused(groups), noGroups);
  const made = async (body: object) => (await newLoadBalancer(api, body)).body.loadbalancer;
  assert.equal((await made({ flavor_id: pair })).provider, 'octavia');
  assert.equal((await made({ flavor_id: quiet })).provider, 'noop_driver');
  const direct = await made({ flavor_id: sriov });
  assert.equal(direct.vip_vnic_type, 'direct');
  assert.deepEqual(fault(await api.call('PUT', `/loadbalancers/${direct.id}`, { loadbalancer: { vip_sg_ids: [UNKNOWN] } })), noGroups);
  const rows = await api.db.read.selectFrom('loadbalancer').select(['flavor_id', 'topology']).execute();
  assert.deepEqual(new Map(rows.map((row) => [row.flavor_id, row.topology])).get(pair), 'ACTIVE_STANDBY');

  const here = await newOffer(api, zone, JSON.stringify({ valid_vip_networks: [UNKNOWN] }));
  const anywhere = await newOffer(api, zone, '{"valid_vip_networks": []}');
  const foreign = await newOffer(api, zone, '{"x": 1}', 'noop_driver');
  for (const availability_zone of [null, '', 'x'])
    assert.deepEqual(await refused({ availability_zone }), [400, 'Validation failure: Invalid availability zone.']);
  assert.deepEqual(await refused({ availability_zone: NIL }), [
    400,
    `The selected availability_zone is not allowed in this deployment: ${NIL}`,
  ]);
  const misplaced = 'Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment.';
  assert.deepEqual(await refused({ availability_zone: here }), [400, misplaced]);
  assert.equal((await made({ availability_zone: here, vip_subnet_id: undefined, vip_network_id: UNKNOWN })).vip_network_id, UNKNOWN);
  assert.equal((await made({ availability_zone: anywhere })).availability_zone, anywhere);
  assert.deepEqual((await refused({ availability_zone: foreign }))[0], 501);
  assert.equal((await made({ availability_zone: foreign, provider: 'noop_driver' })).availability_zone, foreign);
});

test('members ask for a virtual function only where the flavor allows it', async (t) => {
  const api = await withApi(t);
  const flavor_id = await newOffer(api, kinds[0], '{"allow_member_sriov": true}');
  const denied = [400, 'The load balancer flavor does not allow SR-IOV member ports.'];
  const member = (address: string) => ({ address, protocol_port: 80, request_sriov: true });
  const pools = [{ name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [member('192.0.2.1')] }];
  assert.deepEqual(fault(await newLoadBalancer(api, { pools })), denied);
  const allowed = (await newLoadBalancer(api, { flavor_id, pools })).body.loadbalancer.pools[0];
  assert.equal(allowed.members[0].vnic_type, 'direct');
  assert.equal('request_sriov' in allowed.members[0], false);
  const plain = (await newLoadBalancer(api, { pools: [{ ...pools[0], members: [{ address: '192.0.2.1', protocol_port: 80 }] }] })).body
    .loadbalancer.pools[0];
  assert.equal(plain.members[0].vnic_type, 'normal');
  for (const [pool, status] of [
    [allowed.id, 201],
    [plain.id, 400],
  ] as const)
    assert.equal((await api.act('POST', `/pools/${pool}/members`, { member: member('192.0.2.2') })).status, status);
  // In a batch the wish of a member that exists is ignored.
  assert.equal((await api.act('PUT', `/pools/${plain.id}/members`, { members: [member('192.0.2.1')] })).status, 202);
  assert.deepEqual(fault(await api.act('PUT', `/pools/${plain.id}/members`, { members: [member('192.0.2.3')] })), denied);
  assert.equal((await api.act('PUT', `/pools/${allowed.id}/members`, { members: [member('192.0.2.3')] })).status, 202);
  const { members } = (await api.call('GET', `/pools/${allowed.id}/members?fields=vnic_type&fields=address`)).body;
  assert.deepEqual(members, [{ address: '192.0.2.3', vnic_type: 'direct' }]);
});

test('everybody sees flavors and zones, administrators alone see and change what is behind them', async (t) => {
  const callers = {
    reader: { roles: ['reader'], project_id: 'p' },
    member: { roles: ['member'], project_id: 'p' },
    nobody: { roles: [], project_id: 'p' },
    admin: { roles: ['admin'], project_id: 'admins', is_admin: true },
  };
  const api = await withApi(t, { callers });
  const as = (name: keyof typeof callers) => ({ 'x-auth-token': name });
  for (const kind of kinds) {
    const body = { [kind.profile]: { name: 'p', provider_name: 'amphora', [kind.data]: kind.valid } };
    const profile = (await api.call('POST', `/${kind.profiles}`, body, as('admin'))).body[kind.profile].id;
    const offer = { [kind.offer]: { name: 'o', [kind.profile_id]: profile } };
    const key = (await api.call('POST', `/${kind.offers}`, offer, as('admin'))).body[kind.offer][kind.key];
    const cases: readonly (readonly ['GET' | 'POST' | 'PUT' | 'DELETE', string, object | undefined, number, number])[] = [
      ['GET', `/${kind.offers}`, undefined, 200, 403],
      ['GET', `/${kind.offers}/${key}`, undefined, 200, 403],
      ['POST', `/${kind.offers}`, offer, 403, 403],
      ['PUT', `/${kind.offers}/${key}`, { [kind.offer]: {} }, 403, 403],
      ['DELETE', `/${kind.offers}/${key}`, undefined, 403, 403],
      ['GET', `/${kind.profiles}`, undefined, 403, 403],
      ['GET', `/${kind.profiles}/${profile}`, undefined, 403, 403],
      ['POST', `/${kind.profiles}`, body, 403, 403],
      ['PUT', `/${kind.profiles}/${profile}`, { [kind.profile]: {} }, 403, 403],
      ['DELETE', `/${kind.profiles}/${profile}`, undefined, 403, 403],
    ];
    for (const [method, path, payload, forReaders, forNobody] of cases) {
      for (const [name, expected] of [
        ['reader', forReaders],
        ['member', forReaders],
        ['nobody', forNobody],
      ] as const)
        assert.equal((await api.call(method, path, payload, as(name))).status, expected, `${name} ${method} ${path}`);
    }
    assert.equal((await api.call('GET', `/${kind.profiles}/${profile}`, undefined, as('admin'))).status, 200);
  }
});

test('a provider lists what it understands, with filters and fields', async (t) => {
  const api = await withApi(t);
  const names = async (path: string): Promise<string[]> =>
    (Object.values((await api.call('GET', `/providers/${path}`)).body)[0] as { name: string }[]).map((each) => each.name);
  const flavor = ['loadbalancer_topology', 'compute_flavor', 'amp_image_tag', 'sriov_vip', 'allow_member_sriov'];
  assert.deepEqual(await names('amphora/flavor_capabilities'), flavor);
  assert.deepEqual(await names('amphora/flavor_capabilities?foo=x'), flavor);
  assert.deepEqual(await names('octavia/availability_zone_capabilities'), [
    'compute_zone',
    'volume_zone',
    'management_network',
    'valid_vip_networks',
  ]);
  assert.deepEqual(await names('noop_driver/flavor_capabilities'), ['amp_image_tag']);
  assert.deepEqual(await names('amphora/flavor_capabilities?name=sriov_vip'), ['sriov_vip']);
  assert.deepEqual(await names('amphora/flavor_capabilities?name=sriov_vip&name=compute_flavor'), []);
  assert.deepEqual(await names('amphora/flavor_capabilities?description=x'), []);
  const one = await api.call('GET', '/providers/amphora/flavor_capabilities?name=amp_image_tag');
  assert.deepEqual(one.body, { flavor_capabilities: [{ name: 'amp_image_tag', description: 'The amphora image tag.' }] });
  const only = await api.call('GET', '/providers/amphora/flavor_capabilities?name=amp_image_tag&fields=description');
  assert.deepEqual(only.body, { flavor_capabilities: [{ description: 'The amphora image tag.' }] });
  assert.deepEqual(fault(await api.call('GET', '/providers/AMPHORA/flavor_capabilities')), [400, "Provider 'AMPHORA' is not enabled."]);
});
