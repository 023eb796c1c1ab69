/** The description of the API: it is valid, served to everybody, and what it says of answers is true of every operation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { apiDocument } from '../../src/api/openapi/document.ts';
import { endpoints } from '../access/endpoints.ts';
import { createWorld } from '../access/world.ts';
import { type ApiAnswer, withApi } from '../support/api.ts';
import { createAnswerChecker } from '../contract/openapi-answers.ts';

test('the document is valid OpenAPI 3.1 and is served without a token', async (t) => {
  const document = JSON.parse(JSON.stringify(apiDocument())) as Record<string, unknown>;
  const { valid, errors } = await new Validator().validate(document);
  assert.ok(valid, JSON.stringify(errors));
  const api = await withApi(t, { callers: {} });
  const served = await api.app.inject({ method: 'GET', url: '/openapi.json' });
  assert.deepEqual([served.statusCode, served.headers['content-type']], [200, 'application/json']);
  assert.deepEqual(JSON.parse(served.body), document);
  assert.equal((await api.app.inject({ method: 'HEAD', url: '/openapi.json' })).statusCode, 200);
  const refused = await api.app.inject({ method: 'DELETE', url: '/openapi.json' });
  assert.deepEqual([refused.statusCode, refused.headers['allow']], [405, 'GET, HEAD']);
  assert.equal((await api.app.inject({ method: 'GET', url: '/v2/lbaas/loadbalancers' })).statusCode, 401);
});

test('every operation answers as it is described, to those who may and to those who may not', async (t) => {
  const checker = createAnswerChecker(apiDocument());
  const world = await createWorld(t);
  const admin = await world.login({ role: 'admin', scope: 'project' });
  const guest = await world.login({ role: 'service', scope: 'project' });
  const unseen = new Set(checker.operations.map(({ method, path }) => `${method} ${path}`));
  const wrong: string[] = [];
  for (const { method, path, body, spends } of endpoints) {
    const url = path.startsWith('/v2') ? path : `/v2/lbaas${path}`;
    const found = checker.find(method, url);
    if (found === undefined) wrong.push(`${method} ${url} is not described`);
    for (const token of [undefined, guest, admin]) {
      const got = await world.send(token, method, path, 'own', body);
      const problem = checker.check(method, url, got.status, got.body);
      if (problem !== null) wrong.push(problem);
      if (got.status < 200 || got.status > 299) continue;
      unseen.delete(`${method} ${found?.path}`);
      await world.undo(method, path, 'own', spends, got);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual([...unseen], ['GET /']);
});

test('whole trees, errors and pages answer as they are described', async (t) => {
  const checker = createAnswerChecker(apiDocument());
  const api = await withApi(t);
  const wrong: string[] = [];
  const ask = async (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<ApiAnswer> => {
    const got = method === 'GET' ? await api.call(method, path, body, headers) : await api.act(method, path, body, headers);
    const problem = checker.check(method, path === '/' || path.startsWith('/v2') ? path : `/v2/lbaas${path}`, got.status, got.body);
    if (problem !== null) wrong.push(problem);
    return got;
  };
  const monitor = { type: 'HTTP', delay: 5, timeout: 4, max_retries: 2, expected_codes: '200-299' };
  const pool = {
    name: 'web',
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    members: [{ address: '192.0.2.1', protocol_port: 80, tags: ['m'] }],
    healthmonitor: monitor,
  };
  const rules = [{ type: 'HEADER', key: 'x', compare_type: 'CONTAINS', value: 'y' }];
  const redirect = { action: 'REDIRECT_TO_URL', redirect_url: 'http://www.example.org/', redirect_http_code: 301, rules };
  const listener = {
    protocol: 'HTTP',
    protocol_port: 80,
    allowed_cidrs: ['192.0.2.0/24', '2001:db8::/32'],
    insert_headers: { 'X-Forwarded-For': 'true' },
    default_pool: pool,
    l7policies: [redirect, { action: 'REDIRECT_TO_POOL', redirect_pool: { ...pool, name: 'other' } }],
  };
  const subnet = 'c55e7725-894c-400e-bd00-57a04ae1e676';
  const made = await ask('POST', '/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnet, project_id: 'p', tags: ['t'], listeners: [listener] },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id, pools } = made.body.loadbalancer;
  for (const path of ['', `/${id}`, `/${id}/status`, `/${id}/stats`, '?limit=1', '?sort=nonsense', '?nonsense=1', '/none'])
    await ask('GET', `/loadbalancers${path}`);
  for (const path of [
    '/listeners',
    '/pools',
    `/pools/${pools[0].id}/members`,
    '/healthmonitors',
    '/l7policies',
    '/quotas',
    '/v2.0/pools.json',
    '/',
  ])
    await ask('GET', path);
  await ask('PUT', `/pools/${pools[0].id}`, { pool: { session_persistence: { type: 'APP_COOKIE', cookie_name: 'c' }, tags: null } });
  await ask('GET', '/loadbalancers', undefined, { accept: 'text/plain' });
  await ask('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: 7 } });
  await ask('POST', '/loadbalancers', { loadbalancer: {} });
  await ask('POST', '/pools', { pool: { ...pool, x: 1 } });
  await ask('POST', '/loadbalancers', 'x', { 'content-type': 'application/xml' });
  await ask('POST', '/loadbalancers', { loadbalancer: { name: 'x'.repeat(200_000) } });
  await ask('DELETE', `/loadbalancers/${id}`);
  const pending = await ask('POST', '/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnet, project_id: 'p', provider: 'noop_driver' },
  });
  await ask('PUT', `/loadbalancers/${pending.body.loadbalancer.id}`, { loadbalancer: { name: 'x' } });
  await ask('PUT', `/loadbalancers/${pending.body.loadbalancer.id}/failover`);
  await ask('DELETE', `/loadbalancers/${id}?cascade=true`);
  assert.deepEqual(wrong, []);
});

test('requests may say what their schemas say, and nothing else', async (t) => {
  const document = apiDocument();
  const api = await withApi(t);
  let tried = 0;
  for (const [path, methods] of Object.entries(document.paths))
    for (const method of ['post', 'put'] as const) {
      const schema = methods[method]?.requestBody?.content['application/json']?.schema as
        | { properties: Record<string, { $ref?: string; properties?: object }> }
        | undefined;
      const [root, inner] = Object.entries(schema?.properties ?? {})[0] ?? [];
      const name = inner?.$ref?.split('/').at(-1) ?? '';
      const properties = Object.keys((document.components.schemas[name]?.['properties'] as object | undefined) ?? inner?.properties ?? {});
      if (root === undefined || properties.length === 0) continue;
      // The pool or policy must exist for the body to be read.
      if (path.includes('{pool_id}') || path.includes('{l7policy_id}')) continue;
      const url = path.replaceAll(/\{\w+\}/gu, 'x');
      const body = { [root]: Object.fromEntries([...properties, 'no_such_field'].map((each) => [each, null])) };
      const got = await api.call(method.toUpperCase() as 'PUT', url, body);
      assert.equal(got.status, 400, `${method} ${path}`);
      assert.match(
        got.body.faultstring,
        /Unknown attribute for argument [\w.]+: no_such_field$/u,
        `${method} ${path}: ${got.body.faultstring}`,
      );
      tried += 1;
    }
  assert.ok(tried > 15, `${tried} requests`);
});
