import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Listener, Member, PoolTree } from '../../../model/index.ts';
import { renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePool,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const skip = spawnSync('haproxy', ['-v']).status === 0 ? false : 'haproxy is not installed';

/** What a member saw, as it answers it. */
type Seen = { readonly member: number; readonly headers: IncomingHttpHeaders };

/** An HTTP server that answers who it is and what it was sent, and sets a session cookie. */
async function startMember(member: number): Promise<Server> {
  const server = createServer((incoming, response) => {
    response.setHeader('set-cookie', `it's=session-${member}; Path=/`);
    response.end(JSON.stringify({ member, headers: incoming.headers }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe('traffic through what is rendered', { skip, timeout: 30_000 }, () => {
  const octet = () => 1 + Math.floor(Math.random() * 253);
  // An address of the loopback that nobody else uses, so that no port can be taken.
  const vip = `127.${octet()}.${octet()}.${octet()}`;
  let folder: string;
  let haproxy: ChildProcess;
  let servers: Server[];

  const get = (port: number, headers: Record<string, string> = {}): Promise<Seen & { readonly cookies: string[] }> =>
    new Promise((resolve, reject) => {
      const call = request({ host: vip, port, headers, agent: false }, async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk as Buffer);
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
        return resolve({ ...(JSON.parse(Buffer.concat(chunks).toString()) as Seen), cookies: response.headers['set-cookie'] ?? [] });
      });
      call.on('error', reject);
      call.end();
    });
  const membersOf = async (port: number, count: number, headers: Record<string, string> = {}): Promise<Set<number>> => {
    const seen = new Set<number>();
    for (let index = 0; index < count; index += 1) seen.add((await get(port, headers)).member);
    return seen;
  };
  const until = async (condition: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + 10_000; !(await condition().catch(() => false)); await pause(20)) {
      assert.ok(Date.now() < deadline, 'it did not come about in 10 seconds');
    }
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'traffic-'));
    servers = await Promise.all([1, 2, 3].map(startMember));
    const both = servers
      .slice(0, 2)
      .map((server, index) => sampleMember(index + 1, { address: '127.0.0.1', protocol_port: portOf(server) }));
    const [first, second] = both as [Member, Member];
    const third = sampleMember(3, { address: '127.0.0.1', protocol_port: portOf(servers[2] as Server) });
    const persistence = (type: 'SOURCE_IP' | 'HTTP_COOKIE' | 'APP_COOKIE', cookie_name: string | null = null) => ({
      session_persistence: { type, cookie_name, persistence_timeout: null, persistence_granularity: null },
    });
    const services: readonly (readonly [Partial<Listener>, Partial<PoolTree>])[] = [
      [{ insert_headers: { 'X-Forwarded-For': 'true', 'X-Forwarded-Port': 'true', 'X-Forwarded-Proto': 'true', 'X-Real-IP': 'true' } }, {}],
      [{}, persistence('HTTP_COOKIE')],
      [{}, persistence('APP_COOKIE', "it's")],
      [{}, persistence('SOURCE_IP')],
      [{}, { lb_algorithm: 'SOURCE_IP' }],
      [{ allowed_cidrs: ['10.0.0.0/8', '2001:db8::/32'] }, {}],
      [{ allowed_cidrs: ['10.0.0.0/8', '127.0.0.0/8'] }, {}],
      [{ protocol: 'TCP' }, { protocol: 'TCP', lb_algorithm: 'LEAST_CONNECTIONS' }],
      [{}, { members: [first, { ...second, weight: 0 }, { ...third, admin_state_up: false }] }],
      [
        {},
        {
          members: [first, { ...third, backup: true }],
          healthmonitor: sampleMonitor({ delay: 1, timeout: 1, max_retries_down: 1, max_retries: 1 }),
        },
      ],
    ];
    const listeners = services.map(([listener], index) =>
      sampleListener({
        id: sampleId('listener', index + 1),
        protocol_port: 8000 + index,
        default_pool_id: sampleId('pool', index + 1),
        ...listener,
      }),
    );
    const pools = services.map(([, pool], index) => samplePool({ id: sampleId('pool', index + 1), members: both, ...pool }));
    const tree = sampleTree({ loadbalancer: sampleLoadBalancer({ vip_address: vip }), listeners, pools });
    mkdirSync(join(folder, tree.loadbalancer.id));
    const settings = { ...sampleSettings, base_path: folder, run_path: folder, run_as: null, maxconn_limit: 500 };
    writeFileSync(join(folder, 'haproxy.cfg'), renderHaproxy(tree, sampleAmphora(), settings).text);
    haproxy = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' });
    await until(async () => (await get(8000)).member > 0);
  });

  after(async () => {
    haproxy.kill('SIGKILL');
    await once(haproxy, 'exit');
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test('members take turns and learn who asks', async () => {
    assert.deepEqual(await membersOf(8000, 4), new Set([1, 2]));
    const { headers } = await get(8000, { 'x-forwarded-for': '192.0.2.1', 'x-real-ip': 'forged', 'x-forwarded-proto': 'https' });
    assert.equal(headers['x-forwarded-for'], '192.0.2.1, 127.0.0.1');
    assert.deepEqual([headers['x-real-ip'], headers['x-forwarded-proto'], headers['x-forwarded-port']], ['127.0.0.1', 'http', '8000']);
  });

  test('a cookie of ours keeps a client at its member', async () => {
    const cookie = (await get(8001)).cookies.find((each) => each.startsWith('SRV='))?.split(';')[0] ?? '';
    assert.equal((await membersOf(8001, 6, { cookie })).size, 1);
    assert.equal((await membersOf(8001, 6)).size, 2);
  });

  test("a cookie of the application's keeps a client at its member, whatever its name", async () => {
    const { member } = await get(8002);
    assert.deepEqual(await membersOf(8002, 6, { cookie: `it's=session-${member}` }), new Set([member]));
  });

  test('the address of a client keeps it at its member, by table and by hash', async () => {
    assert.equal((await membersOf(8003, 6)).size, 1);
    assert.equal((await membersOf(8004, 6)).size, 1);
  });

  test('only allowed networks get in', async () => {
    await assert.rejects(get(8005), /ECONNRESET|socket hang up/u);
    assert.equal((await get(8006)).headers['x-forwarded-for'], undefined);
  });

  test('a TCP listener passes bytes on', async () => {
    const socket = connect(8007, vip);
    socket.write('GET / HTTP/1.0\r\n\r\n');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    assert.match(bytes.toString(), /^HTTP\/1\.1 200 OK/u);
    socket.destroy();
  });

  test('neither weight 0 nor a member that is switched off gets anything', async () => {
    assert.deepEqual(await membersOf(8008, 6), new Set([1]));
  });

  test('a backup takes over when the others are dead', async () => {
    assert.deepEqual(await membersOf(8009, 4), new Set([1]));
    servers[0]?.closeAllConnections();
    servers[0]?.close();
    await until(async () => (await get(8009)).member === 3);
    assert.deepEqual(await membersOf(8009, 4), new Set([3]));
  });
});
