/** One random history: users, a rough cloud, controllers that die and freeze; then calm, and the state of the world is judged. */
import type { Database } from '../../src/db/database.ts';
import { seededRandom } from './seeded-random.ts';
import type { Fate } from './process.ts';
import * as user from './user.ts';
import { type Controller, makeController, makeWorld, type Mutate, renderForTest, treeOf, untilStill, work, type World } from './world.ts';

/** How a history is made. */
export type HistoryOptions = {
  readonly seed: number;
  /** Actions before the calm. */
  readonly length?: number;
  readonly crash_chance?: number;
  readonly freeze_chance?: number;
  readonly mutate?: Mutate;
};

/** What came of it; `problems` is empty when all is well. */
export type HistoryResult = {
  readonly seed: number;
  readonly actions: Readonly<Record<string, number>>;
  readonly crashes: number;
  readonly freezes: number;
  readonly leases: number;
  readonly thefts: number;
  readonly problems: readonly string[];
};

type Story = {
  readonly world: World;
  readonly ids: string[];
  controllers: Controller[];
  readonly actions: Record<string, number>;
  crashes: number;
  freezes: number;
  born: number;
};

/** Plays a history on a database that others may share. */
export async function playHistory(db: Database, options: HistoryOptions): Promise<HistoryResult> {
  const { seed, length = 14, crash_chance = 0.04, freeze_chance = 0.02, mutate } = options;
  const random = seededRandom(seed);
  let serial = 0;
  const newId = (): string => {
    serial += 1;
    return `${hex(seed, 8)}-0000-4000-8000-${hex(serial, 12)}`;
  };
  const weather = {
    no_answer: 0.03,
    build_error: 0.08,
    refusal: 0.03,
    late_listing_ms: random() < 0.5 ? 0 : 15_000,
    build_ms: random() < 0.5 ? 100 : 60_000,
  };
  const world = makeWorld(db, random, newId, weather);
  const story: Story = { world, ids: [], controllers: [], actions: {}, crashes: 0, freezes: 0, born: 0 };
  const fate = (): Fate => {
    const dice = random();
    const when = random() < 0.5 ? 'before' : 'after';
    if (dice < crash_chance) return ((story.crashes += 1), `die_${when}`);
    if (dice < crash_chance + freeze_chance) return ((story.freezes += 1), `freeze_${when}`);
    return 'live';
  };
  for (let index = 0; index < length; index += 1) await act(story, fate, mutate);
  // Calm: the cloud answers, controllers live, the frozen ones wake up in the middle of it.
  Object.assign(weather, { no_answer: 0, build_error: 0, refusal: 0 });
  await calmDown(story, mutate);
  const problems = await judge(story);
  return {
    seed,
    actions: story.actions,
    crashes: story.crashes,
    freezes: story.freezes,
    leases: world.leases,
    thefts: world.thefts,
    problems,
  };
}

const hex = (value: number, width: number): string => value.toString(16).padStart(width, '0').slice(-width);

const userActions = {
  reweigh: user.reweigh,
  add_member: user.addMember,
  drop_members: user.dropMembers,
  failover: user.failover,
  remove: user.remove,
  lose_instance: user.loseInstance,
  lose_port: user.losePort,
} as const;

async function act(story: Story, fate: () => Fate, mutate: Mutate | undefined): Promise<void> {
  const { world } = story;
  const names = Object.keys(userActions) as (keyof typeof userActions)[];
  if (story.ids.length === 0 || (story.ids.length < 2 && world.random() < 0.1)) {
    story.ids.push(await user.create(world));
    count(story, 'create');
  } else if (world.random() < 0.8) {
    const name = names[Math.floor(world.random() * names.length)] as keyof typeof userActions;
    const id = story.ids[Math.floor(world.random() * story.ids.length)] as string;
    if (await userActions[name](world, id)) count(story, name);
  }
  for (let turn = Math.floor(world.random() * 24); turn > 0; turn -= 1) await oneTurn(story, fate, mutate);
}

const count = (story: Story, name: string): void => {
  story.actions[name] = (story.actions[name] ?? 0) + 1;
};

/** Two controllers compete; a dead one is replaced by a new process under a new name. */
async function oneTurn(story: Story, fate: () => Fate, mutate: Mutate | undefined): Promise<void> {
  const { world } = story;
  story.controllers = story.controllers.filter((controller) => !controller.process.isDead);
  while (story.controllers.filter((controller) => !controller.process.isFrozen).length < 2) {
    story.born += 1;
    story.controllers.push(makeController(world, `controller-${story.born}`, Math.round((world.random() - 0.5) * 60_000), fate, mutate));
  }
  if (world.random() < 0.25) world.clock.ms += Math.round(world.random() ** 3 * 90_000);
  if (world.random() < 0.3) await thawOne(story);
  const awake = story.controllers.filter((controller) => !controller.process.isFrozen);
  const isBusy = await work(world, awake[Math.floor(world.random() * awake.length)] as Controller);
  if (!isBusy) world.clock.ms += Math.round(world.random() * 30_000);
}

