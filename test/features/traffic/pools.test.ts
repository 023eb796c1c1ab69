/** Pools, members and monitors by real connections. */
import assert from 'node:assert/strict';
import { accessSync, readFileSync, writeFileSync } from 'node:fs';
import type { HealthMonitor } from '../../../src/model/index.ts';
import { installPing } from '../../../src/agent/machine.ts';
import { exchange, get, membersOf, open, until } from '../../support/features/clients.ts';
import { feature, type FeatureStage, type Service, testFeatures, type Visit } from '../../support/features/features.ts';
import { sampleMonitor } from '../../support/sample-trees.ts';

const to = (visit: Visit, index = 0) => ({ address: visit.address, port: visit.ports[index] ?? 0 });
const persistence = (type: 'SOURCE_IP' | 'HTTP_COOKIE' | 'APP_COOKIE', cookie_name: string | null = null) => ({
  session_persistence: { type, cookie_name, persistence_timeout: null, persistence_granularity: null },
});
const probing = (change: Partial<HealthMonitor> = {}): HealthMonitor =>
  sampleMonitor({ delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1, ...change });

/** Who answers, once only these do. */
const settles = (visit: Visit, index: number, names: readonly string[], count = 6): Promise<void> =>
  until(`only ${names.join()} answers`, async () => {
    const found = await membersOf(to(visit, index), count);
    return found.size === names.length && names.every((name) => found.has(name));
  });

const algorithms = [
  feature('D1', 'algorithms: in turns, least connections, by source', async (stage) => {
    const pair = await stage.pair();
    const members = pair.map((each) => stage.row(each));
    const behind = (lb_algorithm: 'ROUND_ROBIN' | 'LEAST_CONNECTIONS' | 'SOURCE_IP'): Service => ({ pool: { members, lb_algorithm } });
    return {
      services: [behind('ROUND_ROBIN'), behind('LEAST_CONNECTIONS'), behind('SOURCE_IP')],
      async check(visit) {
        assert.deepEqual(await membersOf(to(visit), 4), new Set(['a', 'b']));
        const slow = get(to(visit, 1), { path: '/?ms=1500' });
        const busy = () => pair.find((each) => each.seen.some((seen) => seen.url === '/?ms=1500'));
        await until('the slow request is under way', async () => busy() !== undefined);
        const other = busy()?.name === 'a' ? 'b' : 'a';
        assert.deepEqual(await membersOf(to(visit, 1), 4), new Set([other]));
        await slow;
        for (const each of pair) each.seen.length = 0;
        assert.equal((await membersOf(to(visit, 2), 6)).size, 1);
      },
    };
  }),
  feature('D1', 'pools of each protocol behind listeners that allow them', async (stage) => {
    const [http] = await stage.pair();
    const proxied = await stage.start('p', { kind: 'proxy' });
    const services: Service[] = [
      { listener: { protocol: 'TCP' }, pool: { protocol: 'HTTPS', members: [stage.row(http)] } },
      { listener: { protocol: 'HTTPS' }, pool: { protocol: 'TCP', members: [stage.row(http)] } },
      { listener: { protocol: 'HTTP' }, pool: { protocol: 'PROXY', members: [stage.row(proxied)] } },
      { listener: { protocol: 'HTTPS' }, pool: { protocol: 'PROXYV2', members: [stage.row(proxied)] } },
    ];
    return {
      services,
      async check(visit) {
        for (const index of services.keys()) assert.equal((await get(to(visit, index))).status, 200, String(index));
      },
    };
  }),
  feature('D2', "session persistence: by source, by our cookie, by the application's", async (stage) => {
    const pair = await stage.pair();
    const members = pair.map((each) => stage.row(each));
    const services: Service[] = [
      { pool: { members, ...persistence('SOURCE_IP') } },
      { pool: { members, ...persistence('HTTP_COOKIE') } },
      { pool: { members, ...persistence('APP_COOKIE', "it's") } },
      { listener: { protocol: 'TCP' }, pool: { protocol: 'TCP', members, ...persistence('SOURCE_IP') } },
    ];
    return {
      services,
      async check(visit) {
        for (const index of [0, 3]) assert.equal((await membersOf(to(visit, index), 6)).size, 1);
        const cookies = [(await get(to(visit, 1))).headers['set-cookie']].flat();
        const cookie = cookies.find((each) => each?.startsWith('SRV='))?.split(';')[0] ?? '';
        assert.equal((await membersOf(to(visit, 1), 6, { headers: { cookie } })).size, 1);
        assert.equal((await membersOf(to(visit, 1), 6)).size, 2, 'without the cookie');
        const { member } = (await get(to(visit, 2))).seen;
        assert.deepEqual(await membersOf(to(visit, 2), 6, { headers: { cookie: `it's=session-${member}` } }), new Set([member]));
      },
    };
  }),
  feature('D4', 'PROXY protocol of both versions', async (stage) => {
    const [one, two] = [await stage.start('p1', { kind: 'proxy' }), await stage.start('p2', { kind: 'proxy' })];
    return {
      services: [
        { listener: { protocol: 'TCP' }, pool: { protocol: 'PROXY', members: [stage.row(one)] } },
        { listener: { protocol: 'HTTP' }, pool: { protocol: 'PROXYV2', members: [stage.row(two)] } },
      ],
      async check(visit) {
        await get(to(visit));
        const [word, family, source, destination, , port] = (one.proxyHeaders.at(-1) ?? '').split(' ');
        assert.deepEqual([word, family], ['PROXY', `TCP${visit.family}`]);
        assert.deepEqual([source, destination, port], [visit.source, visit.address, String(visit.ports[0])]);
        await get(to(visit, 1));
        const header = Buffer.from(two.proxyHeaders.at(-1) ?? '', 'hex');
        assert.deepEqual([header[12], header[13]], [0x21, visit.family === 4 ? 0x11 : 0x21]);
        const at = visit.family === 4 ? 24 : 48;
        assert.deepEqual(header.readUInt16BE(at + 2), visit.ports[1]);
      },
    };
  }),
];

