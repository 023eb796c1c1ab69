/** Log offload: lines of connections and of the amphora's programs at receivers of syslog, whatever dies. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { haproxy_amphora } from '../../src/config/options/amphora.ts';
import { renderHaproxy } from '../../src/providers/amphora/render/haproxy.ts';
import { agentPaths, FLOW_LOG_FD } from '../../src/wire/agent-api.ts';
import { testHaproxies } from '../../tools/suite/haproxies.ts';
import { agentConf, type AgentAmphora, eventually, startAmphora, testSubnet, testSubnet6 } from '../support/agent-amphora.ts';
import { makeLoadBalancer, removeLoadBalancer } from '../support/load-balancers.ts';
import { startMember, type TestMember } from '../support/members.ts';
import { claimNumber, namespacesUnavailable } from '../support/namespaces.ts';
import {
  sampleAmphora,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  samplePool,
  sampleSettings,
  sampleTree,
} from '../support/sample-trees.ts';
import { asMember, openStage, vipOf, wholeTree } from '../support/stage.ts';
import { ask } from '../support/traffic.ts';
import { until } from '../support/octavia.ts';
import { type FlowClient, startFlowClient, startSyslog, type SyslogReceiver } from '../support/features/syslog.ts';

const families = { IPv4: { vip: testSubnet.vip, loopback: '127.0.0.1' }, IPv6: { vip: testSubnet6.vip, loopback: '::1' } } as const;

type Play = {
  readonly amphora: AgentAmphora;
  readonly client: FlowClient;
  readonly vip: { readonly address: string; readonly port: number };
  readonly member: TestMember;
  /** The two receivers of lines of connections, the first being preferred, and that of the programs. */
  readonly tenant: readonly [SyslogReceiver, SyslogReceiver];
  readonly admin: SyslogReceiver;
  /** Puts a configuration and makes it run; another time-out needs a reload. */
  readonly put: (timeout_client_data?: number) => Promise<void>;
};

for (const haproxy of testHaproxies())
  for (const [family, { vip, loopback }] of Object.entries(families))
    test(
      `${haproxy.name} › L8 · log offload: flow and administrative logs by syslog · ${family}`,
      { skip: namespacesUnavailable() || haproxy.skip, timeout: 100_000 },
      async (t) => {
        const play = await open(t, { path: haproxy.path, vip, loopback, protocol: 'TCP' });
        for (const [name, story] of Object.entries(stories)) await t.test(name, () => story(play));
      },
    );

const stories: Readonly<Record<string, (play: Play) => Promise<void>>> = {
  "a request is a line with upstream's fields": fields,
  'what clients write cannot be another line': hostile,
  'later receivers are used only while the first is gone': failover,
  'an agent that is killed and a reload lose no line and no request': deaths,
  'without receivers the traffic goes on, and the lines that were dropped are counted': dropping,
};

test('logs of a load balancer of this machine come to a receiver of the operator', { skip: namespacesUnavailable() }, async (t) => {
  const { number, release } = claimNumber('log-ranges', 128);
  t.after(release);
  const tenant = await startSyslog(t, { protocol: 'TCP', address: '0.0.0.0' });
  const admin = await startSyslog(t, { protocol: 'TCP', address: '0.0.0.0' });
  const stage = await openStage(t, {
    env: {
      OS_LOCAL__MANAGEMENT_CIDR: `100.127.${number}.0/24`,
      OS_AMPHORA_AGENT__TENANT_LOG_TARGETS: `100.127.${number}.1:${tenant.port}`,
      OS_AMPHORA_AGENT__ADMIN_LOG_TARGETS: `100.127.${number}.1:${admin.port}`,
      OS_AMPHORA_AGENT__LOG_PROTOCOL: 'TCP',
    },
  });
  const made = await makeLoadBalancer(stage.client, wholeTree('logged', stage.subnet.id, [asMember(stage.blue)]));
  await until(async () => (await ask(vipOf(made)).catch(() => '')) === 'blue', 'the first byte comes');
  for (let count = 0; count < 10; count += 1) assert.equal(await ask(vipOf(made), `/told/${count}`), 'blue');
  const lines = await linesWith(tenant, '/told/', 10);
  assert.ok(
    lines.every((line) => line.includes(`${made.id} ${made.listeners[0]?.id} `)),
    lines[0],
  );
  await eventually('HAProxy tells of the dead member', async () => {
    await stage.blue.kill();
    return admin.lines().some((line) => line.includes(' is DOWN, reason: ')) || undefined;
  });
  await removeLoadBalancer(stage.client, made.id);
});

