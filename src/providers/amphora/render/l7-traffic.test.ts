/** Random policies and random requests: the real HAProxy decides as a plain reading of the rules does, with lists and without. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import * as fc from 'fast-check';
import type { L7PolicyTree, L7Rule, ListenerTree } from '../../../model/index.ts';
import { type TestHaproxy, testHaproxies } from '../../../../tools/suite/haproxies.ts';
import { renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  samplePolicy,
  samplePool,
  sampleRule,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

/** A request as far as rules look at it. */
type Asked = { readonly host: string; readonly path: string; readonly query: string; readonly header: string; readonly cookie: string };

const texts = [
  '/a',
  '/a/b',
  '/b',
  '/A',
  'a',
  '.jpg',
  'example',
  'A.Example',
  'a.example',
  'b.example',
  'x y',
  "it's",
  '-i',
  '#1',
  '$',
  'a\\b',
  '%[src]',
];
const asked: fc.Arbitrary<Asked> = fc.record({
  host: fc.constantFrom('a.example', 'A.example', 'b.example', 'www.a.example', 'a', '-i', '$'),
  path: fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/A/b', '/b', '/ab.jpg', '/%[src]', "/it's", '/a\\b', '/-i'),
  query: fc.constantFrom('', '?x=/a', '?a.jpg'),
  header: fc.constantFrom('', 'a', 'x y', 'a, b', "it's", '#1', '-i', 'a\\b', '%[src]'),
  cookie: fc.constantFrom('', 'a', 'b', "it's", '-i', '%[src]'),
});

/** Names of a header and a cookie that need every kind of quoting. */
const headerKey = "x-it's!#$%&*+.^_`|~";
const cookieKey = "k's";

type Condition = readonly [type: L7Rule['type'], compares: readonly L7Rule['compare_type'][], key: string | null];
const everyCompare = ['EQUAL_TO', 'STARTS_WITH', 'ENDS_WITH', 'CONTAINS', 'REGEX'] as const;
const conditions = fc.constantFrom<Condition[]>(
  ['HOST_NAME', everyCompare, null],
  ['PATH', everyCompare, null],
  ['FILE_TYPE', ['EQUAL_TO', 'REGEX'], null],
  ['HEADER', everyCompare, headerKey],
  ['COOKIE', everyCompare, cookieKey],
);
const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`);
const rule: fc.Arbitrary<Partial<L7Rule>> = conditions
  .chain(([type, compares, key]) =>
    fc.record({
      type: fc.constant(type),
      key: fc.constant(key),
      compare_type: fc.constantFrom(...compares),
      invert: fc.boolean(),
      admin_state_up: fc.nat(9).map((n) => n > 0),
      value: fc.constantFrom(...texts),
    }),
  )
  .map((made) => ({ ...made, ...(made.compare_type === 'REGEX' && { value: `^.?${literal(made.value)}(/.*)?$` }) }));

/** A policy as a test makes it. */
type Made = Omit<Partial<L7PolicyTree>, 'rules'> & { readonly rules: readonly Partial<L7Rule>[] };

const actions = fc.constantFrom<L7PolicyTree['action'][]>(
  'REJECT',
  'REDIRECT_TO_URL',
  'REDIRECT_PREFIX',
  'REDIRECT_TO_POOL',
  'REDIRECT_TO_POOL',
);
const codes = fc.constantFrom<NonNullable<L7PolicyTree['redirect_http_code']>[]>(301, 302, 308);
const switchedOn = fc.nat(9).map((n) => n > 0);
const kinds = fc.record({
  type: fc.constantFrom<L7Rule['type'][]>('HOST_NAME', 'PATH'),
  compare_type: fc.constantFrom<L7Rule['compare_type'][]>('EQUAL_TO', 'STARTS_WITH'),
});
const values: Readonly<Record<string, readonly string[]>> = {
  HOST_NAME: ['a', 'a.example', 'A.Example', 'b.example', 'b', 'www', 'www.a', '$', '-i'],
  PATH: ['/', '/a', '/a/b', '/a/b/c', '/A', '/b', "/it's", '/%[src]', '/ab', '/ab.jpg'],
};

/** Where the n-th of a kind sends to. */
const target = (action: L7PolicyTree['action'], number: number): Partial<L7PolicyTree> => ({
  action,
  redirect_pool_id: action === 'REDIRECT_TO_POOL' ? sampleId('pool', 1 + (number % 3)) : null,
  redirect_url: action === 'REDIRECT_TO_URL' ? `http://url.example/${number}?100%[src]&q='"` : null,
  redirect_prefix: action === 'REDIRECT_PREFIX' ? `http://prefix.example/${number}%20` : null,
});

