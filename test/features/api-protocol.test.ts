/** HTTP itself: versions, paths, methods, types, sizes, headers, and requests that are none. */
import assert from 'node:assert/strict';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { withApi } from '../support/api.ts';

const UNKNOWN = '0ff0a0a3-2c09-4ddb-8c3d-1d3f9a1cffff';

/** Sends bytes as they are, and answers what comes back until the server closes. */
function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
  });
}

test('versions are listed without a token, in ascending order, the last one current', async (t) => {
  const api = await withApi(t, { callers: {} });
  const { status, body } = await api.call('GET', '/', undefined, { host: 'lb.example.org:9876' });
  assert.equal(status, 200);
  assert.equal(body.versions.length, 31);
  assert.equal(body.versions[0].id, 'v2.0');
  assert.deepEqual(body.versions.at(-1), {
    id: 'v2.30',
    status: 'CURRENT',
    updated: '2025-02-26T00:00:00Z',
    links: [{ href: 'http://lb.example.org:9876/v2', rel: 'self' }],
  });
  assert.equal(body.versions.filter((each: { status: string }) => each.status === 'SUPPORTED').length, 30);
});

test('every mount, a trailing slash and a .json suffix lead to the same list', async (t) => {
  const api = await withApi(t);
  for (const path of ['/v2/lbaas/pools', '/v2.0/lbaas/pools', '/v2/pools', '/v2.0/pools', '/v2/lbaas/pools/', '/v2/lbaas/pools.json'])
    assert.deepEqual((await api.call('GET', path)).body, { pools: [], pools_links: [] }, path);
  for (const path of ['/v2', '/v2/', '/v2.0', '/v2/lbaas', '/v2.0/lbaas/', '/v2/octavia'])
    assert.equal((await api.call('GET', path)).body, 'v2', path);
  assert.deepEqual((await api.call('GET', '/v2/octavia/amphorae')).body, { amphorae: [], amphorae_links: [] });
  for (const path of ['/v2/lbaas/amphorae', '/v2/octavia/pools', '/v2/lbaas/nothing', '/v2/x/y/z', '/v2/octavia/nothing'])
    assert.deepEqual((await api.call('GET', path)).body, { code: 404, title: 'Not Found', description: '' }, path);
});

test('a method that a path has not is a 405 that names those it has', async (t) => {
  const api = await withApi(t);
  const cases: readonly (readonly [string, string, string])[] = [
    ['PATCH', '/v2/lbaas/loadbalancers', 'DELETE, GET, POST, PUT'],
    ['PATCH', `/v2/lbaas/pools/${UNKNOWN}`, 'DELETE, GET, POST, PUT'],
    ['POST', `/v2/lbaas/loadbalancers/${UNKNOWN}/stats`, 'GET'],
    ['POST', '/v2/lbaas/quotas/p', 'DELETE, GET, PUT'],
    ['GET', '/v2/lbaas/providers/amphora', 'GET'],
    ['TRACE', '/v2/lbaas/providers', 'GET'],
    ['HEAD', '/v2/lbaas/providers', 'GET'],
  ];
  for (const [method, url, allow] of cases) {
    const answer = await api.app.inject({ method: method as 'GET', url });
    assert.deepEqual([answer.statusCode, answer.headers['allow']], [405, allow], `${method} ${url}`);
  }
  assert.equal((await api.app.inject({ method: 'OPTIONS', url: '/v2/lbaas/pools' })).statusCode, 200);
});

test('an id that names nothing is a 404, whatever it looks like', async (t) => {
  const api = await withApi(t);
  for (const id of [UNKNOWN, 'x', '5', '%20', 'y'.repeat(300), UNKNOWN.toUpperCase(), '%00', '..%2f..', '%C3%A4'])
    for (const kind of ['loadbalancers', 'listeners', 'pools', 'healthmonitors']) {
      const answer = await api.call('GET', `/${kind}/${id}`);
      assert.equal(answer.status, 404, `${kind}/${id}`);
      assert.match(answer.body.faultstring, / not found\.$/u);
    }
  assert.equal((await api.call('GET', '/loadbalancers/%zz')).status, 400);
  assert.equal((await api.call('GET', '/loadbalancers/%ff')).status, 400);
});

test('every answer carries a request id, also the refusals', async (t) => {
  const api = await withApi(t, { callers: {} });
  for (const path of ['/', '/v2', '/nothing', '/healthcheck', '/v2/%zz']) {
    const answer = await api.app.inject({ method: 'GET', url: path });
    assert.match(String(answer.headers['x-openstack-request-id']), /^req-[0-9a-f-]{36}$/u, path);
  }
});

test('without a valid token there is a 401 that says where to get one', async (t) => {
  const api = await withApi(t, { callers: { good: { roles: ['reader'], project_id: 'p' } } });
  const refused = await api.call('GET', '/loadbalancers');
  assert.equal(refused.status, 401);
  assert.match(String(refused.headers['www-authenticate']), /^Keystone uri="http:\/\/.*\/identity"$/u);
  assert.deepEqual(refused.body, {
    error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
  });
  assert.equal((await api.call('GET', '/loadbalancers', undefined, { 'x-auth-token': 'good' })).status, 200);
});

