/** Changes of a running HAProxy through the agent's REST API: what needs no reload gets none, and what runs is what the file says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { newId } from '../../src/lib/ids.ts';
import { agentPaths } from '../../src/wire/agent-api.ts';
import type { ChangeCounts, ChangeReport } from '../../src/wire/agent-api.ts';
import { decodeHeartbeat } from '../../src/wire/heartbeat.ts';
import { aclFile, listPath } from '../../src/wire/list-files.ts';
import type { ListFile } from '../../src/wire/list-files.ts';
import { askSocket, parseProcesses } from '../../src/agent/unix-socket.ts';
import type { Processes } from '../../src/agent/unix-socket.ts';
import { tlsFileMd5, tlsFileName, tlsPlace } from '../../src/wire/tls-files.ts';
import { configFor, eventually, heartbeatKey, startAmphora, testSubnet } from '../support/agent-amphora.ts';
import type { AgentAmphora } from '../support/agent-amphora.ts';
import { testHaproxies } from '../../tools/suite/haproxies.ts';
import { startMember } from '../support/members.ts';
import type { TestMember } from '../support/members.ts';
import { namespacesUnavailable } from '../support/namespaces.ts';

type Serving = {
  readonly amphora: AgentAmphora;
  readonly ids: { readonly lb: string; readonly listener: string; readonly pool: string };
  readonly members: readonly (TestMember & { readonly id: string })[];
  /** Puts a configuration and has it run; answers how. */
  put(servers: readonly string[][], more?: readonly string[][], lists?: readonly ListFile[]): Promise<ChangeReport>;
  /** The words of a member's server. */
  server(index: number, ...words: string[]): string[];
  command(text: string): Promise<string>;
  /** How often each member answers. */
  answers(count?: number): Promise<Readonly<Record<string, number>>>;
  changes(): Promise<ChangeCounts>;
  processes(): Promise<Processes>;
};

const check = ['check', 'inter', '500ms', 'fall', '2', 'rise', '1'];

async function startServing(t: TestContext, path: string): Promise<Serving> {
  const amphora = await startAmphora(t, { path });
  const mac_address = await amphora.addCard('traffic', [`${testSubnet.gateway}/24`]);
  const vip = { subnet_cidr: testSubnet.cidr, gateway: testSubnet.gateway, mac_address, vrrp_ip: testSubnet.vrrp };
  assert.equal((await amphora.call('POST', agentPaths.plugVip(testSubnet.vip), vip)).status, 202);
  const ids = { lb: newId(), listener: newId(), pool: newId() };
  const names = ['one', 'two', 'three'];
  const netns = amphora.namespaces.outside.name;
  const members = await Promise.all(
    names.map(async (name) => Object.assign(await startMember(t, { name, address: testSubnet.gateway, netns }), { id: newId() })),
  );
  const put: Serving['put'] = async (servers, more = [], lists = []) => {
    for (const list of lists) assert.equal((await amphora.call('PUT', agentPaths.list(ids.lb, list.name), list.content)).status, 200);
    const text = configFor(`${amphora.folder}/run`, ids, servers, more);
    const stored = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text);
    assert.equal(stored.status, 202, stored.text);
    const run = await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'));
    assert.equal(run.status, 202, run.text);
    return run.json.octavia as ChangeReport;
  };
  const server: Serving['server'] = (index, ...words) => [
    members[index]?.id ?? '',
    `${testSubnet.gateway}:${members[index]?.port}`,
    ...words,
  ];
  const answers: Serving['answers'] = async (count = 8) => {
    const found: Record<string, number> = {};
    for (let each = 0; each < count; each += 1) {
      const name = await amphora.get();
      found[name] = (found[name] ?? 0) + 1;
    }
    return found;
  };
  return {
    amphora,
    ids,
    members,
    put,
    server,
    command: (text) => askSocket(`${amphora.folder}/run/${ids.lb}.sock`, text),
    answers,
    changes: async () => (await amphora.info()).octavia.changes as ChangeCounts,
    // The master is away for a moment after a reload.
    processes: () =>
      eventually('the master answers', async () =>
        parseProcesses(await askSocket(`${amphora.folder}/run/master.sock`, 'show proc').catch(() => '')),
      ),
  };
}

