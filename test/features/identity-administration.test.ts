/** The identity facade for administrators: domains, roles and services of their own, and clear words for what there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { passwordAuth, withEmbeddedServices } from '../support/embedded-services.ts';
import type { Answer, EmbeddedServices } from '../support/embedded-services.ts';

const root = '/identity/v3';
type World = EmbeddedServices & {
  readonly demo: string;
  readonly as: (method: Parameters<EmbeddedServices['call']>[0], path: string, body?: unknown) => Promise<Answer>;
};

async function world(t: TestContext): Promise<World> {
  const services = await withEmbeddedServices(t);
  const admin = await services.login('admin');
  return { ...services, demo: await services.login('demo'), as: (method, path, body) => services.call(method, root + path, admin, body) };
}

function assertRefused(answer: Answer, status: number, words = /./u): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.match(answer.body.error.message, words);
}

test('a domain of its own: its users log in by its name, and not while it is disabled; it goes with all in it', async (t) => {
  const { as, call, demo } = await world(t);
  const made = await as('POST', '/domains', { domain: { name: 'shop', description: 'd' } });
  const { domain } = made.body;
  assert.deepEqual([made.status, domain.name, domain.enabled], [201, 'shop', true]);
  assertRefused(await as('POST', '/domains', { domain: { name: 'shop' } }), 409);
  assertRefused(await call('POST', `${root}/domains`, demo, { domain: { name: 'x' } }), 403);
  const { project } = (await as('POST', '/projects', { project: { name: 'p', domain_id: domain.id } })).body;
  const { user } = (await as('POST', '/users', { user: { name: 'demo', domain_id: domain.id, password: 'of-the-shop' } })).body;
  const [member] = (await as('GET', '/roles?name=member')).body.roles;
  assert.equal((await as('PUT', `/projects/${project.id}/users/${user.id}/roles/${member.id}`)).status, 204);
  assert.equal((await as('PUT', `/domains/${domain.id}/users/${user.id}/roles/${member.id}`)).status, 204);
  const login = (scope: unknown): Promise<Answer> => {
    const password = { user: { name: 'demo', domain: { name: 'shop' }, password: 'of-the-shop' } };
    return call('POST', `${root}/auth/tokens`, null, { auth: { identity: { methods: ['password'], password }, scope } });
  };
  const inProject = await login({ project: { name: 'p', domain: { id: domain.id } } });
  assert.deepEqual(inProject.body.token.project.domain, { id: domain.id, name: 'shop' });
  assert.deepEqual((await login({ domain: { name: 'shop' } })).body.token.domain, { id: domain.id, name: 'shop' });

  assertRefused(await as('DELETE', `/domains/${domain.id}`), 403, /disable it first/u);
  const renamed = (await as('PATCH', `/domains/${domain.id}`, { domain: { name: 'shop', enabled: false } })).body.domain;
  assert.equal(renamed.enabled, false);
  assert.equal((await login({ domain: { id: domain.id } })).status, 401);
  const old = String(inProject.headers['x-subject-token']);
  assert.equal((await call('GET', `${root}/auth/projects`, old)).status, 401);
  assert.equal((await as('DELETE', `/domains/${domain.id}`)).status, 204);
  for (const path of [`/domains/${domain.id}`, `/projects/${project.id}`, `/users/${user.id}`]) assertRefused(await as('GET', path), 404);
  assert.equal((await as('GET', `/role_assignments?user.id=${user.id}`)).body.role_assignments.length, 0);
  assertRefused(await as('PATCH', '/domains/default', { domain: { enabled: false } }), 403);
});

test('a role of its own is granted and shown in tokens; those of the first start stay', async (t) => {
  const { as, call, demo, project_ids } = await world(t);
  const { role } = (await as('POST', '/roles', { role: { name: 'auditor', description: 'd' } })).body;
  assertRefused(await as('POST', '/roles', { role: { name: 'admin' } }), 409);
  assertRefused(await call('POST', `${root}/roles`, demo, { role: { name: 'x' } }), 403);
  assert.equal((await as('PATCH', `/roles/${role.id}`, { role: { name: 'inspector' } })).body.role.name, 'inspector');
  const [user] = (await as('GET', '/users?name=demo')).body.users;
  await as('PUT', `/projects/${project_ids.demo}/users/${user.id}/roles/${role.id}`);
  const names = async (): Promise<string[]> => {
    const answer = await call('POST', `${root}/auth/tokens`, null, passwordAuth('demo', 'demo-password'));
    return answer.body.token.roles.map((each: { name: string }) => each.name);
  };
  assert.ok((await names()).includes('inspector'));
  assert.equal((await as('DELETE', `/roles/${role.id}`)).status, 204);
  assert.ok(!(await names()).includes('inspector'));
  const [admin] = (await as('GET', '/roles?name=admin')).body.roles;
  assertRefused(await as('DELETE', `/roles/${admin.id}`), 403, /always there/u);
  assertRefused(await as('PATCH', `/roles/${admin.id}`, { role: { name: 'root' } }), 403);
  assert.equal((await as('PATCH', `/roles/${admin.id}`, { role: { description: 'all' } })).body.role.description, 'all');
  const pairs = (await as('GET', '/role_inferences')).body.role_inferences.map(
    (each: { prior_role: { name: string }; implies: { name: string }[] }) => [
      each.prior_role.name,
      ...each.implies.map(({ name }) => name),
    ],
  );
  assert.deepEqual(pairs, [
    ['admin', 'member'],
    ['member', 'reader'],
  ]);
  assert.equal((await as('GET', `/roles/${admin.id}/implies`)).body.role_inference.implies[0].name, 'member');
});

test('services of others are added to the catalog, with the project in their address; our own stay as they are', async (t) => {
  const { as, call, demo, project_ids } = await world(t);
  const { service } = (await as('POST', '/services', { service: { type: 'object-store', name: 'swift' } })).body;
  assert.deepEqual([service.type, service.name, service.enabled], ['object-store', 'swift', true]);
  assert.equal((await as('POST', '/regions', { region: { id: 'north' } })).body.region.id, 'north');
  const wanted = { service_id: service.id, interface: 'public', region_id: 'north', url: 'http://192.0.2.1/v1/AUTH_$(project_id)s' };
  const { endpoint } = (await as('POST', '/endpoints', { endpoint: wanted })).body;
  assert.deepEqual([endpoint.url, endpoint.region], [wanted.url, 'north']);
  const shown = async (): Promise<unknown[]> => {
    const { catalog } = (await call('GET', `${root}/auth/catalog`, demo)).body;
    return catalog
      .filter((each: { type: string }) => each.type === 'object-store')
      .flatMap((each: { endpoints: unknown[] }) => each.endpoints);
  };
  const url = `http://192.0.2.1/v1/AUTH_${project_ids.demo}`;
  assert.deepEqual(await shown(), [{ id: endpoint.id, interface: 'public', region: 'north', region_id: 'north', url }]);
  for (const bad of [{ interface: 'side' }, { url: 'javascript:alert(1)' }, { service_id: 'nope' }, { region_id: 'south' }])
    assertRefused(await as('POST', '/endpoints', { endpoint: { ...wanted, ...bad } }), 400);
  assertRefused(await as('DELETE', '/regions/north'), 409);
  assertRefused(await as('POST', '/regions', { region: { id: 'RegionOne' } }), 409);
  await as('PATCH', `/endpoints/${endpoint.id}`, { endpoint: { enabled: false } });
  assert.deepEqual(await shown(), []);
  assert.equal((await as('PATCH', `/services/${service.id}`, { service: { description: 'd' } })).body.service.description, 'd');
  assert.equal((await as('DELETE', `/services/${service.id}`)).status, 204);
  assertRefused(await as('GET', `/endpoints/${endpoint.id}`), 404);
  assert.equal((await as('DELETE', '/regions/north')).status, 204);
  const [own] = (await as('GET', '/services?type=load-balancer')).body.services;
  assertRefused(await as('DELETE', `/services/${own.id}`), 403, /part of this program/u);
  assertRefused(await call('POST', `${root}/services`, demo, { service: { type: 'x' } }), 403);
});

test('tags of projects; and what this identity has none of is an empty list and a clear refusal', async (t) => {
  const { as, call, demo, project_ids } = await world(t);
  const path = `/projects/${project_ids.demo}/tags`;
  assert.deepEqual((await as('PUT', path, { tags: ['a', 'b'] })).body.tags, ['a', 'b']);
  assert.equal((await as('PUT', `${path}/c`)).status, 201);
  assert.equal((await as('DELETE', `${path}/a`)).status, 204);
  assert.deepEqual((await call('GET', root + path, demo)).body.tags, ['b', 'c']);
  assert.equal((await as('HEAD', `${path}/c`)).status, 204);
  assert.equal((await as('HEAD', `${path}/a`)).status, 404);
  assertRefused(await call('PUT', `${root}${path}/d`, demo), 403);
  for (const [plural, at] of [
    ['groups', '/groups'],
    ['trusts', '/OS-TRUST/trusts'],
    ['registered_limits', '/registered_limits'],
  ] as const) {
    assert.deepEqual((await as('GET', at)).body[plural], []);
    assertRefused(await as('GET', `${at}/x`), 404);
    assertRefused(await as('POST', at, {}), 403, /not (?:supported|kept)/u);
  }
});
