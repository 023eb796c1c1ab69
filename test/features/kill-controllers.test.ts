/**
 * Controllers that are killed while they work: every load balancer ends as asked, nothing leaks, traffic that is not concerned never
 * misses a request.
 *
 * OCTAVIA_KILLS: how often they are killed (5 unless set). OCTAVIA_TEST_SEED: repeats a run.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../crash/seeded-random.ts';
import { type KillOrder, killPhases } from '../support/kill-hook.ts';
import { amphoraOf, deeds, settle, type Slot } from '../support/kill-story.ts';
import { makeLoadBalancer, type ShownLoadBalancer, waitMember } from '../support/load-balancers.ts';
import { startMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { type Octavia, processTree, until } from '../support/octavia.ts';
import { asMember, machineState, openStage, poolOf, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { startTraffic, tellFailures, type Traffic } from '../support/traffic.ts';

const kills = Number(process.env['OCTAVIA_KILLS'] ?? 5);
const seed = Number(process.env['OCTAVIA_TEST_SEED'] ?? Math.floor(Math.random() * 1e6));

test('controllers that are killed lose nothing, and nobody notices', { skip: namespacesUnavailable() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'kill-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const orderFile = join(folder, 'order');
  const hook = fileURLToPath(new URL('../support/kill-hook.ts', import.meta.url));
  const stage = await openStage(t, {
    env: {
      NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${hook}`,
      // The hook changes a source as it is loaded.
      OCTAVIA_BUNDLE: 'never',
      OCTAVIA_TEST_KILL_ORDER: orderFile,
      // Work of a dead controller is taken up when its lease is over.
      OS_CONTROLLER_WORKER__LEASE_SECONDS: '2',
      OS_HOUSE_KEEPING__CLEANUP_INTERVAL: '2',
    },
  });
  const untouched = await untouchedTraffic(stage, t);
  const before = await machineState(stage);
  const keeper = keepAlive(stage.octavia);
  const slots: Slot[] = ['story-0', 'story-1', 'story-2'].map((name) => ({ name, id: null, wanted: {} }));

  try {
    await runStory(stage, slots, orderFile, keeper.deaths);
    // What is left of the story is deleted, with living controllers.
    rmSync(orderFile, { force: true });
    for (const slot of slots) if (slot.id !== null) await deeds.at(-1)?.run(stage, slot);
    for (const slot of slots) await settle(stage, slot);
    await untouched.check();
  } catch (error) {
    console.log(tellAll(stage.octavia, slots));
    throw error;
  } finally {
    await keeper.stop();
  }
  const isAsBefore = async (): Promise<boolean> => JSON.stringify(await machineState(stage)) === JSON.stringify(before);
  await until(isAsBefore, 'nothing is left of the story', 20_000).catch(async () => assert.deepEqual(await machineState(stage), before));
});

/** What is known when something went wrong: the story, what controllers and amphorae said, and which processes are since when. */
function tellAll({ output, state_dir }: Octavia, slots: readonly Slot[]): string {
  const story = slots.map(({ name, id, wanted }) => `${name} ${id} ${JSON.stringify(wanted)}`);
  const logs = globSync(join(state_dir, 'instances/*/*.log')).map((path) => `${path}:\n${readFileSync(path, 'utf8').slice(-3000)}`);
  return [...story, 'The controllers said:', output().slice(-5000), ...logs, processTree()].join('\n');
}

/** Two load balancers that nobody changes, each with traffic on one persistent and on fresh connections. */
async function untouchedTraffic(stage: Stage, t: TestContext): Promise<{ check(): Promise<void> }> {
  const { client, subnet, subnet6 = subnet, blue, green } = stage;
  const tcp = { address: subnet6.gateway_ip, protocol: 'tcp' } as const;
  const members = [await startMember(t, { ...tcp, name: 'red' }), await startMember(t, { ...tcp, name: 'gold' })];
  const http = await makeLoadBalancer(client, wholeTree('still-http', subnet.id, [asMember(blue), asMember(green)]));
  const monitor = { healthmonitor: { type: 'TCP', delay: 1, timeout: 1, max_retries: 1 } };
  const raw = await makeLoadBalancer(client, wholeTree('still-tcp', subnet6.id, members.map(asMember), monitor, 'TCP'));
  for (const [lb, names] of [
    [http, ['blue', 'green']],
    [raw, ['red', 'gold']],
  ] as const)
    for (const name of names) await waitMember(client, poolOf(lb), name, 'ONLINE');
  const start = (lb: ShownLoadBalancer, protocol: 'http' | 'tcp', connections: 'fresh' | 'persistent'): [string, Traffic] => [
    `${protocol} on ${connections} connections`,
    startTraffic(t, { ...vipOf(lb, protocol), connections, per_second: 20, limit: 100_000 }),
  ];
  const all = [
    start(http, 'http', 'fresh'),
    start(http, 'http', 'persistent'),
    start(raw, 'tcp', 'fresh'),
    start(raw, 'tcp', 'persistent'),
  ];
  const amphorae = await Promise.all([http, raw].map(({ id }) => amphoraOf(stage, id)));
  return {
    async check() {
      for (const [name, traffic] of all) {
        await traffic.stop();
        console.log(`  ${name}: ${traffic.sent()} requests, ${traffic.failures().length} failed`);
        assert.equal(traffic.failures().length, 0, `${name}: ${tellFailures(traffic.failures())}`);
        assert.ok(traffic.sent() > 20, name);
      }
      assert.deepEqual(await Promise.all([http, raw].map(({ id }) => amphoraOf(stage, id))), amphorae);
    },
  };
}

