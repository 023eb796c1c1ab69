/** L7 policies and rules from the API to real bytes: actions, comparisons, order, changes, and one that HAProxy refuses. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test, type TestContext } from 'node:test';
import {
  change,
  makeLoadBalancer,
  removeLoadBalancer,
  type Resource,
  type ShownLoadBalancer,
  waitActive,
} from '../support/load-balancers.ts';
import { namespacesUnavailable, tracesOf } from '../support/namespaces.ts';
import { type ApiClient, until } from '../support/octavia.ts';
import { asMember, commandOf, openStage, type Stage, vipOf } from '../support/stage.ts';
import { startTraffic, tellFailures } from '../support/traffic.ts';

test('L7 policies on this machine', { skip: namespacesUnavailable() }, async (t) => {
  const stage = await openStage(t);
  const stories: Readonly<Record<string, (stage: Stage, t: TestContext) => Promise<void>>> = {
    'every type of rule and comparison, and its opposite, made with the load balancer in one call': everyComparison,
    'actions in order of position, changed, moved, switched off and deleted under traffic': actionsAndOrder,
    'a rule that HAProxy refuses is in ERROR with a reason, and the other policies go on': refusedRule,
    'a pool that policies of two listeners send to': sharedPool,
    'other values, and one policy more of a kind, need no reload of HAProxy': withoutReload,
  };
  for (const [name, story] of Object.entries(stories)) await t.test(name, (inner) => story(stage, inner));
});

/** What a request was answered with: `200 blue`, `302 http://…`, `403`. */
function get({ vip_address }: ShownLoadBalancer, path = '/', headers: Record<string, string> = {}, port = 80): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: vip_address, port, path, headers, agent: false, timeout: 3000 } as const;
    const call = request(options, async (response) => {
      let body = '';
      for await (const chunk of response) body += String(chunk);
      const { statusCode = 0 } = response;
      resolve([statusCode, statusCode === 200 ? body.trim() : response.headers.location].filter((each) => each !== undefined).join(' '));
    });
    call.on('timeout', () => call.destroy(new Error('no answer within 3 s')));
    call.on('error', reject);
    call.end();
  });
}

const pool = (name: string, member: object) => ({ name, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [member] });
const serves = (lb: ShownLoadBalancer, port = 80) =>
  until(async () => (await get(lb, '/', {}, port).catch(() => '')).startsWith('200'), 'the first byte comes');

type Case = {
  readonly rule: object;
  readonly yes: Parameters<typeof get>[2] & { path?: string };
  readonly no: Parameters<typeof get>[2] & { path?: string };
};

/** For each comparison of a subject, a value that fits `yes` and not `no`. */
function casesOf(type: string, key: string | null, values: Readonly<Record<string, string>>, yes: Case['yes'], no: Case['no']): Case[] {
  return Object.entries(values).map(([compare_type, value]) => ({
    rule: { type, compare_type, value, ...(key !== null && { key }) },
    yes,
    no,
  }));
}

const every = (text: string): Record<string, string> => ({
  EQUAL_TO: text,
  STARTS_WITH: text.slice(0, 3),
  ENDS_WITH: text.slice(-3),
  CONTAINS: text.slice(1, 4),
  REGEX: `^${text.slice(0, 2)}.*${text.slice(-2)}$`,
});

const cases: readonly Case[] = [
  ...casesOf('HOST_NAME', null, every('WWW.Example.org'), { host: 'www.example.org' }, { host: 'else.where' }),
  ...casesOf('PATH', null, every('/it%27s/a'), { path: '/it%27s/a?x=1' }, { path: '/no?x=/it%27s/a' }),
  ...casesOf('FILE_TYPE', null, { EQUAL_TO: 'jpg', REGEX: '(jpg|png)$' }, { path: '/a.jpg?b=c' }, { path: '/a.gif?b=.jpg' }),
  ...casesOf('HEADER', "X-It's", every("it's $HOME"), { "x-it's": "it's $HOME" }, { 'x-its': "it's $HOME" }).map((each) =>
    quotedValue(each),
  ),
  ...casesOf('COOKIE', 'site', every('-i=b/c'), { cookie: 'a=b; site=-i=b/c' }, { cookie: 'a=-i=b/c; site=x' }),
];

/** Spaces in the value of a header must stand in quotes. */
function quotedValue({ rule, ...rest }: Case): Case {
  const { compare_type, value } = rule as { compare_type: string; value: string };
  return compare_type === 'REGEX'
    ? { rule: { ...rule, value: value.replaceAll('$H', '[$]H') }, ...rest }
    : { rule: { ...rule, value: `"${value}"` }, ...rest };
}

