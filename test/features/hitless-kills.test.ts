/**
 * Changes of every kind while everything is killed that may be: agent, its siblings, controllers. Nobody's traffic notices, HAProxy is
 * not reloaded, and each change takes effect. HAProxy itself is not killed here: its connections would die with it.
 *
 * OCTAVIA_KILLS: how often each is killed (3 unless set).
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { askSocket, parseProcesses } from '../../src/agent/unix-socket.ts';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { INSIDE } from '../../src/cloud/local/compute/sandbox.ts';
import { shownTo } from '../support/features/clients.ts';
import { askByFlows, openDatagramClient } from '../support/features/datagrams.ts';
import { makeLoadBalancer, removeLoadBalancer, type Resource, type ShownLoadBalancer, waitActive } from '../support/load-balancers.ts';
import { startMember, type TestMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';
import { type ApiClient, signIn, until } from '../support/octavia.ts';
import { asMember, commandOf, openStage, type Stage, vipOf, wholeTree } from '../support/stage.ts';
import { fixture } from '../support/tls-fixtures.ts';
import { ask, startTraffic, type Target, tellFailures, type Traffic } from '../support/traffic.ts';

const rounds = Number(process.env['OCTAVIA_KILLS'] ?? 3);
const lbaas = '/v2/lbaas';
const ports = { https: 443, udp: 5000 } as const;

/** Who is killed. */
const victims = ['agent', 'executor', 'engine', 'controllers'] as const;
type Victim = (typeof victims)[number];

/** A change: a request that may be sent again when nobody answers, and how its effect is seen. */
type Change = { readonly path: string; readonly body: object; readonly isThere: () => Promise<boolean> };

/** What all parts share. */
type World = {
  readonly stage: Stage;
  readonly lb: ShownLoadBalancer;
  readonly members: Members;
  readonly refs: readonly string[];
  readonly rule: string;
};
type Members = Readonly<Record<'blue' | 'green' | 'red' | 'one' | 'two' | 'three', TestMember>>;

test('what is killed in the midst of changes is not noticed', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t, { env: { OS_CONTROLLER_WORKER__LEASE_SECONDS: '2' } });
  const world = await build(stage, t);
  const load = startLoad(world, t);
  await until(() => load.every((each) => each.traffic.sent() > 10), 'all traffic flows');
  const reloads = await reloadsOf(stage);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, victim] of victims.entries())
      for (const [kind, make] of Object.entries(changes)) {
        // Each is killed in the midst of each kind in turn; without a kill the others take effect at once.
        const isKilled = (round + index) % Object.keys(changes).length === Object.keys(changes).indexOf(kind);
        await carryOut(world, make(world, victims.length * round + index), isKilled ? victim : null);
      }
  for (const { traffic } of load) await traffic.stop();
  for (const { name, traffic } of load) {
    assert.equal(traffic.failures().length, 0, `${name}: ${tellFailures(traffic.failures())}`);
    t.diagnostic(`${name}: ${traffic.sent()} requests`);
  }
  assert.equal((await reloadsOf(stage)) - reloads, 0, stage.octavia.output().slice(-5000));
  await removeLoadBalancer(await signIn(stage.octavia), world.lb.id);
});