const stories: Readonly<Record<string, (serving: Serving, t: TestContext) => Promise<void>>> = {
  'members come, change and go without a reload': membersChange,
  'a member that is leaving keeps its connections, is told of no more, and goes when they end': leaving,
  'lists and limits change without a reload': listsAndLimits,
  'certificates are exchanged, come and go without a reload, and stay right': certificates,
  'what was changed by hand, or lost, is put right': repairs,
  'an agent that is killed between commands finishes the change': killedAgent,
  'after a reload and after the death of HAProxy the process is what the file says': deaths,
  'a batch of many members is one conversation': batch,
  'old workers are bounded in number': oldWorkers,
};

// Both at once: most of the time they wait. They are started one after the other, because bundlers share a process.
test('changes of a running HAProxy', { concurrency: true, skip: namespacesUnavailable() }, async (t) => {
  const started: (() => Promise<void>)[] = [];
  for (const { name, path, skip } of testHaproxies()) {
    const serving = skip === false ? await startServing(t, path) : undefined;
    started.push(() =>
      t.test(name, { skip }, async (inner) => {
        if (serving === undefined) return;
        for (const [story, tell] of Object.entries(stories)) await inner.test(story, (each) => tell(serving, each));
      }),
    );
  }
  await Promise.all(started.map((start) => start()));
});

async function membersChange({ amphora, ids, put, server, answers, changes, processes }: Serving): Promise<void> {
  assert.equal((await put([server(0, 'weight', '1', ...check)])).how, 'start');
  const { worker } = await processes();
  const both = [server(0, 'weight', '1', ...check), server(1, 'weight', '1', ...check)];
  const added = await put(both);
  assert.deepEqual([added.how, added.reason, added.commands], ['commands', null, 3]);
  assert.deepEqual(await answers(), { one: 4, two: 4 });
  assert.equal((await put(both)).how, 'nothing');

  assert.equal((await put([server(0, 'weight', '3', ...check), server(1, 'weight', '1', ...check)])).how, 'commands');
  assert.deepEqual(await answers(), { one: 6, two: 2 });
  assert.equal((await put([server(0, 'weight', '0', ...check), server(1, 'weight', '1', ...check)])).how, 'commands');
  assert.deepEqual(await answers(4), { two: 4 });
  assert.equal((await put([server(0, 'weight', '1', ...check), server(1, 'weight', '1', ...check, 'disabled')])).how, 'commands');
  assert.deepEqual(await answers(4), { one: 4 });
  const three = [
    server(0, 'weight', '1', ...check, 'disabled'),
    server(1, 'weight', '1', ...check),
    server(2, 'weight', '1', ...check, 'disabled'),
  ];
  assert.equal((await put(three)).how, 'commands');
  assert.deepEqual(await answers(4), { two: 4 });
  assert.equal((await put([server(2, 'weight', '1', ...check)])).how, 'commands');
  assert.deepEqual(await answers(4), { three: 4 });

  // What HAProxy would refuse is refused, also where its check may come later than the change.
  const path = agentPaths.haproxyUpload(amphora.amphora_id, ids.lb);
  const heavy = await amphora.call('PUT', path, configFor(`${amphora.folder}/run`, ids, [server(2, 'weight', '257', ...check)]));
  assert.deepEqual([heavy.status, /weight/u.test(heavy.text)], [400, true]);

  assert.equal((await processes()).worker, worker);
  const counts = await changes();
  assert.deepEqual([counts.by_commands, counts.reloads, counts.starts, counts.repairs], [6, 0, 1, 0]);
  const reload = await put([server(2, 'weight', '1', ...check, 'backup')]);
  assert.deepEqual([reload.how, reload.reason], ['reload', `server ${server(2)[0]} becomes another one`]);
  assert.equal((await changes()).last_reloads[0]?.reason, reload.reason);
}

