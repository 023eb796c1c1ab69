/** The world of one history: a database, a cloud, a network and agents, and controllers that come, die and freeze. */
import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { FakeCompute } from '../../src/cloud/fake/compute.ts';
import type { Database, Tx } from '../../src/db/database.ts';
import { claim, type Lease, listDue } from '../../src/db/reconciliations.ts';
import { loadTree } from '../../src/db/tree.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { type L7PolicyTree, type LoadBalancerTree, type Owner, Terminal } from '../../src/model/index.ts';
import { FakeAgents } from '../../src/providers/amphora/fake-agents.ts';
import type { RenderedConfiguration } from '../../src/providers/amphora/observed.ts';
import { amphoraProvider } from '../../src/providers/amphora/provider.ts';
import { TlsMaterial } from '../../src/providers/amphora/tls-material.ts';
import type { Provider, Step } from '../../src/providers/provider.ts';
import { tlsFileMd5, tlsFileName, tlsPlace } from '../../src/wire/tls-files.ts';
import { type Bench, type Ending, reconcile } from '../../src/worker/reconcile.ts';
import { type Fate, SimulatedProcess } from './process.ts';
import { StrictNetwork } from './strict-network.ts';

/** The time that the world agrees on; moved by the history. */
export class WorldClock implements Clock {
  ms = Date.UTC(2026, 0, 1);
  now(): number {
    return this.ms;
  }
  sleep(): Promise<void> {
    throw new Error('nothing in a history may sleep');
  }
}

/** How rough the world is; probabilities per call. */
export type Weather = { no_answer: number; build_error: number; refusal: number; late_listing_ms: number; build_ms: number };

/** A controller at work: its process and what it does now. */
export type Controller = { readonly process: SimulatedProcess; readonly bench: Bench; ending: Promise<Ending> | null };

/** Everything of one history. */
export type World = {
  readonly db: Database;
  readonly clock: WorldClock;
  readonly compute: FakeCompute;
  readonly network: StrictNetwork;
  readonly agents: FakeAgents;
  readonly weather: Weather;
  readonly random: () => number;
  readonly newId: () => string;
  leases: number;
  thefts: number;
};

/** A world around a database that other histories may use too: every id is new. */
export function makeWorld(shared: Database, random: () => number, newId: () => string, weather: Weather): World {
  const clock = new WorldClock();
  const db = Object.create(shared, { nowMs: { value: () => sql<number>`cast(${clock.ms} as bigint)` } }) as Database;
  const compute = new FakeCompute({
    clock,
    newId,
    random,
    get build_ms() {
      return weather.build_ms;
    },
    get late_listing_ms() {
      return weather.late_listing_ms;
    },
    get chance_of() {
      return { build_error: weather.build_error, refusal: weather.refusal, no_answer: weather.no_answer };
    },
  });
  const network = new StrictNetwork(() => weather.no_answer > 0 && random() < weather.no_answer);
  const agents = new FakeAgents({
    compute,
    random,
    refusal,
    get no_answer() {
      return weather.no_answer;
    },
  });
  return { db, clock, compute, network, agents, weather, random, newId, leases: 0, thefts: 0 };
}

/** The address of a member, or the value of a rule, that HAProxy will not have. */
export const poison = '10.66.6.6';
/** The same of one that cannot even be rendered. */
export const unspeakable = '10.66.6.7';

/** The configuration stands for the tree: what a pass renders is a function of what it read, one line for each part. */
export function renderForTest(tree: LoadBalancerTree): RenderedConfiguration | null {
  const isServed = (part: { provisioning_status: string; refused: boolean }): boolean =>
    part.provisioning_status !== 'PENDING_DELETE' && !part.refused;
  const listeners = tree.listeners.filter(isServed);
  if (listeners.length === 0) return null;
  for (const member of tree.pools.filter(isServed).flatMap((pool) => pool.members.filter(isServed))) {
    if (member.address === unspeakable) throw new Terminal({ type: 'member', id: member.id }, 'It cannot be rendered.');
  }
  const servedPool = (id: string | null) => tree.pools.find((pool) => pool.id === id && isServed(pool))?.id;
  // A file beside the configuration for each listener, which is another one when its pool is.
  const files = new Map(
    listeners.map((each) => {
      const text = `file of ${each.id} ${servedPool(each.default_pool_id)}`;
      return [each.id, { name: tlsFileName(tlsPlace(each.id, []), tlsFileMd5(text)), text }];
    }),
  );
  const parts = [
    ...listeners.flatMap((each) => [
      {
        line: `listener ${each.id} ${servedPool(each.default_pool_id)} /${files.get(each.id)?.name}`,
        owner: { type: 'listener', id: each.id } as const,
      },
      ...each.l7policies.filter(isServed).flatMap((policy) => policyLines(policy, servedPool(policy.redirect_pool_id))),
    ]),
    ...tree.pools.filter(isServed).flatMap((pool) => [
      {
        line: `pool ${pool.id} ${pool.healthmonitor && isServed(pool.healthmonitor) ? pool.healthmonitor.id : ''}`,
        owner: { type: 'pool', id: pool.id } as const,
      },
      ...pool.members
        .filter(isServed)
        .map((each) => ({ line: `member ${each.id} ${each.address} ${each.weight}`, owner: { type: 'member', id: each.id } as const })),
    ]),
  ];
  const text = parts.map((part) => part.line).join('\n');
  return {
    text,
    md5: createHash('md5').update(text).digest('hex'),
    owners: parts.map((part) => part.owner),
    lists: [],
    crt_lists: Object.fromEntries([...files.values()].map(({ name, text: content }) => [name, content])),
    frontends: listeners.length,
  };
}