async function everyComparison({ client, subnet, blue }: Stage): Promise<void> {
  const numbered = cases.flatMap((each) => [false, true].map((invert) => ({ ...each, invert })));
  const l7policies = numbered.map(({ rule, invert }, index) => ({
    action: 'REDIRECT_TO_URL',
    redirect_url: `http://case.example/${index}`,
    rules: [
      { type: 'HEADER', compare_type: 'EQUAL_TO', key: 'case', value: String(index) },
      { ...rule, invert },
    ],
  }));
  const listeners = [{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'one' }, l7policies }];
  const lb = await makeLoadBalancer(client, { name: 'l7', vip_subnet_id: subnet.id, listeners, pools: [pool('one', asMember(blue))] });
  await serves(lb);
  assert.equal(numbered.length, 44);
  for (const [index, { rule, invert, yes, no }] of numbered.entries()) {
    for (const [fits, { path = '/', ...headers }] of [
      [true, yes],
      [false, no],
    ] as const) {
      const expected = fits === invert ? '200 blue' : `302 http://case.example/${index}`;
      assert.equal(await get(lb, path, { ...headers, case: String(index) }), expected, JSON.stringify([rule, invert, fits]));
    }
  }
  await removeLoadBalancer(client, lb.id);
}

async function actionsAndOrder({ client, subnet, blue, green }: Stage, t: TestContext): Promise<void> {
  const listeners = [{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'one' } }];
  const pools = [pool('one', asMember(blue)), pool('two', asMember(green))];
  const lb = await makeLoadBalancer(client, { name: 'actions', vip_subnet_id: subnet.id, listeners, pools });
  await serves(lb);
  const traffic = startTraffic(t, { ...vipOf(lb), connections: 'fresh' });
  const listener_id = lb.listeners[0]?.id;
  const two = lb.pools.find((each) => each.name === 'two')?.id;
  const make = async (body: object, rules: readonly object[]): Promise<Resource> => {
    const policy = await change(client, lb.id, 'POST', '/l7policies', { l7policy: { listener_id, ...body } });
    for (const rule of rules) await change(client, lb.id, 'POST', `/l7policies/${policy.id}/rules`, { rule });
    return policy;
  };
  const starts = (value: string) => ({ type: 'PATH', compare_type: 'STARTS_WITH', value });
  const put = (policy: Resource, l7policy: object) => change(client, lb.id, 'PUT', `/l7policies/${policy.id}`, { l7policy });

  const reject = await make({ action: 'REJECT' }, [starts('/a')]);
  assert.equal(await get(lb, '/a/b'), '403');
  assert.equal(await get(lb, '/b'), '200 blue');
  const toPool = await make({ action: 'REDIRECT_TO_POOL', redirect_pool_id: two }, [starts('/a/b')]);
  assert.equal(await get(lb, '/a/b'), '403', 'the first that matches decides');
  await put(toPool, { position: 1 });
  assert.deepEqual([await get(lb, '/a/b'), await get(lb, '/a')], ['200 green', '403'], 'a pool before a rejection');

  const url = await make({ action: 'REDIRECT_TO_URL', redirect_url: 'http://u.example/?100%', redirect_http_code: 301, position: 1 }, [
    starts('/a/b/c'),
  ]);
  assert.deepEqual([await get(lb, '/a/b/c?d'), await get(lb, '/a/b')], ['301 http://u.example/?100%', '200 green']);
  await put(url, { redirect_prefix: 'https://p.example/x%20y', redirect_http_code: 308 });
  assert.equal(await get(lb, '/a/b/c?d'), '308 https://p.example/x%20y/a/b/c?d');
  await put(url, { admin_state_up: false });
  assert.equal(await get(lb, '/a/b/c'), '200 green', 'switched off');
  await put(url, { admin_state_up: true, action: 'REJECT' });
  assert.equal(await get(lb, '/a/b/c'), '403');

  const rules = `/l7policies/${reject.id}/rules`;
  const second = await change(client, lb.id, 'POST', rules, {
    rule: { type: 'HEADER', key: 'x', compare_type: 'EQUAL_TO', value: 'y', invert: true },
  });
  assert.deepEqual([await get(lb, '/a'), await get(lb, '/a', { x: 'y' })], ['403', '200 blue'], 'all rules must match');
  await change(client, lb.id, 'PUT', `${rules}/${second.id}`, { rule: { invert: false, value: 'z' } });
  assert.deepEqual([await get(lb, '/a'), await get(lb, '/a', { x: 'z' })], ['200 blue', '403']);
  await change(client, lb.id, 'DELETE', `${rules}/${second.id}`);
  assert.equal(await get(lb, '/a'), '403');
  for (const policy of [url, toPool, reject]) await change(client, lb.id, 'DELETE', `/l7policies/${policy.id}`);
  assert.deepEqual([await get(lb, '/a/b/c'), await get(lb, '/a')], ['200 blue', '200 blue']);
  assert.deepEqual((await client.call<{ l7policies: unknown[] }>('GET', `/v2/lbaas/l7policies?listener_id=${listener_id}`)).l7policies, []);

  await traffic.stop();
  assert.equal(traffic.failures().length, 0, tellFailures(traffic.failures()));
  await removeLoadBalancer(client, lb.id);
}

