import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { findInit } from '../../src/cloud/local/compute/launch.ts';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { destroyState } from '../../src/cloud/local/compute/destroy.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { run } from '../../src/lib/run.ts';
import { createLocalCloud, instanceSpec, openLocalCloud } from '../support/local-cloud.ts';
import type { TestCloud } from '../support/local-cloud.ts';
import { namespacesUnavailable, tracesOf } from '../support/namespaces.ts';

const options = { skip: namespacesUnavailable(), timeout: 120_000 };
const CONTROLLER = join(import.meta.dirname, '../support/compute-controller.ts');

async function open(t: TestContext, settings: Parameters<typeof createLocalCloud>[0] = {}): Promise<TestCloud> {
  const cloud = await createLocalCloud({ stop_grace_ms: 50, ...settings });
  t.after(cloud.destroy);
  return cloud;
}

function initOf(cloud: TestCloud, compute_id: string): { readonly pid: number; readonly started: number } {
  return findInit(cloud.state_id, compute_id) ?? assert.fail('the instance has no init');
}

/** The hardware addresses in the traffic namespace of an instance. */
async function trafficMacs(cloud: TestCloud, compute_id: string): Promise<readonly string[]> {
  const { traffic } = cloud.compute.namespacesOf(compute_id);
  const links = JSON.parse(await run('ip', ['-n', traffic, '-j', 'link', 'show', 'type', 'veth'])) as { address: string }[];
  return links.map(({ address }) => address).toSorted();
}

async function eventually<T>(look: () => Promise<T | null> | T | null, what: string): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('instances outlive a controller that is killed, and the next one finds them as they were', options, async (t) => {
  const cloud = await open(t);
  const controller = spawn(process.execPath, [CONTROLLER, cloud.state_dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = lines(controller.stdout);
  await eventually(() => (said.filter(({ action }) => action === 'attached').length >= 3 ? true : null), 'three instances');
  const attached = said.filter(({ action }) => action === 'attached');
  const before = attached.map(({ compute_id }) => initOf(cloud, compute_id).pid);
  await killed(controller);
  const listed = await (await openLocalCloud(cloud.state_dir)).compute.listInstances({});
  for (const [index, { compute_id, port_id }] of attached.entries()) {
    const instance = listed.find((each) => each.compute_id === compute_id);
    assert.equal(instance?.status, 'ACTIVE');
    assert.deepEqual(instance.port_ids, [port_id]);
    assert.equal(initOf(cloud, compute_id).pid, before[index], 'its processes are the same');
  }
});

test('a controller killed at any moment leaves nothing that the next one cannot finish', options, async (t) => {
  const cloud = await open(t);
  const wanted = new Map<string, string | null>();
  const removed = new Set<string>();
  for (let round = 0; round < 8; round += 1) {
    const controller = spawn(process.execPath, [CONTROLLER, cloud.state_dir], { stdio: ['ignore', 'pipe', 'inherit'] });
    const said = lines(controller.stdout);
    // Each of the five lines of its round is once the last one, and the moment after it is random.
    await eventually(() => (said.length > round % 5 ? true : null), 'the controller goes on');
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    await killed(controller);
    for (const { action, compute_id, port_id } of said) {
      if (action === 'create') wanted.set(compute_id, null);
      if (action === 'attached') wanted.set(compute_id, port_id);
      if (action === 'delete') removed.add(compute_id);
    }
    t.diagnostic(`round ${round}: killed after ${said.length} steps, in ${JSON.stringify(said.at(-1)?.action)}`);
    const next = (await openLocalCloud(cloud.state_dir)).compute;
    for (const compute_id of wanted.keys()) await next.createInstance(instanceSpec({ amphora_id: compute_id }));
    for (const compute_id of removed) await next.deleteInstance(compute_id);
    const listed = await next.listInstances({});
    for (const [compute_id, port_id] of wanted) {
      const instance = listed.find((each) => each.compute_id === compute_id);
      assert.equal(instance?.status, 'ACTIVE', compute_id);
      if (port_id !== null) assert.deepEqual(instance.port_ids, [port_id]);
    }
    // What was made beside those, between two lines of the controller, is whole as well.
    assert.deepEqual([...new Set(listed.map(({ status }) => status))], ['ACTIVE']);
    assert.ok(![...removed].some((compute_id) => listed.some((each) => each.compute_id === compute_id)));
    const inits = findMarked(cloud.state_id).filter(({ is_init }) => is_init);
    assert.equal(inits.length, listed.length, 'each has one init');
    assert.deepEqual(cloud.ports.allocated().toSorted(), listed.map(({ compute_id }) => compute_id).toSorted(), 'each has one address');
  }
});

test('an init that is killed is started again in place, with its address and ports', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork();
  const { compute_id, lb_network_ip } = await cloud.compute.createInstance(instanceSpec());
  const { port } = cloud.addPort(network);
  await cloud.compute.attachPort(compute_id, port.id);
  const first = initOf(cloud, compute_id);
  process.kill(first.pid, 'SIGKILL');
  const healed = await eventually(async () => {
    const [instance] = await cloud.compute.listInstances({});
    return findInit(cloud.state_id, compute_id)?.pid !== first.pid && instance?.status === 'ACTIVE' ? instance : null;
  }, 'the instance is active again');
  assert.equal(healed.lb_network_ip, lb_network_ip);
  assert.deepEqual(healed.port_ids, [port.id]);
  assert.deepEqual(await trafficMacs(cloud, compute_id), [port.mac_address]);
});

test('healing goes on by itself until it is stopped', options, async (t) => {
  const cloud = await open(t);
  const { compute_id } = await cloud.compute.createInstance(instanceSpec());
  const stop = cloud.compute.startHealing(20);
  t.after(stop);
  const first = initOf(cloud, compute_id);
  process.kill(first.pid, 'SIGKILL');
  await eventually(() => {
    const init = findInit(cloud.state_id, compute_id);
    return init !== null && init.pid !== first.pid ? init : null;
  }, 'a new init');
  await stop();
});

test('after a reboot, when namespaces and processes are gone, instances come back with addresses and ports', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  const { compute_id, lb_network_ip } = await cloud.compute.createInstance(instanceSpec());
  const ports = [cloud.addPort(network), cloud.addPort(network), cloud.addPort(network)];
  for (const { port } of ports) await cloud.compute.attachPort(compute_id, port.id);
  cloud.ports.remove(ports[2]?.port.id ?? '');
  await loseMachineState(cloud);
  const [healed] = await (await openLocalCloud(cloud.state_dir)).compute.listInstances({});
  const kept = ports.slice(0, 2).map(({ port }) => port);
  assert.equal(healed?.status, 'ACTIVE');
  assert.equal(healed.lb_network_ip, lb_network_ip);
  assert.deepEqual(healed.port_ids.toSorted(), kept.map(({ id }) => id).toSorted(), 'a port that was deleted meanwhile is forgotten');
  assert.deepEqual(await trafficMacs(cloud, compute_id), kept.map(({ mac_address }) => mac_address).toSorted());
});

