/** Changes through the API while traffic flows: no request is lost, no connection is cut, and HAProxy is not reloaded. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import type { ChangeReport } from '../../src/wire/agent-api.ts';
import {
  change,
  makeLoadBalancer,
  membersOf,
  removeLoadBalancer,
  type Resource,
  type ShownLoadBalancer,
  waitActive,
} from '../support/load-balancers.ts';
import { startMember, type TestMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { type ApiClient, signIn, until } from '../support/octavia.ts';
import { asMember, commandOf, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { ask, startTraffic, type Target, tellFailures } from '../support/traffic.ts';

/** Traffic of all kinds; `check` ends it and fails for whatever went wrong. */
type Load = { check(): Promise<string> };

type Play = { readonly stage: Stage; readonly client: ApiClient; readonly lb: ShownLoadBalancer; readonly red: TestMember };

test('a load balancer changes under traffic', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const { client, subnet, blue, green } = stage;
  const red = await startMember(t, { name: 'red', address: subnet.gateway_ip });
  const tree = wholeTree('hitless', subnet.id, [asMember(blue), asMember(green)]) as { listeners: object[] };
  const listeners = tree.listeners.map((listener) => ({ ...listener, allowed_cidrs: ['0.0.0.0/0'] }));
  const lb = await makeLoadBalancer(client, { ...tree, listeners });
  await until(async () => (await ask(vipOf(lb)).catch(() => '')) !== '', 'the first byte comes');
  const play = { stage, client, lb, red };
  const stories: Readonly<Record<string, (play: Play, t: TestContext) => Promise<void>>> = {
    'members come, change and go, limits and allowed CIDRs change: nothing is lost': manyChanges,
    'a batch of 160 members takes effect at once': batch,
    'agents and controllers that die in the middle of changes are not noticed': deaths,
  };
  for (const [name, story] of Object.entries(stories))
    await t.test(name, async (inner) => {
      const load = startLoad(inner, vipOf(lb));
      const begun = reports(stage).length;
      await story(play, inner);
      inner.diagnostic(await load.check());
      const told = reports(stage).slice(begun);
      assert.deepEqual(
        told.filter(({ how }) => how === 'reload' || how === 'start').map(({ reason }) => reason),
        [],
      );
      inner.diagnostic(`${told.filter(({ how }) => how === 'commands').length} changes by commands, no reload`);
    });
  await t.test('an administrator sees how often HAProxy was spared a reload, and why not when it was not', () => statistics(play));
  await removeLoadBalancer(await signIn(stage.octavia), lb.id);
});

/** What `GET /amphorae/<id>/stats` tells besides the counters. */
type Told = {
  readonly maxconn_limit: number;
  readonly by_commands: number;
  readonly reloads: number;
  readonly last_reloads: readonly { readonly reason: string }[];
};

async function statistics({ stage: { octavia }, lb }: Play): Promise<void> {
  const [client, admin] = [await signIn(octavia), await signIn(octavia, 'admin')];
  const { amphorae } = await admin.call<{ amphorae: Resource[] }>('GET', `/v2/octavia/amphorae?loadbalancer_id=${lb.id}`);
  const path = `/v2/octavia/amphorae/${amphorae[0]?.id}/stats`;
  const told = async () => (await admin.call<{ amphora_haproxy?: Told }>('GET', path)).amphora_haproxy;
  const before = await until(told, 'heartbeats tell of it');
  assert.ok(before.by_commands > 20, JSON.stringify(before));
  assert.deepEqual([before.reloads, before.maxconn_limit > 0], [0, true]);
  // Nothing but a reload changes a time-out.
  await change(client, lb.id, 'PUT', `/listeners/${lb.listeners[0]?.id}`, { listener: { timeout_client_data: 12_345 } });
  const after = await until(async () => {
    const now = await told();
    return now?.reloads === 1 && now;
  }, 'heartbeats tell of the reload');
  assert.equal(after.last_reloads[0]?.reason, `frontend ${lb.listeners[0]?.id}: timeout changes`);
}

/** What agents told of each configuration, oldest first: lines of the controllers' log. */
function reports({ octavia }: Stage): readonly ChangeReport[] {
  const lines = octavia
    .output()
    .split('\n')
    .filter((line) => line.includes('an amphora follows its configuration'));
  return lines.map((line) => JSON.parse(line.slice(line.indexOf('{'))) as ChangeReport);
}