type ShownRule = Resource & { readonly fault?: string };

async function refusedRule({ client, subnet, blue }: Stage): Promise<void> {
  const rule = (value: string, compare_type = 'STARTS_WITH') => ({ type: 'PATH', compare_type, value });
  // Python reads it as the letter A, HAProxy's library does not know it.
  const odd = String.raw`^/\u0041`;
  const l7policies = [
    { name: 'good', action: 'REJECT', rules: [rule('/a')] },
    { name: 'odd', action: 'REJECT', rules: [rule('/'), rule(odd, 'REGEX')] },
    { name: 'other', action: 'REDIRECT_TO_URL', redirect_url: 'http://u.example/', rules: [rule('/b')] },
  ];
  const listeners = [{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'one' }, l7policies }];
  const lb = await makeLoadBalancer(client, { name: 'refused', vip_subnet_id: subnet.id, listeners, pools: [pool('one', asMember(blue))] });
  await serves(lb);
  const answers = async () => [await get(lb, '/a'), await get(lb, '/Ax'), await get(lb, '/b'), await get(lb, '/')];
  assert.deepEqual(
    await answers(),
    ['403', '200 blue', '302 http://u.example/', '200 blue'],
    'the policy of the refused rule does nothing',
  );
  const { policy, rules } = await policyNamed(client, 'odd');
  assert.deepEqual([policy.provisioning_status, rules.map((each) => each.provisioning_status)], ['ACTIVE', ['ACTIVE', 'ERROR']]);
  assert.match(rules[1]?.fault ?? '', /HAProxy refuses the configuration/u);
  await change(client, lb.id, 'PUT', `/l7policies/${policy.id}/rules/${rules[1]?.id}`, { rule: { value: '^/A' } });
  assert.deepEqual(await answers(), ['403', '403', '302 http://u.example/', '200 blue']);
  const mended = (await policyNamed(client, 'odd')).rules[1];
  assert.deepEqual([mended?.provisioning_status, mended?.fault], ['ACTIVE', undefined]);
  await removeLoadBalancer(client, lb.id);
}

async function policyNamed(client: ApiClient, name: string): Promise<{ readonly policy: Resource; readonly rules: readonly ShownRule[] }> {
  const { l7policies } = await client.call<{ l7policies: Resource[] }>('GET', `/v2/lbaas/l7policies?name=${name}`);
  const policy = l7policies[0] as Resource;
  return { policy, rules: (await client.call<{ rules: ShownRule[] }>('GET', `/v2/lbaas/l7policies/${policy.id}/rules`)).rules };
}

async function sharedPool({ client, subnet, blue, green }: Stage): Promise<void> {
  const toTwo = (value: string) => ({
    action: 'REDIRECT_TO_POOL',
    redirect_pool: { name: 'two' },
    rules: [{ type: 'HOST_NAME', compare_type: 'EQUAL_TO', value }],
  });
  const listener = (protocol_port: number, hosts: readonly string[]) => ({
    protocol: 'HTTP',
    protocol_port,
    default_pool: { name: 'one' },
    l7policies: hosts.map(toTwo),
  });
  const lb = await makeLoadBalancer(client, {
    name: 'shared',
    vip_subnet_id: subnet.id,
    listeners: [listener(80, ['a.example', 'B.example', 'c.example']), listener(81, ['d.example'])],
    pools: [pool('one', asMember(blue)), pool('two', asMember(green))],
  });
  await serves(lb);
  await serves(lb, 81);
  for (const [port, host, expected] of [
    [80, 'a.example', 'green'],
    [80, 'A.EXAMPLE', 'green'],
    [80, 'b.example', 'green'],
    [80, 'd.example', 'blue'],
    [81, 'd.example', 'green'],
    [81, 'a.example', 'blue'],
  ] as const)
    assert.equal(await get(lb, '/', { host }, port), `200 ${expected}`, `${host} at ${port}`);
  const two = lb.pools.find((each) => each.name === 'two')?.id;
  assert.equal((await client.send('DELETE', `/v2/lbaas/pools/${two}`)).status, 409);
  const online = async () => (await client.call<{ pool: Resource }>('GET', `/v2/lbaas/pools/${two}`)).pool.operating_status === 'ONLINE';
  await until(online, "the pool is ONLINE, though it is nobody's default");
  await waitActive(client, lb.id);
  await removeLoadBalancer(client, lb.id);
}

