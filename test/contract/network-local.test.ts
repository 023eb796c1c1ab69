/** The embedded network service: addresses are exact, ports are adopted, tenants see what is theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createLocalNetwork } from '../../src/cloud/local/network-service.ts';
import type { LocalNetworkService } from '../../src/cloud/local/network-service.ts';
import { createNetwork, createSubnet, deleteNetwork, deleteSubnet, updateSubnet } from '../../src/cloud/local/network/topology.ts';
import { RecordConflict } from '../../src/cloud/local/record-store.ts';
import type { RecordKind, RecordStore } from '../../src/cloud/local/record-store.ts';
import type { PortSpec } from '../../src/cloud/network.ts';
import { createRecords } from '../../src/db/records.ts';
import { newId } from '../../src/lib/ids.ts';
import { Fault } from '../../src/model/faults.ts';
import { withDatabase } from '../support/database.ts';
import { createMemoryRecordStore } from '../support/record-store.ts';

const service_project_id = 'f'.repeat(32);
const alice = 'a'.repeat(32);
const bob = 'b'.repeat(32);
const ranges = {
  management_cidr: '198.18.0.0/24',
  tenant_cidr: '198.18.1.0/24',
  tenant_cidr_v6: 'fd00:1:2:3::/64',
  floating_cidr: null,
  service_project_id,
};

type World = {
  readonly store: RecordStore;
  readonly service: LocalNetworkService;
  readonly network_id: string;
  readonly subnet_id: string;
};

/** The store in memory, and the one of production. */
const stores: Readonly<Record<string, (t: TestContext) => Promise<RecordStore>>> = {
  memory: async () => createMemoryRecordStore(),
  'a database': async (t) => {
    const db = await withDatabase(t, { file: true });
    return createRecords<RecordKind>(db, { conflict: (kind, message, options) => new RecordConflict(kind, message, options) });
  },
};

async function world(cidr: string, store: RecordStore = createMemoryRecordStore()): Promise<World> {
  const service = createLocalNetwork({ store });
  const network = await createNetwork(service.topology, { name: 'own', project_id: alice });
  const subnet = await createSubnet(service.topology, { name: 'own-subnet', project_id: alice, network_id: network.id, cidr });
  return { store, service, network_id: network.id, subnet_id: subnet.id };
}

function spec(here: Pick<World, 'network_id' | 'subnet_id'>, change: Partial<PortSpec> = {}): PortSpec {
  const { network_id, subnet_id } = here;
  const base = {
    name: `port-${newId()}`,
    network_id,
    project_id: alice,
    fixed_ips: [{ subnet_id }],
    device_id: 'lb-1',
    device_owner: 'Octavia',
  };
  return { ...base, ...change };
}

const status = (code: number) => (error: unknown) => error instanceof Fault && error.status === code;

test('the first start makes both networks once, and a second start finds them', async () => {
  const store = createMemoryRecordStore();
  const service = createLocalNetwork({ store });
  const first = await service.bootstrapNetworks({ ...ranges, tenant_cidr_v6: null });
  const second = await createLocalNetwork({ store }).bootstrapNetworks({ ...ranges, management_cidr: '198.18.9.0/24' });
  assert.equal(second.management.network.id, first.management.network.id);
  assert.equal(second.management.subnets[0]?.cidr, '198.18.0.0/24');
  assert.deepEqual(
    second.tenant.subnets.map((subnet) => [subnet.name, subnet.cidr, subnet.gateway_ip]),
    [
      ['private-subnet', '198.18.1.0/24', '198.18.1.1'],
      ['private-subnet-v6', 'fd00:1:2:3::/64', 'fd00:1:2:3::1'],
    ],
  );
  assert.equal((await service.listNetworks()).length, 2);
});

test('two first starts at once make the networks once', async () => {
  const store = createMemoryRecordStore();
  const [one, other] = await Promise.all([0, 1].map(() => createLocalNetwork({ store }).bootstrapNetworks(ranges)));
  assert.equal(one?.tenant.network.id, other?.tenant.network.id);
  assert.equal((await createLocalNetwork({ store }).listNetworks()).length, 2);
});