test('only JSON is spoken, and only JSON is heard', async (t) => {
  const api = await withApi(t);
  assert.equal((await api.call('GET', '/pools', undefined, { accept: 'text/html' })).status, 406);
  const post = async (payload: string | Buffer, type?: string) => {
    const headers = type === undefined ? {} : { 'content-type': type };
    const answer = await api.app.inject({ method: 'POST', url: '/v2/lbaas/loadbalancers', payload, headers });
    return [answer.statusCode, JSON.parse(answer.body).faultstring as string] as const;
  };
  assert.deepEqual(await post('{', 'application/json'), [400, 'Request is not in valid JSON format']);
  assert.deepEqual(await post(Buffer.from([0xff, 0xfe]), 'application/json'), [400, undefined]);
  assert.deepEqual(await post('', 'application/json'), [400, 'Missing argument: "load_balancer"']);
  assert.deepEqual(await post('<a/>', 'application/xml'), [415, 'Unknown mimetype: application/xml']);
  assert.deepEqual(await post('{}', 'nonsense'), [415, 'Unknown mimetype: nonsense']);
  assert.equal((await post('{"loadbalancer":{}}'))[0], 400);
  for (const body of ['null', '[]', '5', '"x"', 'true', '{}', '{"loadbalancer": null}', '{"loadbalancer": []}', '{"loadbalancer": "x"}'])
    assert.equal((await post(body, 'application/json; charset=utf-8'))[0], 400, body);
  const empty = await api.app.inject({
    method: 'DELETE',
    url: `/v2/lbaas/pools/${UNKNOWN}`,
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(empty.statusCode, 404);
});

test('a body that is too large is a 413', async (t) => {
  const api = await withApi(t);
  const answer = await api.app.inject({
    method: 'POST',
    url: '/v2/lbaas/pools',
    payload: JSON.stringify({ pool: { name: 'x'.repeat(120_000) } }),
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(answer.statusCode, 413);
});

test('while nobody needs a token, foreign web pages are refused', async (t) => {
  const api = await withApi(t, { options: { allowed_origins: ['https://dashboard.example'] } });
  const status = async (headers: Record<string, string>): Promise<number> => (await api.call('GET', '/pools', undefined, headers)).status;
  assert.equal(await status({ host: '127.0.0.1:9876' }), 200);
  assert.equal(await status({ host: '[::1]:9876' }), 200);
  assert.equal(await status({ host: 'localhost:9876', origin: 'http://localhost:9876' }), 200);
  assert.equal(await status({ host: 'localhost:9876', origin: 'https://dashboard.example' }), 200);
  assert.equal(await status({ host: 'localhost:9876', origin: 'https://evil.example' }), 403);
  assert.equal(await status({ host: 'localhost:9876', origin: 'null' }), 403);
  assert.equal(await status({ host: 'rebound.example:9876' }), 403);
  const allowed = await api.call('GET', '/pools', undefined, { host: 'localhost', origin: 'https://dashboard.example' });
  assert.equal(allowed.headers['access-control-allow-origin'], 'https://dashboard.example');
});

test('health is told in three forms, and 503 when the database does not answer', async (t) => {
  let isWell = true;
  const api = await withApi(t, {
    callers: {},
    healthChecks: {
      receiver: async () => {
        if (!isWell) throw new Error('deaf');
      },
    },
  });
  const plain = await api.app.inject({ method: 'GET', url: '/healthcheck' });
  assert.deepEqual([plain.statusCode, plain.body], [200, 'OK\n']);
  const json = await api.app.inject({ method: 'GET', url: '/healthcheck', headers: { accept: 'application/json' } });
  assert.deepEqual(JSON.parse(json.body), { detailed: false, reasons: ['OK'] });
  assert.equal((await api.app.inject({ method: 'HEAD', url: '/healthcheck' })).statusCode, 200);
  assert.equal((await api.app.inject({ method: 'PUT', url: '/healthcheck' })).statusCode, 405);
  isWell = false;
  const ill = await api.app.inject({ method: 'GET', url: '/healthcheck' });
  assert.deepEqual([ill.statusCode, ill.body], [503, 'receiver failed\n']);
});

test('what is hardly HTTP gets an answer too', async (t) => {
  const api = await withApi(t);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const host = `Host: localhost:${port}\r\n`;
  const unknown = await exchange(port, `FOO /v2/lbaas/providers HTTP/1.1\r\n${host}\r\n`);
  assert.match(unknown, /^HTTP\/1\.1 405 /u);
  assert.match(unknown, /\r\nallow: GET\r\n/iu);
  assert.match(unknown, /\r\nx-openstack-request-id: req-/iu);
  assert.match(await exchange(port, `FOO / HTTP/1.1\r\n${host}\r\n`), /^HTTP\/1\.1 200 /u);
  assert.match(await exchange(port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /u);
  assert.match(
    await exchange(port, `GET / HTTP/1.1\r\n${host}X-Big: ${'x'.repeat(70_000)}\r\nConnection: close\r\n\r\n`),
    /^HTTP\/1\.1 431 /u,
  );
  const large = await exchange(port, `GET /v2 HTTP/1.1\r\n${host}X-Auth-Token: ${'x'.repeat(40_000)}\r\nConnection: close\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 200 /u, 'tokens of 40 KB are taken');
});

test('a closing server finishes what it has begun and does not wait for kept connections', async (t) => {
  const api = await withApi(t);
  await api.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.app.server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/v2`, { headers: { connection: 'keep-alive' } });
  assert.equal(await answer.text(), '"v2"');
  const start = performance.now();
  await api.app.close();
  assert.ok(performance.now() - start < 3000, 'closing took too long');
});