/** The HAProxy processes of this state: a reload changes them. */
async function haproxies({ state_id }: Stage): Promise<string> {
  const pids = (await tracesOf(state_id)).map((trace) => Number(/^process (\d+)$/u.exec(trace)?.[1] ?? 0));
  return pids.filter((pid) => commandOf(pid)[0]?.endsWith('haproxy')).join(' ');
}

async function withoutReload(stage: Stage, t: TestContext): Promise<void> {
  const { client, subnet, blue, green } = stage;
  const toGreen = (value: string) => ({
    action: 'REDIRECT_TO_POOL',
    redirect_pool: { name: 'two' },
    rules: [{ type: 'HOST_NAME', compare_type: 'EQUAL_TO', value }],
  });
  const single = {
    action: 'REJECT',
    rules: [
      { type: 'PATH', compare_type: 'REGEX', value: '^/0$' },
      { type: 'PATH', compare_type: 'CONTAINS', value: '0' },
    ],
  };
  const lb = await makeLoadBalancer(client, {
    name: 'reloads',
    vip_subnet_id: subnet.id,
    listeners: [{ protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'one' }, l7policies: [single, toGreen('a'), toGreen('b')] }],
    pools: [pool('one', asMember(blue)), pool('two', asMember(green))],
  });
  await serves(lb);
  const traffic = startTraffic(t, { ...vipOf(lb), connections: 'persistent' });
  await until(() => traffic.sent() > 2, 'traffic flows');
  const before = await haproxies(stage);
  assert.ok(before.includes(' '), 'a master and a worker');
  const [policies, policy] = await policiesOf(client, lb);
  const rules = (await client.call<{ rules: Resource[] }>('GET', `/v2/lbaas/l7policies/${policies[0]}/rules`)).rules.map((each) => each.id);
  for (const n of [1, 2, 3]) {
    await change(client, lb.id, 'PUT', `/l7policies/${policies[0]}/rules/${rules[0]}`, { rule: { value: `^/[${n}] ?'$` } });
    await change(client, lb.id, 'PUT', `/l7policies/${policies[0]}/rules/${rules[1]}`, { rule: { value: String(n) } });
    assert.deepEqual([await get(lb, `/${n}'`), await get(lb, `/${n + 1}'`)], ['403', '200 blue']);
  }
  const listener_id = lb.listeners[0]?.id;
  const more = { listener_id, action: 'REDIRECT_TO_POOL', redirect_pool_id: policy };
  const made = await change(client, lb.id, 'POST', '/l7policies', { l7policy: more });
  await change(client, lb.id, 'POST', `/l7policies/${made.id}/rules`, { rule: toGreen('c').rules[0] });
  assert.deepEqual(
    [await get(lb, '/', { host: 'c' }), await get(lb, '/', { host: 'a' }), await get(lb, '/')],
    ['200 green', '200 green', '200 blue'],
  );
  await change(client, lb.id, 'DELETE', `/l7policies/${policies[1]}`);
  assert.equal(await get(lb, '/', { host: 'a' }), '200 blue');
  assert.equal(await haproxies(stage), before);
  await traffic.stop();
  assert.equal(traffic.failures().length, 0, tellFailures(traffic.failures()));
  await removeLoadBalancer(client, lb.id);
}

/** The policies of the only listener in order, and the pool that the second sends to. */
async function policiesOf(client: ApiClient, { listeners }: ShownLoadBalancer): Promise<readonly [readonly string[], string]> {
  type Shown = Resource & { readonly redirect_pool_id: string };
  const path = `/v2/lbaas/l7policies?listener_id=${listeners[0]?.id}&sort=position`;
  const { l7policies } = await client.call<{ l7policies: Shown[] }>('GET', path);
  return [l7policies.map((each) => each.id), l7policies[1]?.redirect_pool_id ?? ''];
}