test('over UDP each line is a datagram, and a facility is the operators to choose', { skip: namespacesUnavailable() }, async (t) => {
  const more = 'log_queue_size = 50\ndisable_local_log_storage = true\n';
  const play = await open(t, { vip: testSubnet.vip, loopback: '127.0.0.1', protocol: 'UDP', more, facility: 3 });
  assert.deepEqual(await play.client.run(play.vip, '/u', 20, 0), []);
  const lines = await linesWith(play.tenant[0], '/u/', 20);
  assert.ok(
    lines.every((line) => line.startsWith('<158>') && !line.includes('\n')),
    lines[0],
  );
  await play.tenant[0].kill();
  // Datagrams are lost until the news comes that nobody takes them.
  await eventually('the second receiver gets lines', async () => {
    await play.client.run(play.vip, '/v', 1, 0);
    return play.tenant[1].lines().some((line) => line.includes('/v/')) || undefined;
  });
  assert.throws(() => stored(play, 'octavia-tenant-traffic.log'), { code: 'ENOENT' });
});

type Opening = {
  readonly path?: string;
  readonly vip: string;
  readonly loopback: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly more?: string;
  readonly facility?: number;
};

async function open(
  t: TestContext,
  { path, vip, loopback, protocol, more = 'log_queue_size = 200\n', facility = 0 }: Opening,
): Promise<Play> {
  const amphora = await startAmphora(t, path === undefined ? {} : { path });
  const { management, outside } = amphora.namespaces;
  const receiver = () => startSyslog(t, { protocol, address: loopback, netns: management.name });
  const [one, two, admin] = [await receiver(), await receiver(), await receiver()];
  const at = ({ port }: SyslogReceiver): string => (loopback.includes(':') ? `[${loopback}]:${port}` : `${loopback}:${port}`);
  const options = `tenant_log_targets = ${at(one)}, ${at(two)}\nadmin_log_targets = ${at(admin)}\nlog_protocol = ${protocol}\n`;
  const conf = agentConf(amphora.folder, amphora.amphora_id).replace('[health', `user_log_facility = ${facility}\n[health`);
  const told = await amphora.call('PUT', agentPaths.config, `${conf}${options}log_retry_count = 1\nlog_retry_interval = 0\n${more}`);
  assert.equal(told.status, 202, told.text);
  await plugVip(amphora);
  const member = await startMember(t, { name: 'one', address: testSubnet.gateway, netns: outside.name });
  const put = async (timeout_client_data = 50_000): Promise<void> => {
    const text = configOf(amphora, { vip, port: member.port, timeout_client_data, facility });
    const accepted = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, lb.id), text);
    assert.equal(accepted.status, 202, accepted.text);
    const run = await amphora.call('PUT', agentPaths.service(lb.id, 'reload'));
    assert.equal(run.status, 202, run.text);
  };
  await put();
  const client = startFlowClient(t, outside.name);
  const place = { address: vip, port: 80 };
  await eventually('the first answer comes', async () => (await client.run(place, '/first', 1, 0)).length === 0 || undefined);
  return { amphora, client, vip: place, member, tenant: [one, two], admin, put };
}

const lb = sampleLoadBalancer();

async function plugVip(amphora: AgentAmphora): Promise<void> {
  const mac_address = await amphora.addCard('traffic', [`${testSubnet.gateway}/24`, `${testSubnet6.gateway}/64`]);
  const { cidr: subnet_cidr, gateway, vip, vrrp: vrrp_ip } = testSubnet;
  const additional_vips = [{ ip_address: testSubnet6.vip, subnet_cidr: testSubnet6.cidr, gateway: testSubnet6.gateway }];
  const request = { subnet_cidr, gateway, mac_address, mtu: 1500, vrrp_ip, host_routes: [], additional_vips };
  const answer = await amphora.call('POST', agentPaths.plugVip(vip), request);
  assert.equal(answer.status, 202, answer.text);
}

