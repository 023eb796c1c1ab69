/** Amphorae as an administrator sees and handles them, and what flavors and availability zones make of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FakeAmphorae, withAmphorae } from '../support/fake-amphorae.ts';

const UNKNOWN = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';
const base = '/v2/octavia/amphorae';

type Shown = { readonly id: string; readonly compute_id: string; readonly role: string; readonly status: string };

/** An amphora's row as one of an older deployment may be. */
const row = (columns: object) => ({
  compute_id: null,
  lb_network_ip: null,
  vrrp_ip: null,
  ha_ip: null,
  vrrp_port_id: null,
  ha_port_id: null,
  cert_expiration: null,
  cert_busy: false,
  role: 'STANDALONE' as const,
  vrrp_interface: null,
  vrrp_id: null,
  vrrp_priority: null,
  cached_zone: null,
  image_id: null,
  compute_flavor: null,
  created_at: '2026-01-01T00:00:00',
  updated_at: null,
  cert_serial: null,
  boot_started_ms: null,
  config_due: false,
  loadbalancer_id: null,
  ...columns,
});

const amphoraeOf = async (api: FakeAmphorae, id: string): Promise<readonly Shown[]> =>
  (await api.call('GET', `${base}?loadbalancer_id=${id}&sort=role`)).body.amphorae;

const fault = (answer: { readonly status: number; readonly body: { readonly faultstring?: string } }) => [
  answer.status,
  answer.body?.faultstring,
];

let serial = 0;

async function newFlavor(api: FakeAmphorae, data: object): Promise<string> {
  serial += 1;
  const profile = { name: 'p', provider_name: 'amphora', flavor_data: JSON.stringify(data) };
  const { id } = (await api.call('POST', '/flavorprofiles', { flavorprofile: profile })).body.flavorprofile;
  return (await api.call('POST', '/flavors', { flavor: { name: `f${serial}`, flavor_profile_id: id } })).body.flavor.id;
}

async function newZone(api: FakeAmphorae, data: object): Promise<string> {
  serial += 1;
  const profile = { name: 'p', provider_name: 'amphora', availability_zone_data: JSON.stringify(data) };
  const made = await api.call('POST', '/availabilityzoneprofiles', { availability_zone_profile: profile });
  const zone = { name: `z${serial}`, availability_zone_profile_id: made.body.availability_zone_profile.id };
  return (await api.call('POST', '/availabilityzones', { availability_zone: zone })).body.availability_zone.name;
}

test('instances are made as the flavor and the availability zone say, else as configured', async (t) => {
  const defaults = { compute_flavor: 'usual', image_tag: 'amphora', availability_zone: 'nova', volume_zone: null };
  const api = await withAmphorae(t, { tools: { compute_defaults: defaults } });
  const specsOf = async (id: string) => (await amphoraeOf(api, id)).map(({ compute_id }) => api.compute.specOf(compute_id));
  const [plain] = await specsOf(await api.create({}));
  const { compute_flavor, image_tag, availability_zone, volume_zone, network_ids } = plain ?? {};
  assert.deepEqual(
    { compute_flavor, image_tag, availability_zone, volume_zone, network_ids },
    { ...defaults, network_ids: ['management'] },
  );

  const flavor_id = await newFlavor(api, { loadbalancer_topology: 'ACTIVE_STANDBY', compute_flavor: 'big', amp_image_tag: 'new' });
  const zone = await newZone(api, { compute_zone: 'east', volume_zone: 'disks', management_network: UNKNOWN });
  const lb = await api.create({ flavor_id, availability_zone: zone });
  const shown = await amphoraeOf(api, lb);
  assert.deepEqual(
    shown.map(({ role, status }) => [role, status]),
    [
      ['BACKUP', 'ALLOCATED'],
      ['MASTER', 'ALLOCATED'],
    ],
  );
  for (const spec of await specsOf(lb)) {
    assert.deepEqual([spec?.compute_flavor, spec?.image_tag], ['big', 'new']);
    assert.deepEqual([spec?.availability_zone, spec?.volume_zone, spec?.network_ids], ['east', 'disks', [UNKNOWN]]);
  }
  const filtered = await api.call(
    'GET',
    `${base}?compute_flavor=big&cached_zone=east&role=MASTER&fields=cached_zone&fields=compute_flavor`,
  );
  assert.deepEqual(filtered.body.amphorae, [{ compute_flavor: 'big', cached_zone: 'east' }]);
});

