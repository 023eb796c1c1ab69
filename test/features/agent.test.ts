import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { newId } from '../../src/lib/ids.ts';
import { agentPaths, ALREADY_PLUGGED, STALE_GENERATION } from '../../src/wire/agent-api.ts';
import { aclFile, listPath } from '../../src/wire/list-files.ts';
import { decodeHeartbeat } from '../../src/wire/heartbeat.ts';
import type { Heartbeat } from '../../src/wire/heartbeat.ts';
import { agentConf, configFor, eventually, heartbeatKey, startAmphora, testSubnet, testSubnet6 } from '../support/agent-amphora.ts';
import type { AgentAmphora } from '../support/agent-amphora.ts';
import { startMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';

const skip = namespacesUnavailable();

type Serving = {
  readonly amphora: AgentAmphora;
  readonly ids: { lb: string; listener: string; pool: string };
  readonly config: (more?: readonly string[][]) => string;
  readonly member: string;
};

async function plugVip(amphora: AgentAmphora, where: 'management' | 'traffic'): Promise<string> {
  const mac_address = await amphora.addCard(where, [`${testSubnet.gateway}/24`, `${testSubnet6.gateway}/64`]);
  const answer = await amphora.call('POST', agentPaths.plugVip(testSubnet.vip), vipRequest(mac_address));
  assert.equal(answer.status, 202, answer.text);
  return mac_address;
}

function vipRequest(mac_address: string): object {
  const additional_vips = [{ ip_address: testSubnet6.vip, subnet_cidr: testSubnet6.cidr, gateway: testSubnet6.gateway }];
  return {
    subnet_cidr: testSubnet.cidr,
    gateway: testSubnet.gateway,
    mac_address,
    mtu: 1400,
    vrrp_ip: testSubnet.vrrp,
    host_routes: [],
    additional_vips,
  };
}

/** An amphora that carries traffic to one member. */
async function startServing(t: TestContext): Promise<Serving> {
  const amphora = await startAmphora(t);
  await plugVip(amphora, 'traffic');
  const member = newId();
  const server = await startMember(t, { name: 'one', address: testSubnet.gateway, netns: amphora.namespaces.outside.name });
  const ids = { lb: newId(), listener: newId(), pool: newId() };
  const line = [member, `${testSubnet.gateway}:${server.port}`, 'weight', '1', 'check', 'inter', '200ms', 'fall', '2', 'rise', '1'];
  const config = (more: readonly string[][] = []) => configFor(`${amphora.folder}/run`, ids, [line], more);
  const put = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), config(), 5);
  assert.equal(put.status, 202, put.text);
  const start = await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 5);
  assert.equal(start.status, 202, start.text);
  assert.equal(await amphora.get(), 'one');
  return { amphora, ids, config, member };
}

const beatsOf = (amphora: AgentAmphora): Heartbeat[] =>
  amphora.datagrams().flatMap((datagram) => {
    const decoded = decodeHeartbeat(datagram, [heartbeatKey]);
    return decoded.ok ? [decoded.message] : [];
  });

const worker = async ({ amphora, ids }: Serving): Promise<number> => (await amphora.info()).octavia.loadbalancers[ids.lb]?.pid ?? 0;
const kill = (pid: number): boolean => process.kill(pid, 'SIGKILL');
const isGone = (pid: number): true | undefined => {
  try {
    return /\) [ZX] /u.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) ? true : undefined;
  } catch {
    return true;
  }
};

void test('a configuration is checked, run, reloaded, and reported', { skip }, async (t) => {
  const serving = await startServing(t);
  const { amphora, ids, config } = serving;
  const first = await worker(serving);
  const md5 = (await amphora.call('GET', agentPaths.haproxy(ids.lb))).etag;
  assert.deepEqual((await amphora.info()).octavia.loadbalancers[ids.lb], {
    md5,
    loaded_md5: md5,
    running: true,
    pid: first,
    generation: 5,
    lists: [],
  });

  // The same again is nothing to do.
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 5)).status, 202);
  assert.equal(await worker(serving), first);

  const changed = config([['http-request', 'set-header', 'X-New', "it's # new"]]);
  const put = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), changed, 6);
  assert.equal(put.status, 202);
  const between = (await amphora.info()).octavia.loadbalancers[ids.lb];
  assert.deepEqual([between?.md5, between?.loaded_md5, between?.pid], [put.etag, md5, first]);
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 6)).status, 202);
  const after = (await amphora.info()).octavia.loadbalancers[ids.lb];
  assert.equal(after?.loaded_md5, put.etag);
  assert.notEqual(after?.pid, first);
  assert.equal(await amphora.get(), 'one');
  assert.deepEqual((await amphora.call('GET', agentPaths.listeners)).json, [{ status: 'ACTIVE', uuid: ids.listener, type: 'http' }]);
});