function configOf(amphora: AgentAmphora, of: { vip: string; port: number; timeout_client_data: number; facility: number }): string {
  const members = [sampleMember(1, { address: testSubnet.gateway, protocol_port: of.port })];
  const tree = sampleTree({
    loadbalancer: { ...lb, vip_address: of.vip },
    listeners: [sampleListener({ timeout_client_data: of.timeout_client_data })],
    pools: [samplePool({ members })],
  });
  const settings = {
    ...sampleSettings,
    base_path: `${amphora.folder}/lib`,
    run_path: `${amphora.folder}/run`,
    maxconn_limit: 500,
    log_target: { kind: 'pipe', descriptor: FLOW_LOG_FD },
    user_log_format: String(haproxy_amphora.user_log_format.default),
    user_log_facility: of.facility,
  } as const;
  return renderHaproxy(tree, sampleAmphora(1, { id: amphora.amphora_id }), settings).text;
}

/** Waits for so many lines with a text; fails when there are more. */
async function linesWith(receiver: Pick<SyslogReceiver, 'lines'>, text: string, count: number): Promise<readonly string[]> {
  const found = () => receiver.lines().filter((line) => line.includes(text));
  await eventually(`${count} lines with ${text}, there are ${found().length}`, () => found().length >= count || undefined);
  assert.equal(found().length, count);
  return found();
}

const both = ({ tenant }: Play) => ({ lines: () => tenant.flatMap((receiver) => receiver.lines()) });
const stored = ({ amphora }: Play, name: string): string => readFileSync(`${amphora.folder}/lib/log/${name}`, 'utf8');

async function fields(play: Play): Promise<void> {
  assert.deepEqual(await play.client.run(play.vip, '/fields', 1, 0), []);
  const [line = ''] = await linesWith(play.tenant[0], '/fields/0', 1);
  const [, head = '', text = ''] = /^(<134>\w{3} [ \d]\d \d\d:\d\d:\d\d amphora-\S+ haproxy\[\d+\]): (.*)$/u.exec(line) ?? [];
  assert.ok(head.includes(` amphora-${play.amphora.amphora_id} `), line);
  const address = play.vip.address.includes(':') ? testSubnet6.gateway : testSubnet.gateway;
  const [listener, pool, member] = [sampleListener().id, samplePool().id, sampleMember().id];
  assert.match(
    text,
    new RegExp(
      `^${lb.project_id} ${lb.id} ${listener} ${address} \\d+ \\d+/\\w+/\\d+:[\\d:.]+ "GET /fields/0 HTTP/1.1" 200 \\d+ \\d+ - "" ${pool}:${listener} ${member} \\d+ ----$`,
      'u',
    ),
  );
  await eventually('the line is kept in the amphora', () => stored(play, 'octavia-tenant-traffic.log').includes('/fields/0') || undefined);
  await linesWith(play.admin, 'haproxy is started', 1);
  await linesWith(play.admin, '"msg":"logs are sent","logs":"tenant"', 1);
  assert.ok(play.admin.lines().every((each) => /^<1[34]\d>/u.test(each)));
  await play.member.kill();
  await play.member.start();
}

