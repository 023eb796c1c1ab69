import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../cloud/identity.ts';
import { acceptsJson } from './accept.ts';
import { readJson } from './body.ts';
import { newOrderedId } from '../tree/ids.ts';
import { isAllowed, projectOfList } from '../policy/enforce.ts';
import { pythonRepr } from '../request/python-text.ts';
import { isTrue, parseQuery } from './query.ts';
import { createRouter } from './router.ts';

test('JSON is accepted by whoever does not clearly refuse it', () => {
  for (const header of [undefined, '', '*/*', 'application/json', 'application/*', 'nonsense', 'application/json;q=0.5, text/html'])
    assert.equal(acceptsJson(header), true, header);
  for (const header of ['text/html', 'text/plain', 'application/xml', 'application/json;q=0, text/html'])
    assert.equal(acceptsJson(header), false, header);
});

test('a body is JSON, or a fault that says what it is', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  assert.deepEqual(readJson(bytes('{"a":1}'), 'application/json; charset=utf-8'), { a: 1 });
  assert.equal(readJson(bytes(''), 'application/json'), undefined);
  assert.throws(() => readJson(bytes('{'), 'application/json'), { status: 400, message: 'Request is not in valid JSON format' });
  assert.throws(() => readJson(Uint8Array.of(0xff, 0xfe), 'application/json'), { status: 400, title: 'Bad Request' });
  assert.throws(() => readJson(bytes('{}'), 'application/xml'), { status: 415, message: 'Unknown mimetype: application/xml' });
  assert.throws(() => readJson(bytes('{}'), undefined), { status: 400, message: 'Unknown argument: "{}"' });
});

test('ids of one process grow, also within one millisecond and when the clock goes back', () => {
  const ids = [1000, 1000, 1000, 500, 2000].map((ms) => newOrderedId(ms));
  assert.deepEqual(ids.toSorted(), ids);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u);
});

test('values are printed as Python prints them', () => {
  assert.equal(pythonRepr({ a: [1, "it's", null, true], b: 'x\n' }), String.raw`{'a': [1, "it's", None, True], 'b': 'x\n'}`);
});

test('a query string keeps every value and the order of its keys', () => {
  const query = parseQuery('b=1&a=2&b=3&c&d=%C3%A4&e=a+b');
  assert.deepEqual(query.names, ['b', 'a', 'c', 'd', 'e']);
  assert.deepEqual(query.all('b'), ['1', '3']);
  assert.equal(query.last('b'), '3');
  assert.equal(query.last('c'), '');
  assert.equal(query.last('d'), 'ä');
  assert.equal(query.last('e'), 'a b');
  assert.equal(isTrue('True'), true);
  assert.equal(isTrue('x'), false);
});

test('a method that no path has is refused also where a path goes on too far', () => {
  const handler = () => ({ status: 200 });
  const route = createRouter([{ path: '/pools/:id', methods: { GET: handler, PUT: handler } }]);
  assert.deepEqual(route('PATCH', ['pools', 'a', 'b', 'c']), { found: 'other methods', allow: 'GET, PUT' });
  assert.deepEqual(route('GET', ['pools', 'a', 'b', 'c']), { found: 'nothing' });
  assert.deepEqual(route('PATCH', ['x']), { found: 'nothing' });
});

test('a route is found by its words before its parameters, and other methods are named', () => {
  const handler = () => ({ status: 200 });
  const route = createRouter([
    { path: '/pools/:id', methods: { GET: handler } },
    { path: '/pools/:pool_id/members/:id', methods: { GET: handler, PUT: handler } },
    { path: '/quotas/defaults', methods: { GET: handler } },
  ]);
  assert.deepEqual(route('GET', ['pools', 'a']), { found: 'handler', handler, params: { id: 'a' }, args: null });
  assert.deepEqual(route('PUT', ['pools', 'a', 'members', 'b']), {
    found: 'handler',
    handler,
    params: { pool_id: 'a', id: 'b' },
    args: [],
  });
  assert.deepEqual(route('DELETE', ['pools', 'a', 'members', 'b']), { found: 'other methods', allow: 'GET, PUT' });
  assert.deepEqual(route('GET', ['quotas', 'x']), { found: 'nothing' });
});

const caller = (roles: readonly string[], project_id: string | null = 'p', is_admin = false): Caller => ({
  user_id: 'u',
  user_name: 'u',
  project_id,
  domain_id: null,
  roles,
  is_admin,
  system_scope: false,
});

test('both families of roles give the rights of their project only, administrators everywhere', () => {
  const cases: readonly (readonly [string, string, string, string, boolean])[] = [
    ['reader', 'loadbalancer', 'get_one', 'p', true],
    ['reader', 'loadbalancer', 'post', 'p', false],
    ['reader', 'loadbalancer', 'get_one', 'other', false],
    ['member', 'listener', 'delete', 'p', true],
    ['load-balancer_observer', 'pool', 'get_all', 'p', true],
    ['load-balancer_observer', 'pool', 'put', 'p', false],
    ['load-balancer_member', 'pool', 'put', 'p', true],
    ['load-balancer_global_observer', 'pool', 'get_one', 'other', true],
    ['load-balancer_global_observer', 'pool', 'put', 'other', false],
    ['load-balancer_quota_admin', 'quota', 'put', 'other', true],
    ['load-balancer_quota_admin', 'loadbalancer', 'get_one', 'p', false],
    ['member', 'quota', 'put', 'p', false],
    ['member', 'loadbalancer', 'put_failover', 'p', false],
    ['load-balancer_admin', 'loadbalancer', 'put_failover', 'other', true],
    ['admin', 'amphora', 'get_all', 'other', true],
    ['member', 'amphora', 'get_all', 'p', false],
    ['service', 'member', 'get_all', 'other', true],
    ['service', 'member', 'post', 'p', false],
    ['unrelated', 'loadbalancer', 'get_one', 'p', false],
  ];
  for (const [role, resource, action, project_id, expected] of cases)
    assert.equal(
      isAllowed({ caller: caller([role]), deps: {} }, resource, action, project_id),
      expected,
      `${role} ${resource}:${action} in ${project_id}`,
    );
  assert.equal(isAllowed({ caller: caller([], null, true), deps: {} }, 'loadbalancer', 'put_failover', 'p'), true);
});

test('a list is limited to the project of the caller unless it may see all', () => {
  assert.equal(projectOfList({ caller: caller(['reader']), deps: {} }, 'loadbalancer', null), 'p');
  assert.equal(projectOfList({ caller: caller(['admin']), deps: {} }, 'loadbalancer', null), null);
  assert.equal(projectOfList({ caller: caller(['admin']), deps: {} }, 'loadbalancer', 'other'), 'other');
  assert.throws(() => projectOfList({ caller: caller(['reader']), deps: {} }, 'loadbalancer', 'other'), { status: 403 });
  assert.throws(() => projectOfList({ caller: caller(['reader'], null), deps: {} }, 'loadbalancer', null), { status: 403 });
});