void test('reloads under traffic refuse no connection, and none is lost when many come at once', { skip }, async (t) => {
  const { amphora, ids, config } = await startServing(t);
  const path = agentPaths.haproxyUpload(amphora.amphora_id, ids.lb);
  let isDone = false;
  const failures: string[] = [];
  let sent = 0;
  const traffic = (async () => {
    while (!isDone) {
      sent += 1;
      await amphora.get().catch((error: unknown) => failures.push(String(error)));
    }
  })();
  await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const text = config([['http-request', 'set-header', 'X-Number', String(index)]]);
      assert.equal((await amphora.call('PUT', path, text)).status, 202);
      assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 202);
    }),
  );
  isDone = true;
  await traffic;
  assert.deepEqual(failures, []);
  assert.ok(sent > 20);
  const state = (await amphora.info()).octavia.loadbalancers[ids.lb];
  assert.equal(state?.loaded_md5, state?.md5);
});

void test('a refused configuration gets the words of HAProxy and leaves the running process alone', { skip }, async (t) => {
  const serving = await startServing(t);
  const { amphora, ids, config } = serving;
  const before = await amphora.info();
  const put = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), config([['no-such-word', 'x']]), 6);
  assert.equal(put.status, 400);
  assert.equal(put.json.message, 'Invalid request');
  assert.match(put.json.details, /haproxy\.cfg\.new:\d+\].*unknown keyword 'no-such-word'/u);
  assert.deepEqual((await amphora.info()).octavia.loadbalancers, before.octavia.loadbalancers);
  assert.equal(await amphora.get(), 'one');
  assert.match(readFileSync(`${amphora.folder}/lib/${ids.lb}/haproxy.cfg.new-failed`, 'utf8'), /no-such-word/u);
});

void test(
  'a list is taken under the name of its content, and has to be there before the configuration that names it',
  { skip },
  async (t) => {
    const { amphora, ids, config } = await startServing(t);
    const list = aclFile('allowed', ['192.0.2.0/24']);
    const path = listPath(`${amphora.folder}/lib`, ids.lb, list.name);
    const text = config([
      ['acl', 'allowed', 'src', '-f', path],
      ['http-request', 'deny', 'unless', 'allowed'],
    ]);
    const early = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text);
    assert.deepEqual([early.status, early.json.message], [409, 'Conflict']);
    assert.equal((await amphora.call('PUT', agentPaths.list(ids.lb, list.name), `${list.content}\n`)).status, 400);
    assert.equal((await amphora.call('PUT', agentPaths.list(ids.lb, '..%2Fx'), list.content)).status, 400);
    assert.equal((await amphora.call('GET', agentPaths.list(ids.lb, list.name))).status, 404);
    assert.equal((await amphora.call('PUT', agentPaths.list(ids.lb, list.name), list.content)).status, 200);
    assert.deepEqual((await amphora.call('GET', agentPaths.list(ids.lb, list.name))).json, { md5sum: list.name.split('.')[1] });
    assert.deepEqual((await amphora.info()).octavia.loadbalancers[ids.lb]?.lists, [list.name]);
    assert.equal((await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text)).status, 202);
    assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 202);
    await assert.rejects(amphora.get(), /status 403/u);
  },
);