async function hostile({ client, vip, tenant }: Play): Promise<void> {
  const before = tenant[0].lines().length;
  const forged = '<134>Nov 27 00:00:00 amphora-1 haproxy[1]: forged';
  const targets = [
    `/h1"%0a${forged.replaceAll(' ', '%20')}`,
    '/h2\\"{}|[]^`%00%0d%0a',
    `/h3${'x'.repeat(5000)}`,
    `/h4?q=%E2%80%A8\u00e9`,
    '/h5\u001b[31m',
    `/h6\n${forged}`,
    `/h7\r\n${forged}`,
    '/h8\u0000',
  ];
  for (const target of targets)
    await client.raw(vip, `GET ${target} HTTP/1.1\r\nHost: ${target.slice(0, 50).replaceAll(/[\r\n]/gu, '')}\r\nConnection: close\r\n\r\n`);
  await client.run(vip, '/last', 1, 0);
  await linesWith(tenant[0], '/last/0', 1);
  const lines = tenant[0].lines().slice(before);
  assert.equal(lines.length, targets.length + 1, lines.join('\n'));
  for (const line of lines) {
    // oxlint-disable-next-line no-control-regex
    assert.ok(!/[\u0000-\u001f\u007f-\u00ff]/u.test(line), JSON.stringify(line));
    // One pair of quotes for the request, one for the certificate's subject: no client closes them.
    assert.equal(line.split('"').length, 5, line);
    assert.match(line, / haproxy\[\d+\]: a{32} 10000000-.* \S{4}$/u);
  }
}

async function failover(play: Play): Promise<void> {
  const { client, vip, tenant } = play;
  await tenant[0].kill();
  assert.deepEqual(await client.run(vip, '/away', 10, 10), []);
  await linesWith(tenant[1], '/away/', 10);
  assert.equal((await play.amphora.info()).octavia.logs?.tenant.target?.endsWith(`:${tenant[1].port}`), true);
  await tenant[0].start();
  await eventually('the first is used again', async () => {
    await client.run(vip, '/back', 1, 20);
    return tenant[0].lines().some((line) => line.includes('/back/')) || undefined;
  });
  const before = tenant[1].lines().length;
  assert.deepEqual(await client.run(vip, '/again', 5, 0), []);
  await linesWith(tenant[0], '/again/', 5);
  assert.equal(tenant[1].lines().length, before);
}

async function deaths(play: Play): Promise<void> {
  const { client, vip, amphora } = play;
  const before = amphora.pid('agent');
  const running = client.run(vip, '/deaths', 400, 5);
  process.kill(before, 'SIGKILL');
  await eventually('another agent answers', async () => {
    const info = amphora.pid('agent') === before ? undefined : await amphora.info().catch(() => undefined);
    return info?.octavia.logs !== undefined || undefined;
  });
  for (const timeout of [40_000, 30_000]) await play.put(timeout);
  assert.deepEqual(await running, []);
  const lines = await linesWith(both(play), '/deaths/', 400);
  assert.equal(new Set(lines.map((line) => /\/deaths\/\d+ /u.exec(line)?.[0])).size, 400);
  assert.ok(new Set(lines.map((line) => /haproxy\[\d+\]/u.exec(line)?.[0])).size >= 3, 'workers of before and after');
  const started = `agent is started as process ${amphora.pid('agent')}`;
  await eventually(
    'the init tells that it started another agent',
    () => play.admin.lines().some((line) => line.endsWith(started)) || undefined,
  );
  await eventually('a reload is told', () => play.admin.lines().some((line) => line.includes('HAProxy was reloaded')) || undefined);
  await eventually("HAProxy's own words are told", () => play.admin.lines().some((line) => line.includes('Former worker')) || undefined);
}

async function dropping(play: Play): Promise<void> {
  const before = (await play.amphora.info()).octavia.logs?.tenant;
  for (const receiver of play.tenant) await receiver.kill();
  assert.deepEqual(await play.client.run(play.vip, '/dropped', 260, 0), []);
  const logs = await eventually('lines are dropped', async () => {
    const found = (await play.amphora.info()).octavia.logs;
    return (found?.tenant.dropped ?? 0) > (before?.dropped ?? 0) ? found : undefined;
  });
  assert.equal(logs.not_written, 0);
  await play.tenant[1].start();
  const lines = () => play.tenant[1].lines().filter((line) => line.includes('/dropped/')).length;
  await eventually('what waited is sent', () => lines() >= 200 || undefined);
  const end = (await play.amphora.info()).octavia.logs;
  assert.deepEqual([before?.dropped, lines() + (end?.tenant.dropped ?? 0)], [0, 260]);
}