test('tenants see the shared network and not the management network', async () => {
  const service = createLocalNetwork({ store: createMemoryRecordStore() });
  const { management, tenant } = await service.bootstrapNetworks(ranges);
  assert.equal((await service.findNetwork(tenant.network.id, alice))?.shared, true);
  assert.equal((await service.findNetwork(tenant.network.id, alice))?.host_reachable, true);
  assert.equal(await service.findNetwork(management.network.id, alice), null);
  assert.equal(await service.findSubnet(management.subnets[0]?.id ?? '', alice), null);
  assert.notEqual(await service.findSubnet(management.subnets[0]?.id ?? '', null), null);
  assert.equal(await service.findNetwork('not-an-id\0', null), null);
});

for (const [kind, storeFor] of Object.entries(stores)) {
  test(`ports made at once get different addresses until the subnet is full, by two services on one store in ${kind}`, async (t) => {
    const here = await world('10.0.0.0/27', await storeFor(t));
    const other = createLocalNetwork({ store: here.store });
    const made = await Promise.all(
      Array.from({ length: 29 }, (_, index) => (index % 2 === 0 ? here.service : other).createPort(spec(here))),
    );
    const addresses = made.map((port) => port.fixed_ips[0]?.ip_address);
    assert.equal(new Set(addresses).size, 29);
    assert.equal(new Set(made.map((port) => port.mac_address)).size, 29);
    for (const taboo of ['10.0.0.0', '10.0.0.1', '10.0.0.31']) assert.ok(!addresses.includes(taboo));
    assert.equal(await here.service.countFreeAddresses(here.subnet_id), 0);
    await assert.rejects(here.service.createPort(spec(here)), status(409));
    await other.deletePort(made[5]?.id ?? '');
    assert.equal((await here.service.createPort(spec(here))).fixed_ips[0]?.ip_address, addresses[5]);
  });

  test(`a port of the same device and name is adopted, also when both are made at once, in ${kind}`, async (t) => {
    const here = await world('10.0.0.0/24', await storeFor(t));
    const wanted = spec(here, { name: 'octavia-lb-1' });
    const [one, other] = await Promise.all([here.service.createPort(wanted), createLocalNetwork({ store: here.store }).createPort(wanted)]);
    assert.equal(one.id, other.id);
    assert.equal((await here.service.createPort(wanted)).id, one.id);
    assert.equal(await here.service.countFreeAddresses(here.subnet_id), 252);
    await assert.rejects(here.service.createPort(spec(here, { vnic_type: 'direct' })), status(400));
    assert.ok(await here.service.createPort(spec(here, { vnic_type: 'normal', name: 'another' })));
  });

  test(`a port made while its subnet is removed is there with its subnet, or not at all, in ${kind}`, async (t) => {
    const store = await storeFor(t);
    for (let round = 0; round < 10; round += 1) {
      const here = await world('10.0.0.0/24', store);
      const [made, removed] = await Promise.allSettled([
        here.service.createPort(spec(here)),
        deleteSubnet(here.service.topology, here.subnet_id),
      ]);
      const subnet = await here.service.findSubnet(here.subnet_id, null);
      assert.equal(made.status === 'fulfilled', subnet !== null);
      assert.equal(removed.status === 'rejected', subnet !== null);
    }
  });
}

test('a /24 gives 100 ports with a few reads and one write each', async () => {
  const store = createMemoryRecordStore();
  const here = await world('10.0.0.0/24', store);
  await here.service.createPort(spec(here));
  const before = { ...store.counts };
  for (let index = 0; index < 100; index += 1) await here.service.createPort(spec(here));
  assert.equal(store.counts.writes - before.writes, 100);
  assert.ok(store.counts.reads - before.reads <= 400);
});