/** A policy of which a rule was refused is left out as a whole. */
function policyLines(policy: L7PolicyTree, pool: string | undefined): { readonly line: string; readonly owner: Owner }[] {
  const rules = policy.rules.filter((rule) => rule.provisioning_status !== 'PENDING_DELETE');
  if (rules.some((rule) => rule.refused)) return [];
  const odd = rules.find((rule) => rule.value === unspeakable);
  if (odd !== undefined) throw new Terminal({ type: 'l7rule', id: odd.id }, 'It cannot be rendered.');
  return [
    { line: `policy ${policy.id} at ${policy.position} to ${pool}`, owner: { type: 'l7policy', id: policy.id } },
    ...rules.map((rule) => ({ line: `rule ${rule.id} ${rule.value}`, owner: { type: 'l7rule', id: rule.id } as const })),
  ];
}

/** What `haproxy -c` would say. */
const refusal = (text: string): string | null => {
  const line = text.split('\n').findIndex((each) => each.includes(poison));
  return line < 0 ? null : `[ALERT]    (1) : config : parsing [/var/lib/octavia/haproxy.cfg:${line + 1}] : 'server' : it is poison`;
};

/** A controller with its own idea of the time (`skew_ms`), and a fate for each of its calls. */
export function makeController(
  world: World,
  name: string,
  skew_ms: number,
  fate: (call: string) => Fate,
  mutate?: Mutate,
  build_rate_limit = -1,
): Controller {
  const process = new SimulatedProcess(name, fate);
  const clock: Clock = { now: () => world.clock.ms + skew_ms, sleep: world.clock.sleep };
  const provider = amphoraProvider(
    {
      compute: process.reach('compute', world.compute, ['createInstance', 'listInstances', 'deleteInstance', 'attachPort', 'detachPort']),
      ports: process.reach('ports', world.network, ['createPort', 'listPorts', 'updatePort', 'deletePort']),
      catalog: world.network,
      agents: process.reach('agents', world.agents, [
        'describe',
        'plugVip',
        'plugNetwork',
        'putHaproxy',
        'putTlsFile',
        'deleteTlsFile',
        'putCertificate',
        'putAgentConfiguration',
        'deleteHaproxy',
      ]),
      limits: { boot_timeout_ms: 300_000, late_listing_ms: 20_000, silence_timeout_ms: 30_000 },
      now: clock.now,
      newId: world.newId,
      render: renderForTest,
      issueCertificate: async (id) => ({
        certificate: '',
        key: new Secret(''),
        pem: new Secret(`pem ${id}`),
        serial: '1',
        not_after: new Date(world.clock.ms + 2_592_000_000),
      }),
      bootFiles: () => [],
      tls_material: new TlsMaterial(null),
      agentConfiguration: () => '',
      boot_network_ids: ['management'],
      build_rate_limit,
    },
    'amphora',
    '',
  ) as Provider<unknown, Step, Tx>;
  const bench: Bench = {
    db: process.reach('db', world.db, ['tx']),
    providers: new Map([['amphora', mutate ? mutate(provider) : provider]]),
    clock,
    log: silentLogger,
    lease_ms: 10_000,
    patience: { max_attempts: 6, backoff_base_ms: 500, backoff_max_ms: 20_000, error_retry_ms: 60_000 },
    random: world.random,
    newId: world.newId,
  };
  return { process, bench, ending: null };
}

/** Changes a provider for a mutation test. */
export type Mutate = (provider: Provider<unknown, Step, Tx>) => Provider<unknown, Step, Tx>;

/** Lets a controller claim what is due and work on it until it ends, dies or freezes. False: nothing is due. */
export async function work(world: World, controller: Controller): Promise<boolean> {
  const { process, bench } = controller;
  if (process.isDead || process.isFrozen) return false;
  const due = await listDue(world.db.read, world.db.nowMs(), 20);
  const id = due[Math.floor(world.random() * due.length)];
  if (id === undefined) return false;
  const holder = await world.db.read
    .selectFrom('reconciliation')
    .select('lease_owner')
    .where('loadbalancer_id', '=', id)
    .executeTakeFirst();
  const lease: Lease | null = await world.db.tx((tx) => claim(tx, world.db.nowMs(), id, process.name, bench.lease_ms));
  if (!lease) return true;
  world.leases += 1;
  if (holder?.lease_owner && holder.lease_owner !== process.name) world.thefts += 1;
  controller.ending = reconcile(bench, lease, new AbortController().signal);
  await untilStill(controller);
  return true;
}

/** Waits until the controller's work has ended, or it is dead or frozen. */
export async function untilStill(controller: Controller): Promise<void> {
  if (controller.ending === null) return;
  const ended = controller.ending.then(() => {
    controller.ending = null;
  });
  await Promise.race([ended, controller.process.stopped()]);
}

/** The tree of a load balancer as it is now. */
export const treeOf = (world: World, id: string): Promise<LoadBalancerTree | null> => loadTree(world.db.read, id);
