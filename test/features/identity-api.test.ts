/** The identity facade: what stock clients send, and what Keystone would answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../src/lib/clock.ts';
import { passwordAuth, passwords, withEmbeddedServices } from '../support/embedded-services.ts';
import type { Answer } from '../support/embedded-services.ts';

const tokens = '/identity/v3/auth/tokens';

function assertKeystoneError(answer: Answer, status: number): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.deepEqual(Object.keys(answer.body), ['error']);
  assert.deepEqual(Object.keys(answer.body.error).toSorted(), ['code', 'message', 'title']);
  assert.equal(answer.body.error.code, status);
}

test('versions are found without a token, at the address that the client used', async (t) => {
  const { call } = await withEmbeddedServices(t);
  for (const url of ['/identity', '/identity/']) {
    const { status, body } = await call('GET', url);
    assert.equal(status, 300);
    assert.deepEqual([body.versions.values[0].id, body.versions.values[0].status], ['v3.14', 'stable']);
    assert.equal(body.versions.values[0].links[0].href, 'http://lb.example:9876/identity/v3/');
  }
  for (const url of ['/identity/v3', '/identity/v3/']) assert.equal((await call('GET', url)).body.version.id, 'v3.14');
  const strange = await call('GET', '/identity', null, undefined, { host: 'evil"><script>' });
  assert.match(strange.body.versions.values[0].links[0].href, /^http:\/\/127\.0\.0\.1:/u);
});

test('a login answers 201 with the token in the header and all that clients read in the body', async (t) => {
  const { call, project_ids } = await withEmbeddedServices(t);
  const { status, headers, body } = await call('POST', tokens, null, passwordAuth('demo', passwords.demo.reveal()));
  assert.equal(status, 201);
  assert.match(String(headers['x-subject-token']), /^[\w.-]{100,400}$/u);
  assert.match(String(headers['x-openstack-request-id']), /^req-/u);
  const { token } = body;
  assert.match(token.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/u);
  assert.match(token.issued_at, /Z$/u);
  assert.deepEqual(token.methods, ['password']);
  assert.deepEqual(token.user.domain, { id: 'default', name: 'Default' });
  assert.deepEqual(token.project, { id: project_ids.demo, name: 'demo', domain: { id: 'default', name: 'Default' } });
  assert.equal(token.is_domain, false);
  const urls = Object.fromEntries(
    token.catalog.map((entry: { type: string; endpoints: { url: string }[] }) => [entry.type, entry.endpoints[0]?.url]),
  );
  assert.deepEqual(urls, {
    identity: 'http://lb.example:9876/identity/v3',
    'load-balancer': 'http://lb.example:9876',
    network: 'http://lb.example:9876/network',
  });
  assert.deepEqual(
    token.catalog[1].endpoints.map((each: { interface: string; region_id: string }) => [each.interface, each.region_id]),
    ['public', 'internal', 'admin'].map((each) => [each, 'RegionOne']),
  );
  assert.equal(
    (await call('POST', `${tokens}?nocatalog`, null, passwordAuth('demo', passwords.demo.reveal()))).body.token.catalog,
    undefined,
  );
});

test('a token without scope has no catalog and no roles, and can be turned into one with', async (t) => {
  const { call, project_ids } = await withEmbeddedServices(t);
  for (const scope of ['unscoped', { unscoped: {} }]) {
    const answer = await call('POST', tokens, null, passwordAuth('demo', passwords.demo.reveal(), scope));
    assert.deepEqual([answer.body.token.catalog, answer.body.token.roles, answer.body.token.project], [undefined, undefined, undefined]);
    const id = answer.headers['x-subject-token'];
    const again = { auth: { identity: { methods: ['token'], token: { id } }, scope: { project: { id: project_ids.demo } } } };
    const scoped = await call('POST', tokens, null, again);
    assert.equal(scoped.status, 201);
    assert.deepEqual(scoped.body.token.methods, ['token', 'password']);
    assert.equal(scoped.body.token.audit_ids[1], answer.body.token.audit_ids[0]);
  }
});

test('a token is shown to its owner and to administrators, checked by HEAD, and void after DELETE', async (t) => {
  const { call, login } = await withEmbeddedServices(t);
  const [demo, other, admin] = [await login('demo'), await login('demo'), await login('admin')];
  const about = (token: string): Record<string, string> => ({ 'x-subject-token': token });
  assert.equal((await call('GET', tokens, demo, undefined, about(demo))).body.token.user.name, 'demo');
  assert.equal((await call('GET', `${tokens}?nocatalog=1`, admin, undefined, about(demo))).body.token.catalog, undefined);
  assertKeystoneError(await call('GET', tokens, demo, undefined, about(admin)), 403);
  assertKeystoneError(await call('GET', tokens, admin, undefined, about('nonsense')), 404);
  assertKeystoneError(await call('GET', tokens, null, undefined, about(demo)), 401);
  assertKeystoneError(await call('GET', tokens, demo), 400);
  const head = await call('HEAD', tokens, demo, undefined, about(other));
  assert.deepEqual([head.status, head.body], [200, undefined]);
  assert.equal((await call('DELETE', tokens, demo, undefined, about(other))).status, 204);
  assert.equal((await call('HEAD', tokens, demo, undefined, about(other))).status, 404);
  assertKeystoneError(await call('GET', '/identity/v3/projects', other), 401);
});

test('an expired token is shown only where that is asked for', async (t) => {
  const clock = new FakeClock();
  const { call, login } = await withEmbeddedServices(t, { clock });
  const old = await login('demo');
  await clock.advance(43_200_000);
  const admin = await login('admin');
  assertKeystoneError(await call('GET', tokens, admin, undefined, { 'x-subject-token': old }), 404);
  assert.equal((await call('GET', `${tokens}?allow_expired=1`, admin, undefined, { 'x-subject-token': old })).status, 200);
});

const malformed: readonly (readonly [what: string, body: unknown])[] = [
  ['nothing', undefined],
  ['broken JSON', '{"auth":'],
  ['a list', []],
  ['null', null],
  ['an empty object', {}],
  ['auth as a text', { auth: 'x' }],
  ['no identity', { auth: {} }],
  ['no methods', { auth: { identity: {} } }],
  ['empty methods', { auth: { identity: { methods: [] } } }],
  ['methods as a text', { auth: { identity: { methods: 'password' } } }],
  ['a method that is no text', { auth: { identity: { methods: [{}] } } }],
  ['a method without its section', { auth: { identity: { methods: ['password'] } } }],
  ['a user that is a list', { auth: { identity: { methods: ['password'], password: { user: [] } } } }],
  ['a name without a domain', { auth: { identity: { methods: ['password'], password: { user: { name: 'demo', password: 'x' } } } } }],
  ['a name that is a number', { auth: { identity: { methods: ['password'], password: { user: { id: 5, password: 'x' } } } } }],
  ['a zero byte', passwordAuth('de\0mo', 'x')],
  ['half a character', { auth: { identity: { methods: ['password'], password: { user: { id: '\ud800', password: 'x' } } } } }],
  ['an endless password', passwordAuth('demo', 'x'.repeat(5000))],
  ['a scope that is a number', passwordAuth('demo', 'x', 5)],
  ['two scopes', passwordAuth('demo', 'x', { project: { id: 'x' }, system: { all: true } })],
  ['half a system', passwordAuth('demo', 'x', { system: { all: false } })],
  ['too many methods', { auth: { identity: { methods: ['a', 'b', 'c', 'd', 'e'] } } }],
];
for (const [what, body] of malformed) {
  test(`a login with ${what} is a 400 in Keystone's form`, async (t) => {
    const { call } = await withEmbeddedServices(t);
    assertKeystoneError(await call('POST', tokens, null, body), 400);
  });
}

test('other refusals have their status and form: wrong secrets, unknown methods, large bodies, unknown paths', async (t) => {
  const { call } = await withEmbeddedServices(t);
  assertKeystoneError(await call('POST', tokens, null, passwordAuth('demo', 'wrong')), 401);
  assertKeystoneError(await call('POST', tokens, null, passwordAuth('demo', '')), 401);
  assertKeystoneError(await call('POST', tokens, null, { auth: { identity: { methods: ['totp'] } } }), 401);
  assertKeystoneError(await call('POST', tokens, null, 'x'.repeat(200_000)), 413);
  assertKeystoneError(await call('GET', '/identity/v2.0/tokens'), 404);
  assertKeystoneError(await call('GET', '/identity/v3/projects/%00%ff'.replace('%ff', '')), 401);
});

test('a body is read whatever its content type says', async (t) => {
  const { call } = await withEmbeddedServices(t);
  for (const type of ['application/json', 'application/json; charset=utf-8', 'text/plain', 'application/vnd.openstack.identity-v3+json']) {
    const answer = await call('POST', tokens, null, passwordAuth('demo', passwords.demo.reveal()), { 'content-type': type });
    assert.equal(answer.status, 201, type);
  }
});

test('too many wrong passwords are a 429 that says when to come back', async (t) => {
  const { call } = await withEmbeddedServices(t);
  for (let count = 0; count < 6; count += 1) await call('POST', tokens, null, passwordAuth('demo', 'wrong'));
  const answer = await call('POST', tokens, null, passwordAuth('demo', passwords.demo.reveal()));
  assertKeystoneError(answer, 429);
  assert.equal(answer.headers['retry-after'], '1');
});

test('tenants see their projects, administrators all, and only those write', async (t) => {
  const { call, login, project_ids } = await withEmbeddedServices(t);
  const [demo, admin] = [await login('demo'), await login('admin')];
  const names = (answer: Answer): string[] => answer.body.projects.map((each: { name: string }) => each.name).toSorted();
  assert.deepEqual(names(await call('GET', '/identity/v3/projects', demo)), ['demo']);
  assert.deepEqual(names(await call('GET', '/identity/v3/projects', admin)), ['admin', 'demo', 'service']);
  assert.deepEqual(names(await call('GET', '/identity/v3/projects?name=service&domain_id=default', admin)), ['service']);
  assert.deepEqual(names(await call('GET', '/identity/v3/projects?enabled=False', admin)), []);
  assert.deepEqual(names(await call('GET', '/identity/v3/auth/projects', admin)), ['admin', 'demo']);
  assert.equal((await call('GET', `/identity/v3/projects/${project_ids.demo}`, demo)).body.project.name, 'demo');
  assertKeystoneError(await call('GET', `/identity/v3/projects/${project_ids.admin}`, demo), 403);
  assertKeystoneError(await call('GET', '/identity/v3/projects/nope', admin), 404);
  assertKeystoneError(await call('POST', '/identity/v3/projects', demo, { project: { name: 'x' } }), 403);
  for (const method of ['PATCH', 'DELETE'] as const) {
    assertKeystoneError(await call(method, `/identity/v3/projects/${project_ids.demo}`, demo, { project: { name: 'x' } }), 403);
  }
});

test('an administrator makes a project, a user and a grant, and the user can log in', async (t) => {
  const { call, login } = await withEmbeddedServices(t);
  const admin = await login('admin');
  const project = (await call('POST', '/identity/v3/projects', admin, { project: { name: 'p', tags: ['a'] } })).body.project;
  assert.deepEqual([project.domain_id, project.parent_id, project.enabled, project.is_domain], ['default', 'default', true, false]);
  assertKeystoneError(await call('POST', '/identity/v3/projects', admin, { project: { name: 'p' } }), 409);
  const wanted = { name: 'u', password: 'secret', default_project_id: project.id, email: 'u@example.com' };
  const { user } = (await call('POST', '/identity/v3/users', admin, { user: wanted })).body;
  assert.equal(JSON.stringify(user).includes('secret'), false);
  const [role] = (await call('GET', '/identity/v3/roles?name=member', admin)).body.roles;
  const grant = `/identity/v3/projects/${project.id}/users/${user.id}/roles/${role.id}`;
  assertKeystoneError(await call('GET', grant, admin), 404);
  for (const method of ['PUT', 'PUT', 'GET', 'HEAD'] as const) assert.equal((await call(method, grant, admin)).status, 204);
  const listed = await call('GET', `/identity/v3/role_assignments?user.id=${user.id}&include_names`, admin);
  assert.deepEqual([listed.body.role_assignments.length, listed.body.role_assignments[0].scope.project.name], [1, 'p']);
  const answer = await call('POST', tokens, null, passwordAuth('u', 'secret'));
  assert.equal(answer.body.token.project.name, 'p');
  const token = String(answer.headers['x-subject-token']);
  assertKeystoneError(await call('PUT', grant, token), 403);
  assertKeystoneError(
    await call('POST', `/identity/v3/users/${user.id}/password`, token, { user: { password: 'new', original_password: 'x' } }),
    401,
  );
  assert.equal(
    (await call('POST', `/identity/v3/users/${user.id}/password`, token, { user: { password: 'new', original_password: 'secret' } }))
      .status,
    204,
  );
  assert.equal((await call('POST', tokens, null, passwordAuth('u', 'secret'))).status, 401);
  assert.equal((await call('DELETE', grant, admin)).status, 204);
  assertKeystoneError(await call('DELETE', grant, admin), 404);
  assert.equal((await call('PATCH', `/identity/v3/users/${user.id}`, admin, { user: { enabled: false } })).body.user.enabled, false);
  assert.equal((await call('DELETE', `/identity/v3/users/${user.id}`, admin)).status, 204);
  assert.equal((await call('DELETE', `/identity/v3/projects/${project.id}`, admin)).status, 204);
  assertKeystoneError(await call('GET', `/identity/v3/users/${user.id}`, admin), 404);
});

test('bad attributes are a 400 that names them', async (t) => {
  const { call, login } = await withEmbeddedServices(t);
  const admin = await login('admin');
  const bad: readonly (readonly [string, string, unknown])[] = [
    ['/identity/v3/projects', 'project', { name: 5 }],
    ['/identity/v3/projects', 'project', { name: '' }],
    ['/identity/v3/projects', 'project', {}],
    ['/identity/v3/projects', 'project', { name: 'x'.repeat(65) }],
    ['/identity/v3/projects', 'project', { name: 'x', enabled: 'yes' }],
    ['/identity/v3/projects', 'project', { name: 'x', tags: [5] }],
    ['/identity/v3/projects', 'project', { name: 'x', domain_id: 'nope' }],
    ['/identity/v3/users', 'user', { name: 'x', email: {} }],
    ['/identity/v3/users', 'user', { name: 'x', password: [] }],
    ['/identity/v3/users', 'user', []],
  ];
  for (const [url, name, value] of bad) assertKeystoneError(await call('POST', url, admin, { [name]: value }), 400);
});

test('an application credential shows its secret once, logs in, and cannot make others unless it may', async (t) => {
  const { call, login } = await withEmbeddedServices(t);
  const demo = await login('demo');
  const me = (await call('GET', tokens, demo, undefined, { 'x-subject-token': demo })).body.token.user.id;
  const path = `/identity/v3/users/${me}/application_credentials`;
  const make = (body: object, token = demo): Promise<Answer> => call('POST', path, token, { application_credential: body });
  const made = (await make({ name: 'ci', roles: [{ name: 'reader' }], expires_at: '2099-01-01T00:00:00' })).body.application_credential;
  assert.deepEqual([made.unrestricted, made.roles[0].name, made.expires_at], [false, 'reader', '2099-01-01T00:00:00.000000']);
  assert.ok(made.secret.length >= 32);
  const shown = (await call('GET', `${path}/${made.id}`, demo)).body.application_credential;
  assert.equal(shown.secret, undefined);
  assert.equal(JSON.stringify(shown).includes('scrypt'), false);
  const auth = (extra: object): object => ({ auth: { identity: { methods: ['application_credential'], application_credential: extra } } });
  const answer = await call('POST', tokens, null, auth({ id: made.id, secret: made.secret }));
  assert.deepEqual([answer.body.token.application_credential.restricted, answer.body.token.roles.length], [true, 1]);
  assert.ok(answer.body.token.catalog.length >= 3);
  const restricted = String(answer.headers['x-subject-token']);
  assertKeystoneError(await make({ name: 'more' }, restricted), 403);
  assertKeystoneError(await call('DELETE', `${path}/${made.id}`, restricted), 403);
  assertKeystoneError(await make({ name: 'ci' }), 409);
  for (const body of [
    {},
    { name: 'x', roles: [{ name: 'admin' }] },
    { name: 'x', expires_at: 'soon' },
    { name: 'x', expires_at: '2001-01-01T00:00:00Z' },
    { name: 'x', access_rules: [{}] },
  ]) {
    assertKeystoneError(await make(body), 400);
  }
  const free = (await make({ name: 'free', unrestricted: true })).body.application_credential;
  const byName = await call('POST', tokens, null, auth({ name: 'free', user: { id: me }, secret: free.secret }));
  assert.equal((await make({ name: 'child' }, String(byName.headers['x-subject-token']))).status, 201);
  assert.deepEqual((await call('GET', path, demo)).body.application_credentials.map((each: { name: string }) => each.name).toSorted(), [
    'child',
    'ci',
    'free',
  ]);
  assert.equal((await call('DELETE', `${path}/${made.id}`, demo)).status, 204);
  assertKeystoneError(await call('POST', tokens, null, auth({ id: made.id, secret: made.secret })), 401);
  assertKeystoneError(await call('GET', path.replace(me, 'someone'), demo), 403);
});

test('services are listed with what Magnum looks for', async (t) => {
  const { call, login } = await withEmbeddedServices(t);
  const demo = await login('demo');
  const { services } = (await call('GET', '/identity/v3/services?type=load-balancer', demo)).body;
  assert.deepEqual(
    services.map((each: { name: string; enabled: boolean }) => [each.name, each.enabled]),
    [['octavia', true]],
  );
  assert.equal((await call('GET', `/identity/v3/endpoints?service_id=${services[0].id}&interface=public`, demo)).body.endpoints.length, 1);
  assert.equal((await call('GET', '/identity/v3/regions/RegionOne', demo)).body.region.id, 'RegionOne');
  assert.equal((await call('GET', '/identity/v3/domains?name=Default', demo)).body.domains.length, 1);
  assert.equal((await call('GET', '/identity/v3/auth/catalog', demo)).body.catalog.length, 3);
  assert.deepEqual((await call('GET', '/identity/v3/auth/system', await login('admin'))).body.system, [{ all: true }]);
});