test('bridges that are lost are made again, and instances are wired anew', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork();
  const { compute_id } = await cloud.compute.createInstance(instanceSpec());
  const { port } = cloud.addPort(network);
  await cloud.compute.attachPort(compute_id, port.id);
  await run('ip', ['netns', 'delete', cloud.fabric.namespace]);
  const healed = await eventually(
    async () => (await cloud.compute.listInstances({})).find(({ status }) => status === 'ACTIVE') ?? null,
    'active again',
  );
  assert.deepEqual(healed.port_ids, [port.id]);
  assert.deepEqual(await trafficMacs(cloud, compute_id), [port.mac_address]);
});

test('a running instance whose record is lost is adopted when it is asked for again', options, async (t) => {
  const cloud = await open(t);
  const spec = instanceSpec();
  const { compute_id, lb_network_ip } = await cloud.compute.createInstance(spec);
  const first = initOf(cloud, compute_id);
  rmSync(join(cloud.state_dir, 'instances', compute_id, 'instance.json'));
  const adopted = await (await openLocalCloud(cloud.state_dir)).compute.createInstance(spec);
  assert.equal(adopted.status, 'ACTIVE');
  assert.equal(adopted.lb_network_ip, lb_network_ip);
  assert.equal(findMarked(cloud.state_id).filter(({ is_init }) => is_init).length, 1);
  assert.ok(first.pid > 0);
});

test('an instance that ends again and again is in ERROR with its last words, and can be removed', options, async (t) => {
  let now = 0;
  // Time runs fast, so that nobody waits until it may be started again; all deaths are still within a minute.
  const clock = { ...systemClock, now: () => (now += 2000) };
  const cloud = await open(t, { init: '#!/bin/sh\necho "no such luck" >&2\nexit 3\n', clock });
  const { compute_id } = await cloud.compute
    .createInstance(instanceSpec())
    .catch(async () => (await cloud.compute.listInstances({}))[0] ?? assert.fail());
  const given = await eventually(
    async () => (await cloud.compute.listInstances({})).find(({ status }) => status === 'ERROR') ?? null,
    'ERROR',
  );
  assert.match(given.fault ?? '', /ended 6 times within a minute: .*no such luck/u);
  await cloud.compute.deleteInstance(compute_id);
  assert.deepEqual(await cloud.compute.listInstances({}), []);
});

