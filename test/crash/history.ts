/** One random history: users, a rough cloud, controllers that die and freeze; then calm, and the state of the world is judged. */
import type { Database } from '../../src/db/database.ts';
import { bumpGeneration } from '../../src/db/reconciliations.ts';
import type { ListenerTree, LoadBalancerTree } from '../../src/model/index.ts';
import { memberPortName, vipPortName, vrrpPortName } from '../../src/providers/amphora/observed.ts';
import { seededRandom } from './seeded-random.ts';
import type { Fate } from './process.ts';
import * as user from './user.ts';
import {
  type Controller,
  makeController,
  makeWorld,
  type Mutate,
  poison,
  renderForTest,
  treeOf,
  unspeakable,
  untilStill,
  work,
  type World,
} from './world.ts';

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
  /** What users asked to delete. */
  readonly deleting: Set<string>;
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
  const story: Story = { world, ids: [], controllers: [], actions: {}, crashes: 0, freezes: 0, born: 0, deleting: new Set() };
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
  await deleteAgain(story, mutate);
  const problems = await judge(story);
  await lookForDrift(story, mutate);
  problems.push(
    ...judgeLeaks(
      world,
      (await treesOf(story)).filter((tree) => tree.loadbalancer.provisioning_status !== 'DELETED'),
    ),
  );
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
  add_odd_member: user.addOddMember,
  change_monitor: user.changeMonitor,
  change_policies: user.changePolicies,
  change_shape: user.changeShape,
  rotate: user.rotate,
  configure: user.configure,
  remove_failed: user.removeFailed,
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
    if (await userActions[name](world, id)) {
      count(story, name);
      if (name === 'remove') story.deleting.add(id);
    }
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
    story.controllers.push(
      makeController(
        world,
        `controller-${story.born}`,
        Math.round((world.random() - 0.5) * 60_000),
        fate,
        mutate,
        world.random() < 0.5 ? -1 : 2,
      ),
    );
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

/** A deletion that failed for long is in ERROR and waits for its user, who asks again when the cloud is well. */
async function deleteAgain(story: Story, mutate: Mutate | undefined): Promise<void> {
  const failed = (await treesOf(story)).filter(
    (tree) => tree.loadbalancer.provisioning_status === 'ERROR' && story.deleting.has(tree.loadbalancer.id),
  );
  for (const tree of failed) await user.remove(story.world, tree.loadbalancer.id);
  if (failed.length > 0) await calmDown(story, mutate);
}

/** The periodic look at load balancers that nobody asked about: finds what a worker left that woke up too late. */
async function lookForDrift(story: Story, mutate: Mutate | undefined): Promise<void> {
  const { world } = story;
  const calm = makeController(world, 'drift', 0, () => 'live', mutate);
  for (const id of story.ids) await world.db.tx((tx) => bumpGeneration(tx, id));
  for (let round = 0; round < 100 && (await isAnythingOpen(world, story.ids)); round += 1)
    if (!(await work(world, calm))) world.clock.ms += 5000;
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
  const lbs = await world.db.read.selectFrom('loadbalancer').select('id').where('provisioning_status', '!=', 'DELETED').execute();
  const alive = new Set(lbs.map((row) => row.id));
  for (const instance of world.compute.all())
    if (wanted.get(instance.amphora_id) !== instance.compute_id) world.compute.lose(instance.compute_id);
  for (const port of world.network.ports.values()) {
    const amphora_id = /^octavia-lb-(?:vrrp|member)-(.*)$/u.exec(port.name)?.[1];
    if (amphora_id !== undefined && !wanted.has(amphora_id)) world.network.ports.delete(port.id);
    if (port.device_id.startsWith('lb-') && !alive.has(port.device_id.slice(3))) world.network.ports.delete(port.id);
  }
}

/** Stuck, leaked, stale: what must not be. */
async function judge(story: Story): Promise<string[]> {
  const { world } = story;
  const trees = await treesOf(story);
  const deleted = trees.filter((tree) => tree.loadbalancer.provisioning_status === 'DELETED');
  const kept = trees.filter((tree) => tree.loadbalancer.provisioning_status !== 'DELETED');
  return [
    ...(story.ids.length === trees.length ? [] : ['a load balancer vanished']),
    ...deleted.flatMap((tree) =>
      tree.amphorae.length + tree.listeners.length + tree.pools.length > 0 ? [`${tree.loadbalancer.id} is DELETED but not gone`] : [],
    ),
    ...kept.flatMap((tree) => judgeKept(world, tree)),
  ];
}

const treesOf = async (story: Story): Promise<LoadBalancerTree[]> =>
  (await Promise.all(story.ids.map((id) => treeOf(story.world, id)))).filter((tree) => tree !== null);

