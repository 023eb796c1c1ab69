/** Slow, failing and limited builds, on a cloud whose time is the test's. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Database } from '../../src/db/database.ts';
import { bumpGeneration, claim } from '../../src/db/reconciliations.ts';
import { noopProvider } from '../../src/providers/noop/provider.ts';
import { reconcile } from '../../src/worker/reconcile.ts';
import { withDatabase } from '../support/database.ts';
import { seededRandom } from './seeded-random.ts';
import * as user from './user.ts';
import { type Controller, makeController, makeWorld, treeOf, unspeakable, type Weather, work, type World } from './world.ts';

let worlds = 0;

/** A world with one calm controller; `limit`: amphorae that may be building at once. */
function calmWorld(db: Database, weather: Partial<Weather>, limit = -1): { world: World; controller: Controller } {
  worlds += 1;
  const prefix = `b${worlds.toString(16).padStart(7, '0')}`;
  let serial = 0;
  const newId = (): string => `${prefix}-0000-4000-8000-${(serial += 1).toString(16).padStart(12, '0')}`;
  const calm = { no_answer: 0, build_error: 0, refusal: 0, late_listing_ms: 0, build_ms: 60_000, ...weather };
  const world = makeWorld(db, seededRandom(worlds), newId, calm);
  return { world, controller: makeController(world, 'only', 0, () => 'live', undefined, limit) };
}

/** Works on all that is due while `seconds` pass; `look` runs after each second. */
async function pass(world: World, controller: Controller, seconds: number, look?: () => Promise<void> | void): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    for (let turn = 0; await work(world, controller); turn += 1) if (turn > 500) throw new Error('the same work is due again and again');
    await look?.();
    world.clock.ms += 1000;
  }
}

const statusOf = async (world: World, id: string): Promise<string | undefined> =>
  (await treeOf(world, id))?.loadbalancer.provisioning_status;

test('a build of a minute ends in ACTIVE, and no worker sleeps on it', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), {});
  const id = await user.create(world);
  await pass(world, controller, 58);
  assert.equal(await statusOf(world, id), 'PENDING_CREATE');
  const row = await world.db.read
    .selectFrom('reconciliation')
    .select(['lease_owner', 'reason', 'attempts'])
    .where('loadbalancer_id', '=', id)
    .executeTakeFirst();
  assert.equal(row?.lease_owner, null);
  assert.equal(row?.attempts, 0, 'waiting is no failure');
  assert.match(row?.reason ?? '', /instance is being built/u);
  await pass(world, controller, 12);
  assert.equal(await statusOf(world, id), 'ACTIVE');
});

test('an instance that is listed late is not asked for twice', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { late_listing_ms: 15_000, build_ms: 1000 });
  const id = await user.create(world);
  await pass(world, controller, 60);
  assert.equal(await statusOf(world, id), 'ACTIVE');
  const tree = await treeOf(world, id);
  assert.equal(world.compute.all().length, tree?.amphorae.length);
});

test('builds that end in ERROR are tried again, then the load balancer is in ERROR with the reason, and comes back when the cloud does', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_error: 1, build_ms: 1000 });
  const id = await user.create(world);
  await pass(world, controller, 5);
  const row = await world.db.read.selectFrom('reconciliation').select('attempts').where('loadbalancer_id', '=', id).executeTakeFirst();
  assert.ok((row?.attempts ?? 0) > 0, 'a build has failed');
  assert.equal(await statusOf(world, id), 'PENDING_CREATE', 'one failure is not the end');
  await pass(world, controller, 295);
  const failed = await treeOf(world, id);
  assert.equal(failed?.loadbalancer.provisioning_status, 'ERROR');
  assert.match(failed?.loadbalancer.fault ?? '', /No valid host was found/u);
  assert.ok(world.compute.all().length <= 2, `${world.compute.all().length} broken instances were left`);
  world.weather.build_error = 0;
  await pass(world, controller, 300);
  assert.equal(await statusOf(world, id), 'ACTIVE');
  assert.equal(world.compute.all().length, (await treeOf(world, id))?.amphorae.length);
});

test('a build that takes for ever is given up after the time-out and replaced', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 1_000_000 });
  const id = await user.create(world);
  await pass(world, controller, 200);
  const first = world.compute.all().map((instance) => instance.compute_id);
  await pass(world, controller, 140);
  world.weather.build_ms = 1000;
  assert.ok(
    world.compute.all().every((instance) => !first.includes(instance.compute_id)),
    'the slow instance is still there',
  );
  await pass(world, controller, 400);
  assert.equal(await statusOf(world, id), 'ACTIVE');
  assert.equal(world.compute.all().length, (await treeOf(world, id))?.amphorae.length);
});

