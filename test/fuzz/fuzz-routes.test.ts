import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiDocument } from '../../src/api/openapi/document.ts';
import { testDialect, withDatabase } from '../support/database.ts';
import { facadeBodies } from './facade-bodies.ts';
import { faultsIn } from './judge.ts';
import { fuzzRoutes } from './fuzz-routes.ts';
import { startWholeProgram } from './program.ts';
import { nameOf, servedRoutes } from './routes.ts';

/** A few here; `npm run fuzz -- 200000` sends as many as wanted. On SQLite every route is asked at least once. */
const count = testDialect === 'postgresql' ? 200 : 1100;

/** What an answer may cost. */
const MOST_MS = 2000;

test('no request to any route makes the program crash, talk about its inside, or keep what it refused', async (t) => {
  const db = await withDatabase(t);
  const report = await fuzzRoutes(db, count, 20_262, MOST_MS);
  assert.deepEqual(report.findings, []);
  assert.ok(report.hashed > 0 && (report.statuses['201'] ?? 0) > 0, JSON.stringify(report.statuses));
  if (testDialect === 'postgresql') return;
  const all = [...report.routes.values()];
  assert.deepEqual(
    all.filter(({ asked }) => asked === 0).map(({ route }) => nameOf(route)),
    [],
    'routes that were never asked',
  );
  for (const service of ['load-balancer', 'identity', 'network', 'key-manager']) {
    const own = all.filter(({ route }) => route.service === service);
    assert.ok(own.filter(({ accepted }) => accepted > 0).length > own.length / 4, `${service} accepts too little`);
  }
});

/** Routes that take no body. */
const bodiless = [/^PUT .*\/tags\/:tag$/u, /^PUT .*\/roles\/:role$/u, /^PUT \/key-manager\/v1\/secrets\/:id$/u];

test('every route that changes something has a body to be asked with', async (t) => {
  const program = await startWholeProgram(await withDatabase(t));
  t.after(() => program.stop());
  const routes = servedRoutes(program.registered);
  const names = new Set(routes.map(nameOf));
  const lacking = routes.filter(
    ({ method, service, body, ...route }) =>
      ['POST', 'PUT', 'PATCH'].includes(method) &&
      service !== 'load-balancer' &&
      body === undefined &&
      !facadeBodies.has(nameOf({ method, ...route })) &&
      !bodiless.some((each) => each.test(nameOf({ method, ...route }))),
  );
  assert.deepEqual(lacking.map(nameOf), [], 'add a body to test/fuzz/facade-bodies.ts');
  assert.deepEqual(
    [...facadeBodies.keys()].filter((name) => !names.has(name)),
    [],
    'bodies for what is no route',
  );
  const shape = (text: string): string => text.replaceAll(/:\w+|\{\w+\}/gu, '{}');
  const shapes = new Set([...names].map(shape));
  const documented = Object.entries(apiDocument().paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(
    documented.filter((name) => name !== 'GET /' && !shapes.has(shape(name))),
    [],
  );
});

test('what is wrong with an answer is seen', () => {
  const sent = { method: 'POST', path: '/network/v2.0/ports', headers: {}, data: Buffer.from('{}') };
  const body = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const headers = { 'content-type': 'application/json', 'x-openstack-request-id': 'req-1' };
  const fault = (message: string): Buffer => body({ NeutronError: { type: 't', message, detail: '' } });
  const judge = (received: { status: number; headers: object; body: Buffer }, took_ms = 1): string[] =>
    faultsIn({ sent, received: received as never, took_ms, secrets: ['the-token'] }, 2000);
  assert.deepEqual(judge({ status: 400, headers, body: fault('no') }), []);
  assert.match(judge({ status: 500, headers, body: fault('no') }).join(), /status 500/u);
  assert.match(judge({ status: 400, headers, body: fault('no') }, 2001).join(), /took 2001 ms/u);
  assert.match(
    judge({ status: 400, headers, body: body({ code: 400, title: '', description: '' }) }).join(),
    /not in the form of network/u,
  );
  assert.match(judge({ status: 400, headers, body: Buffer.from('oh') }).join(), /not JSON/u);
  assert.match(judge({ status: 400, headers, body: fault('insert into x values') }).join(), /tells/u);
  assert.match(judge({ status: 400, headers, body: fault('x'.repeat(10_000)) }).join(), /bytes long/u);
  assert.match(judge({ status: 200, headers, body: body({ x: 'the-token' }) }).join(), /a secret/u);
  assert.match(judge({ status: 200, headers, body: body({ x: 'canary-1' }) }).join(), /a secret/u);
  assert.match(judge({ status: 200, headers: {}, body: body({}) }).join(), /no request id/u);
});