test('ports are virtual functions where the flavor says so and the member asks', async (t) => {
  const api = await withAmphorae(t);
  const vnics = (id: string, name: string) =>
    [...api.network.ports.values()]
      .filter((port) => port.name.startsWith(name) && port.device_id.endsWith(id))
      .map((port) => port.vnic_type);
  const only = async (lb: string): Promise<string> => (await amphoraeOf(api, lb))[0]?.id ?? '';
  const direct = await api.create({ flavor_id: await newFlavor(api, { sriov_vip: true }) });
  assert.deepEqual(vnics(await only(direct), 'octavia-lb-vrrp-'), ['direct']);
  // The VIP itself is an address that moves, on a port that nothing is plugged into.
  assert.deepEqual(vnics(direct, 'octavia-lb-'), [undefined]);

  const member = { address: '192.0.2.1', protocol_port: 80, subnet_id: UNKNOWN };
  const pools = [{ name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [member] }];
  const lb = await api.create({ flavor_id: await newFlavor(api, { allow_member_sriov: true }), pools });
  const amphora = await only(lb);
  assert.deepEqual(vnics(amphora, 'octavia-lb-vrrp-'), ['normal']);
  assert.deepEqual(vnics(amphora, 'octavia-lb-member-'), ['normal']);
  const [pool] = (await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.pools;
  const added = { ...member, address: '192.0.2.2', request_sriov: true };
  assert.equal((await api.call('POST', `/pools/${pool.id}/members`, { member: added })).status, 201);
  await api.settled(lb);
  assert.deepEqual(vnics(amphora, 'octavia-lb-member-'), ['direct']);
  const { members } = (await api.call('GET', `/pools/${pool.id}/members?address=192.0.2.2`)).body;
  assert.equal((await api.call('DELETE', `/pools/${pool.id}/members/${members[0].id}`)).status, 204);
  await api.settled(lb);
  assert.deepEqual(vnics(amphora, 'octavia-lb-member-'), ['normal']);
});

test('an amphora is shown and listed with filters, fields and pages; its statistics by listener', async (t) => {
  const api = await withAmphorae(t);
  const lb = await api.create({ project_id: 'mine' });
  await api.create({ project_id: 'other' });
  const [amphora] = await amphoraeOf(api, lb);
  const { id, compute_id } = amphora ?? { id: '', compute_id: '' };
  const shown = (await api.call('GET', `${base}/${id}`)).body.amphora;
  assert.deepEqual(Object.keys(shown).toSorted(), [
    'cached_zone',
    'cert_busy',
    'cert_expiration',
    'compute_flavor',
    'compute_id',
    'created_at',
    'ha_ip',
    'ha_port_id',
    'id',
    'image_id',
    'lb_network_ip',
    'loadbalancer_id',
    'role',
    'status',
    'updated_at',
    'vrrp_id',
    'vrrp_interface',
    'vrrp_ip',
    'vrrp_port_id',
    'vrrp_priority',
  ]);
  const ids = async (query: string): Promise<string[]> =>
    (await api.call('GET', `${base}?${query}`)).body.amphorae.map((each: Shown) => each.id);
  for (const name of Object.keys(shown).filter((each) => shown[each] !== null))
    assert.ok((await ids(`${name}=${encodeURIComponent(shown[name])}`)).includes(id), name);
  assert.deepEqual(await ids('project_id=mine'), [id]);
  assert.deepEqual(await ids('project_id=nobody'), []);
  assert.deepEqual(await ids(`compute_id=${compute_id}&status=ALLOCATED&cert_busy=false`), [id]);
  assert.deepEqual(await ids('status=ERROR'), []);
  const first = await api.call('GET', `${base}?limit=1&sort=id`);
  assert.equal(first.body.amphorae_links[0].rel, 'next');
  assert.equal((await ids(`limit=1&sort=id&marker=${first.body.amphorae[0].id}`)).length, 1);
  for (const query of ['foo=1', 'tenant_id=x', 'cert_serial=1', 'config_due=true', 'sort=cert_serial', 'limit=x'])
    assert.equal((await api.call('GET', `${base}?${query}`)).status, 400, query);
  assert.deepEqual((await api.call('GET', `${base}/${id}?fields=role`)).body, { amphora: { role: 'STANDALONE' } });
  assert.deepEqual(fault(await api.call('GET', `${base}/${UNKNOWN}`)), [404, `Amphora ${UNKNOWN} not found.`]);

  assert.deepEqual(fault(await api.call('GET', `${base}/${id}/stats`)), [404, `Amphora stats for ${id} not found.`]);
  const [listener] = (await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.listeners;
  const counters = { bytes_in: 1, bytes_out: 2, active_connections: 3, total_connections: 4, request_errors: 5 };
  const statistics = { listener_id: listener.id, amphora_id: id, ...counters };
  await api.db.tx((tx) => tx.insertInto('listener_statistics').values(statistics).execute());
  assert.deepEqual((await api.call('GET', `${base}/${id}/stats`)).body, {
    amphora_stats: [{ id, loadbalancer_id: lb, listener_id: listener.id, ...counters }],
  });
});

test('failover of one amphora replaces it and no other, once its replacement serves', async (t) => {
  const api = await withAmphorae(t);
  const lb = await api.create({ flavor_id: await newFlavor(api, { loadbalancer_topology: 'ACTIVE_STANDBY' }) });
  const [backup, master] = await amphoraeOf(api, lb);
  const seen: (readonly string[])[] = [];
  const { deleteInstance } = api.compute;
  api.compute.deleteInstance = async (compute_id: string) => {
    seen.push((await amphoraeOf(api, lb)).map(({ role, status }) => `${role} ${status}`));
    return deleteInstance.call(api.compute, compute_id);
  };
  assert.equal((await api.call('PUT', `${base}/${master?.id}/failover`)).status, 202);
  assert.deepEqual(fault(await api.call('PUT', `${base}/${backup?.id}/failover`)), [
    409,
    `Load Balancer ${lb} is immutable and cannot be updated.`,
  ]);
  await api.settled(lb);
  const after = await amphoraeOf(api, lb);
  assert.equal(after[0]?.id, backup?.id);
  assert.equal(after[1]?.role, 'MASTER');
  assert.notEqual(after[1]?.id, master?.id);
  // The old instance went when the new one was in service already.
  assert.deepEqual(seen[0]?.toSorted(), ['BACKUP ALLOCATED', 'MASTER ALLOCATED', 'MASTER PENDING_DELETE']);
  assert.equal(api.compute.all().length, 2);
  assert.equal((await api.call('GET', `${base}/${master?.id}`)).status, 404);
  assert.equal(fault(await api.call('PUT', `${base}/${UNKNOWN}/failover`))[0], 404);
});

test('failover of a load balancer replaces all of its amphorae', async (t) => {
  const api = await withAmphorae(t);
  const lb = await api.create({ flavor_id: await newFlavor(api, { loadbalancer_topology: 'ACTIVE_STANDBY' }) });
  const before = new Set((await amphoraeOf(api, lb)).map(({ id }) => id));
  assert.equal((await api.call('PUT', `/loadbalancers/${lb}/failover`)).status, 202);
  await api.settled(lb);
  const after = await amphoraeOf(api, lb);
  assert.deepEqual(
    after.map(({ role, status, id }) => [role, status, before.has(id)]),
    [
      ['BACKUP', 'ALLOCATED', false],
      ['MASTER', 'ALLOCATED', false],
    ],
  );
  assert.equal(api.compute.all().length, 2);
  for (const { compute_id } of after) assert.match(api.agents.configurationOf(compute_id) ?? '', /^listener /u);
});

test('configuring an amphora gives its agent the configuration anew, also while its load balancer is in ERROR', async (t) => {
  const api = await withAmphorae(t);
  const lb = await api.create({});
  const [amphora] = await amphoraeOf(api, lb);
  const compute_id = amphora?.compute_id ?? '';
  assert.equal(api.agents.agentConfigurationOf(compute_id), null);
  assert.equal((await api.call('PUT', `${base}/${amphora?.id}/config`)).status, 202);
  assert.equal((await api.call('GET', `/loadbalancers/${lb}`)).body.loadbalancer.provisioning_status, 'ACTIVE');
  await api.settled(lb);
  assert.equal(api.agents.agentConfigurationOf(compute_id), `of amphora ${amphora?.id} of ${lb}`);
  await api.db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'ERROR' }).where('id', '=', lb).execute());
  assert.equal((await api.call('PUT', `${base}/${amphora?.id}/config`)).status, 202);
  await api.settled(lb);
  const due = await api.db.read.selectFrom('amphora').select('config_due').where('status', '!=', 'DELETED').execute();
  assert.deepEqual(due, [{ config_due: false }]);
  assert.equal(fault(await api.call('PUT', `${base}/${UNKNOWN}/config`))[0], 404);
});

