/** L7 policies and rules in the API: places, targets, what is refused and in which words, whole trees in one call. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Fault } from '../../src/model/index.ts';
import { type ApiAnswer, type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';
const MISSING = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';

type Shown = Record<string, unknown> & { readonly id: string };

/** A load balancer with an HTTP listener, a TCP listener and a pool of each kind. */
async function withListener(t: TestContext, options: Parameters<typeof withApi>[1] = {}) {
  const api = await withApi(t, options);
  const lb = (await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET } })).body.loadbalancer.id;
  const make = async (path: string, root: string, body: object): Promise<string> =>
    (await api.act('POST', path, { [root]: { loadbalancer_id: lb, ...body } })).body[root].id;
  const listener = await make('/listeners', 'listener', { protocol: 'HTTP', protocol_port: 80 });
  const tcp = await make('/listeners', 'listener', { protocol: 'TCP', protocol_port: 81 });
  const pool = await make('/pools', 'pool', { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' });
  const tcpPool = await make('/pools', 'pool', { protocol: 'TCP', lb_algorithm: 'ROUND_ROBIN' });
  return { api, lb, listener, tcp, pool, tcpPool };
}

const told = ({ status, body }: ApiAnswer): string =>
  status < 400 ? String(status) : `${status} ${body?.faultstring ?? body?.description}`;

async function policy(api: ApiTest, listener_id: string, more: object = {}): Promise<Shown> {
  const answer = await api.act('POST', '/l7policies', { l7policy: { listener_id, action: 'REJECT', ...more } });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body.l7policy;
}

test('positions begin at 1 and have no gaps, whoever comes, moves or goes', async (t) => {
  const { api, listener } = await withListener(t);
  const order = async (): Promise<string> => {
    const { body } = await api.call('GET', `/l7policies?listener_id=${listener}&sort=position&fields=name&fields=position`);
    const rows = body.l7policies as readonly { readonly name: string; readonly position: number }[];
    rows.forEach(({ position }, index) => assert.equal(position, index + 1));
    const shown = (await api.call('GET', `/listeners/${listener}`)).body.listener.l7policies as readonly Shown[];
    assert.deepEqual(
      shown.map(({ id }) => names.get(id)),
      rows.map(({ name }) => name),
    );
    return rows.map(({ name }) => name).join('');
  };
  const names = new Map<string, string>();
  const ids: Record<string, string> = {};
  for (const [name, position, shown] of [
    ['A', undefined, 1],
    ['B', null, 2],
    ['C', 1, 1],
    ['D', 2, 2],
    ['E', 99, 5],
  ] as const) {
    const made = await policy(api, listener, { name, ...(position !== undefined && { position }) });
    assert.equal(made['position'], shown);
    ids[name] = made.id;
    names.set(made.id, name);
  }
  assert.equal(await order(), 'CDABE');
  const move = (name: string, position: number | null) => api.act('PUT', `/l7policies/${ids[name]}`, { l7policy: { position } });
  for (const [name, position, at, after] of [
    ['A', 1, 1, 'ACDBE'],
    ['A', 3, 3, 'CDABE'],
    ['C', 99, 5, 'DABEC'],
    ['E', 2, 2, 'DEABC'],
    ['E', 2, 2, 'DEABC'],
    ['E', null, 2, 'DEABC'],
  ] as const) {
    assert.equal((await move(name, position)).body.l7policy.position, at);
    assert.equal(await order(), after);
  }
  assert.match(told(await move('E', 0)), /^400 .*Value should be greater or equal to 1$/u);
  assert.equal((await api.act('DELETE', `/l7policies/${ids['E']}`)).status, 204);
  assert.equal(await order(), 'DABC');
  assert.equal((await api.call('GET', `/l7policies/${ids['E']}`)).status, 404);
});

test('a target decides the action, an action clears the other targets', async (t) => {
  const { api, listener, pool } = await withListener(t);
  const { id } = await policy(api, listener);
  const shownOf = ({ body: { l7policy } }: ApiAnswer) => [
    l7policy.action,
    l7policy.redirect_pool_id,
    l7policy.redirect_url,
    l7policy.redirect_prefix,
    l7policy.redirect_http_code,
  ];
  const put = (change: object) => api.act('PUT', `/l7policies/${id}`, { l7policy: change });
  const [url, prefix] = ['http://x.com/', 'https://z.com'];
  const steps: readonly (readonly [object, readonly unknown[]])[] = [
    [{ redirect_url: url }, ['REDIRECT_TO_URL', null, url, null, 302]],
    [{ redirect_http_code: 307 }, ['REDIRECT_TO_URL', null, url, null, 307]],
    [{ redirect_pool_id: pool }, ['REDIRECT_TO_POOL', pool, null, null, null]],
    [{ redirect_prefix: prefix, redirect_http_code: '301' }, ['REDIRECT_PREFIX', null, null, prefix, 301]],
    [{ action: 'REDIRECT_TO_URL', redirect_url: url }, ['REDIRECT_TO_URL', null, url, null, 302]],
    [{ action: 'REJECT' }, ['REJECT', null, null, null, null]],
    [{ redirect_pool_id: pool }, ['REDIRECT_TO_POOL', pool, null, null, null]],
  ];
  for (const [change, expected] of steps) assert.deepEqual(shownOf(await put(change)), expected, JSON.stringify(change));
  const refused: readonly (readonly [object, string])[] = [
    [{}, '400 Invalid L7 Policy arguments: Invalid update options'],
    [{ action: 'REDIRECT_TO_URL' }, '400 Invalid L7 Policy arguments: redirect_url must not be None'],
    [{ action: 'REDIRECT_TO_POOL' }, '400 Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None'],
    [{ action: 'REDIRECT_PREFIX' }, '400 Invalid L7 Policy arguments: redirect_prefix must not be None'],
    [{ action: null }, '400 Invalid L7 Policy action specified: None'],
    [{ redirect_pool_id: MISSING }, `404 Pool ${MISSING} not found.`],
    [
      { redirect_pool_id: pool, redirect_url: url },
      '400 Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time',
    ],
    [{ listener_id: listener }, '400 Unknown attribute for argument l7policy_.l7policy: listener_id'],
  ];
  for (const [change, expected] of refused) assert.equal(told(await put(change)), expected);
  assert.equal(told(await api.act('DELETE', `/pools/${pool}`)), `409 Pool ${pool} is in use by L7 policy ${id}`);
  await put({ action: 'REJECT' });
  assert.equal((await api.act('DELETE', `/pools/${pool}`)).status, 204);
});

test('a new policy is made consistent or refused in the words of the reference', async (t) => {
  const { api, listener, pool, tcpPool } = await withListener(t);
  const post = (change: object) => api.act('POST', '/l7policies', { l7policy: { listener_id: listener, action: 'REJECT', ...change } });
  const x = 'http://x.com';
  for (const [change, expected] of [
    [{ redirect_http_code: 301 }, { action: 'REJECT', redirect_http_code: 301 }],
    [{ redirect_pool_id: pool }, { action: 'REJECT', redirect_pool_id: null }],
    [
      { redirect_url: x, redirect_pool_id: pool, redirect_prefix: x },
      { action: 'REDIRECT_PREFIX', redirect_prefix: x, redirect_url: null },
    ],
    [
      { action: 'REDIRECT_TO_URL', redirect_url: x, redirect_pool_id: pool },
      { action: 'REDIRECT_TO_URL', redirect_pool_id: null },
    ],
    [
      { action: 'REDIRECT_TO_POOL', redirect_pool_id: pool, redirect_http_code: 301 },
      { redirect_http_code: null, redirect_pool_id: pool },
    ],
    [{ action: 'REDIRECT_PREFIX', redirect_prefix: x, redirect_http_code: null }, { redirect_http_code: 302 }],
    [
      { tags: ['b', 'a'], admin_state_up: null, name: null },
      { tags: ['a', 'b'], admin_state_up: false, name: '', rules: [] },
    ],
  ] as const) {
    const made = (await post(change)).body.l7policy;
    for (const [name, value] of Object.entries(expected)) assert.deepEqual(made[name], value, `${name} of ${JSON.stringify(change)}`);
    assert.deepEqual([made.operating_status, made.provisioning_status, made.updated_at], ['OFFLINE', 'PENDING_CREATE', null]);
    const stored = (await api.call('GET', `/l7policies/${made.id}`)).body.l7policy;
    assert.equal(stored.operating_status, made.admin_state_up ? 'ONLINE' : 'OFFLINE');
  }
  const url = "Invalid input for field/attribute redirect_url. Value: '";
  for (const [change, expected] of [
    [{ action: 'reject' }, "400 Invalid input for field/attribute action. Value: 'reject'. Value should be one of: "],
    [{ action: 'REDIRECT_TO_URL', redirect_url: 'ftp://x' }, `400 ${url}ftp://x'. Value must be a valid URL string`],
    [{ action: 'REDIRECT_TO_URL', redirect_url: 'http://a b/' }, `400 ${url}http://a b/'. Value must be a valid URL string`],
    [
      { redirect_http_code: 304 },
      "400 Invalid input for field/attribute redirect_http_code. Value: '304'. Value should be one of: 301, 302, 303, 307, 308",
    ],
    [{ listener_id: null }, '404 Listener None not found.'],
    [{ listener_id: MISSING }, `404 Listener ${MISSING} not found.`],
    [{ redirect_pool_id: MISSING }, `404 Pool ${MISSING} not found.`],
    [
      { action: 'REDIRECT_TO_POOL', redirect_pool_id: tcpPool },
      "400 Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
    ],
    [{ tags: ['a', 'a'] }, '409 Already an entity with that specified id.'],
    [{ rules: [{}] }, "400 Invalid input for field/attribute type. Value: 'None'. Mandatory field missing."],
    [{ rules: [{ type: 'PATH', compare_type: 'EQUAL_TO', value: '/' }] }, '400 Validation failure: rules can only be given'],
    [{ redirect_pool: null }, '400 Unknown attribute for argument l7policy_.l7policy: redirect_pool'],
  ] as const)
    assert.ok(told(await post(change)).startsWith(expected), told(await post(change)));
});

test('a pool of another load balancer is not found, a PROMETHEUS listener has no policies, the provider may refuse', async (t) => {
  const provider = {
    validate: (tree: { readonly listeners: readonly { readonly protocol: string; readonly l7policies: readonly unknown[] }[] }) => {
      if (tree.listeners.some((each) => each.protocol === 'TCP' && each.l7policies.length > 0)) throw new Fault(501, 'no policies there');
    },
  };
  const { api, listener, tcp, lb } = await withListener(t, { provider });
  const other = (await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET } })).body.loadbalancer
    .id;
  const foreign = (await api.act('POST', '/pools', { pool: { loadbalancer_id: other, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } }))
    .body.pool.id;
  const post = async (change: object) => told(await api.act('POST', '/l7policies', { l7policy: { listener_id: listener, ...change } }));
  assert.equal(await post({ action: 'REDIRECT_TO_POOL', redirect_pool_id: foreign }), `404 Pool ${foreign} not found.`);
  assert.equal(await post({ action: 'REJECT', listener_id: tcp }), '501 no policies there');
  const metrics = (await api.act('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'PROMETHEUS', protocol_port: 9 } }))
    .body;
  assert.equal(
    await post({ action: 'REJECT', listener_id: metrics.listener.id }),
    '400 Protocol PROMETHEUS listeners cannot have child objects.',
  );
});

