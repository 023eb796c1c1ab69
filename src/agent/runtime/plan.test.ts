import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeConfig } from '../../wire/haproxy-text.ts';
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import { aclFile, listPath } from '../../wire/list-files.ts';
import type { ListFile } from '../../wire/list-files.ts';
import { planRuntime } from './plan.ts';
import { parseListEntries, parseListPaths, parseLimits, parseServersState } from './seen.ts';
import type { Seen, SeenServer } from './seen.ts';
import { parseServerLine } from './server-line.ts';
import type { PlanInput, RuntimePlan } from './steps.ts';

const lb = '10000000-0000-4000-8000-000000000001';
const line = (text: string) => ({ tokens: text.split(' ') });

type Shape = {
  readonly servers?: readonly string[];
  readonly backend?: readonly string[];
  readonly frontend?: readonly string[];
  readonly global?: readonly string[];
  readonly more?: readonly ConfigSection[];
  readonly list?: ListFile;
};

function config({ servers = ['a 10.0.0.1:80 weight 1'], backend = ['balance roundrobin'], ...rest }: Shape = {}): string {
  const { frontend = ['maxconn 100', 'mode http'], global = ['maxconn 500'], more = [], list } = rest;
  const acl = list === undefined ? [] : [line(`acl allowed src -f ${listPath('/var/lib', lb, list.name)}`)];
  return writeConfig([
    { kind: 'global', lines: global.map(line) },
    { kind: 'frontend', name: 'l', lines: [...frontend.map(line), ...acl] },
    { kind: 'backend', name: 'p:l', lines: [...backend.map(line), ...servers.map((each) => line(`server ${each}`))] },
    ...more,
  ]).text;
}

const up: SeenServer = {
  address: '10.0.0.1',
  port: 80,
  weight: 1,
  is_maint: false,
  is_drained: false,
  is_probed: true,
  check_addr: null,
  check_port: null,
};

function seenOf(servers: Readonly<Record<string, Partial<SeenServer>>> = { a: {} }, more: Partial<Seen> = {}): Seen {
  const entries = Object.entries(servers).map(([name, server]) => [`p:l/${name}`, { ...up, ...server }] as const);
  return { servers: new Map(entries), limits: new Map([['l', 100]]), lists: new Map(), crt_lists: new Map(), ...more };
}

const plan = (wanted: string, change: Partial<PlanInput> = {}): RuntimePlan =>
  planRuntime({
    held: config(),
    extra: {},
    wanted,
    lists: new Map(),
    tls: {},
    crtLists: new Map(),
    seen: seenOf(),
    version: 2.6,
    ...change,
  });