void test('a configuration that passes the check and cannot be loaded is taken back, and traffic goes on', { skip }, async (t) => {
  const serving = await startServing(t);
  const { amphora, ids, config } = serving;
  const before = (await amphora.info()).octavia.loadbalancers[ids.lb];
  const port = new URL(`http://${/server \S+ (\S+)/u.exec(config())?.[1]}`).port;
  await amphora.namespaces.traffic.run('ip', 'address', 'add', '198.18.9.1/32', 'dev', 'lo');
  const blocker = await startMember(t, { name: 'blocker', address: '198.18.9.1', port: 81, netns: amphora.namespaces.traffic.name });
  assert.ok(blocker.isRunning() && port !== '');
  await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), config([['bind', '198.18.9.1:81']]), 6);
  const reload = await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 6);
  assert.equal(reload.status, 500, reload.text);
  assert.match(reload.json.details, /cannot bind socket/iu);
  assert.deepEqual((await amphora.info()).octavia.loadbalancers[ids.lb]?.md5, before?.md5);
  assert.equal(await amphora.get(), 'one');
  await blocker.kill();
  await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), config([['bind', '198.18.9.1:81']]), 6);
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 6)).status, 202);
});

void test('an older generation is refused, also after the agent was started again', { skip }, async (t) => {
  const { amphora, ids, config } = await startServing(t);
  const path = agentPaths.haproxyUpload(amphora.amphora_id, ids.lb);
  const stale = async () => (await amphora.call('PUT', path, config(), 4)).json;
  assert.equal((await stale()).message, STALE_GENERATION);
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'), undefined, 4)).status, 409);
  kill(amphora.pid('agent'));
  await eventually('a new agent refuses it as well', async () =>
    (await stale().catch(() => undefined))?.message === STALE_GENERATION ? true : undefined,
  );
  assert.equal((await amphora.call('PUT', path, config(), 5)).status, 202);
  assert.equal((await amphora.call('PUT', path, config())).status, 202);
  // A newer controller that only looked has seen what must stay so.
  assert.equal((await amphora.call('GET', agentPaths.info, undefined, 6)).status, 200);
  assert.equal((await amphora.call('PUT', path, config(), 5)).status, 409);
  assert.equal((await amphora.call('GET', agentPaths.info, undefined, 5)).status, 409);
});

void test('each killed process comes back and takes none of the others with it', { skip }, async (t) => {
  const serving = await startServing(t);
  const { amphora, ids, config } = serving;

  for (const service of ['agent', 'traffic'] as const) {
    const haproxy = [amphora.pid('haproxy'), await worker(serving)];
    const pid = amphora.pid(service);
    kill(pid);
    await amphora.get();
    await eventually(`${service} is there again`, () => (amphora.pid(service) === pid ? undefined : true));
    const info = await eventually('the agent answers', () => amphora.info().catch(() => undefined));
    assert.deepEqual([amphora.pid('haproxy'), info.octavia.loadbalancers[ids.lb]?.pid], haproxy);
    assert.equal(info.octavia.plugged.length, 1);
    assert.equal(info.octavia.loadbalancers[ids.lb]?.loaded_md5, info.octavia.loadbalancers[ids.lb]?.md5);
  }
  for (const kind of ['master', 'worker'] as const) {
    const master = amphora.pid('haproxy');
    const old = await worker(serving);
    const agent = amphora.pid('agent');
    kill(kind === 'master' ? master : old);
    await eventually('HAProxy runs again', () => (amphora.pid('haproxy') === master ? undefined : true));
    await eventually('traffic flows again', () => amphora.get().catch(() => undefined));
    await eventually('no worker of the dead master is left', () => isGone(old));
    assert.equal(amphora.pid('agent'), agent);
    const state = await eventually('the agent sees it', async () => {
      const its = (await amphora.info()).octavia.loadbalancers[ids.lb];
      return its?.running === true && its.pid !== old ? its : undefined;
    });
    assert.equal(state.loaded_md5, state.md5);
    // What HAProxy was killed with can still be changed.
    const text = config([['http-request', 'set-header', 'X-After', kind]]);
    assert.equal((await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text)).status, 202);
    assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 202);
    assert.equal(await amphora.get(), 'one');
  }
});