const members = [
  feature('E1', 'weights, draining, switched off, backups', async (stage) => {
    const [a, b] = await stage.pair();
    const c = await stage.start('c');
    const services: Service[] = [
      { pool: { members: [stage.row(a, { weight: 30 }), stage.row(b, { weight: 10 })] } },
      { pool: { members: [stage.row(a), stage.row(b, { weight: 0 })] } },
      { pool: { members: [stage.row(a), stage.row(b, { admin_state_up: false })] } },
      { pool: { members: [stage.row(a), stage.row(b, { backup: true }), stage.row(c, { backup: true })] } },
      {
        pool: {
          members: [stage.row({ ...a, port: 9 }), stage.row(b, { backup: true }), stage.row(c, { backup: true })],
          healthmonitor: probing(),
        },
      },
    ];
    return {
      services,
      async check(visit) {
        const names: string[] = [];
        for (let index = 0; index < 40; index += 1) names.push((await get(to(visit))).seen.member);
        assert.equal(names.filter((name) => name === 'a').length, 30);
        for (const index of [1, 2, 3]) assert.deepEqual(await membersOf(to(visit, index), 6), new Set(['a']), String(index));
        await settles(visit, 4, ['b', 'c']);
      },
    };
  }),
  feature('E1', 'addresses and ports of monitors', async (stage) => {
    const [a, b] = await stage.pair();
    const [well, ill] = await stage.pair();
    ill.status = 500;
    const healthmonitor = probing();
    return {
      services: [
        {
          pool: {
            healthmonitor,
            members: [
              stage.row(a, { monitor_port: well.port, monitor_address: well.address }),
              stage.row(b, { monitor_port: ill.port, monitor_address: ill.address }),
            ],
          },
        },
      ],
      check: (visit) => settles(visit, 0, ['a']),
    };
  }),
];

/** A pool of one that is well and one that is not, as a monitor sees it. */
const watched = async (stage: FeatureStage, monitor: Partial<HealthMonitor>, ill: { port?: number } = { port: 9 }): Promise<Service> => {
  const pair = await stage.pair();
  return { pool: { members: [stage.row(pair[0]), stage.row({ ...pair[1], ...ill })], healthmonitor: probing(monitor) } };
};

const pingAllowed = (): string | false => {
  try {
    accessSync('/usr/bin/ping');
    // As the init of an amphora has it in its traffic namespace.
    writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 2147483647');
    return readFileSync('/proc/sys/net/ipv4/ping_group_range', 'utf8').startsWith('0') ? false : 'the kernel lets nobody ping';
  } catch {
    return 'there is no ping here';
  }
};

