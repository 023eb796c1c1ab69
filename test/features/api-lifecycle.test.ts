/** Load balancers and their parts through the REST API: what is answered, and which states things go through. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const UNKNOWN = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';

const newLoadBalancer = async (api: ApiTest, body: Record<string, unknown> = {}): Promise<string> => {
  const answer = await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, ...body } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.loadbalancer.id;
};

const newPool = async (api: ApiTest, loadbalancer_id: string, body: Record<string, unknown> = {}): Promise<string> => {
  const answer = await api.act('POST', '/pools', { pool: { loadbalancer_id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...body } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.pool.id;
};

const newListener = async (api: ApiTest, loadbalancer_id: string, body: Record<string, unknown> = {}): Promise<string> => {
  const answer = await api.act('POST', '/listeners', { listener: { loadbalancer_id, protocol: 'HTTP', protocol_port: 80, ...body } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.listener.id;
};

test('a new load balancer is answered PENDING_CREATE with its VIP, and is ACTIVE once carried out', async (t) => {
  const api = await withApi(t);
  const created = await api.call('POST', '/loadbalancers', {
    loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, name: 'a', tags: ['y', 'x'], description: null },
  });
  assert.equal(created.status, 201);
  const { id, created_at, vip_port_id, vip_network_id, ...shown } = created.body.loadbalancer;
  assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/u);
  assert.deepEqual(shown, {
    name: 'a',
    description: '',
    project_id: 'p',
    tenant_id: 'p',
    admin_state_up: true,
    provisioning_status: 'PENDING_CREATE',
    operating_status: 'OFFLINE',
    updated_at: null,
    vip_address: '198.51.100.1',
    vip_subnet_id: SUBNET,
    vip_qos_policy_id: null,
    vip_sg_ids: [],
    vip_vnic_type: 'normal',
    additional_vips: [],
    provider: 'amphora',
    flavor_id: null,
    availability_zone: null,
    tags: ['x', 'y'],
    listeners: [],
    pools: [],
  });
  const port = api.network.ports.get(vip_port_id);
  assert.equal(port?.name, `octavia-lb-${id}`);
  assert.equal(port?.device_id, `lb-${id}`);
  assert.equal(port?.device_owner, 'Octavia');
  assert.equal(port?.network_id, vip_network_id);
  await api.worker?.drain();
  const later = await api.call('GET', `/loadbalancers/${id}`);
  assert.equal(later.body.loadbalancer.provisioning_status, 'ACTIVE');
  assert.equal(later.body.loadbalancer.vip_port_id, vip_port_id);
});

test('listener, pool, member and health monitor are made, changed and deleted, each marking what it touches', async (t) => {
  const api = await withApi(t);
  const lb = await newLoadBalancer(api);
  const listener = await newListener(api, lb, { name: 'l', insert_headers: { 'X-Forwarded-For': 'true' } });
  const pool = await newPool(api, lb, { listener_id: listener, session_persistence: { type: 'HTTP_COOKIE' } });
  const member = await api.call('POST', `/pools/${pool}/members`, { member: { address: '192.0.2.1', protocol_port: 8080, weight: '5' } });
  assert.equal(member.status, 201);
  assert.equal(member.body.member.operating_status, 'NO_MONITOR');
  assert.equal(member.body.member.weight, 5);
  const touched = async (): Promise<string[]> => [
    (await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.provisioning_status,
    (await api.call('GET', `/listeners/${listener}`)).body.listener.provisioning_status,
    (await api.call('GET', `/pools/${pool}`)).body.pool.provisioning_status,
  ];
  assert.deepEqual(await touched(), ['PENDING_UPDATE', 'PENDING_UPDATE', 'PENDING_UPDATE']);
  await api.worker?.drain();
  assert.deepEqual(await touched(), ['ACTIVE', 'ACTIVE', 'ACTIVE']);
  const monitor = await api.act('POST', '/healthmonitors', {
    healthmonitor: { pool_id: pool, type: 'HTTP', delay: 5, timeout: 3, max_retries: 3 },
  });
  assert.equal(monitor.status, 201);
  assert.deepEqual(
    [monitor.body.healthmonitor.http_method, monitor.body.healthmonitor.url_path, monitor.body.healthmonitor.expected_codes],
    ['GET', '/', '200'],
  );
  const shown = (await api.call('GET', `/pools/${pool}`)).body.pool;
  assert.deepEqual(shown.listeners, [{ id: listener }]);
  assert.deepEqual(shown.loadbalancers, [{ id: lb }]);
  assert.deepEqual(shown.members, [{ id: member.body.member.id }]);
  assert.equal(shown.healthmonitor_id, monitor.body.healthmonitor.id);
  assert.equal((await api.call('GET', `/listeners/${listener}`)).body.listener.default_pool_id, pool);

  const update = await api.act('PUT', `/pools/${pool}/members/${member.body.member.id}`, {
    member: { weight: null, name: 'm', tags: ['t'] },
  });
  assert.equal(update.status, 200);
  assert.equal(update.body.member.provisioning_status, 'PENDING_UPDATE');
  assert.deepEqual([update.body.member.weight, update.body.member.name, update.body.member.tags], [1, 'm', ['t']]);
  assert.equal(
    (await api.act('PUT', `/listeners/${listener}`, { listener: { default_pool_id: null } })).body.listener.default_pool_id,
    null,
  );

  for (const path of [
    `/healthmonitors/${monitor.body.healthmonitor.id}`,
    `/pools/${pool}/members/${member.body.member.id}`,
    `/pools/${pool}`,
    `/listeners/${listener}`,
  ]) {
    assert.equal((await api.act('DELETE', path)).status, 204, path);
    assert.equal((await api.call('GET', path)).status, 404, path);
  }
  assert.equal((await api.act('DELETE', `/loadbalancers/${lb}`)).status, 204);
  assert.equal((await api.call('GET', `/loadbalancers/${lb}`)).status, 404);
  assert.deepEqual((await api.call('GET', '/loadbalancers')).body.loadbalancers, []);
});

test('while a change is under way every other one is a 409 that says so', async (t) => {
  const api = await withApi(t);
  const lb = await newLoadBalancer(api, {
    provider: 'noop_driver',
    listeners: [{ protocol: 'HTTP', protocol_port: 80 }],
    pools: [{ name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }],
  });
  const shown = (await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer;
  assert.equal(shown.provisioning_status, 'PENDING_CREATE');
  const invalidState = `Invalid state PENDING_CREATE of loadbalancer resource ${lb}`;
  const immutable = `Load Balancer ${lb} is immutable and cannot be updated.`;
  const pool = shown.pools[0].id;
  const cases: readonly (readonly ['PUT' | 'POST' | 'DELETE', string, unknown, number, string])[] = [
    ['PUT', `/loadbalancers/${lb}`, { loadbalancer: { name: 'x' } }, 409, invalidState],
    ['PUT', `/loadbalancers/${lb}/failover`, undefined, 409, invalidState],
    ['DELETE', `/loadbalancers/${lb}?cascade=true`, undefined, 409, invalidState],
    ['DELETE', `/loadbalancers/${lb}`, undefined, 400, `Validation failure: Cannot delete Load Balancer ${lb} - it has children`],
    ['POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'HTTP', protocol_port: 81 } }, 409, immutable],
    ['PUT', `/listeners/${shown.listeners[0].id}`, { listener: { name: 'x' } }, 409, immutable],
    ['PUT', `/pools/${pool}`, { pool: { name: 'x' } }, 409, immutable],
    [
      'POST',
      `/pools/${pool}/members`,
      { member: { address: '192.0.2.1', protocol_port: 1 } },
      409,
      `Pool ${pool} is immutable and cannot be updated.`,
    ],
  ];
  for (const [method, path, body, status, text] of cases) {
    const answer = await api.call(method, path, body);
    assert.deepEqual([answer.status, answer.body], [status, { faultcode: 'Client', faultstring: text, debuginfo: null }], path);
  }
});

test('a whole tree is made in one call and answered in full, in the order of the request', async (t) => {
  const api = await withApi(t);
  const names = ['c', 'a', 'd', 'b'];
  const created = await api.act('POST', '/loadbalancers', {
    loadbalancer: {
      project_id: 'p',
      vip_subnet_id: SUBNET,
      listeners: [
        { name: 'one', protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'p' } },
        {
          name: 'two',
          protocol: 'HTTP',
          protocol_port: 81,
          tags: ['t'],
          default_pool: { name: 'q', protocol: 'HTTP', lb_algorithm: 'SOURCE_IP', members: [] },
        },
      ],
      pools: [
        {
          name: 'p',
          protocol: 'HTTP',
          lb_algorithm: 'ROUND_ROBIN',
          members: names.map((name, index) => ({ name, address: `192.0.2.${index + 1}`, protocol_port: 80 })),
          healthmonitor: { type: 'TCP', delay: 5, timeout: 3, max_retries: 3 },
        },
      ],
    },
  });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const { listeners, pools } = created.body.loadbalancer;
  assert.deepEqual(
    listeners.map((each: { name: string; tags: string[] }) => [each.name, each.tags]),
    [
      ['one', []],
      ['two', ['t']],
    ],
  );
  assert.equal(listeners[0].default_pool_id, pools[0].id);
  assert.deepEqual(
    pools[0].members.map((each: { name: string }) => each.name),
    names,
  );
  assert.equal(pools[0].healthmonitor.type, 'TCP');
  assert.equal(pools[1].name, 'q');
  const { id } = created.body.loadbalancer;
  const status = (await api.call('GET', `/loadbalancers/${id}/status`)).body.statuses.loadbalancer;
  assert.deepEqual(
    status.listeners[0].pools[0].members.map((each: { name: string; address: string }) => [each.name, each.address]),
    names.map((name, index) => [name, `192.0.2.${index + 1}`]),
  );
  assert.equal(status.listeners[0].pools[0].health_monitor.provisioning_status, 'ACTIVE');
  assert.deepEqual((await api.call('GET', `/loadbalancers/${id}/statuses`)).body, { statuses: { loadbalancer: status } });
  assert.equal((await api.act('DELETE', `/loadbalancers/${id}?cascade=true`)).status, 204);
  for (const kind of ['listeners', 'pools', 'healthmonitors']) assert.deepEqual((await api.call('GET', `/${kind}`)).body[kind], [], kind);
  assert.deepEqual(await api.db.read.selectFrom('tag').selectAll().execute(), []);
});

test('a tree that cannot be made leaves nothing behind', async (t) => {
  const api = await withApi(t);
  const tree = (change: Record<string, unknown>): unknown => ({ loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, ...change } });
  const pool = { name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };
  const listener = { protocol: 'HTTP', protocol_port: 80 };
  const cases: readonly (readonly [Record<string, unknown>, number, RegExp])[] = [
    [{ pools: [pool, pool] }, 400, /Pool names must be unique/u],
    [{ pools: [{ name: 'p' }] }, 400, /missing required attribute: protocol/u],
    [{ listeners: [{ ...listener, default_pool: { name: 'zz' } }] }, 400, /'zz' was referenced but no full definition/u],
    [{ listeners: [listener, listener] }, 409, /already using protocol HTTP and protocol_port 80/u],
    [
      { listeners: [{ ...listener, default_pool: { ...pool, protocol: 'UDP' } }] },
      400,
      /'UDP' is invalid while the listener protocol is 'HTTP'/u,
    ],
    [{ pools: [{ ...pool, members: [{ address: 'x', protocol_port: 80 }] }] }, 400, /address. Value: 'x'/u],
    [
      { pools: [{ ...pool, members: [1, 2].map(() => ({ address: '192.0.2.1', protocol_port: 80 })) }] },
      409,
      /already using ip 192.0.2.1/u,
    ],
    [{ pools: [{ ...pool, x: 1 }] }, 400, /Unknown attribute for argument load_balancer.loadbalancer.pools: x/u],
    [{ tags: ['a', 'a'] }, 409, /Already an entity/u],
  ];
  for (const [change, status, text] of cases) {
    const answer = await api.call('POST', '/loadbalancers', tree(change));
    assert.equal(answer.status, status, JSON.stringify(change));
    assert.match(answer.body.faultstring, text);
  }
  for (const table of ['loadbalancer', 'listener', 'pool', 'member', 'healthmonitor', 'tag', 'reconciliation'] as const)
    assert.deepEqual(await api.db.read.selectFrom(table).selectAll().execute(), [], table);
  assert.equal(api.network.ports.size, 0);
});

test('a batch makes, changes and deletes members, or only adds', async (t) => {
  const api = await withApi(t);
  const lb = await newLoadBalancer(api);
  const pool = await newPool(api, lb);
  const batch = (members: readonly unknown[], query = '') => api.act('PUT', `/pools/${pool}/members${query}`, { members });
  const list = async (): Promise<(readonly [string, number, string])[]> =>
    (await api.call('GET', `/pools/${pool}/members?sort=address`)).body.members.map(
      (each: { address: string; weight: number; name: string }) => [each.address, each.weight, each.name],
    );
  const at = (host: number, more: Record<string, unknown> = {}) => ({ address: `192.0.2.${host}`, protocol_port: 80, ...more });
  assert.equal((await batch([at(1, { weight: 7, name: 'one' }), at(2)])).status, 202);
  assert.deepEqual(await list(), [
    ['192.0.2.1', 7, 'one'],
    ['192.0.2.2', 1, ''],
  ]);
  await batch([at(1), at(3)]);
  assert.deepEqual(await list(), [
    ['192.0.2.1', 1, 'one'],
    ['192.0.2.3', 1, ''],
  ]);
  await batch([at(4)], '?additive_only=true');
  assert.equal((await list()).length, 3);
  assert.equal((await batch([at(1), at(1)])).status, 400);
  assert.equal((await batch([at(9), at(9)])).status, 409);
  assert.equal((await batch([{ address: '192.0.2.30' }])).status, 400);
  assert.equal(
    (await batch(Array.from({ length: 300 }, (_, index) => ({ address: `10.0.${index >> 8}.${index & 255}`, protocol_port: 80 })))).status,
    202,
  );
  assert.equal((await list()).length, 300);
  assert.equal((await batch([])).status, 202);
  assert.deepEqual(await list(), []);
});

test('a batch that changes nothing asks for nothing', async (t) => {
  const api = await withApi(t);
  const pool = await newPool(api, await newLoadBalancer(api));
  const members = [{ address: '192.0.2.1', protocol_port: 80 }];
  await api.act('PUT', `/pools/${pool}/members`, { members });
  const generation = async () => (await api.db.read.selectFrom('reconciliation').select('generation').executeTakeFirstOrThrow()).generation;
  const before = await generation();
  assert.equal((await api.act('PUT', `/pools/${pool}/members`, { members })).status, 202);
  assert.equal(await generation(), before);
});

test('failover asks for every amphora to be replaced', async (t) => {
  const api = await withApi(t, { worker: false });
  const lb = await newLoadBalancer(api);
  const now = '2026-01-01T00:00:00';
  await api.db.tx(async (tx) => {
    await tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).execute();
    const amphora = { loadbalancer_id: lb, status: 'ALLOCATED', cert_busy: false, created_at: now, role: 'STANDALONE' } as const;
    const columns = [
      'compute_id',
      'lb_network_ip',
      'vrrp_ip',
      'ha_ip',
      'vrrp_port_id',
      'ha_port_id',
      'cert_expiration',
      'vrrp_interface',
      'cached_zone',
      'image_id',
      'compute_flavor',
      'updated_at',
      'cert_serial',
    ];
    const nulls = Object.fromEntries(columns.map((name) => [name, null]));
    await tx
      .insertInto('amphora')
      .values({ id: UNKNOWN, vrrp_id: null, vrrp_priority: null, ...amphora, ...nulls } as never)
      .execute();
  });
  assert.equal((await api.call('DELETE', `/v2/octavia/amphorae/${UNKNOWN}`)).status, 409);
  assert.equal((await api.call('PUT', `/loadbalancers/${lb}/failover`)).status, 202);
  const amphora = (await api.call('GET', `/v2/octavia/amphorae/${UNKNOWN}`)).body.amphora;
  assert.equal(amphora.status, 'PENDING_DELETE');
  assert.equal(amphora.cert_serial, undefined);
  assert.equal((await api.call('GET', `/v2/octavia/amphorae?loadbalancer_id=${lb}&role=STANDALONE`)).body.amphorae.length, 1);
  assert.equal((await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.provisioning_status, 'PENDING_UPDATE');
});

test('statistics are sums over listeners; open connections count at amphorae in service only', async (t) => {
  const api = await withApi(t);
  const lb = await newLoadBalancer(api);
  const one = await newListener(api, lb);
  const two = await newListener(api, lb, { protocol_port: 81 });
  const counters = { bytes_in: 1, bytes_out: 2, active_connections: 3, total_connections: 4, request_errors: 5 };
  await api.db.tx((tx) =>
    tx
      .insertInto('listener_statistics')
      .values([
        { listener_id: one, amphora_id: one, ...counters },
        { listener_id: one, amphora_id: UNKNOWN, ...counters },
        { listener_id: two, amphora_id: two, ...counters },
      ])
      .execute(),
  );
  const sum = { bytes_in: 2, bytes_out: 4, active_connections: 3, total_connections: 8, request_errors: 10 };
  assert.deepEqual((await api.call('GET', `/listeners/${one}/stats`)).body, { stats: sum });
  assert.deepEqual((await api.call('GET', `/loadbalancers/${lb}/stats`)).body, {
    stats: { bytes_in: 3, bytes_out: 6, active_connections: 6, total_connections: 12, request_errors: 15 },
  });
});

test('what a provider refuses is not written', async (t) => {
  const { Fault } = await import('../../src/model/index.ts');
  const provider = {
    validate: (tree: { listeners: readonly { protocol: string }[] }) => {
      if (tree.listeners.some((each) => each.protocol === 'SCTP')) throw new Fault(501, 'no SCTP here');
    },
  };
  const api = await withApi(t, { provider });
  const lb = await newLoadBalancer(api);
  const answer = await api.call('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'SCTP', protocol_port: 80 } });
  assert.deepEqual([answer.status, answer.body.faultcode, answer.body.faultstring], [501, 'Server', 'no SCTP here']);
  assert.deepEqual((await api.call('GET', '/listeners')).body.listeners, []);
  assert.equal((await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.provisioning_status, 'ACTIVE');
});