void test('after a reboot the amphora is what it was', { skip }, async (t) => {
  const { amphora, ids } = await startServing(t);
  await amphora.namespaces.traffic.run('ip', 'link', 'set', 'eth1', 'down');
  await amphora.namespaces.traffic.run('ip', 'address', 'flush', 'dev', 'eth1');
  await amphora.reboot();
  await eventually('traffic flows again', () => amphora.get().catch(() => undefined));
  const { octavia } = await eventually('the agent answers', () => amphora.info().catch(() => undefined));
  assert.equal(octavia.generation, 5);
  assert.equal(octavia.loadbalancers[ids.lb]?.loaded_md5, octavia.loadbalancers[ids.lb]?.md5);
});

void test('SIGTERM to the init ends every process', { skip }, async (t) => {
  const { amphora } = await startServing(t);
  const pids = (['agent', 'traffic', 'haproxy'] as const).map((service) => amphora.pid(service));
  process.kill(amphora.init(), 'SIGTERM');
  for (const pid of [amphora.init(), ...pids]) await eventually(`${pid} is gone`, () => isGone(pid));
});

void test('certificates are kept for root alone, listed, and go with their load balancer', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  const [lb, name] = [newId(), `${newId()}-default.0123456789ab.0123456789abcdef0123456789abcdef.pem`];
  const put = await amphora.call('PUT', agentPaths.tlsCertificate(lb, name), 'the key', 3);
  assert.equal(put.status, 200, put.text);
  const { octavia } = await amphora.info();
  assert.deepEqual(octavia.certificates, { [lb]: { [name]: put.etag } });
  const shown = await amphora.call('GET', agentPaths.tlsCertificate(lb, name));
  assert.deepEqual([shown.status, shown.json], [200, { md5sum: put.etag }]);
  const path = `${amphora.folder}/lib/certs/${lb}/${name}`;
  assert.deepEqual(
    [path, dirname(path)].map((each) => (statSync(each).mode & 0o777).toString(8)),
    ['600', '700'],
  );
  assert.equal((await amphora.call('PUT', agentPaths.tlsCertificate(lb, name), 'another', 2)).status, 409, 'of an older controller');
  assert.equal((await amphora.call('DELETE', agentPaths.listener(lb), undefined, 3)).status, 200);
  assert.deepEqual((await amphora.info()).octavia.certificates, {});
});

void test('stop and delete end HAProxy; what is unknown is success', { skip }, async (t) => {
  const { amphora, ids } = await startServing(t);
  const master = amphora.pid('haproxy');
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'stop'))).status, 202);
  assert.ok(isGone(master));
  assert.equal((await amphora.info()).octavia.loadbalancers[ids.lb]?.running, false);
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'start'))).status, 202);
  assert.equal(await amphora.get(), 'one');
  assert.equal((await amphora.call('DELETE', agentPaths.listener(newId()))).status, 200);
  assert.equal(await amphora.get(), 'one');
  assert.equal((await amphora.call('DELETE', agentPaths.listener(ids.lb))).status, 200);
  assert.deepEqual((await amphora.info()).octavia.loadbalancers, {});
  await assert.rejects(amphora.get());
  assert.equal((await amphora.call('GET', agentPaths.haproxy(ids.lb))).status, 404);
  assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 404);
});

void test('a card outside is moved in, set up, announced, and mended when plugged again', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  const mac_address = await plugVip(amphora, 'management');
  const { plugged } = (await amphora.info()).octavia;
  const addresses = [testSubnet.vrrp, testSubnet.vip, testSubnet6.vip];
  assert.deepEqual(
    plugged.map((each) => ({ ...each, addresses: each.addresses.toSorted() })),
    [{ mac_address, interface: 'eth1', vip: testSubnet.vip, addresses: addresses.toSorted() }],
  );
  const { traffic, outside } = amphora.namespaces;
  assert.match(await traffic.run('ip', 'link', 'show', 'dev', 'eth1'), /mtu 1400/u);
  assert.match(await traffic.run('ip', 'route', 'show'), new RegExp(`default via ${testSubnet.gateway} dev eth1`, 'u'));
  assert.match(await traffic.run('ip', 'rule', 'show'), new RegExp(`from ${testSubnet.vip} lookup 1`, 'u'));
  await outside.run('ping', '-c', '1', '-W', '2', testSubnet6.vip).catch(() => outside.run('ip', 'neigh'));

  await traffic.run('ip', 'address', 'del', `${testSubnet.vip}/32`, 'dev', 'eth1');
  const again = await amphora.call('POST', agentPaths.plugVip(testSubnet.vip), vipRequest(mac_address));
  assert.deepEqual([again.status, again.json.message], [409, ALREADY_PLUGGED]);
  assert.match(await traffic.run('ip', 'address', 'show', 'dev', 'eth1'), new RegExp(`inet ${testSubnet.vip}/32`, 'u'));
  assert.deepEqual((await amphora.call('GET', agentPaths.interface(testSubnet.vip))).json, { message: 'OK', interface: 'eth1' });
});