async function thawOne(story: Story): Promise<void> {
  const frozen = story.controllers.filter((controller) => controller.process.isFrozen);
  const one = frozen[Math.floor(story.world.random() * frozen.length)];
  if (!one) return;
  one.process.thaw();
  await untilStill(one);
}

/** Time passes in calm until nothing is due or waits; strays are swept at the end, as housekeeping does. */
async function calmDown(story: Story, mutate: Mutate | undefined): Promise<void> {
  const { world } = story;
  const live = (): Fate => 'live';
  const calm = makeController(world, 'calm', 0, live, mutate);
  for (let round = 0; round < 400; round += 1) {
    if (round === 5) for (const controller of story.controllers) while (controller.process.isFrozen) await thaw(controller);
    if (await work(world, calm)) continue;
    if (round > 6 && !(await isAnythingOpen(world, story.ids))) break;
    world.clock.ms += 5000;
  }
  for (const controller of story.controllers) while (controller.process.isFrozen) await thaw(controller);
  world.clock.ms += 60_000;
  await sweep(world);
}

async function thaw(controller: Controller): Promise<void> {
  controller.process.thaw();
  await untilStill(controller);
}

async function isAnythingOpen(world: World, ids: readonly string[]): Promise<boolean> {
  const open = await world.db.read
    .selectFrom('reconciliation')
    .select('loadbalancer_id')
    .where('loadbalancer_id', 'in', ids)
    .whereRef('generation', '>', 'applied_generation')
    .execute();
  return open.length > 0;
}

/** What housekeeping does with instances and ports that no living row asks for. */
async function sweep(world: World): Promise<void> {
  const rows = await world.db.read.selectFrom('amphora').select(['id', 'compute_id', 'status']).execute();
  const wanted = new Map(rows.filter((row) => row.status !== 'DELETED').map((row) => [row.id, row.compute_id]));
  for (const instance of world.compute.all())
    if (wanted.get(instance.amphora_id) !== instance.compute_id) world.compute.lose(instance.compute_id);
  for (const port of world.network.ports.values()) {
    const amphora_id = /^octavia-lb-(?:vrrp|member)-(.*)$/u.exec(port.name)?.[1];
    if (amphora_id !== undefined && !wanted.has(amphora_id)) world.network.ports.delete(port.id);
  }
}

/** Stuck, leaked, stale: what must not be. */
async function judge(story: Story): Promise<string[]> {
  const { world } = story;
  const problems: string[] = [];
  const kept = new Set<string>();
  for (const id of story.ids) {
    const tree = await treeOf(world, id);
    const status = tree?.loadbalancer.provisioning_status ?? 'missing';
    if (status === 'DELETED') {
      if ((tree?.amphorae.length ?? 0) > 0) problems.push(`${id} is DELETED with amphorae`);
      continue;
    }
    kept.add(id);
    if (status !== 'ACTIVE') problems.push(`${id} is stuck in ${status}: ${tree?.loadbalancer.fault ?? ''}`);
    if (!tree || status !== 'ACTIVE') continue;
    const wanted = renderForTest(tree);
    const expected = tree.loadbalancer.topology === 'SINGLE' ? 1 : 2;
    if (tree.amphorae.length !== expected) problems.push(`${id} has ${tree.amphorae.length} amphorae instead of ${expected}`);
    for (const amphora of tree.amphorae) {
      if (amphora.status !== 'ALLOCATED') problems.push(`${id}: an amphora is ${amphora.status}`);
      if (world.agents.configurationOf(amphora.compute_id ?? '') !== wanted?.text)
        problems.push(`${id}: an amphora runs an old configuration`);
    }
    if (tree.pools.some((pool) => pool.members.some((member) => member.provisioning_status !== 'ACTIVE')))
      problems.push(`${id} has a member that is not ACTIVE`);
    if (![...world.network.ports.values()].some((port) => port.id === tree.loadbalancer.vip_port_id))
      problems.push(`${id} has no VIP port`);
  }
  for (const instance of world.compute.all())
    if (!kept.has(instance.loadbalancer_id)) problems.push(`instance of ${instance.loadbalancer_id} leaked`);
  const instances = world.compute.all().filter((instance) => kept.has(instance.loadbalancer_id)).length;
  const amphorae = (await Promise.all([...kept].map((id) => treeOf(world, id)))).reduce(
    (sum, tree) => sum + (tree?.amphorae.length ?? 0),
    0,
  );
  if (instances !== amphorae) problems.push(`${instances} instances for ${amphorae} amphorae`);
  for (const port of world.network.ports.values()) {
    if (port.device_id.startsWith('lb-') && !kept.has(port.device_id.slice(3))) problems.push(`port ${port.name} leaked`);
  }
  if (world.network.ports.size !== amphorae + kept.size)
    problems.push(`${world.network.ports.size} ports for ${amphorae} amphorae and ${kept.size} VIPs`);
  return problems;
}