function judgeKept(world: World, tree: LoadBalancerTree): string[] {
  const { id, provisioning_status: status, topology } = tree.loadbalancer;
  if (status !== 'ACTIVE') return [`${id} is stuck in ${status}: ${tree.loadbalancer.fault ?? ''}`];
  const problems: string[] = [];
  const expected = topology === 'SINGLE' ? 1 : 2;
  if (tree.amphorae.length !== expected) problems.push(`${tree.amphorae.length} amphorae instead of ${expected}`);
  const configuration = renderForTest(tree);
  const wanted = configuration?.text ?? null;
  const files = Object.keys(configuration?.crt_lists ?? {}).toSorted();
  for (const amphora of tree.amphorae) {
    if (amphora.status !== 'ALLOCATED' || amphora.cert_busy)
      problems.push(`an amphora is ${amphora.status}, certificate busy: ${amphora.cert_busy}`);
    if (amphora.config_due) problems.push('an agent was not configured anew');
    if (world.agents.configurationOf(amphora.compute_id ?? '') !== wanted) problems.push('an amphora runs an old configuration');
    const held = [...world.agents.tlsFilesOf(amphora.compute_id ?? '').keys()].toSorted();
    if (held.join() !== files.join()) problems.push(`an amphora has files ${held.join()} instead of ${files.join()}`);
  }
  if (!world.network.ports.has(tree.loadbalancer.vip_port_id ?? '')) problems.push('it has no VIP port');
  for (const pool of tree.pools) {
    const parts = [pool, ...pool.members, ...(pool.healthmonitor ? [pool.healthmonitor] : [])];
    for (const part of parts) {
      // Without a listener nothing is rendered, so nobody has seen the poison.
      const isSeen = 'address' in part && (part.address === poison || part.address === unspeakable) && (wanted !== null || part.refused);
      const due = isSeen ? 'ERROR' : 'ACTIVE';
      if (part.provisioning_status !== due) problems.push(`a part is ${part.provisioning_status} instead of ${due}`);
    }
    if (!pool.healthmonitor && pool.members.some((member) => member.operating_status === 'OFFLINE'))
      problems.push('a member waits for a monitor that is gone');
    if (pool.healthmonitor && pool.healthmonitor.operating_status !== 'ONLINE') problems.push('the monitor is not ONLINE');
  }
  for (const listener of tree.listeners) {
    if (listener.provisioning_status !== 'ACTIVE') problems.push(`the listener is ${listener.provisioning_status}`);
    if (listener.default_pool_id !== null && !tree.pools.some((pool) => pool.id === listener.default_pool_id))
      problems.push('the listener points at nothing');
    problems.push(...judgePolicies(listener));
  }
  return problems.map((problem) => `${id}: ${problem}`);
}

function judgePolicies({ l7policies }: ListenerTree): string[] {
  const problems: string[] = [];
  for (const [index, policy] of l7policies.entries()) {
    if (policy.position !== index + 1) problems.push(`a policy has position ${policy.position} instead of ${index + 1}`);
    if (policy.provisioning_status !== 'ACTIVE') problems.push(`a policy is ${policy.provisioning_status}`);
    if (policy.operating_status !== 'ONLINE') problems.push(`a policy is ${policy.operating_status}`);
    for (const { value, provisioning_status } of policy.rules) {
      const due = value === poison || value === unspeakable ? 'ERROR' : 'ACTIVE';
      if (provisioning_status !== due) problems.push(`a rule is ${provisioning_status} instead of ${due}`);
    }
  }
  return problems;
}

/** Each instance and each port must be asked for by exactly one row. */
function judgeLeaks(world: World, kept: readonly LoadBalancerTree[]): string[] {
  const compute_ids = new Set(kept.flatMap((tree) => tree.amphorae.map((amphora) => amphora.compute_id)));
  const problems = world.compute
    .all()
    .flatMap((instance) => (compute_ids.has(instance.compute_id) ? [] : [`instance ${instance.name} leaked`]));
  if (world.compute.all().length !== compute_ids.size)
    problems.push(`${world.compute.all().length} instances for ${compute_ids.size} amphorae`);
  const names = new Set(
    kept.flatMap((tree) => {
      const hasFar = tree.pools.some((pool) => pool.members.some((member) => member.subnet_id === 'subnet-2'));
      const amphorae = tree.amphorae.flatMap((amphora) => [vrrpPortName(amphora.id), ...(hasFar ? [memberPortName(amphora.id)] : [])]);
      return [vipPortName(tree.loadbalancer.id), ...amphorae];
    }),
  );
  const ports = [...world.network.ports.values()].map((port) => port.name);
  const leaked = ports.filter((name) => !names.has(name)).map((name) => `port ${name} leaked`);
  const missing = [...names].filter((name) => !ports.includes(name)).map((name) => `port ${name} is missing`);
  return [...problems, ...leaked, ...missing, ...(new Set(ports).size === ports.length ? [] : ['a port was made twice'])];
}