void test('a member network becomes the next card, without a default route', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  await plugVip(amphora, 'traffic');
  const mac_address = await amphora.addCard('traffic', ['198.18.6.1/24']);
  const fixed_ips = [
    {
      ip_address: '198.18.6.20',
      subnet_cidr: '198.18.6.0/24',
      gateway: '198.18.6.1',
      host_routes: [{ destination: '198.18.7.0/24', nexthop: '198.18.6.1' }],
    },
  ];
  const body = { mac_address, fixed_ips, mtu: 1500 };
  assert.equal((await amphora.call('POST', agentPaths.plugNetwork, body)).status, 202);
  assert.equal((await amphora.call('POST', agentPaths.plugNetwork, body)).status, 409);
  const routes = await amphora.namespaces.traffic.run('ip', 'route', 'show');
  assert.match(routes, /198\.18\.7\.0\/24 via 198\.18\.6\.1 dev eth2/u);
  assert.doesNotMatch(routes, /default.*eth2/u);
});

void test('hostile and broken requests are refused with a status and change nothing', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  const mac_address = await amphora.addCard('traffic', []);
  const good = vipRequest(mac_address);
  const cases: readonly (readonly [number, string, string, (string | object)?])[] = [
    [404, 'GET', '/1.0/no-such-thing'],
    [405, 'DELETE', '/1.0/info'],
    [404, 'PUT', `/1.0/loadbalancer/${amphora.amphora_id}/..%2f..%2fetc/haproxy`, 'x'],
    [404, 'GET', '/1.0/loadbalancer/%2e%2e/haproxy'],
    [404, 'DELETE', '/1.0/listeners/..%2f'],
    [400, 'PUT', `/1.0/loadbalancer/${newId()}/certificates/..%2fserver.pem`, 'x'],
    [400, 'PUT', `/1.0/loadbalancer/${newId()}/certificates/-rf.pem`, 'x'],
    [400, 'POST', agentPaths.plugVip('not-an-address'), good],
    [400, 'POST', agentPaths.plugVip('fe80::1%25eth0'), good],
    [400, 'POST', agentPaths.plugVip(testSubnet.vip), '{'],
    [400, 'POST', agentPaths.plugVip(testSubnet.vip), '[]'],
    [400, 'POST', agentPaths.plugVip(testSubnet.vip), { ...good, mac_address: 'aa:bb' }],
    [400, 'POST', agentPaths.plugVip(testSubnet.vip), { ...good, subnet_cidr: '198.18.5.0/24\nlink del eth0' }],
    [400, 'POST', agentPaths.plugVip(testSubnet.vip), { ...good, mtu: '1500 up' }],
    [404, 'POST', agentPaths.plugVip(testSubnet.vip), { ...good, mac_address: '02:00:00:00:00:01' }],
    [400, 'PUT', agentPaths.certificate, 'no certificate'],
    [400, 'PUT', agentPaths.config, '[x'],
    [413, 'PUT', agentPaths.config, 'x'.repeat(300_000)],
    [400, 'GET', agentPaths.interface('x')],
    [404, 'GET', agentPaths.interface('192.0.2.1')],
  ];
  for (const [status, method, path, body] of cases) {
    const answer = await amphora.call(method, path, body);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.ok(typeof answer.json === 'object');
  }
  assert.equal((await amphora.call('PUT', agentPaths.config, 'x', Number.NaN)).status, 400);
  assert.deepEqual((await amphora.info()).octavia.plugged, []);
});