test('rules are checked by type and comparison in the words of the reference', async (t) => {
  const { api, listener } = await withListener(t);
  const { id } = await policy(api, listener);
  const post = async (rule: object) => told(await api.call('POST', `/l7policies/${id}/rules`, { rule }));
  const path = { type: 'PATH', compare_type: 'EQUAL_TO' };
  const parsing = '400 Error parsing L7Rule: ';
  for (const [rule, expected] of [
    [{ ...path }, "400 Invalid input for field/attribute value. Value: 'None'. Mandatory field missing."],
    [{ ...path, value: null }, `${parsing}Invalid L7 Rule: L7 rule type requires a value`],
    [{ ...path, value: 'a b' }, `${parsing}Invalid characters in comparison value`],
    [{ ...path, type: null, value: 'x' }, `${parsing}Invalid L7 Rule: invalid rule type`],
    [{ ...path, compare_type: null, value: 'x' }, `${parsing}Invalid L7 Rule: invalid comparison type for rule type`],
    [{ ...path, value: 'a\nb' }, "400 Invalid input for field/attribute value. Value: 'a\nb'. Value should match the pattern ^[^\\r\\n]*$"],
    [
      { ...path, compare_type: 'REGEX', value: '(' },
      `${parsing}Unable to parse regular expression: missing ), unterminated subpattern at position 0`,
    ],
    [{ ...path, type: 'HEADER', value: 'x' }, `${parsing}Invalid L7 Rule: L7 rule type requires a key`],
    [{ ...path, type: 'HEADER', key: 'X:Y', value: 'x' }, `${parsing}Invalid characters in key`],
    [{ ...path, type: 'HEADER', key: 'X', value: 'a b' }, `${parsing}Invalid characters in header value`],
    [{ ...path, type: 'COOKIE', key: 'X', value: 'a;b' }, `${parsing}Invalid characters in cookie value`],
    [
      { ...path, type: 'FILE_TYPE', compare_type: 'ENDS_WITH', value: 'x' },
      `${parsing}Invalid L7 Rule: invalid comparison type for rule type`,
    ],
    [
      { ...path, type: 'SSL_CONN_HAS_CERT', key: 'k', value: 'True' },
      `${parsing}Invalid L7 Rule: L7rule type SSL_CONN_HAS_CERT does not use the "key" field.`,
    ],
    [{ ...path, type: 'SSL_CONN_HAS_CERT', value: 'no' }, `${parsing}Invalid L7 Rule: L7rule value no is not a boolean True string.`],
    [
      { ...path, type: 'SSL_VERIFY_RESULT', value: '-1' },
      `${parsing}Invalid L7 Rule: L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0`,
    ],
    [
      { ...path, type: 'SSL_VERIFY_RESULT', compare_type: 'REGEX', value: '1' },
      `${parsing}Invalid L7 Rule: L7rule type SSL_VERIFY_RESULT only supports the EQUAL_TO compare type.`,
    ],
    [
      { ...path, type: 'SSL_DN_FIELD', value: 'x' },
      `${parsing}Invalid L7 Rule: L7rule type SSL_DN_FIELD needs to specify a key and a value.`,
    ],
    [{ ...path, type: 'SSL_DN_FIELD', key: 'no!', value: 'x' }, `${parsing}Invalid L7 Rule: Invalid L7rule distinguished name field.`],
    [{ ...path, value: 'x', id: MISSING }, '400 Unknown attribute for argument rule_.rule: id'],
    [{ ...path, value: 'x', tags: ['a', 'a'] }, '409 Already an entity with that specified id.'],
  ] as const)
    assert.equal(await post(rule), expected);
  for (const rule of [
    { ...path, key: 'kept', value: '"a b"', invert: 'yes', tags: ['t'] },
    { ...path, type: 'HEADER', key: "a,b'", value: '-f' },
    { ...path, type: 'COOKIE', key: 'k', value: 'a,b' },
    { ...path, type: 'FILE_TYPE', compare_type: 'REGEX', value: 'jpg|png' },
    { ...path, type: 'SSL_DN_FIELD', key: 'O', compare_type: 'CONTAINS', value: 'x y' },
  ])
    assert.equal(told(await api.act('POST', `/l7policies/${id}/rules`, { rule })), '201');
  const list = (await api.call('GET', `/l7policies/${id}/rules`)).body;
  assert.deepEqual(list.rules_links, []);
  const [first] = list.rules;
  assert.deepEqual(
    [first.key, first.invert, first.tags, first.tenant_id, 'name' in first, 'l7policy_id' in first],
    ['kept', true, ['t'], 'p', false, false],
  );
  assert.deepEqual(
    (await api.call('GET', `/l7policies/${id}`)).body.l7policy.rules,
    list.rules.map((rule: Shown) => ({ id: rule.id })),
  );
  assert.equal((await api.call('GET', `/l7policies/${id}/rules?type=COOKIE&key=k`)).body.rules.length, 1);
  assert.equal((await api.call('GET', `/l7policies/${id}/rules?tags=t`)).body.rules.length, 1);
  // As openstacksdk asks.
  assert.equal((await api.call('GET', `/l7policies/${id}/rules?l7policy_id=${id}`)).body.rules.length, list.rules.length);
});