test('destroying a state leaves nothing of it on the machine, also with its folders lost', options, async (t) => {
  const cloud = await open(t);
  const network = await cloud.addNetwork({ host_reachable: true });
  for (const spec of [instanceSpec(), instanceSpec(), instanceSpec()]) {
    const { compute_id } = await cloud.compute.createInstance(spec);
    await cloud.compute.attachPort(compute_id, cloud.addPort(network).port.id);
  }
  assert.ok((await tracesOf(cloud.state_id)).length > 10);
  rmSync(cloud.state_dir, { recursive: true });
  const removed = await destroyState(cloud.state_dir, cloud.state_id);
  assert.ok(removed.processes >= 3);
  assert.deepEqual(await tracesOf(cloud.state_id), []);
  assert.deepEqual(await destroyState(null, cloud.state_id), { processes: 0, namespaces: 0, interfaces: 0 });
});

test('destroying refuses what is not a state id', options, async () => {
  await assert.rejects(destroyState(null, ''), /not a state id/u);
  await assert.rejects(destroyState(null, '../../x'), /not a state id/u);
});

test('limits are set where this machine has cgroups', options, async (t) => {
  const cloud = await open(t, { limits: { memory_bytes: 300 * 2 ** 20, cpu_percent: 50, pids: 77 } });
  const { compute_id } = await cloud.compute.createInstance(instanceSpec());
  const groups = (await run('cat', [`/proc/${initOf(cloud, compute_id).pid}/cgroup`])).split('\n');
  const mine = groups.filter((line) => line.includes(cloud.state_id));
  if (!(await tracesOf(cloud.state_id)).some((line) => line.startsWith('cgroup'))) t.skip('no cgroup controller is writable here');
  else assert.ok(mine.every((line) => line.endsWith(`/${compute_id}`)) && mine.length > 0);
});

test('an instance sees none of the host beyond its programs', options, async (t) => {
  const probe = `#!/bin/sh
trap 'exit 0' TERM
for path in "$OCTAVIA_AMPHORA_DIR/amphora-agent.conf" "$OCTAVIA_TRAFFIC_NETNS" "$OCTAVIA_NODE"; do [ -e "$path" ] || echo "missing $path"; done
for path in STATE_DIR /etc/shadow /root/.bashrc /home/* /var/log /dev/kvm /dev/vda /proc/2/stat; do [ ! -e "$path" ] || echo "sees $path"; done
(echo x > /proc/sys/kernel/core_pattern) 2> /dev/null && echo "writes core_pattern"
(: > /usr/octavia-test) 2> /dev/null && echo "writes /usr"
echo "probed as $(hostname)"
while :; do sleep 1000 & wait $!; done
`;
  const place = await createLocalCloud();
  t.after(place.destroy);
  for (const launcher of ['bwrap', 'unshare'] as const) {
    const cloud = await openLocalCloud(place.state_dir, { launcher, init: probe.replace('STATE_DIR', place.state_dir) });
    const spec = instanceSpec();
    const { compute_id } = await cloud.compute.createInstance(spec);
    const log = join(cloud.state_dir, 'instances', compute_id, 'console.log');
    const said = await eventually(async () => {
      const text = await run('cat', [log]);
      return text.includes('probed') ? text : null;
    }, 'the probe has run');
    assert.equal(said, `probed as amphora-${spec.amphora_id}\n`, launcher);
  }
});

type Line = { readonly action: string; readonly compute_id: string; readonly port_id: string | null };

/** The lines of a controller so far; the answer grows. */
function lines(stream: NodeJS.ReadableStream): Line[] {
  const found: Line[] = [];
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    found.push(...parts.map((part) => JSON.parse(part) as Line));
  });
  return found;
}

async function killed(child: ReturnType<typeof spawn>): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** What a reboot does: processes and namespaces are gone, files stay. */
async function loseMachineState(cloud: TestCloud): Promise<void> {
  const files = join(cloud.state_dir, 'instances');
  const kept = `${files}.kept`;
  await run('mv', [files, kept]);
  await destroyState(null, cloud.state_id);
  await run('mv', [kept, files]);
}
