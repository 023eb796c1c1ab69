/** UDP by the whole program, flow by flow; SCTP as far as the kernel has it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { askByFlows, openDatagramClient } from '../../support/features/datagrams.ts';
import { type Ending, type ProgramFeature, testProgramFeatures } from '../../support/features/program.ts';
import { change, makeLoadBalancer, membersOf, type ShownLoadBalancer, waitMember } from '../../support/load-balancers.ts';
import { startMember, type TestMember } from '../../support/members.ts';
import { asMember, type Stage } from '../../support/stage.ts';

type Family = 4 | 6;
type Members = Readonly<Record<'red' | 'gold' | 'mortal', TestMember>>;

/** What is set up once for a program: a load balancer with a VIP and members of each kind of address. */
type World = {
  readonly lb: ShownLoadBalancer;
  readonly members: Readonly<Record<Family, Members>>;
  readonly target: (family: Family, pool: PoolName) => { readonly address: string; readonly port: number };
  readonly poolId: (pool: PoolName) => string;
};

/** The members of a pool, of one kind of address, and what the pool is like. */
type PoolOf = { readonly members: (members: Members, http: Readonly<Record<'well' | 'ill', object>>) => readonly object[] } & Readonly<
  Record<string, unknown>
>;

const quick = { delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 };
const pair: PoolOf['members'] = ({ red, gold }) => [asMember(red), asMember(gold)];
const watched: PoolOf['members'] = ({ red, gold }, { well, ill }) => [
  { ...asMember(red), ...well },
  { ...asMember(gold), ...ill },
];

const pools = {
  turns: { lb_algorithm: 'ROUND_ROBIN', members: ({ red, gold }) => [{ ...asMember(red), weight: 3 }, asMember(gold)] },
  least: { lb_algorithm: 'LEAST_CONNECTIONS', members: pair },
  source: { lb_algorithm: 'SOURCE_IP', members: pair },
  persistent: {
    lb_algorithm: 'ROUND_ROBIN',
    session_persistence: { type: 'SOURCE_IP', persistence_timeout: 60 },
    members: pair,
  },
  states: {
    lb_algorithm: 'ROUND_ROBIN',
    members: ({ red, gold, mortal }) => [{ ...asMember(red), weight: 0 }, asMember(gold), { ...asMember(mortal), admin_state_up: false }],
  },
  connect: {
    lb_algorithm: 'ROUND_ROBIN',
    healthmonitor: { type: 'UDP-CONNECT', ...quick },
    members: ({ gold, mortal }) => [asMember(mortal), asMember(gold)],
  },
  http: { lb_algorithm: 'ROUND_ROBIN', healthmonitor: { type: 'HTTP', ...quick, url_path: '/' }, members: watched },
  tcp: { lb_algorithm: 'ROUND_ROBIN', healthmonitor: { type: 'TCP', ...quick }, members: watched },
  allowed: { lb_algorithm: 'ROUND_ROBIN', members: pair },
  refused: { lb_algorithm: 'ROUND_ROBIN', members: pair },
} as const satisfies Readonly<Record<string, PoolOf>>;

type PoolName = keyof typeof pools;
const names = Object.keys(pools) as PoolName[];
const portOf = (name: PoolName): number => 5000 + names.indexOf(name);

let world: Promise<World> | undefined;
const build = (stage: Stage, file: Ending): Promise<World> => (world ??= makeWorld(stage, file));

async function makeWorld({ client, subnet, subnet6, blue }: Stage, file: Ending): Promise<World> {
  const start = async (address: string): Promise<Members> => {
    const one = (name: string) => startMember(file, { name, address, protocol: 'udp' });
    return { red: await one('red'), gold: await one('gold'), mortal: await one('mortal') };
  };
  const four = await start(subnet.gateway_ip);
  const six = subnet6 === undefined ? four : await start(subnet6.gateway_ip);
  const http = {
    well: { monitor_address: blue.address, monitor_port: blue.port },
    ill: { monitor_address: blue.address, monitor_port: 9 },
  };
  const named = (list: readonly object[], family: Family) =>
    list.map((each) => ({ ...each, name: `${(each as { name: string }).name}${family}` }));
  const cidrs = { allowed: [subnet, ...(subnet6 ? [subnet6] : [])].map(({ cidr }) => cidr), refused: ['192.0.2.0/24'] };
  const lb = await makeLoadBalancer(client, {
    name: 'datagrams',
    vip_subnet_id: subnet.id,
    ...(subnet6 !== undefined && { additional_vips: [{ subnet_id: subnet6.id }] }),
    listeners: [
      ...names.map((name) => ({
        name,
        protocol: 'UDP',
        protocol_port: portOf(name),
        default_pool: { name },
        ...(name in cidrs && { allowed_cidrs: cidrs[name as keyof typeof cidrs] }),
      })),
      { name: 'beside', protocol: 'TCP', protocol_port: portOf('turns') },
    ],
    pools: names.map((name) => {
      const { members, ...rest } = pools[name] as PoolOf;
      const all = [...named(members(four, http), 4), ...(subnet6 === undefined ? [] : named(members(six, http), 6))];
      return { name, protocol: 'UDP', ...rest, members: all };
    }),
  });
  const { additional_vips } = lb as unknown as { additional_vips: { ip_address: string }[] };
  return {
    lb,
    members: { 4: four, 6: six },
    target: (family, name) => ({ address: family === 4 ? lb.vip_address : (additional_vips[0]?.ip_address ?? ''), port: portOf(name) }),
    poolId: (name) => lb.pools.find((pool) => pool.name === name)?.id ?? '',
  };
}