/** Policies of all kinds. */
const mixed: fc.Arbitrary<readonly Made[]> = fc.array(
  fc
    .record({
      action: actions,
      number: fc.nat(9),
      redirect_http_code: codes,
      admin_state_up: switchedOn,
      rules: fc.array(rule, { maxLength: 3 }),
    })
    .map(({ action, number, ...rest }) => ({ ...rest, ...target(action, number) })),
  { minLength: 1, maxLength: 8 },
);

/** Neighbours of one kind, as they are decided by one look-up. */
const family: fc.Arbitrary<readonly Made[]> = fc
  .record({
    action: actions,
    redirect_http_code: codes,
    kind: kinds,
    picks: fc.array(fc.tuple(fc.nat(99), switchedOn), { minLength: 2, maxLength: 8 }),
  })
  .map(({ action, redirect_http_code, kind, picks }) =>
    picks.map(([pick, admin_state_up], number) => {
      const among = values[kind.type] ?? [];
      return {
        redirect_http_code,
        admin_state_up,
        ...target(action, number),
        rules: [{ ...kind, value: among[pick % among.length] as string }],
      };
    }),
  );

/** Neighbours with a host and a path each. */
const pairs: fc.Arbitrary<readonly Made[]> = fc
  .record({
    action: actions,
    redirect_http_code: codes,
    compare_type: kinds.map((kind) => kind.compare_type),
    picks: fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.boolean()), { minLength: 2, maxLength: 8 }),
  })
  .map(({ action, redirect_http_code, compare_type, picks }) =>
    picks.map(([one, other, isHostFirst], number) => {
      const among = (type: 'HOST_NAME' | 'PATH', pick: number) => (values[type] ?? [])[pick % (values[type] ?? []).length] as string;
      const host = { type: 'HOST_NAME', compare_type: 'EQUAL_TO', value: among('HOST_NAME', one) } as const;
      const path = { type: 'PATH', compare_type, value: among('PATH', other) } as const;
      return { redirect_http_code, ...target(action, number), rules: isHostFirst ? [host, path] : [path, host] };
    }),
  );

/** Families, pairs and single policies one after the other. */
const several = fc.array(fc.oneof(family, mixed, pairs), { minLength: 1, maxLength: 3 }).map((parts) => parts.flat());

let serial = 0;
function listenerOf(number: number, policies: readonly Made[]): ListenerTree {
  const id = sampleId('listener', number);
  const l7policies = policies.map((each, index) => {
    const l7policy_id = sampleId('l7policy', (serial += 1));
    const rules = each.rules.map((made) => sampleRule((serial += 1), { ...made, l7policy_id }));
    return samplePolicy(1, { ...each, id: l7policy_id, position: index + 1, listener_id: id, rules });
  });
  return sampleListener({ id, protocol_port: 8100 + number, default_pool_id: number % 3 === 0 ? null : sampleId('pool', 1), l7policies });
}

/** A rule, read plainly. */
function matches({ type, compare_type, value, invert }: L7Rule, { host, path, header, cookie }: Asked): boolean {
  const subjects: Partial<Record<L7Rule['type'], readonly string[]>> = {
    HOST_NAME: [host.toLowerCase()],
    PATH: [path],
    FILE_TYPE: [path],
    HEADER: header === '' ? [] : header.split(',').map((each) => each.trim()),
    COOKIE: cookie === '' ? [] : [cookie],
  };
  const wanted = type === 'HOST_NAME' ? value.toLowerCase() : value;
  const compare = (subject: string): boolean => {
    if (type === 'FILE_TYPE' && compare_type === 'EQUAL_TO') return subject.endsWith(wanted);
    if (compare_type === 'REGEX') return new RegExp(value, type === 'HOST_NAME' ? 'iu' : 'u').test(subject);
    if (compare_type === 'STARTS_WITH') return subject.startsWith(wanted);
    if (compare_type === 'ENDS_WITH') return subject.endsWith(wanted);
    return compare_type === 'CONTAINS' ? subject.includes(wanted) : subject === wanted;
  };
  return (subjects[type] ?? []).some(compare) !== invert;
}

/** What the policies say of a request: the first that matches, in order of position. */
function decision(listener: ListenerTree, request_: Asked): string {
  const first = listener.l7policies.find((each) => {
    const rules = each.rules.filter((made) => made.admin_state_up);
    return each.admin_state_up && rules.length > 0 && rules.every((made) => matches(made, request_));
  });
  const pool = (id: string | null): string => (id === null ? '503' : `200 ${id}`);
  if (first === undefined) return pool(listener.default_pool_id);
  const { action, redirect_http_code, redirect_url, redirect_prefix, redirect_pool_id } = first;
  if (action === 'REJECT') return '403';
  if (action === 'REDIRECT_TO_POOL') return pool(redirect_pool_id);
  return `${redirect_http_code} ${action === 'REDIRECT_TO_URL' ? redirect_url : `${redirect_prefix}${request_.path}${request_.query}`}`;
}