test('no more amphorae are building at once than the limit allows, and all get their turn', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 20_000 }, 2);
  const ids = await Promise.all([1, 2, 3, 4, 5].map(() => user.create(world)));
  let most = 0;
  let tried = 0;
  await pass(world, controller, 240, async () => {
    tried = Math.max(tried, ...(await world.db.read.selectFrom('reconciliation').select('attempts').execute()).map((row) => row.attempts));
    most = Math.max(most, world.compute.all().filter((instance) => instance.status === 'BUILD').length);
  });
  for (const id of ids) assert.equal(await statusOf(world, id), 'ACTIVE');
  assert.equal(most, 2);
  assert.equal(tried, 0, 'waiting for a turn is no failure');
});

test('a look for drift that fails leaves an ACTIVE load balancer ACTIVE', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 1000 });
  const id = await user.create(world);
  await pass(world, controller, 30);
  world.weather.no_answer = 1;
  await world.db.tx((tx) => bumpGeneration(tx, id));
  await pass(world, controller, 400);
  assert.equal(await statusOf(world, id), 'ACTIVE');
  world.weather.no_answer = 0;
  await pass(world, controller, 200);
  const row = await world.db.read
    .selectFrom('reconciliation')
    .select(['generation', 'applied_generation'])
    .where('loadbalancer_id', '=', id)
    .executeTakeFirst();
  assert.equal(row?.applied_generation, row?.generation);
});

test('a deletion that fails ends in ERROR, is not tried again by itself, and goes on when it is asked for again', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 1000 });
  const id = await user.create(world);
  await pass(world, controller, 30);
  world.weather.no_answer = 1;
  await user.remove(world, id);
  await pass(world, controller, 300);
  assert.equal(await statusOf(world, id), 'ERROR');
  world.weather.no_answer = 0;
  await pass(world, controller, 300);
  assert.equal(await statusOf(world, id), 'ERROR');
  await user.remove(world, id);
  await pass(world, controller, 30);
  assert.equal(await statusOf(world, id), 'DELETED');
  assert.deepEqual([world.compute.all(), world.network.ports.size], [[], 0]);
});

test('a claim tells how it ended', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 0 });
  const id = await user.create(world);
  const { bench } = controller;
  const take = () => world.db.tx((tx) => claim(tx, world.db.nowMs(), id, 'x', 10_000));
  const signal = new AbortController().signal;
  const lease = await take();
  assert.ok(lease);
  assert.deepEqual(await reconcile(bench, lease, signal), { end: 'finished' });
  assert.deepEqual(await reconcile(bench, lease, signal), { end: 'lost' }, 'the lease was given back');
  world.weather.no_answer = 1;
  await world.db.tx((tx) => bumpGeneration(tx, id));
  const second = await take();
  assert.ok(second);
  assert.equal((await reconcile(bench, second, signal)).end, 'postponed');
});

test('what a provider that never reports back is given stays as it is, and is not worked on for ever', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), {});
  const id = await user.create(world);
  await world.db.tx((tx) => tx.updateTable('loadbalancer').set({ provider: 'noop_driver' }).where('id', '=', id).execute());
  const providers = new Map([['noop_driver', noopProvider('noop_driver', '') as never]]);
  const noop = { ...controller, bench: { ...controller.bench, providers } };
  assert.equal(await work(world, noop), true);
  world.clock.ms += 60_000;
  assert.equal(await work(world, noop), false);
  assert.equal(await statusOf(world, id), 'PENDING_CREATE');
});

test('a part that cannot be rendered is refused alone, and the load balancer is not in ERROR for it', async (t) => {
  const { world, controller } = calmWorld(await withDatabase(t), { build_ms: 0 });
  const id = await user.create(world);
  await pass(world, controller, 5);
  await world.db.tx(async (tx) => {
    await tx.updateTable('member').set({ address: unspeakable }).execute();
    await tx.updateTable('loadbalancer').set({ provisioning_status: 'PENDING_UPDATE' }).where('id', '=', id).execute();
    await bumpGeneration(tx, id);
  });
  assert.equal(await work(world, controller), true);
  const tree = await treeOf(world, id);
  assert.equal(tree?.loadbalancer.provisioning_status, 'ACTIVE');
  const member = tree.pools[0]?.members[0];
  assert.deepEqual([member?.provisioning_status, member?.refused, member?.fault], ['ERROR', true, 'It cannot be rendered.']);
});
