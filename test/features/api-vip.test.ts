/** Where a VIP goes, and what happens when the network says no. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStrictNetwork } from '../../src/cloud/fake/network.ts';
import { Retry } from '../../src/model/index.ts';
import { type ApiAnswer, type ApiTest, withApi } from '../support/api.ts';

const NET = '10000000-0000-4000-8000-000000000001';
const OTHER_NET = '10000000-0000-4000-8000-000000000002';
const FOREIGN_NET = '10000000-0000-4000-8000-000000000003';
const V4 = '20000000-0000-4000-8000-000000000001';
const V6 = '20000000-0000-4000-8000-000000000002';
const OTHER = '20000000-0000-4000-8000-000000000003';
const FOREIGN = '20000000-0000-4000-8000-000000000004';
const TINY = '20000000-0000-4000-8000-000000000005';
const PORT = '30000000-0000-4000-8000-000000000001';
const BUSY = '30000000-0000-4000-8000-000000000002';
const TWO = '30000000-0000-4000-8000-000000000003';
const POLICY = '40000000-0000-4000-8000-000000000001';
const GROUP = '50000000-0000-4000-8000-000000000001';

const network = () =>
  createStrictNetwork({
    networks: [{ id: NET }, { id: OTHER_NET }, { id: FOREIGN_NET, project_id: 'foreign' }],
    subnets: [
      { id: V6, network_id: NET, cidr: '2001:db8::/64' },
      { id: V4, network_id: NET, cidr: '192.0.2.0/24', gateway_ip: '192.0.2.1' },
      { id: OTHER, network_id: OTHER_NET, cidr: '198.51.100.0/24' },
      { id: TINY, network_id: OTHER_NET, cidr: '203.0.113.0/31' },
      { id: FOREIGN, network_id: FOREIGN_NET, project_id: 'foreign', cidr: '10.0.0.0/24' },
    ],
    ports: [
      { id: PORT, network_id: NET, fixed_ips: [{ subnet_id: V4, ip_address: '192.0.2.50' }], qos_policy_id: POLICY },
      { id: BUSY, network_id: NET, fixed_ips: [{ subnet_id: V4, ip_address: '192.0.2.51' }], device_id: 'vm' },
      {
        id: TWO,
        network_id: NET,
        fixed_ips: [
          { subnet_id: V4, ip_address: '192.0.2.52' },
          { subnet_id: V6, ip_address: '2001:db8::52' },
        ],
      },
    ],
    security_groups: [GROUP],
    qos_policies: [POLICY],
  });

const create = (api: ApiTest, body: Record<string, unknown>): Promise<ApiAnswer> =>
  api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', ...body } });

test('a VIP is found by subnet, network, address or port', async (t) => {
  const api = await withApi(t, { network: network() });
  const cases: readonly (readonly [Record<string, unknown>, readonly [string, string, string]])[] = [
    [{ vip_subnet_id: V4 }, ['192.0.2.2', V4, NET]],
    [{ vip_subnet_id: V6 }, ['2001:db8::1', V6, NET]],
    [{ vip_network_id: NET }, ['192.0.2.3', V4, NET]],
    [{ vip_network_id: NET, vip_subnet_id: V6 }, ['2001:db8::2', V6, NET]],
    [{ vip_network_id: NET, vip_address: '2001:DB8:0::7' }, ['2001:DB8:0::7', V6, NET]],
    [{ vip_subnet_id: V4, vip_address: '192.0.2.77' }, ['192.0.2.77', V4, NET]],
    [{ vip_port_id: PORT }, ['192.0.2.50', V4, NET]],
    [{ vip_port_id: TWO, vip_address: '2001:db8:0:0::52' }, ['2001:db8::52', V6, NET]],
  ];
  for (const [body, expected] of cases) {
    const answer = await create(api, body);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { vip_address, vip_subnet_id, vip_network_id } = answer.body.loadbalancer;
    assert.deepEqual([vip_address, vip_subnet_id, vip_network_id], expected, JSON.stringify(body));
  }
});

test("a user's port lends its quality policy and stays the user's", async (t) => {
  const api = await withApi(t, { network: network() });
  const answer = await create(api, { vip_port_id: PORT });
  assert.equal(answer.body.loadbalancer.vip_port_id, PORT);
  assert.equal(answer.body.loadbalancer.vip_qos_policy_id, POLICY);
  const row = await api.db.read.selectFrom('loadbalancer').select('vip_port_owned').executeTakeFirstOrThrow();
  assert.equal(row.vip_port_owned, false);
  assert.equal(api.network.ports.size, 3, 'no port was made');
  assert.equal((await create(api, { vip_port_id: PORT })).status, 409, 'a second load balancer on the same port');
});

test('a place that does not exist or does not fit is refused, and nothing is left', async (t) => {
  const api = await withApi(t, { network: network() });
  const cases: readonly (readonly [Record<string, unknown>, number, RegExp])[] = [
    [{}, 400, /VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id\.$/u],
    [{ vip_subnet_id: NET }, 400, /^Subnet .* not found\.$/u],
    [{ vip_network_id: V4 }, 400, /^Network .* not found\.$/u],
    [{ vip_port_id: V4 }, 400, /^Port .* not found\.$/u],
    [{ vip_port_id: BUSY }, 400, /already used/u],
    [{ vip_port_id: TWO }, 400, /Please specify either a VIP subnet or address/u],
    [{ vip_port_id: PORT, vip_subnet_id: V6 }, 400, /No VIP address found on the specified VIP port/u],
    [{ vip_port_id: PORT, vip_address: '192.0.2.99' }, 400, /not found on the specified VIP port/u],
    [{ vip_network_id: NET, vip_subnet_id: OTHER }, 400, /not part of the supplied VIP network/u],
    [{ vip_network_id: NET, vip_address: '10.9.9.9' }, 400, /does not contain a subnet for VIP address/u],
    [{ vip_subnet_id: V4, vip_address: '192.0.2.50' }, 409, /already in use/u],
    [{ vip_subnet_id: V4, vip_address: '10.9.9.9' }, 400, /is not of subnet/u],
    [{ vip_subnet_id: TINY }, 409, /No more IP addresses/u],
    [{ vip_subnet_id: V4, vip_qos_policy_id: GROUP }, 400, /^qos_policy .* not found\.$/u],
    [{ vip_subnet_id: V4, vip_sg_ids: [POLICY] }, 400, /^Security Group .* not found\.$/u],
    [{ vip_subnet_id: V4, additional_vips: [{ subnet_id: V4 }] }, 400, /Only one IP can be bound per subnet/u],
    [{ vip_subnet_id: V4, additional_vips: [{ subnet_id: OTHER }] }, 400, /must belong to the same network/u],
    [{ vip_subnet_id: V4, provider: 'nothing' }, 400, /^Provider 'nothing' is not enabled\.$/u],
    [{ vip_subnet_id: V4, flavor_id: GROUP }, 400, /Invalid flavor_id/u],
  ];
  for (const [body, status, text] of cases) {
    const answer = await create(api, body);
    assert.equal(answer.status, status, `${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`);
    assert.match(answer.body.faultstring, text);
  }
  for (const table of ['loadbalancer', 'reconciliation', 'tag'] as const)
    assert.deepEqual(await api.db.read.selectFrom(table).selectAll().execute(), [], table);
  assert.equal(api.network.ports.size, 3);
});

test('a second address family shares the port', async (t) => {
  const api = await withApi(t, { network: network() });
  const { loadbalancer } = (await create(api, { vip_subnet_id: V4, additional_vips: [{ subnet_id: V6 }] })).body;
  assert.deepEqual(loadbalancer.additional_vips, [{ subnet_id: V6, ip_address: '2001:db8::1', port_id: loadbalancer.vip_port_id }]);
  const listener = { loadbalancer_id: loadbalancer.id, protocol: 'TCP', protocol_port: 80, allowed_cidrs: ['2001:db8::/32', '10.0.0.0/8'] };
  assert.equal((await api.act('POST', '/listeners', { listener })).status, 201);
});

test('the network of another project is not found, and networks can be allowed and denied', async (t) => {
  const callers = { member: { roles: ['member'], project_id: 'p' } };
  const token = { 'x-auth-token': 'member' };
  const api = await withApi(t, { network: network(), callers, options: { denylist_vip_networks: [OTHER_NET] } });
  const post = (body: Record<string, unknown>) => api.call('POST', '/loadbalancers', { loadbalancer: body }, token);
  assert.equal((await post({ vip_subnet_id: V4 })).status, 201);
  assert.match((await post({ vip_subnet_id: FOREIGN })).body.faultstring, /^Subnet .* not found\.$/u);
  assert.match((await post({ vip_network_id: FOREIGN_NET })).body.faultstring, /^Network .* not found\.$/u);
  assert.match((await post({ vip_subnet_id: OTHER })).body.faultstring, /not allowed by the configuration/u);
});

test('when the network does not answer, the load balancer stays for a worker to finish', async (t) => {
  const api = await withApi(t, { network: network() });
  api.network.failPorts(new Retry('the network service does not answer'));
  const answer = await create(api, { vip_subnet_id: V4 });
  assert.equal(answer.status, 503);
  assert.ok(answer.headers['retry-after']);
  const [row] = (await api.call('GET', '/loadbalancers')).body.loadbalancers;
  assert.equal(row.provisioning_status, 'PENDING_CREATE');
  const work = await api.db.read.selectFrom('reconciliation').selectAll().executeTakeFirstOrThrow();
  assert.ok(work.generation > work.applied_generation);
  assert.notEqual(work.lease_owner, null, 'held until the lease runs out: the answer of the network may still come');
});