test('an update of a rule is checked as the whole it makes, and the policy is busy meanwhile', async (t) => {
  const { api, listener, lb } = await withListener(t);
  const { id } = await policy(api, listener);
  const rule = { type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X', value: 'a b'.slice(0, 1), invert: true };
  const made = (await api.act('POST', `/l7policies/${id}/rules`, { rule })).body.rule;
  const at = `/l7policies/${id}/rules/${made.id}`;
  const put = async (change: object) => told(await api.act('PUT', at, { rule: change }));
  assert.equal(await put({ value: '' }), '400 Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a value');
  assert.equal(await put({ key: null }), '400 Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a key');
  assert.equal(await put({ id: MISSING }), '400 Unknown attribute for argument l7rule_.rule: id');
  assert.equal(await put({ type: 'HOST_NAME', compare_type: 'REGEX', value: '^a$', invert: null }), '200');
  const after = (await api.call('GET', at)).body.rule;
  assert.deepEqual([after.type, after.key, after.value, after.invert, after.operating_status], ['HOST_NAME', null, '^a$', false, 'ONLINE']);
  assert.equal(await put({ type: 'COOKIE' }), '400 Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a key');

  const pending = await api.call('PUT', at, { rule: { value: '^b$' } });
  assert.equal(pending.body.rule.provisioning_status, 'PENDING_UPDATE');
  const statusOf = async (path: string, root: string) => (await api.call('GET', path)).body[root].provisioning_status;
  assert.equal(await statusOf(`/listeners/${listener}`, 'listener'), 'PENDING_UPDATE');
  assert.equal(await statusOf(`/l7policies/${id}`, 'l7policy'), 'PENDING_UPDATE');
  assert.equal(told(await api.call('DELETE', at)), `409 L7Policy ${id} is immutable and cannot be updated.`);
  assert.equal(
    told(await api.call('PUT', `/l7policies/${id}`, { l7policy: { name: 'x' } })),
    `409 Load Balancer ${lb} is immutable and cannot be updated.`,
  );
  await api.worker?.drain();
  assert.equal((await api.act('DELETE', at)).status, 204);
  assert.equal(told(await api.call('GET', at)), `404 L7 Rule ${made.id} not found.`);
  assert.equal(told(await api.call('DELETE', at)), `404 L7 Rule ${made.id} not found.`);
});

test('a policy has at most 50 rules, and paths that lead nowhere are answered as by the reference', async (t) => {
  const { api, listener } = await withListener(t);
  const { id } = await policy(api, listener);
  const post = (value: string) => api.act('POST', `/l7policies/${id}/rules`, { rule: { type: 'PATH', compare_type: 'EQUAL_TO', value } });
  const first = (await post('/0')).body.rule;
  const row = await api.db.read.selectFrom('l7rule').selectAll().where('id', '=', first.id).executeTakeFirstOrThrow();
  const many = Array.from({ length: 48 }, (_, n) => ({ ...row, id: `${row.id.slice(0, -3)}${n + 100}` }));
  await api.db.tx((tx) => tx.insertInto('l7rule').values(many).execute());
  assert.equal((await post('/49')).status, 201);
  assert.equal(told(await post('/50')), `409 Too many rules on L7 policy ${id}`);
  const nowhere = `L7Policy ${MISSING} not found.`;
  for (const [method, path] of [
    ['GET', 'rules'],
    ['POST', 'rules'],
    ['PUT', 'rules'],
    ['DELETE', 'rules'],
    ['PUT', `rules/${MISSING}`],
  ] as const) {
    const answer = await api.call(method, `/l7policies/${MISSING}/${path}`, method === 'GET' ? undefined : {});
    assert.deepEqual([answer.status, answer.body], [404, { code: 404, description: nowhere, title: 'Bad Request' }]);
  }
  assert.equal(told(await api.call('GET', `/l7policies/${MISSING}`)), `404 L7 Policy ${MISSING} not found.`);
  assert.equal(told(await api.call('DELETE', '/l7policies')), '400 Missing argument: "id"');
  assert.equal(told(await api.call('DELETE', `/l7policies/${id}/rules`)), '400 Missing argument: "id"');
  assert.equal((await api.call('GET', `/l7policies/${id}/name`)).status, 200);
});

const inTree = {
  name: 'l',
  protocol: 'HTTP',
  protocol_port: 80,
  l7policies: [
    { name: 'first', action: 'REDIRECT_TO_URL', redirect_url: 'http://x.com', position: 7, tags: ['t'] },
    {
      name: 'second',
      action: 'REDIRECT_TO_POOL',
      redirect_pool: {
        name: 'embedded',
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        members: [{ address: '192.0.2.1', protocol_port: 80 }],
      },
      rules: [
        { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a', tags: ['r'] },
        { type: 'COOKIE', compare_type: 'REGEX', key: 'k', value: '.', invert: true },
      ],
    },
    { name: 'third', action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'named' }, position: 1, rules: [] },
  ],
} as const;
const namedPool = { name: 'named', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' };

test('a whole tree with policies and rules is made in one call, answered in full, shown in the status tree and gone with the load balancer', async (t) => {
  const api = await withApi(t);
  const post = (listener: object, more: object = {}) =>
    api.act('POST', '/loadbalancers', {
      loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, listeners: [listener], pools: [namedPool], ...more },
    });
  const { status, body } = await post(inTree);
  assert.equal(status, 201, JSON.stringify(body));
  const { listeners, pools, id } = body.loadbalancer;
  const idOf = (name: string) => pools.find((pool: Shown) => pool['name'] === name).id;
  const [listener] = listeners;
  assert.deepEqual(
    listener.l7policies.map((each: Shown) => [
      each['name'],
      each['position'],
      each['redirect_pool_id'],
      (each['rules'] as Shown[]).map((rule) => rule['value']),
    ]),
    [
      ['third', 1, idOf('named'), []],
      ['first', 2, null, []],
      ['second', 3, idOf('embedded'), ['/a', '.']],
    ],
  );
  assert.equal(listener.l7policies[2].rules[1].invert, true);
  assert.deepEqual(listener.l7policies[1].tags, ['t']);
  const poolOf = async (name: string) => (await api.call('GET', `/pools/${idOf(name)}`)).body.pool.listeners;
  assert.deepEqual(await poolOf('embedded'), [{ id: listener.id }]);
  assert.deepEqual(await poolOf('named'), [], 'a policy without rules sends nothing anywhere');
  const tree = (await api.call('GET', `/loadbalancers/${id}/status`)).body.statuses.loadbalancer;
  assert.deepEqual(
    tree.listeners[0].pools.map((pool: Shown) => pool['name']),
    ['embedded'],
  );
  assert.equal('l7policies' in tree.listeners[0], false);
  assert.equal((await api.act('DELETE', `/loadbalancers/${id}?cascade=true`)).status, 204);
  for (const table of ['l7policy', 'l7rule', 'tag'] as const)
    assert.deepEqual(await api.db.read.selectFrom(table).selectAll().execute(), [], table);

  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ ...inTree, l7policies: [{ action: 'REDIRECT_TO_URL' }] }, /^400 Invalid L7 Policy arguments: redirect_url must not be None$/u],
    [
      { ...inTree, l7policies: [{ action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'nowhere' } }] },
      /^400 Validation failure: Pool 'nowhere'/u,
    ],
    [
      { ...inTree, l7policies: [{ action: 'REDIRECT_TO_POOL', redirect_pool_id: MISSING }] },
      /^400 Unknown attribute for argument .*redirect_pool_id$/u,
    ],
    [
      { ...inTree, l7policies: [{ action: 'REJECT', rules: [{ type: 'PATH', compare_type: 'REGEX', value: '(' }] }] },
      /^400 Error parsing L7Rule: /u,
    ],
    [
      { ...inTree, l7policies: [{ action: 'REJECT', rules: Array.from({ length: 51 }, () => inTree.l7policies[1].rules[0]) }] },
      /^409 Too many rules/u,
    ],
    [
      { ...inTree, protocol: 'TCP', l7policies: [{ action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'udp' } }] },
      /^400 Validation failure: The pool protocol/u,
    ],
    [{ ...inTree, protocol: 'PROMETHEUS' }, /^400 Protocol PROMETHEUS listeners cannot have child objects\.$/u],
  ];
  for (const [listenerOf, expected] of refusals)
    assert.match(told(await post(listenerOf, { pools: [namedPool, { ...namedPool, name: 'udp', protocol: 'UDP' }] })), expected);
  assert.deepEqual(await api.db.read.selectFrom('l7policy').selectAll().execute(), []);
});