test('only an amphora in ERROR is deleted, and replaced', async (t) => {
  const api = await withAmphorae(t);
  const lb = await api.create({});
  const [amphora] = await amphoraeOf(api, lb);
  const immutable = [409, `amphora ${amphora?.id} is immutable and cannot be updated.`];
  assert.deepEqual(fault(await api.call('DELETE', `${base}/${amphora?.id}`)), immutable);
  await api.db.tx((tx) =>
    tx
      .updateTable('amphora')
      .set({ status: 'ERROR' })
      .where('id', '=', amphora?.id ?? '')
      .execute(),
  );
  assert.equal((await api.call('DELETE', `${base}/${amphora?.id}`)).status, 204);
  await api.settled(lb);
  const after = await amphoraeOf(api, lb);
  assert.deepEqual(
    after.map(({ id, status }) => [id === amphora?.id, status]),
    [[false, 'ALLOCATED']],
  );
  assert.equal((await api.call('DELETE', `${base}/${amphora?.id}`)).status, 404);
});

test('an amphora without a load balancer is refused what it cannot do, and deleted in ERROR', async (t) => {
  const api = await withAmphorae(t);
  await api.db.tx((tx) =>
    tx
      .insertInto('amphora')
      .values(row({ id: UNKNOWN, status: 'ERROR' }) as never)
      .execute(),
  );
  const orphaned = [409, `Amphora ${UNKNOWN} does not belong to a load balancer.`];
  assert.deepEqual(fault(await api.call('PUT', `${base}/${UNKNOWN}/failover`)), orphaned);
  assert.deepEqual(fault(await api.call('PUT', `${base}/${UNKNOWN}/config`)), orphaned);
  assert.equal((await api.call('DELETE', `${base}/${UNKNOWN}`)).status, 204);
  assert.equal((await api.call('GET', `${base}/${UNKNOWN}`)).status, 404);
});