async function leaving({ amphora, ids, members, put, server, command, changes, processes }: Serving): Promise<void> {
  await put([server(0, 'weight', '1'), server(1, 'weight', '1', 'disabled')]);
  const { worker } = await processes();
  const slow = amphora.get('/?ms=2500');
  await eventually('the slow request is with its member', async () =>
    /,1,/u.test(rowOf(await command('show stat'), members[0]?.id)) ? true : undefined,
  );
  assert.equal((await put([server(1, 'weight', '1')])).how, 'commands');
  assert.equal((await changes()).leaving, 1);
  assert.match(await command('show servers state'), new RegExp(members[0]?.id ?? '', 'u'));
  await eventually('heartbeats tell only of the member that there is', () => {
    const beats = amphora.datagrams().map((datagram) => decodeHeartbeat(datagram, [heartbeatKey]));
    const last = beats.at(-1);
    const pool = last?.ok === true ? last.message.pools[`${ids.pool}:${ids.listener}`] : undefined;
    return Object.keys(pool?.members ?? {}).join() === members[1]?.id ? true : undefined;
  });
  assert.equal(await slow, 'one');
  // HAProxy 2.6 keeps an idle connection to a member for some 20 seconds; one that dies has none.
  await members[0]?.kill();
  await eventually('the server is gone', async () =>
    (await command('show servers state')).includes(members[0]?.id ?? '') ? undefined : true,
  );
  await eventually('nothing is leaving', async () => ((await changes()).leaving === 0 ? true : undefined));
  assert.equal((await processes()).worker, worker);
  await members[0]?.start();
}

const rowOf = (stat: string, name: string | undefined): string => stat.split('\n').find((row) => row.includes(`,${name},`)) ?? '';

async function listsAndLimits({ amphora, ids, put, server, command, processes, answers }: Serving): Promise<void> {
  const servers = [server(0, 'weight', '1')];
  const rules = (list: ListFile) => [
    ['acl', 'allowed', 'src', '-f', listPath(`${amphora.folder}/lib`, ids.lb, list.name)],
    ['http-request', 'deny', 'unless', 'allowed'],
  ];
  const nobody = aclFile('allowed', ['192.0.2.0/24', '2001:db8::/32']);
  await put(servers, rules(nobody), [nobody]);
  await assert.rejects(amphora.get(), /status 403/u);
  const { worker } = await processes();
  const clients = aclFile('allowed', [
    ...Array.from({ length: 600 }, (_, index) => `10.${index % 250}.${Math.floor(index / 250)}.0/24`),
    testSubnet.cidr,
  ]);
  assert.equal((await put(servers, rules(clients), [clients])).how, 'commands');
  assert.deepEqual(await answers(2), { one: 2 });
  assert.equal((await put(servers, rules(nobody), [nobody])).how, 'commands');
  await assert.rejects(amphora.get(), /status 403/u);
  assert.equal((await put(servers, rules(clients), [clients])).how, 'commands');
  assert.deepEqual(await answers(2), { one: 2 });
  assert.equal((await processes()).worker, worker);
  assert.equal((await put(servers)).how, 'reload');
  assert.match(await command('show stat -1 1 -1'), new RegExp(`^${ids.listener},FRONTEND,,,\\d+,\\d+,400,`, 'mu'));
}