void test('only clients of the controllers authority are served, and a new certificate is shown at once', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  await assert.rejects(amphora.callAs(undefined, '/'));
  // Signed by the authority of agents: one amphora must not rule another.
  await assert.rejects(amphora.callAs(amphora.issue('controller'), '/'));
  const next = amphora.issue(amphora.amphora_id);
  assert.equal((await amphora.call('PUT', agentPaths.certificate, next.pem.reveal())).status, 202);
  assert.deepEqual((await amphora.call('GET', '/')).json, { api_version: '1.0' });
  const file = `${amphora.folder}/etc/certs/server.pem`;
  assert.equal(readFileSync(file, 'utf8'), next.pem.reveal());
  assert.equal(execFileSync('stat', ['-c', '%a', file], { encoding: 'utf8' }).trim(), '600');
});

void test('heartbeats are signed, count up, tell traffic once, and tell of a dead member at once', { skip }, async (t) => {
  const serving = await startServing(t);
  const { amphora, ids, member } = serving;
  // From now on only changes are told before half a minute has passed.
  assert.equal((await amphora.call('PUT', agentPaths.config, agentConf(amphora.folder, amphora.amphora_id, 30))).status, 202);
  const up = await eventually('a heartbeat tells that the member is up', () =>
    beatsOf(amphora).find((beat) => beat.pools[`${ids.pool}:${ids.listener}`]?.members[member] === 'UP'),
  );
  assert.equal(up.id, amphora.amphora_id);
  assert.equal(up.listeners[ids.listener]?.status, 'OPEN');
  assert.equal(up.pools[`${ids.pool}:${ids.listener}`]?.status, 'UP');
  assert.equal(decodeHeartbeat(amphora.datagrams()[0] ?? Buffer.alloc(0), ['another key']).ok, false);

  for (let count = 0; count < 5; count += 1) await amphora.get();
  const sockets = `${amphora.folder}/run/${ids.lb}.sock`;
  const dead = Date.now();
  execFileSync('sh', [
    '-c',
    `exec nsenter --net=/run/netns/${amphora.namespaces.outside.name} ip address del ${testSubnet.gateway}/24 dev $(nsenter --net=/run/netns/${amphora.namespaces.outside.name} ip -o link | sed -n 's/.*\\(v[0-9a-f]\\{10\\}\\)@.*/\\1/p')`,
  ]);
  assert.ok(sockets.length < 100);
  await eventually('a heartbeat tells that it is down', () =>
    beatsOf(amphora).find((beat) => beat.pools[`${ids.pool}:${ids.listener}`]?.status === 'DOWN'),
  );
  assert.ok(Date.now() - dead < 8000);
  const beats = beatsOf(amphora);
  assert.deepEqual(
    beats.map((beat) => beat.seq),
    beats.map((_, index) => index + 1),
  );
  const total = beats.reduce((sum, beat) => sum + (beat.listeners[ids.listener]?.stats.totconns ?? 0), 0);
  assert.equal(total, 6);
});

void test('counters of a replaced worker are told, and none twice', { skip }, async (t) => {
  const { amphora, ids, config } = await startServing(t);
  for (let round = 0; round < 3; round += 1) {
    for (let count = 0; count < 4; count += 1) await amphora.get();
    await amphora.call(
      'PUT',
      agentPaths.haproxyUpload(amphora.amphora_id, ids.lb),
      config([['http-request', 'set-header', 'X-Round', String(round)]]),
    );
    assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 202);
  }
  const totalOf = () => beatsOf(amphora).reduce((sum, beat) => sum + (beat.listeners[ids.listener]?.stats.totconns ?? 0), 0);
  await eventually('all 13 connections are told', () => (totalOf() >= 13 ? true : undefined));
  const told = beatsOf(amphora).length;
  await eventually('two more heartbeats', () => (beatsOf(amphora).length >= told + 2 ? true : undefined));
  assert.equal(totalOf(), 13);
});

void test('an amphora without HAProxy sends heartbeats without listeners', { skip }, async (t) => {
  const amphora = await startAmphora(t);
  const beat = await eventually('a heartbeat', () => beatsOf(amphora)[0]);
  assert.deepEqual([beat.listeners, beat.pools, beat.seq], [{}, {}, 1]);
  assert.equal(beat.boot_id, (await amphora.info()).octavia.boot_id);
});