/** Fresh connections, connections that must last, and requests that take two seconds. */
function startLoad(t: TestContext, vip: Target): Load {
  const steady = Array.from({ length: 3 }, () => startTraffic(t, { ...vip, connections: 'persistent', per_second: 40 }));
  const fresh = Array.from({ length: 2 }, () => startTraffic(t, { ...vip, connections: 'fresh', per_second: 40 }));
  let isDone = false;
  const long: string[] = [];
  const failures: string[] = [];
  const lanes = Array.from({ length: 4 }, async () => {
    while (!isDone)
      await ask(vip, '/?ms=2000').then(
        (name) => long.push(name),
        (error: unknown) => failures.push(String(error)),
      );
  });
  return {
    async check() {
      isDone = true;
      await Promise.all([...lanes, ...steady.map((each) => each.stop()), ...fresh.map((each) => each.stop())]);
      const all = [...steady, ...fresh];
      const failed = all.flatMap((each) => each.failures());
      assert.equal(failed.length, 0, tellFailures(failed));
      assert.deepEqual(failures, []);
      return `${all.reduce((sum, each) => sum + each.sent(), 0)} short and ${long.length} long requests, none failed`;
    },
  };
}

async function manyChanges({ client, lb, red }: Play): Promise<void> {
  const members = `/pools/${poolOf(lb)}/members`;
  const listener = `/listeners/${lb.listeners[0]?.id}`;
  const vip = vipOf(lb);
  const namesNow = async (): Promise<string> =>
    [...new Set(await Promise.all(Array.from({ length: 16 }, () => ask(vip))))].toSorted().join();
  for (let round = 0; round < 4; round += 1) {
    const added = await change<Resource>(client, lb.id, 'POST', members, { member: asMember(red) });
    assert.match(await namesNow(), /red/u, 'a new member has traffic when its load balancer is ACTIVE');
    const set = (member: object): Promise<unknown> => change(client, lb.id, 'PUT', `${members}/${added.id}`, { member });
    await set({ weight: 0 });
    assert.equal(await namesNow(), 'blue,green');
    await set({ weight: 5, admin_state_up: false });
    assert.equal(await namesNow(), 'blue,green');
    await set({ admin_state_up: true, monitor_port: red.port, monitor_address: red.address });
    assert.match(await namesNow(), /red/u);
    await change(client, lb.id, 'PUT', listener, { listener: { connection_limit: 200 + round } });
    await change(client, lb.id, 'PUT', listener, { listener: { allowed_cidrs: ['0.0.0.0/0', `192.0.2.${round}/32`] } });
    await change(client, lb.id, 'DELETE', `${members}/${added.id}`);
    assert.equal(await namesNow(), 'blue,green');
  }
}

/** Members without weight: nothing listens where they point. */
async function batch({ client, lb, stage: { blue, green } }: Play, t: TestContext): Promise<void> {
  const path = `/pools/${poolOf(lb)}/members`;
  const kept = [asMember(blue), asMember(green)];
  const many = Array.from({ length: 160 }, (_, index) => ({ address: blue.address, protocol_port: 60_000 + index, weight: 0 }));
  const begun = performance.now();
  await change(client, lb.id, 'PUT', path, { members: [...kept, ...many] });
  t.diagnostic(`160 members were in effect ${Math.round(performance.now() - begun)} ms after they were asked for`);
  assert.equal((await membersOf(client, poolOf(lb))).size > 2, true);
  await change(client, lb.id, 'PUT', path, { members: kept });
}

async function deaths({ stage, lb, red }: Play): Promise<void> {
  const { octavia, state_id } = stage;
  const path = `/v2/lbaas/pools/${poolOf(lb)}/members`;
  for (const victim of ['agent', 'controllers', 'agent'] as const) {
    let client = await signIn(octavia);
    const { member } = await client.call<{ member: Resource }>('POST', path, { member: asMember(red) });
    if (victim === 'agent') {
      const agent = findMarked(state_id).find(({ pid }) => commandOf(pid).some((word) => word.endsWith('/agent.cjs')));
      assert.ok(agent !== undefined);
      process.kill(agent.pid, 'SIGKILL');
    } else {
      await octavia.kill();
      await octavia.start();
      client = await signIn(octavia);
    }
    await waitActive(client, lb.id);
    await until(async () => (await ask(vipOf(lb))) === 'red', 'the new member has traffic');
    await change(client, lb.id, 'DELETE', `/pools/${poolOf(lb)}/members/${member.id}`);
  }
}