/** A file of certificates in short: `slot.reference.md5` by their last characters. */
const shortPath = (path: string): string => path.replace(/^.*\//u, '').replaceAll(/0{8,}/gu, '').replace('.pem', '');
const pem = (slot: string, reference: string, md5: string): string =>
  `/certs/${slot}.${reference.padStart(12, '0')}.${md5.padStart(32, '0')}.pem`;

/** The plan in short: its commands, `-server` for removals and `=path entries` for lists, or the reason of a reload after an exclamation mark. */
function told(result: RuntimePlan): readonly string[] {
  if (result.by === 'reload') return [`!${result.reason}`];
  return result.steps.map((step) => {
    switch (step.do) {
      case 'command':
        return step.command;
      case 'remove':
        return `-${step.server}`;
      case 'list':
        return `=${step.path} ${step.entries.join(' ')}`;
      case 'certificate':
        return `${step.is_new ? 'new' : 'set'} ${shortPath(step.path)} from ${shortPath(step.source)}`;
      case 'entry':
        return `${step.change} ${shortPath(step.path)} in ${shortPath(step.list)}`;
      case 'forget':
        return `forget ${shortPath(step.path)}`;
    }
  });
}

const a = 'a 10.0.0.1:80 weight 1';
const checked = `${a} check inter 5s fall 2 rise 3`;
const held = (servers: readonly string[], more: Shape = {}) => ({ held: config({ servers, ...more }) });

const cases: Readonly<Record<string, readonly [wanted: Shape, change: Partial<PlanInput>, steps: readonly string[]]>> = {
  'nothing changes': [{}, {}, []],
  'a weight changes': [{ servers: ['a 10.0.0.1:80 weight 7'] }, {}, ['set server p:l/a weight 7']],
  'a member is drained': [{ servers: ['a 10.0.0.1:80 weight 0'] }, {}, ['set server p:l/a weight 0']],
  'a member is switched off': [{ servers: [`${a} disabled`] }, {}, ['set server p:l/a state maint']],
  'a member is switched on': [
    {},
    { ...held([`${a} disabled`]), seen: seenOf({ a: { is_maint: true } }) },
    ['set server p:l/a state ready'],
  ],
  'a member was drained by hand': [{}, { seen: seenOf({ a: { is_drained: true } }) }, ['set server p:l/a state ready']],
  'a member comes': [{ servers: [a, 'b 10.0.0.2:80 weight 3'] }, {}, ['add server p:l/b 10.0.0.2:80 weight 3', 'enable server p:l/b']],
  'a member comes that is probed': [
    { servers: [checked, 'b [2001:db8::1]:80 weight 3 check inter 5s addr [2001:db8::2] port 81'] },
    held([checked]),
    ['add server p:l/b [2001:db8::1]:80 weight 3 check inter 5s addr [2001:db8::2] port 81', 'enable health p:l/b', 'enable server p:l/b'],
  ],
  'a member comes switched off': [{ servers: [a, 'b 10.0.0.2:80 weight 3 disabled'] }, {}, ['add server p:l/b 10.0.0.2:80 weight 3']],
  'words that commands read in their own way are escaped': [
    { servers: [a, "b 10.0.0.2:80 sni str(a;b'c)"] },
    {},
    ["add server p:l/b 10.0.0.2:80 sni str(a\\;b\\'c)", 'enable server p:l/b'],
  ],
  'a member goes': [{ servers: [] }, {}, ['set server p:l/a state maint', '-p:l/a']],
  'one that is leaving is tried again': [{ servers: [] }, { ...held([]), seen: seenOf({ a: { is_maint: true } }) }, ['-p:l/a']],
  'all members are exchanged: the new ones come first': [
    { servers: ['b 10.0.0.2:80 weight 1', 'c 10.0.0.3:80 weight 1 disabled'] },
    { ...held([a, 'c 10.0.0.3:80 weight 1']), seen: seenOf({ a: {}, c: { address: '10.0.0.3' } }) },
    [
      'add server p:l/b 10.0.0.2:80 weight 1',
      'enable server p:l/b',
      'set server p:l/c state maint',
      'set server p:l/a state maint',
      '-p:l/a',
    ],
  ],
  'one that was leaving comes back': [
    {},
    { ...held([]), extra: { 'p:l/a': [line(`server ${a}`).tokens] }, seen: seenOf({ a: { is_maint: true } }) },
    ['set server p:l/a state ready'],
  ],
  'a server that another agent process has begun to add is finished': [
    { servers: [a, 'b 10.0.0.2:80 weight 3 check'] },
    {
      extra: { 'p:l/b': [line('server b 10.0.0.2:80 weight 3 check').tokens] },
      seen: seenOf({ a: {}, b: { address: '10.0.0.2', weight: 3, is_maint: true, is_probed: false } }),
    },
    ['enable health p:l/b', 'set server p:l/b state ready'],
  ],
  'the address of probes changes': [
    { servers: [`${checked} addr 10.0.0.9 port 81`] },
    held([checked]),
    ['set server p:l/a check-addr 10.0.0.9', 'set server p:l/a check-port 81'],
  ],
  'the address of probes becomes the own one again': [
    { servers: [checked] },
    { ...held([`${checked} addr 10.0.0.9 port 81`]), seen: seenOf({ a: { check_addr: '10.0.0.9', check_port: 81 } }) },
    ['set server p:l/a check-addr 10.0.0.1', 'set server p:l/a check-port 80'],
  ],
  'the connection limit changes': [{ frontend: ['maxconn 50', 'mode http'] }, {}, ['set maxconn frontend l 50']],
  'an IPv6 address that is written in another way is the same': [
    { servers: ['a [2001:DB8:0::1]:80'] },
    { ...held(['a [2001:DB8:0::1]:80']), seen: seenOf({ a: { address: '2001:db8::1' } }) },
    [],
  ],
  'servers of other backends of HAProxy are not touched': [
    {},
    { seen: { ...seenOf(), servers: new Map([...seenOf().servers, ['<HTTPCLIENT>/x', up]]) } },
    [],
  ],
  'a hash that is consistent takes servers': [
    { servers: [a, 'b 10.0.0.2:80 id 5'], backend: ['balance source', 'hash-type consistent'] },
    held([a], { backend: ['balance source', 'hash-type consistent'] }),
    ['add server p:l/b 10.0.0.2:80 id 5', 'enable server p:l/b'],
  ],
  'another does not': [
    { servers: [a, 'b 10.0.0.2:80'], backend: ['balance source'] },
    held([a], { backend: ['balance source'] }),
    ['!servers cannot be added to balance source while HAProxy runs'],
  ],
  'a cookie needs HAProxy 3.0': [
    { servers: [a, 'b 10.0.0.2:80 cookie b'] },
    {},
    ['!servers with a cookie cannot be added while HAProxy 2.6 runs'],
  ],
  'and is taken by it': [
    { servers: [a, 'b 10.0.0.2:80 cookie b'] },
    { version: 3 },
    ['add server p:l/b 10.0.0.2:80 cookie b', 'enable server p:l/b'],
  ],
  'a server with a word that nobody knows': [
    { servers: [a, 'b 10.0.0.2:80 resolvers x'] },
    {},
    ['!servers with resolvers cannot be added while HAProxy runs'],
  ],
  'a member becomes a backup': [{ servers: [`${a} backup`] }, {}, ['!server a becomes another one']],
  'probes change': [{ servers: [checked] }, held([`${a} check inter 9s fall 2 rise 3`]), ['!server a becomes another one']],
  'another address': [{ servers: ['a 10.0.0.7:80 weight 1'] }, {}, ['!server a becomes another one']],
  'another address in the process': [{}, { seen: seenOf({ a: { address: '10.0.0.7' } }) }, ['!server a has another address']],
  'a server of unknown origin has our name': [
    { servers: [a, 'b 10.0.0.2:80'] },
    { seen: seenOf({ a: {}, b: { address: '10.0.0.2' } }) },
    ['!the running process has a server b that did not come from this agent'],
  ],
  'an option changes': [{ frontend: ['maxconn 100', 'mode http', 'option httplog'] }, {}, ['!frontend l: option changes']],
  'the limit of the process changes': [{ global: ['maxconn 600'] }, {}, ['!global: maxconn changes']],
  'an algorithm changes': [{ backend: ['balance leastconn'] }, {}, ['!backend p:l: balance changes']],
  'a listener comes': [{ more: [{ kind: 'frontend', name: 'm', lines: [] }] }, {}, ['!frontend m is new']],
  'a pool goes': [{}, held([a], { more: [{ kind: 'backend', name: 'q:l', lines: [] }] }), ['!backend q:l goes']],
};

for (const [name, [wanted, change, steps]] of Object.entries(cases))
  void test(name, () => assert.deepEqual(told(plan(config(wanted), change)), steps));

void test('what was not written by us is a reload', () => {
  const foreign = ['!the configuration has lines that this agent does not understand'];
  assert.deepEqual(told(plan('# a comment\n')), foreign);
  assert.deepEqual(told(plan(config(), { held: 'global\n\tmaxconn 5\n' })), foreign);
});

void test('another version of a list is exchanged in the list that the process has loaded', () => {
  const [first, second] = [aclFile('allowed', ['10.0.0.0/8']), aclFile('allowed', ['10.0.0.0/8', '192.0.2.0/24'])];
  const loaded = listPath('/var/lib', lb, first.name);
  const lists = new Map([[second.name, ['10.0.0.0/8', '192.0.2.0/24']]]);
  const seen = (entries: readonly string[]) => seenOf({ a: {} }, { lists: new Map([[loaded, entries]]) });
  const change = { held: config({ list: first }), lists };
  const wanted = config({ list: second });
  assert.deepEqual(told(plan(wanted, { ...change, seen: seen(['10.0.0.0/8']) })), [`=${loaded} 10.0.0.0/8 192.0.2.0/24`]);
  assert.deepEqual(told(plan(wanted, { ...change, seen: seen(['192.0.2.0/24', '10.0.0.0/8']) })), []);
  assert.match(told(plan(wanted, change))[0] ?? '', /^!the list allowed\..*acl is not in the running process$/u);
  assert.deepEqual(told(plan(wanted, { lists })), ['!frontend l: acl changes']);
});

void test('certificates are exchanged under the names that the process has loaded, authorities are not', () => {
  const bind = (list: string, ca: string) => ({
    frontend: ['maxconn 100', `bind 10.0.0.9:443 ssl crt-list ${list} ca-file ${ca} verify required`],
  });
  const [list1, list2, ca1, ca2] = [pem('l', 'a', '1'), pem('l', 'b', '2'), pem('l-ca', 'a', '1'), pem('l-ca', 'a', '2')];
  const [default1, default2, sni1, sni2, other] = [
    pem('l-default', 'a', '1'),
    pem('l-default', 'b', '2'),
    pem('sni', 'c', '1'),
    pem('sni', 'c', '2'),
    pem('sni', 'd', '1'),
  ];
  const own = (...paths: string[]) => Object.fromEntries(paths.map((path) => [path, path.replace('/certs/', '')]));
  const tls = own(list1, ca1, default1, sni1);
  const seen = (...entries: string[]) => seenOf({ a: {} }, { crt_lists: new Map([[list1, entries]]) });
  const planned = (list: string, ca: string, entries: readonly string[], change: Partial<PlanInput> = {}) =>
    plan(config(bind(list, ca)), {
      held: config(bind(list1, ca1)),
      tls,
      crtLists: new Map([[list, entries]]),
      seen: seen(default1, sni1),
      ...change,
    });
  assert.deepEqual(told(planned(list1, ca1, [default1, sni1])), []);
  const renewed = planned(list2, ca1, [default2, sni2]);
  assert.deepEqual(told(renewed), ['set l-default.a.1 from l-default.b.2', 'set sni.c.1 from sni.c.2']);
  assert.deepEqual(told(planned(list1, ca2, [default1, sni1])), ['!the content of a ca-file changes']);
  assert.deepEqual(renewed.by === 'commands' && renewed.tls, {
    [list1]: 'l' + list2.slice(8),
    [ca1]: ca1.slice(7),
    [default1]: default2.slice(7),
    [sni1]: sni2.slice(7),
  });
  assert.deepEqual(told(planned(list2, ca1, [default1, sni1, other])), ['new sni.d.1 from sni.d.1', 'add sni.d.1 in l.a.1']);
  assert.deepEqual(told(planned(list2, ca1, [default1])), ['del sni.c.1 in l.a.1', 'forget sni.c.1']);
  assert.deepEqual(told(planned(list2, ca1, [default1, sni1], { tls: { ...tls, [sni1]: '' } })), ['new sni.c.1 from sni.c.1']);
  assert.deepEqual(told(planned(list2, ca1, [default1, sni1], { seen: seen(default1) })), ['add sni.c.1 in l.a.1']);
  assert.deepEqual(told(planned(list2, ca1, [default1], { seen: seenOf() })), ['!a list of certificates is not in the running process']);
  assert.deepEqual(told(planned(list2, ca1, [default1], { tls: own(list1, default1) })), [
    '!a file for ca-file is not in the running process',
  ]);
});

void test('the answers of HAProxy are read', () => {
  const state = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 p:l 1 a 10.0.0.1 2 0 1 1 1 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 p:l 2 b 2001:db8::1 0 5 10 10 1 1 0 0 14 0 0 0 - 81 - 0 82 10.0.0.9 - 0
`;
  const servers = parseServersState(state);
  assert.deepEqual(servers.get('p:l/a'), { ...up });
  assert.deepEqual(servers.get('p:l/b'), {
    ...up,
    address: '2001:db8::1',
    port: 81,
    weight: 10,
    is_maint: true,
    check_addr: '10.0.0.9',
    check_port: 82,
  });
  assert.throws(() => parseServersState('nonsense'));
  assert.deepEqual([...parseLimits('# pxname,svname,slim\nl,FRONTEND,77\np,BACKEND,1\n')], [['l', 77]]);
  assert.throws(() => parseLimits('nonsense'));
  assert.deepEqual(
    parseListPaths("# id (file) description\n0 (/x/a.acl) pattern loaded from file\n1 () acl 'src' file 'h' line 14.\n-1 (/x/b.map) p"),
    ['/x/a.acl', '/x/b.map'],
  );
  assert.deepEqual(parseListEntries('0x5642 /a b\n0x5643 c\n'), ['/a b', 'c']);
  assert.equal(parseServerLine(['server', 'a', 'name']), undefined);
});