async function certificates({ amphora, ids, put, server, command, changes, processes }: Serving): Promise<void> {
  const folder = `${amphora.folder}/lib/certs/${ids.lb}`;
  const store = async (slot: string, from: string, content: string): Promise<string> => {
    const name = tlsFileName(tlsPlace(slot, [from]), tlsFileMd5(content));
    const answer = await amphora.call('PUT', agentPaths.tlsCertificate(ids.lb, name), content);
    assert.equal(answer.status, 200, answer.text);
    return `${folder}/${name}`;
  };
  const issued = (name: string) => amphora.issue(name).pem.reveal();
  const list = (...paths: string[]) => store(ids.listener, paths.join(), paths.map((path) => `${path}\n`).join(''));
  const putTls = async (authority: string, ...paths: string[]) => {
    const bind = ['bind', `${testSubnet.vip}:443`, 'ssl', 'crt-list', await list(...paths), 'ca-file', authority, 'verify', 'optional'];
    return put([server(0, 'weight', '1')], [bind]);
  };
  const shown = async (name: string): Promise<string> => {
    const client = `echo | openssl s_client -connect ${testSubnet.vip}:443 -servername ${name} 2>/dev/null | openssl x509 -noout -subject`;
    return /CN = (\S+)/u.exec(await amphora.namespaces.outside.run('sh', '-c', client))?.[1] ?? '';
  };

  const ca = await store(`${ids.listener}-ca`, 'ca', amphora.authority());
  const first = await store(`${ids.listener}-default`, 'first', issued('first'));
  const a = await store('sni', 'a', issued('a.example'));
  assert.equal((await putTls(ca, first, a)).how, 'reload');
  const { worker } = await processes();
  assert.deepEqual([await shown('a.example'), await shown('unknown')], ['a.example', 'first']);

  const second = await store(`${ids.listener}-default`, 'second', issued('second'));
  const b = await store('sni', 'b', issued('b.example'));
  assert.equal((await putTls(ca, second, a, b)).how, 'commands');
  assert.deepEqual([await shown('a.example'), await shown('b.example'), await shown('unknown')], ['a.example', 'b.example', 'second']);
  const renewed = await store('sni', 'b', issued('b.example'));
  const before = await command(`show ssl cert ${b}`);
  assert.equal((await putTls(ca, second, renewed)).how, 'commands');
  assert.notEqual(await command(`show ssl cert ${b}`), before);
  assert.deepEqual([await shown('a.example'), await shown('b.example')], ['second', 'b.example']);
  assert.doesNotMatch(await command('show ssl cert'), new RegExp(a, 'u'));
  assert.equal((await putTls(ca, first, a)).how, 'commands');
  assert.deepEqual([await shown('a.example'), await shown('b.example'), await shown('unknown')], ['a.example', 'first', 'first']);

  // The worker itself checks certificates: what it does not take is refused in HAProxy's words, and nothing has changed.
  const [half, other] = [issued('half'), issued('other half')];
  const mixed = half.slice(0, half.indexOf('-----BEGIN PRIVATE')) + other.slice(other.indexOf('-----BEGIN PRIVATE'));
  const inForce = (await amphora.call('GET', agentPaths.haproxy(ids.lb))).text;
  for (const [what, content] of [
    ['nothing', 'no certificate'],
    ['mixed', mixed],
  ] as const)
    for (const slot of [`${ids.listener}-default`, 'sni']) {
      const bad = await store(slot, what, content);
      const paths = slot === 'sni' ? [first, bad] : [bad, a];
      const bind = ['bind', `${testSubnet.vip}:443`, 'ssl', 'crt-list', await list(...paths), 'ca-file', ca, 'verify', 'optional'];
      const text = configFor(`${amphora.folder}/run`, ids, [server(0, 'weight', '1')], [bind]);
      const put = await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text);
      const run = put.status === 202 ? await amphora.call('PUT', agentPaths.service(ids.lb, 'reload')) : put;
      assert.deepEqual([run.status, /\[ALERT\]/u.test(run.text)], [400, true], `${what} ${slot}: ${run.text}`);
      assert.equal(await shown('unknown'), 'first');
      assert.equal((await amphora.call('GET', agentPaths.haproxy(ids.lb))).text, inForce);
      assert.equal((await putTls(ca, second, a)).reason, null, what);
      assert.equal((await putTls(ca, first, a)).how, 'commands');
      assert.deepEqual([await shown('a.example'), await shown('unknown')], ['a.example', 'first']);
    }
  // Somebody shows another certificate, and takes one away.
  const strange = issued('strange');
  await command(`set ssl cert ${first} <<\n${strange}\n`);
  await command(`commit ssl cert ${first}`);
  assert.equal(await shown('unknown'), 'strange');
  await eventually('the certificates are those of the files', async () => ((await shown('unknown')) === 'first' ? true : undefined));
  assert.ok((await changes()).repairs > 0);
  assert.equal((await processes()).worker, worker);
  const otherCa = await store(`${ids.listener}-ca`, 'ca', issued('no-authority'));
  assert.equal((await putTls(otherCa, first, a)).reason, 'the content of a ca-file changes');
}