test('a given address is given, refused when it is taken, the gateway or not of the subnet', async () => {
  const here = await world('10.0.0.0/24');
  const at = (ip_address: string): Promise<unknown> =>
    here.service.createPort(spec(here, { fixed_ips: [{ subnet_id: here.subnet_id, ip_address }] }));
  await at('10.0.0.77');
  await assert.rejects(at('10.0.0.77'), status(409));
  await assert.rejects(at('10.0.0.1'), status(409));
  for (const bad of ['10.0.1.5', '10.0.0.0', '10.0.0.255', 'fd00::1', 'nonsense', '10.0.0.077']) await assert.rejects(at(bad), status(400));
  const together = await Promise.allSettled(Array.from({ length: 5 }, () => at('10.0.0.80')));
  assert.equal(together.filter((each) => each.status === 'fulfilled').length, 1);
});

test('IPv6 addresses are one address in every spelling', async () => {
  const here = await world('fd00:1::/64');
  const at = (ip_address: string): Promise<{ readonly fixed_ips: readonly { readonly ip_address: string }[] }> =>
    here.service.createPort(spec(here, { fixed_ips: [{ subnet_id: here.subnet_id, ip_address }] }));
  assert.equal((await at('FD00:0001:0:0:0:0:0:00Ab')).fixed_ips[0]?.ip_address, 'fd00:1::ab');
  await assert.rejects(at('fd00:1::ab'), status(409));
  assert.equal((await here.service.createPort(spec(here))).fixed_ips[0]?.ip_address, 'fd00:1::2');
});

test('a failed port of two subnets gives its other address back', async () => {
  const here = await world('10.0.0.0/30');
  const second = await createSubnet(here.service.topology, {
    name: 'two',
    project_id: alice,
    network_id: here.network_id,
    cidr: '10.0.1.0/30',
  });
  await here.service.createPort(spec({ ...here, subnet_id: second.id }));
  await assert.rejects(
    here.service.createPort(spec(here, { fixed_ips: [{ subnet_id: here.subnet_id }, { subnet_id: second.id }] })),
    status(409),
  );
  assert.equal((await here.service.createPort(spec(here))).fixed_ips[0]?.ip_address, '10.0.0.2');
});

test('ports of a device are found by it, and follow a change of device', async () => {
  const here = await world('10.0.0.0/24');
  const port = await here.service.createPort(spec(here, { device_id: 'amphora-1', name: 'one' }));
  await here.service.createPort(spec(here, { device_id: 'amphora-2', name: 'one' }));
  assert.deepEqual(
    (await here.service.listPorts({ device_id: 'amphora-1' })).map((each) => each.id),
    [port.id],
  );
  assert.equal((await here.service.listPorts({ name: 'one' })).length, 2);
  assert.equal((await here.service.listPorts({ device_owner: 'Octavia' })).length, 2);
  await here.service.updatePort(port.id, { device_id: 'amphora-3' });
  assert.equal((await here.service.listPorts({ device_id: 'amphora-1' })).length, 0);
  assert.equal((await here.service.listPorts({ device_id: 'amphora-3' })).length, 1);
  await here.service.updatePort(port.id, { device_id: '' });
  assert.equal((await here.service.listPorts({ device_owner: 'Octavia' })).length, 2);
  await here.service.deletePort(port.id);
  await here.service.deletePort(port.id);
  assert.equal((await here.service.listPorts({ device_id: 'amphora-3' })).length, 0);
});

test("a tenant's port is not ours until we take it, and is the tenant's again when we give it back", async () => {
  const here = await world('10.0.0.0/24');
  const forged = { ...spec(here, { name: '', device_id: 'lb-1' }), description: 'forged' };
  const [one, other] = [await here.service.createTenantPort(forged), await here.service.createTenantPort(forged)];
  assert.deepEqual(await here.service.listPorts({ device_id: 'lb-1' }), []);
  await here.service.updatePort(one.id, { device_id: 'lb-2', device_owner: 'Octavia' });
  await here.service.updatePort(other.id, { device_id: 'lb-2', device_owner: 'Octavia' });
  assert.equal((await here.service.listPorts({ device_id: 'lb-2' })).length, 2);
  await here.service.updatePort(one.id, { device_id: '', device_owner: '' });
  assert.deepEqual(
    (await here.service.listPorts({ device_id: 'lb-2' })).map((each) => each.id),
    [other.id],
  );
  assert.equal((await here.service.findPort(one.id, alice))?.device_id, '');
  assert.equal(await here.service.findPort(one.id, bob), null);
});