const rows: readonly ProgramFeature[] = [
  {
    row: 'C1',
    what: 'UDP listeners, beside TCP at the same port, with statistics',
    async check({ stage, family, t, file }) {
      const { lb, target } = await build(stage, file);
      const listener = (lb.listeners as readonly { id: string; name: string }[]).find(({ name }) => name === 'least');
      const counted = async (): Promise<Record<string, number>> =>
        (await stage.client.call<{ stats: Record<string, number> }>('GET', `/v2/lbaas/listeners/${listener?.id}/stats`)).stats;
      const before = (await counted())['total_connections'] ?? 0;
      const answers = await askByFlows(t, target(family, 'least'), 6);
      assert.equal(answers['nobody'], undefined, JSON.stringify(answers));
      for (const end = Date.now() + 15_000; ((await counted())['total_connections'] ?? 0) < before + 6;)
        assert.ok(Date.now() < end, 'the flows are counted');
    },
  },
  {
    row: 'C5',
    what: 'UDP: only allowed networks get in',
    async check({ stage, family, t, file }) {
      const { target } = await build(stage, file);
      assert.deepEqual(await askByFlows(t, target(family, 'allowed'), 4), { red: 2, gold: 2 });
      assert.deepEqual(await askByFlows(t, target(family, 'refused'), 2), { nobody: 2 });
    },
  },
  {
    row: 'D1',
    what: 'UDP: in turns by weight, least connections, by source; a flow stays where it is',
    async check({ stage, family, t, file }) {
      const { target } = await build(stage, file);
      assert.deepEqual(await askByFlows(t, target(family, 'turns'), 16), { red: 12, gold: 4 });
      const flow = openDatagramClient(t, target(family, 'turns'));
      const first = await flow.ask();
      for (let question = 0; question < 8; question += 1) assert.equal(await flow.ask(), first);
      const least = await askByFlows(t, target(family, 'least'), 12);
      assert.equal(least['nobody'], undefined, JSON.stringify(least));
      assert.equal(
        Object.keys(await askByFlows(t, target(family, 'source'), 8))
          .join()
          .replace(/red|gold/u, 'one'),
        'one',
      );
    },
  },
  {
    row: 'D2',
    what: 'UDP: session persistence by source',
    async check({ stage, family, t, file }) {
      const { target } = await build(stage, file);
      const [name, ...others] = Object.keys(await askByFlows(t, target(family, 'persistent'), 8));
      assert.deepEqual([others, name === 'nobody'], [[], false]);
    },
  },
  {
    row: 'E1',
    what: 'UDP: draining and switched-off members, weights that change',
    async check({ stage, family, t, file }) {
      const { lb, target, poolId } = await build(stage, file);
      assert.deepEqual(await askByFlows(t, target(family, 'states'), 6), { gold: 6 });
      const members = await membersOf(stage.client, poolId('states'));
      const put = (member: object) =>
        change(stage.client, lb.id, 'PUT', `/pools/${poolId('states')}/members/${members.get(`red${family}`)?.id}`, { member });
      await put({ weight: 2 });
      assert.deepEqual(await askByFlows(t, target(family, 'states'), 6), { red: 4, gold: 2 });
    },
  },
  {
    row: 'F1',
    what: 'UDP-CONNECT monitors; the flows of a member that dies move at once',
    async check({ stage, family, t, file }) {
      const { members, target, poolId } = await build(stage, file);
      const { mortal } = members[family];
      const name = `mortal${family}`;
      await waitMember(stage.client, poolId('connect'), name, 'ONLINE');
      const flows = Array.from({ length: 4 }, () => openDatagramClient(t, target(family, 'connect')));
      assert.deepEqual((await Promise.all(flows.map((flow) => flow.ask()))).toSorted(), ['gold', 'gold', 'mortal', 'mortal']);
      await mortal.kill();
      await waitMember(stage.client, poolId('connect'), name, 'ERROR');
      assert.deepEqual(await Promise.all(flows.map((flow) => flow.ask())), ['gold', 'gold', 'gold', 'gold']);
      await mortal.start();
      await waitMember(stage.client, poolId('connect'), name, 'ONLINE');
      assert.deepEqual(await askByFlows(t, target(family, 'connect'), 4), { mortal: 2, gold: 2 });
    },
  },
  {
    row: 'F1',
    what: 'UDP pools with HTTP and TCP monitors at addresses of their own',
    async check({ stage, family, t, file }) {
      const { target, poolId } = await build(stage, file);
      for (const name of ['http', 'tcp'] as const) {
        await waitMember(stage.client, poolId(name), `gold${family}`, 'ERROR');
        await waitMember(stage.client, poolId(name), `red${family}`, 'ONLINE');
        assert.deepEqual(await askByFlows(t, target(family, name), 4), { red: 4 }, name);
      }
    },
  },
];

/** The rules are those of UDP, and cases of `src/agent/datagram/nft.test.ts` say what they are; packets need a socket. */
const noSctp = existsSync('/proc/net/sctp') ? 'Node has no SCTP sockets' : 'the kernel has no SCTP sockets';
const sctp = (row: string, what: string): ProgramFeature => ({ row, what, skip: noSctp, check: () => Promise.reject(new Error(noSctp)) });

testProgramFeatures(
  {
    nft: [
      ...rows,
      sctp('C1', 'SCTP listeners'),
      sctp('D1', 'SCTP: algorithms and weights'),
      sctp('D2', 'SCTP: session persistence by source'),
      sctp('F1', 'SCTP monitors'),
    ],
  },
  { OS_API_SETTINGS__UDP_CONNECT_MIN_INTERVAL_HEALTH_MONITOR: '1' },
);