async function build(stage: Stage, t: TestContext): Promise<World> {
  const { client, subnet, blue, green } = stage;
  const address = subnet.gateway_ip;
  const udp = (name: string) => startMember(t, { name, address, protocol: 'udp' });
  const members = {
    blue,
    green,
    red: await startMember(t, { name: 'red', address }),
    one: await udp('one'),
    two: await udp('two'),
    three: await udp('three'),
  };
  const refs = [await store(client, 'ecdsa-modern.p12'), await store(client, 'rsa-modern.p12')];
  const tree = wholeTree('kills', subnet.id, [asMember(blue), asMember(green)]) as { listeners: object[]; pools: object[] };
  const [http] = tree.listeners;
  const rules = [{ type: 'PATH', compare_type: 'EQUAL_TO', value: '/value' }];
  const udpPool = { name: 'udp', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN', members: [asMember(members.one), asMember(members.two)] };
  const listeners = [
    { ...http, allowed_cidrs: ['0.0.0.0/0'], l7policies: [{ action: 'REJECT', rules }] },
    { protocol: 'TERMINATED_HTTPS', protocol_port: ports.https, default_tls_container_ref: refs[0], default_pool: { name: 'kills-pool' } },
    { protocol: 'UDP', protocol_port: ports.udp, default_pool: { name: 'udp' } },
  ];
  const lb = await makeLoadBalancer(client, { ...tree, listeners, pools: [...tree.pools, udpPool] });
  const { l7policies } = await client.call<{ l7policies: { id: string; rules: Resource[] }[] }>('GET', `${lbaas}/l7policies`);
  const [policy] = l7policies;
  await until(async () => (await ask(vipOf(lb)).catch(() => '')) !== '', 'the first byte comes');
  await until(async () => (await askByFlows(t, { address: lb.vip_address, port: ports.udp }, 2))['one'] === 1, 'the first datagram comes');
  return { stage, lb, members, refs, rule: `/l7policies/${policy?.id}/rules/${policy?.rules[0]?.id}` };
}

async function store(client: ApiClient, name: string): Promise<string> {
  const payload = {
    payload: fixture(name).toString('base64'),
    payload_content_type: 'application/octet-stream',
    payload_content_encoding: 'base64',
  };
  return (await client.call<{ secret_ref: string }>('POST', '/key-manager/v1/secrets', payload)).secret_ref;
}

/** Kept and fresh connections over HTTP and TLS, requests that take a second, and flows of datagrams. */
function startLoad(
  { lb }: World,
  t: TestContext,
): readonly { readonly name: string; readonly traffic: Pick<Traffic, 'sent' | 'failures' | 'stop'> }[] {
  const http = vipOf(lb);
  const https: Target = { address: http.address, port: ports.https, protocol: 'https' };
  const start = (target: Target, connections: 'persistent' | 'fresh') =>
    startTraffic(t, { ...target, connections, per_second: 25, limit: 100_000 });
  return [
    { name: 'HTTP, kept', traffic: start(http, 'persistent') },
    { name: 'HTTP, fresh', traffic: start(http, 'fresh') },
    { name: 'HTTP, a second each', traffic: startTraffic(t, { ...http, connections: 'persistent', path: '/?ms=1000', limit: 100_000 }) },
    { name: 'TLS, kept', traffic: start(https, 'persistent') },
    { name: 'TLS, fresh', traffic: start(https, 'fresh') },
    { name: 'UDP, four flows', traffic: startFlows(t, { address: lb.vip_address, port: ports.udp }) },
  ];
}

/** Flows must go on at the member where they began. */
function startFlows(
  t: TestContext,
  target: { readonly address: string; readonly port: number },
): Pick<Traffic, 'sent' | 'failures' | 'stop'> {
  const failures: { at_ms: number; reason: string }[] = [];
  let [sent, isOver] = [0, false];
  const lanes = Array.from({ length: 4 }, async () => {
    const flow = openDatagramClient(t, target);
    const first = await flow.ask();
    while (!isOver) {
      const name = await flow.ask();
      sent += 1;
      if (name !== first) failures.push({ at_ms: Date.now(), reason: `${name ?? 'nobody'} answers, not ${first}` });
      await pause(20);
    }
  });
  const ended = Promise.all(lanes);
  const stop = async (): Promise<void> => {
    isOver = true;
    await ended;
  };
  t.after(stop);
  return { sent: () => sent, failures: () => failures, stop };
}

/** The kinds of changes, each another one for each number. */
const changes: Readonly<Record<string, (world: World, number: number) => Change>> = {
  members: ({ lb, members: { blue, green, red } }, number) => ({
    path: `/pools/${poolNamed(lb, 'kills-pool')}/members`,
    body: { members: [asMember(blue), { ...asMember(green), weight: 1 + (number % 5) }, ...(number % 2 === 0 ? [asMember(red)] : [])] },
    isThere: async () => {
      const names = await Promise.all(Array.from({ length: 16 }, () => ask(vipOf(lb))));
      return names.includes('red') === (number % 2 === 0);
    },
  }),
  certificates: ({ lb, refs }, number) => ({
    path: `/listeners/${listenerAt(lb, ports.https)}`,
    body: { listener: { default_tls_container_ref: refs[(number + 1) % 2] } },
    isThere: async () => (await shownTo({ address: lb.vip_address, port: ports.https })).key === (number % 2 === 0 ? 'rsa' : 'ec'),
  }),
  'values of L7 rules': ({ lb, rule }, number) => ({
    path: rule,
    body: { rule: { value: `/value-${number}` } },
    isThere: async () => (await ask(vipOf(lb), `/value-${number}`).catch(String)) === 'Error: status 403',
  }),
  'allowed CIDRs': ({ lb }, number) => ({
    path: `/listeners/${listenerAt(lb, 80)}`,
    body: { listener: { allowed_cidrs: ['0.0.0.0/0', `192.0.2.${number % 250}/32`] } },
    isThere: async () => true,
  }),
  'members of UDP': ({ lb, members: { one, two, three } }, number) => ({
    path: `/pools/${poolNamed(lb, 'udp')}/members`,
    body: { members: [asMember(one), asMember(two), ...(number % 2 === 0 ? [asMember(three)] : [])] },
    isThere: async () => {
      const names = await askByFlows({ after: () => undefined }, { address: lb.vip_address, port: ports.udp }, 6);
      return (names['three'] !== undefined) === (number % 2 === 0);
    },
  }),
};

const poolNamed = ({ pools }: ShownLoadBalancer, name: string): string => pools.find((pool) => pool.name === name)?.id ?? '';
const listenerAt = ({ listeners }: ShownLoadBalancer, port: number): string =>
  (listeners as readonly (Resource & { readonly protocol_port: number })[]).find((each) => each.protocol_port === port)?.id ?? '';

/** Asks for a change, kills somebody while it is carried out, and waits until it is there and he is back. */
async function carryOut({ stage, lb }: World, change: Change, victim: Victim | null): Promise<void> {
  const { octavia } = stage;
  let client = await signIn(octavia);
  await waitActive(client, lb.id);
  const asked = client.call('PUT', `${lbaas}${change.path}`, change.body).catch((error: unknown) => error);
  if (victim !== null) {
    await pause(Math.random() * 60);
    await kill(stage, victim);
    const failure = await asked;
    client = await signIn(octavia);
    // Nobody knows whether it was taken: it is said again.
    if (failure instanceof Error) {
      await waitActive(client, lb.id);
      await client.call('PUT', `${lbaas}${change.path}`, change.body);
    }
  } else assert.ok(!((await asked) instanceof Error), String(await asked));
  await waitActive(client, lb.id);
  await until(change.isThere, `${change.path} has its effect (killed: ${victim})`);
  if (victim !== null && victim !== 'controllers') await until(() => pidsOf(stage, victim).length > 0, `the ${victim} is back`);
}

async function kill(stage: Stage, victim: Victim): Promise<void> {
  if (victim === 'controllers') {
    await stage.octavia.kill();
    await stage.octavia.start();
    return;
  }
  const pids = pidsOf(stage, victim);
  assert.ok(pids.length > 0, `there is no ${victim}`);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

function pidsOf({ state_id }: Stage, victim: Exclude<Victim, 'controllers'>): readonly number[] {
  return findMarked(state_id).flatMap(({ pid, is_init }) => {
    const words = commandOf(pid);
    const isEngine = words.includes('datagram') && words.some((word) => word.endsWith('/agent.cjs'));
    const kind = isEngine
      ? 'engine'
      : words.at(-1) === 'traffic'
        ? 'executor'
        : words.some((word) => word.endsWith('/agent.cjs'))
          ? 'agent'
          : null;
    return kind === victim && !is_init ? [pid] : [];
  });
}

/** How often HAProxy was reloaded, as its master counts. */
async function reloadsOf({ state_id }: Stage): Promise<number> {
  const init = findMarked(state_id).find(({ is_init }) => is_init);
  const socket = `/proc/${init?.pid}/root${INSIDE.run}/master.sock`;
  return until(async () => parseProcesses(await askSocket(socket, 'show proc').catch(() => '')), 'the master answers').then(
    ({ reloads }) => reloads,
  );
}