async function repairs({ ids, members, put, server, command, changes, processes }: Serving): Promise<void> {
  await put([server(0, 'weight', '5', ...check), server(1, 'weight', '6', ...check)]);
  const { worker } = await processes();
  const before = (await changes()).repairs;
  const backend = `${ids.pool}:${ids.listener}`;
  const [one, two] = [members[0]?.id, members[1]?.id];
  await command(`set server ${backend}/${one} weight 9;set maxconn frontend ${ids.listener} 7`);
  await command(`set server ${backend}/${two} state maint;del server ${backend}/${two};add server ${backend}/stranger 192.0.2.1:80`);
  await eventually('all is as it was', async () => {
    const state = await command('show servers state');
    const limit = await command('show stat -1 1 -1');
    const isWhole = new RegExp(`${one} \\S+ 2 0 5 `, 'u').test(state) && new RegExp(`${two} \\S+ 2 0 6 `, 'u').test(state);
    return isWhole && !state.includes('stranger') && limit.includes(',400,') ? true : undefined;
  });
  assert.ok((await changes()).repairs >= before + 3);
  assert.equal((await processes()).worker, worker);
}

async function killedAgent({ amphora, ids, members, put, server, command, processes, answers }: Serving): Promise<void> {
  await put([server(0, 'weight', '1')]);
  const { worker } = await processes();
  // The agent is killed at many moments of changes; whatever was done by then, what runs in the end is the file.
  for (let round = 0; round < 6; round += 1) {
    const servers = round % 2 === 0 ? [server(1, 'weight', '2'), server(2, 'weight', '1')] : [server(0, 'weight', '1')];
    const text = configFor(`${amphora.folder}/run`, ids, servers);
    assert.equal((await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text)).status, 202);
    const pid = amphora.pid('agent');
    const run = amphora.call('PUT', agentPaths.service(ids.lb, 'reload')).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, round * 4));
    process.kill(pid, 'SIGKILL');
    await run;
    await eventually('another agent answers', () => (amphora.pid('agent') === pid ? undefined : amphora.info().catch(() => undefined)));
    assert.equal((await amphora.call('PUT', agentPaths.service(ids.lb, 'reload'))).status, 202);
    assert.deepEqual(Object.keys(await answers(6)).toSorted(), round % 2 === 0 ? ['three', 'two'] : ['one']);
  }
  // One that died with some commands given and some not, and is not told to go on: it goes on by itself.
  const text = configFor(`${amphora.folder}/run`, ids, [server(1, 'weight', '2'), server(2, 'weight', '1')]);
  assert.equal((await amphora.call('PUT', agentPaths.haproxyUpload(amphora.amphora_id, ids.lb), text)).status, 202);
  const { worker: now } = await processes();
  const pid = amphora.pid('agent');
  await command(`add server ${ids.pool}:${ids.listener}/${server(1).slice(0, 2).join(' ')} weight 2`);
  amphora.forgeHeld((held) => ({
    ...held,
    is_unsure: true,
    extra: { [`${ids.pool}:${ids.listener}/${members[1]?.id}`]: [['server', ...server(1, 'weight', '2')]] },
  }));
  process.kill(pid, 'SIGKILL');
  await eventually('the change is finished', async () => {
    const rows = (await command('show servers state')).split('\n');
    const stateOf = (index: number): string =>
      (rows.find((row) => row.includes(members[index]?.id ?? '')) ?? '').split(' ').slice(5, 8).join(' ');
    return stateOf(1) === '2 0 2' && stateOf(2) === '2 0 1' ? true : undefined;
  });
  assert.deepEqual([(await processes()).worker, now], [worker, worker]);
}

