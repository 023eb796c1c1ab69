/** An administrator on one machine: amphorae are replaced and configured while they serve, and are as large as flavors say. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readHierarchies } from '../../src/cloud/local/compute/cgroups.ts';
import { makeLoadBalancer, removeLoadBalancer, type ShownLoadBalancer, waitActive, waitMember } from '../support/load-balancers.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { until } from '../support/octavia.ts';
import { asMember, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask, askMany, startTraffic } from '../support/traffic.ts';

const base = '/v2/octavia/amphorae';

type ShownAmphora = {
  readonly id: string;
  readonly compute_id: string;
  readonly compute_flavor: string | null;
  readonly cached_zone: string | null;
  readonly status: string;
};

const amphoraeOf = async ({ admin }: Stage, lb: ShownLoadBalancer): Promise<readonly ShownAmphora[]> =>
  (await admin.call<{ amphorae: ShownAmphora[] }>('GET', `${base}?loadbalancer_id=${lb.id}`)).amphorae;

test('an administrator on one machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue, green } = stage;
  const lb = await makeLoadBalancer(client, wholeTree('moving', subnet.id, [asMember(blue), asMember(green)]));
  await waitMember(client, poolOf(lb), 'blue', 'ONLINE');
  await waitMember(client, poolOf(lb), 'green', 'ONLINE');
  const failovers: Readonly<Record<string, (amphora_id: string) => string>> = {
    'one amphora': (amphora_id) => `${base}/${amphora_id}/failover`,
    'a load balancer': () => `/v2/lbaas/loadbalancers/${lb.id}/failover`,
  };
  for (const [what, pathOf] of Object.entries(failovers))
    await t.test(`failover of ${what}: another amphora serves at the same address`, (inner) => replace(stage, lb, pathOf, inner));
  await t.test('configuring an amphora gives its agent the configuration of now', () => configure(stage, lb));
  await removeLoadBalancer(client, lb.id);
  await t.test('a zone of this machine is local, with networks that exist; any other is refused beforehand', () => zones(stage));
  await t.test('a compute flavor is the size of an amphora; what is none is refused beforehand', (inner) => sizes(stage, inner));
});

async function replace(stage: Stage, lb: ShownLoadBalancer, pathOf: (amphora_id: string) => string, t: TestContext): Promise<void> {
  const { client, admin } = stage;
  const vip = vipOf(lb);
  const before = await amphoraeOf(stage, lb);
  const traffic = startTraffic(t, { ...vip, connections: 'fresh', per_second: 40 });
  await until(() => traffic.sent() > 10, 'traffic flows');
  const begun_ms = Date.now();
  await admin.call('PUT', pathOf(before[0]?.id ?? ''));
  await waitActive(client, lb.id);
  const took_ms = Date.now() - begun_ms;
  const after = await amphoraeOf(stage, lb);
  assert.deepEqual(
    after.map(({ status }) => status),
    ['ALLOCATED'],
  );
  assert.notEqual(after[0]?.id, before[0]?.id);
  await until(async () => (await ask(vip).catch(() => '')) !== '', 'it serves again', 20_000);
  const sent = traffic.sent();
  await until(() => traffic.sent() > sent + 60, 'traffic goes on');
  await traffic.stop();
  const failures = traffic.failures();
  const outage_ms =
    failures.length === 0 ? 0 : Math.max(...failures.map(({ at_ms }) => at_ms)) - Math.min(...failures.map(({ at_ms }) => at_ms));
  console.log(`  replaced in ${took_ms} ms; ${failures.length} of ${traffic.sent()} requests failed, within ${outage_ms} ms`);
  assert.ok(outage_ms < 5000, `no traffic for ${outage_ms} ms`);
  assert.deepEqual([...(await askMany(vip, 6)).keys()].toSorted(), ['blue', 'green']);
  assert.equal(existsSync(join(stage.octavia.state_dir, 'instances', before[0]?.compute_id ?? '')), false);
}

async function configure(stage: Stage, lb: ShownLoadBalancer): Promise<void> {
  const [amphora] = await amphoraeOf(stage, lb);
  const file = join(stage.octavia.state_dir, 'instances', amphora?.compute_id ?? '', 'files/etc/octavia/amphora-agent.conf');
  const before = readFileSync(file, 'utf8');
  appendFileSync(file, '# changed by hand\n');
  await stage.admin.call('PUT', `${base}/${amphora?.id}/config`);
  await until(() => readFileSync(file, 'utf8') === before, 'the agent has its configuration again');
  assert.equal((await stage.client.send('GET', `/v2/lbaas/loadbalancers/${lb.id}`)).status, 200);
  assert.deepEqual([...(await askMany(vipOf(lb), 6)).keys()].toSorted(), ['blue', 'green']);
}

async function zones(stage: Stage): Promise<void> {
  const { admin, client, subnet, blue } = stage;
  const profile = (data: object) =>
    admin.send('POST', '/v2/lbaas/availabilityzoneprofiles', {
      availability_zone_profile: { name: 'p', provider_name: 'amphora', availability_zone_data: JSON.stringify(data) },
    });
  const { network_id } = subnet;
  const refused = [{ compute_zone: 'nova' }, { volume_zone: 'nova' }, { management_network: network_id }, { valid_vip_networks: ['none'] }];
  for (const data of refused) assert.equal((await profile(data)).status, 400, JSON.stringify(data));
  const made = (await profile({ compute_zone: 'local', valid_vip_networks: [network_id] })).body as unknown as Shown;
  const zone = { name: 'here', availability_zone_profile_id: made.availability_zone_profile.id };
  await admin.call('POST', '/v2/lbaas/availabilityzones', { availability_zone: zone });
  const lb = await makeLoadBalancer(client, { ...wholeTree('here', subnet.id, [asMember(blue)]), availability_zone: 'here' });
  assert.deepEqual(
    (await amphoraeOf(stage, lb)).map(({ cached_zone }) => cached_zone),
    ['local'],
  );
  await removeLoadBalancer(client, lb.id);
}

type Shown = { readonly availability_zone_profile: { readonly id: string } };

async function sizes(stage: Stage, t: TestContext): Promise<void> {
  const { admin, client, subnet, blue, state_id } = stage;
  const profile = (flavor_data: object) =>
    admin.send('POST', '/v2/lbaas/flavorprofiles', {
      flavorprofile: { name: 'p', provider_name: 'amphora', flavor_data: JSON.stringify(flavor_data) },
    });
  for (const refused of [{ compute_flavor: 'm1.small' }, { amp_image_tag: 'amphora' }, { sriov_vip: true }, { allow_member_sriov: true }])
    assert.equal((await profile(refused)).status, 400, JSON.stringify(refused));
  const compute_flavor = 'cpu=0.5,memory=300,processes=120';
  const made = (await profile({ compute_flavor })).body as unknown as { flavorprofile: { id: string } };
  const offer = { flavor: { name: 'small', flavor_profile_id: made.flavorprofile.id } };
  const { flavor } = await admin.call<{ flavor: { id: string } }>('POST', '/v2/lbaas/flavors', offer);
  const lb = await makeLoadBalancer(client, { ...wholeTree('small', subnet.id, [asMember(blue)]), flavor_id: flavor.id });
  const [amphora] = await amphoraeOf(stage, lb);
  assert.equal(amphora?.compute_flavor, compute_flavor);
  const groups = readHierarchies().map(({ path }) => join(path, `oct-${state_id}`, amphora?.compute_id ?? ''));
  const limits = groups.flatMap((group) =>
    ['pids.max', 'memory.max', 'memory.limit_in_bytes', 'cpu.max', 'cpu.cfs_quota_us'].map((name) => join(group, name)),
  );
  const set = limits.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8').trim());
  if (set.length === 0) t.diagnostic('no cgroup controller is writable here');
  for (const value of set) assert.ok(['120', String(300 * 2 ** 20), '50000 100000', '50000'].includes(value), value);
  await until(async () => (await ask(vipOf(lb)).catch(() => '')) === 'blue', 'it serves');
  await removeLoadBalancer(client, lb.id);
}