test('quotas count policies and rules, also those of a whole tree', async (t) => {
  const admin = { is_admin: true, project_id: 'p', roles: ['admin'] };
  const { api, listener } = await withListenerAs(t, admin);
  const limit = (quota: object) => api.call('PUT', '/quotas/p', { quota }, token);
  const post = (path: string, body: object) => api.act('POST', path, body, token);
  await limit({ l7policy: 1, l7rule: 1 });
  const l7policy = { listener_id: listener, action: 'REJECT' };
  const { id } = (await post('/l7policies', { l7policy })).body.l7policy;
  assert.equal(told(await post('/l7policies', { l7policy })), '403 Quota has been met for resources: L7 Policy');
  const rule = { type: 'PATH', compare_type: 'EQUAL_TO', value: '/' };
  assert.equal(told(await post(`/l7policies/${id}/rules`, { rule })), '201');
  assert.equal(told(await post(`/l7policies/${id}/rules`, { rule })), '403 Quota has been met for resources: L7 Rule');
  const listeners = [{ protocol: 'HTTP', protocol_port: 80, l7policies: [{ action: 'REJECT', rules: [rule] }] }];
  const whole = { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, listeners } };
  assert.equal(told(await post('/loadbalancers', whole)), '403 Quota has been met for resources: L7 Policy, L7 Rule');
  await limit({ l7policy: 2, l7rule: 2 });
  assert.equal(told(await post('/loadbalancers', whole)), '201');
});

const token = { 'x-auth-token': 'admin' };

async function withListenerAs(
  t: TestContext,
  caller: { readonly is_admin: boolean; readonly project_id: string; readonly roles: readonly string[] },
) {
  const api = await withApi(t, { callers: { admin: caller } });
  const listeners = [{ protocol: 'HTTP', protocol_port: 80 }];
  const made = await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET, listeners } }, token);
  return { api, listener: made.body.loadbalancer.listeners[0].id as string };
}