/** Starts controllers again whenever they die. */
function keepAlive(octavia: Octavia): { deaths(): number; stop(): Promise<void> } {
  let deaths = 0;
  let isStopping = false;
  const run = async (): Promise<void> => {
    while (!isStopping) {
      if (octavia.isRunning()) await new Promise((resolve) => setTimeout(resolve, 5));
      else {
        deaths += 1;
        // They may die again while they start: then the next round of this loop starts them.
        await octavia.start().catch((error: unknown) => {
          if (octavia.isRunning()) throw error;
        });
      }
    }
  };
  const ended = run();
  // Told by stop: until then it must not end the test as unhandled.
  ended.catch(() => undefined);
  return {
    deaths: () => deaths,
    async stop() {
      isStopping = true;
      await ended;
    },
  };
}

/** Goes through the story, each load balancer at another place of it, with one kill in each round. */
async function runStory(stage: Stage, slots: readonly Slot[], orderFile: string, deaths: () => number): Promise<void> {
  const random = seededRandom(seed);
  const counts = new Map<string, number>();
  console.log(`  seed ${seed}, ${kills} kills`);
  let order: KillOrder | null = null;
  for (let round = 0; deaths() < kills || round < deeds.length; round += 1) {
    assert.ok(round < 3 * kills + 20, `only ${deaths()} kills in ${round} rounds`);
    const begun = performance.now();
    const died = deaths();
    const killsAtAnyTime = order === null && died < kills && died % 5 === 4;
    if (order === null && died < kills && !killsAtAnyTime) {
      order = newOrder(died, random);
      writeFileSync(orderFile, JSON.stringify(order));
    }
    const work = Promise.all(slots.map((slot, index) => doOne(stage, slot, round - 2 * index)));
    if (killsAtAnyTime) setTimeout(() => void stage.octavia.kill(), Math.floor(random() * 400));
    const names = await work;
    if (killsAtAnyTime) await until(() => deaths() > died, 'the controllers are dead');
    const what = killsAtAnyTime ? 'any time' : order !== null && !existsSync(orderFile) ? `${order.phase} (${order.moment})` : 'no kill';
    if (order !== null && !existsSync(orderFile)) order = null;
    counts.set(what.split(' ')[0] ?? '', (counts.get(what.split(' ')[0] ?? '') ?? 0) + 1);
    console.log(`  round ${round}: ${what}; ${names.join(', ')}; ${Math.round(performance.now() - begun)} ms`);
  }
  console.log(`  killed in: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}`);
  for (const phase of kills >= 4 ? killPhases : []) assert.ok((counts.get(phase) ?? 0) > 0, `a kill inside ${phase}`);
}

/** The next deed of one load balancer, until it shows; a place before the beginning waits. */
async function doOne(stage: Stage, slot: Slot, place: number): Promise<string> {
  const deed = place < 0 ? undefined : deeds[place % deeds.length];
  if (deed === undefined) return 'wait';
  await deed.run(stage, slot);
  await settle(stage, slot);
  return deed.name;
}

/** Phases in turn, the nth of them a little further each time around. */
function newOrder(index: number, random: () => number): KillOrder {
  const phase = killPhases[(index % 5) % killPhases.length] ?? 'observe';
  const moments = ['before', 'within', 'after'] as const;
  return {
    phase,
    nth: 1 + (Math.floor(index / 5) % 4),
    moment: moments[Math.floor(random() * moments.length)] ?? 'within',
    ms: Math.floor(random() * 20),
  };
}