test('a network or subnet in use stays, and can be used afterwards as before', async () => {
  const deleted: string[] = [];
  const store = createMemoryRecordStore();
  const here = await world('10.0.0.0/24', store);
  const service = createLocalNetwork({ store, onNetworkDeleted: async (id) => void deleted.push(id) });
  const port = await service.createPort(spec(here));
  await assert.rejects(deleteNetwork(service.topology, here.network_id), status(409));
  await assert.rejects(deleteSubnet(service.topology, here.subnet_id), status(409));
  await service.deletePort((await service.createPort(spec(here))).id);
  await service.deletePort(port.id);
  await deleteNetwork(service.topology, here.network_id);
  assert.deepEqual(deleted, [here.network_id]);
  await assert.rejects(service.createPort(spec(here)), status(404));
  await assert.rejects(deleteNetwork(service.topology, here.network_id), status(404));
});

test('a crash while a subnet was being removed is mended by the next start', async () => {
  const here = await world('10.0.0.0/24');
  await here.store.write([{ action: 'delete', kind: 'network.allocation', id: `guard/${here.subnet_id}` }]);
  await assert.rejects(here.service.createPort(spec(here)), status(409));
  await here.service.bootstrapNetworks(ranges);
  await here.service.createPort(spec(here));
});

test('subnets that cannot be are refused', async () => {
  const here = await world('10.0.0.0/24');
  const make = (cidr: string, more: object = {}): Promise<unknown> =>
    createSubnet(here.service.topology, { name: 'x', project_id: alice, network_id: here.network_id, cidr, ...more });
  for (const cidr of [
    '10.0.0.128/25',
    'x',
    '10.0.1.0/33',
    '10.0.1.0/31',
    '127.0.0.0/24',
    '224.0.0.0/24',
    'fe80::/64',
    '::/64',
    '10.0.1.0',
  ]) {
    await assert.rejects(make(cidr), status(400), cidr);
  }
  await assert.rejects(make('10.0.1.0/24', { gateway_ip: '10.0.2.1' }), status(400));
  await assert.rejects(make('10.0.1.0/24', { allocation_pools: [{ start: '10.0.1.9', end: '10.0.2.9' }] }), status(400));
  await assert.rejects(make('10.0.1.0/24', { allocation_pools: [{ start: '10.0.1.1', end: '10.0.1.9' }] }), status(409));
});

test('pools are respected, and a change of pools counts at once', async () => {
  const here = await world('10.0.0.0/24');
  const network = await createNetwork(here.service.topology, { name: 'n', project_id: alice });
  const pool = [{ start: '10.9.0.100', end: '10.9.0.101' }];
  const subnet = await createSubnet(here.service.topology, {
    name: 's',
    project_id: alice,
    network_id: network.id,
    cidr: '10.9.0.0/24',
    allocation_pools: pool,
  });
  const there = { network_id: network.id, subnet_id: subnet.id };
  const make = async (): Promise<string | undefined> => (await here.service.createPort(spec(there))).fixed_ips[0]?.ip_address;
  assert.deepEqual([await make(), await make()].toSorted(), ['10.9.0.100', '10.9.0.101']);
  await assert.rejects(make(), status(409));
  await updateSubnet(here.service.topology, subnet.id, { allocation_pools: [{ start: '10.9.0.50', end: '10.9.0.50' }, ...pool] });
  assert.equal(await make(), '10.9.0.50');
});

test('networks that the host is part of do not overlap, others may', async () => {
  const here = await world('198.18.1.0/24');
  await here.service.bootstrapNetworks(ranges);
  const reachable = await createNetwork(here.service.topology, { name: 'r', project_id: alice, host_reachable: true });
  const make = (cidr: string): Promise<unknown> =>
    createSubnet(here.service.topology, { name: 'x', project_id: alice, network_id: reachable.id, cidr });
  await assert.rejects(make('198.18.0.0/16'), status(400));
  await make('198.19.0.0/24');
});