async function startPools(t: TestContext): Promise<readonly number[]> {
  const servers = [1, 2, 3].map((number) => createServer((_, response) => response.end(sampleId('pool', number))));
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  t.after(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  return servers.map((server: Server) => (server.address() as AddressInfo).port);
}

function ask(vip: string, port: number, { host, path, query, header, cookie }: Asked): Promise<string> {
  const headers = {
    host,
    ...(header !== '' && { [headerKey]: header }),
    ...(cookie !== '' && { cookie: `other=1; ${cookieKey}=${cookie}` }),
  };
  return new Promise((resolve, reject) => {
    const call = request({ host: vip, port, path: path + query, headers, agent: false }, async (response) => {
      let body = '';
      for await (const chunk of response) body += String(chunk);
      const { statusCode = 0 } = response;
      resolve(statusCode === 200 ? `200 ${body}` : [statusCode, response.headers.location].filter((each) => each !== undefined).join(' '));
    });
    call.on('error', reject);
    call.end();
  });
}

/** HAProxy with these listeners at an address of the loopback that nobody else uses. */
async function serve(t: TestContext, program: TestHaproxy, listeners: readonly ListenerTree[], has_lists: boolean): Promise<string> {
  const octet = () => 1 + Math.floor(Math.random() * 253);
  const vip = `127.${octet()}.${octet()}.${octet()}`;
  const ports = await startPools(t);
  const pools = ports.map((protocol_port, index) =>
    samplePool({ id: sampleId('pool', index + 1), members: [sampleMember(1, { address: '127.0.0.1', protocol_port })] }),
  );
  const folder = mkdtempSync(join(tmpdir(), "l7's "));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const tree = sampleTree({ loadbalancer: sampleLoadBalancer({ vip_address: vip }), listeners, pools });
  const settings = { ...sampleSettings, base_path: folder, run_path: folder, run_as: null, maxconn_limit: 500, has_lists };
  const { text, lists } = renderHaproxy(tree, sampleAmphora(), settings);
  assert.equal(lists.length > 0, has_lists);
  mkdirSync(join(folder, tree.loadbalancer.id, 'lists'), { recursive: true });
  for (const list of lists) writeFileSync(join(folder, tree.loadbalancer.id, 'lists', list.name), list.content);
  writeFileSync(join(folder, 'haproxy.cfg'), text);
  const haproxy: ChildProcess = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: program.path },
  });
  let said = '';
  haproxy.stderr?.on('data', (chunk) => (said += String(chunk)));
  t.after(async () => {
    if (haproxy.exitCode !== null) return;
    haproxy.kill('SIGKILL');
    await once(haproxy, 'exit');
  });
  const first: Asked = { host: 'x', path: '/', query: '', header: '', cookie: '' };
  for (const deadline = Date.now() + 10_000; ; await pause(20)) {
    const answer = await ask(vip, 8101, first).catch(() => null);
    if (answer !== null) break;
    assert.ok(haproxy.exitCode === null && Date.now() < deadline, `HAProxy does not serve: ${said}`);
  }
  // Everything that a tenant may write is no reason for a warning either.
  assert.doesNotMatch(said.replaceAll(/^.*server state file.*$/gmu, ''), /\[(?:WARNING|ALERT)\]/u);
  return vip;
}

const listeners = fc.sample(several, { numRuns: 70, seed: 4 }).map((policies, index) => listenerOf(index + 1, policies));
const requests = fc.sample(asked, { numRuns: 30, seed: 5 });

const ways = testHaproxies().flatMap((program) => [false, true].map((has_lists) => ({ program, has_lists })));
for (const { program, has_lists } of ways) {
  const where = has_lists ? 'in lists' : 'in lines';
  test(`the first policy that matches decides, patterns ${where}, ${program.name}`, { skip: program.skip, timeout: 60_000 }, async (t) => {
    const vip = await serve(t, program, listeners, has_lists);
    const seen = new Map<string, number>();
    for (const listener of listeners) {
      const answers = await Promise.all(requests.map((each) => ask(vip, listener.protocol_port, each)));
      for (const [index, each] of requests.entries()) {
        const expected = decision(listener, each);
        assert.equal(answers[index], expected, JSON.stringify([each, listener.l7policies.map((made) => [made.action, made.rules])]));
        const kind = expected.slice(0, 3);
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    }
    for (const kind of ['200', '301', '302', '308', '403', '503']) assert.ok((seen.get(kind) ?? 0) > 20, `${kind}: ${seen.get(kind)}`);
  });
}