async function deaths({ amphora, put, server, command, processes, members, changes }: Serving): Promise<void> {
  const servers = [server(0, 'weight', '1', ...check), server(1, 'weight', '4', ...check, 'disabled'), server(2, 'weight', '1', ...check)];
  await put(servers);
  const changed = [server(0, 'weight', '3', ...check), server(1, 'weight', '1', ...check), server(2, 'weight', '1', ...check, 'disabled')];
  assert.equal((await put(changed)).how, 'commands');
  // Back to what the worker was started with, together with something that takes a reload: the state file must not undo it.
  assert.equal((await put(servers, [['http-request', 'set-header', 'X-Round', '1']])).how, 'reload');
  const states = async (): Promise<readonly string[]> => {
    const rows = (await command('show servers state')).split('\n');
    return members.map(({ id }) => (rows.find((row) => row.includes(id)) ?? '').split(' ').slice(6, 8).join(' '));
  };
  assert.deepEqual(await states(), ['0 1', '5 4', '0 1']);
  assert.equal((await put(changed, [['http-request', 'set-header', 'X-Round', '1']])).how, 'commands');
  for (const kind of ['worker', 'master'] as const) {
    const before = await processes();
    process.kill(kind === 'worker' ? (before.worker ?? 0) : before.master, 'SIGKILL');
    await eventually(`HAProxy runs again after the death of its ${kind}`, async () => {
      const after = await processes().catch(() => undefined);
      return after?.worker !== undefined && after.master !== before.master ? true : undefined;
    });
    await eventually('traffic flows', () => amphora.get().catch(() => undefined));
    assert.deepEqual(await states(), ['0 3', '0 1', '5 1']);
    const back = await eventually('the agent knows what runs', async () => {
      const report = await put(changed, [['http-request', 'set-header', 'X-Round', '1']]);
      return report.how === 'nothing' ? report : undefined;
    });
    assert.equal(back.how, 'nothing');
  }
  assert.equal((await changes()).crashes, 2);
}

async function batch({ put, server, command, processes }: Serving, t: TestContext): Promise<void> {
  const many = (count: number, weight: number) =>
    Array.from({ length: count }, (_, index) => [
      `m${index}`,
      `127.1.${Math.floor(index / 200)}.${1 + (index % 200)}:80`,
      'weight',
      String(weight),
    ]);
  await put([server(0, 'weight', '1')]);
  const { worker } = await processes();
  const added = await put([server(0, 'weight', '1'), ...many(160, 1)]);
  assert.deepEqual([added.how, added.commands], ['commands', 320]);
  assert.equal((await command('show servers state')).split('\n').filter((row) => / m\d+ /u.test(row)).length, 160);
  const weighed = await put([server(0, 'weight', '1'), ...many(160, 2)]);
  const removed = await put([server(0, 'weight', '1')]);
  assert.deepEqual([weighed.commands, removed.how], [160, 'commands']);
  assert.ok(!/ m\d+ /u.test(await command('show servers state')));
  t.diagnostic(`160 members: added in ${added.took_ms} ms, weights in ${weighed.took_ms} ms, removed in ${removed.took_ms} ms`);
  assert.equal((await processes()).worker, worker);
}

async function oldWorkers({ amphora, put, server, processes, changes }: Serving, t: TestContext): Promise<void> {
  const failures: unknown[] = [];
  for (let round = 0; round < 4; round += 1) {
    const before = (await processes()).worker;
    void amphora.get('/?ms=60000', 90_000).catch((error: unknown) => failures.push(error));
    await eventually('the long request has come', async () => ((await processes()).worker === before ? true : undefined));
    assert.equal((await put([server(0, 'weight', '1')], [['http-request', 'set-header', 'X-Round', String(round + 10)]])).how, 'reload');
    const { oldWorkers: old } = await processes();
    assert.ok(old.length <= 3, `${old.length} old workers`);
  }
  t.diagnostic(`${(await changes()).old_workers} old workers; ${failures.length} connections were ended for it`);
  assert.equal(await amphora.get(), 'one');
}