const monitors = [
  feature('F1', 'HTTP monitors: method, path, version, host, codes', async (stage) => {
    const [a, b] = await stage.pair();
    const strict = probing({
      http_method: 'HEAD',
      url_path: '/health?x=1',
      http_version: 1.1,
      domain_name: 'www.example.com',
      expected_codes: '200-204,301',
    });
    const [c, d] = await stage.pair();
    d.status = 418;
    return {
      services: [
        { pool: { members: [stage.row(a), stage.row({ ...b, port: 9 })], healthmonitor: strict } },
        { pool: { members: [stage.row(c), stage.row(d)], healthmonitor: probing({ expected_codes: '200, 202' }) } },
        { pool: { members: [stage.row(c), stage.row(d)], healthmonitor: probing({ expected_codes: '418', url_path: '/teapot' }) } },
        { pool: { members: [stage.row(c)], healthmonitor: probing({ url_path: '/unhealthy' }) } },
      ],
      async check(visit) {
        await settles(visit, 0, ['a']);
        const probe = a.seen.find((seen) => seen.url === '/health?x=1');
        assert.deepEqual([probe?.method, probe?.version, probe?.headers['host']], ['HEAD', '1.1', 'www.example.com']);
        await until(
          'the wrong code counts',
          async () => (await get(to(visit, 1))).status === 200 && (await membersOf(to(visit, 1), 6)).size === 1,
        );
        await until('418 is what is expected', async () => (await get(to(visit, 2))).status === 418);
        await until('nobody is healthy', async () => (await get(to(visit, 3))).status === 503);
      },
    };
  }),
  feature('F1', 'HTTPS, TCP and TLS-HELLO monitors', async (stage) => {
    const certificate = stage.pki.of('ec.example');
    const [plain] = await stage.pair();
    const [https, unwell] = [
      await stage.start('s', { kind: 'https', certificate }),
      await stage.start('u', { kind: 'https', certificate }),
    ];
    unwell.status = 500;
    const pool = (monitor: Partial<HealthMonitor>, ...its: (typeof plain)[]): Service => ({
      listener: { protocol: 'HTTPS' },
      pool: { protocol: 'HTTPS', members: its.map((each) => stage.row(each)), healthmonitor: probing(monitor) },
    });
    return {
      services: [
        pool({ type: 'HTTPS' }, https, unwell),
        // It speaks no TLS: a connection is not enough.
        pool({ type: 'TLS-HELLO' }, https, plain),
        await watched(stage, { type: 'TCP' }),
      ],
      async check(visit) {
        const overTls = (index: number) => membersOf(to(visit, index), 6, { tls: {} }).catch(() => new Set<string>());
        for (const index of [0, 1]) await until(`${index} settles`, async () => [...(await overTls(index))].join() === 's');
        await settles(visit, 2, ['a']);
      },
    };
  }),
  feature(
    'F1',
    'PING monitors',
    async (stage) => {
      const [a] = await stage.pair();
      const member = stage.row({ address: stage.blackhole ?? '192.0.2.1', port: a.port });
      return {
        services: [{ pool: { members: [stage.row(a), member], healthmonitor: probing({ type: 'PING' }) } }],
        async check(visit) {
          await installPing(visit.folder);
          await settles(visit, 0, ['a']);
        },
      };
    },
    pingAllowed(),
  ),
];

const byteStreams = [
  feature('E1', 'a member of IPv4 and one of IPv6 in one pool of bytes', async (stage) => {
    const pair = await stage.pair({ kind: 'echo' });
    return {
      services: [{ listener: { protocol: 'TCP' }, pool: { protocol: 'TCP', members: pair.map((each) => stage.row(each)) } }],
      async check(visit) {
        const answers = new Set<string>();
        for (let index = 0; index < 4; index += 1) {
          const socket = await open(to(visit));
          answers.add(await exchange(socket, 'x'));
          socket.destroy();
        }
        assert.deepEqual(answers, new Set(['a x', 'b x']));
      },
    };
  }),
];

testFeatures([...algorithms, ...members, ...monitors, ...byteStreams]);
