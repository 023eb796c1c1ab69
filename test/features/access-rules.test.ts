/** Application credentials with access rules: what they let through at each service, and that nothing gets around them. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withEmbeddedServices } from '../support/embedded-services.ts';
import type { Answer, EmbeddedServices } from '../support/embedded-services.ts';
import { startOctavia } from '../support/octavia.ts';

const tokens = '/identity/v3/auth/tokens';

const signIn = (id: string, secret: string): object => ({
  auth: { identity: { methods: ['application_credential'], application_credential: { id, secret } } },
});

/** A user's path, and a credential made with rules: what was answered, and a token by it. */
async function withRules(services: EmbeddedServices, access_rules: readonly object[], more: object = {}) {
  const { call, login } = services;
  const demo = await login('demo');
  const me: string = (await call('GET', tokens, demo, undefined, { 'x-subject-token': demo })).body.token.user.id;
  const path = `/identity/v3/users/${me}`;
  const body = { application_credential: { name: `c${randomInt(1e9)}`, access_rules, ...more } };
  const made = (await call('POST', `${path}/application_credentials`, demo, body)).body.application_credential;
  const answer = await call('POST', tokens, null, signIn(made.id, made.secret));
  return { demo, path, made, answer, token: String(answer.headers['x-subject-token']) };
}

const status = async (answer: Promise<Answer>): Promise<number> => (await answer).status;

test('a credential is good for the requests of its rules, at their service, and for no other', async (t) => {
  const services = await withEmbeddedServices(t, { keyManager: true });
  const { call } = services;
  const { token } = await withRules(services, [
    { service: 'network', method: 'GET', path: '/v2.0/networks' },
    { service: 'network', method: 'GET', path: '/network/v2.0/subnets/{id}' },
    { service: 'key-manager', method: 'GET', path: '/v1/**' },
    { service: 'identity', method: 'GET', path: '/v3/auth/*' },
  ]);
  const subnet = (await call('GET', '/network/v2.0/subnets', await services.login('demo'))).body.subnets[0].id;
  for (const [method, url, wanted] of [
    ['GET', '/network/v2.0/networks', 200],
    ['GET', '/network/v2.0/networks?name=private', 200],
    ['POST', '/network/v2.0/networks', 401],
    ['GET', '/network/v2.0/subnets', 401],
    ['GET', `/network/v2.0/subnets/${subnet}`, 200],
    ['PUT', `/network/v2.0/subnets/${subnet}`, 401],
    ['GET', '/network/v2.0/networks/..%2fports', 401],
    ['GET', '/key-manager/v1/secrets', 200],
    ['POST', '/key-manager/v1/secrets', 401],
    ['GET', '/identity/v3/auth/catalog', 200],
    ['GET', '/identity/v3/projects', 401],
  ] as const)
    assert.equal(await status(call(method, url, token, method === 'GET' ? undefined : {})), wanted, `${method} ${url}`);
});

test('neither another token by it, nor a credential made by it, nor the same token as a service’s gets around the rules', async (t) => {
  const services = await withEmbeddedServices(t);
  const { call } = services;
  const { token, path } = await withRules(services, [{ service: 'network', method: 'GET', path: '/v2.0/ports' }], { unrestricted: true });
  const again = await call('POST', tokens, null, { auth: { identity: { methods: ['token'], token: { id: token } } } });
  for (const each of [token, String(again.headers['x-subject-token'])]) {
    assert.equal(await status(call('GET', '/network/v2.0/ports', each)), 200);
    assert.equal(await status(call('GET', '/network/v2.0/networks', each)), 401);
    assert.equal(await status(call('POST', `${path}/application_credentials`, each, { application_credential: { name: 'free' } })), 401);
    assert.equal(await status(call('DELETE', tokens, each, undefined, { 'x-subject-token': each })), 401);
  }
  const caller = await services.identity.authenticate(token, token);
  assert.deepEqual(
    caller.access_rules?.map((rule) => rule.path),
    ['/v2.0/ports'],
  );
});

test('a token with rules is shown to those who judge by them only', async (t) => {
  const services = await withEmbeddedServices(t);
  const { call } = services;
  const rule = { service: 'load-balancer', method: 'GET', path: '/v2/**' };
  const { token, answer, made } = await withRules(services, [rule]);
  const [shown] = answer.body.token.application_credential.access_rules;
  assert.deepEqual(shown, { id: made.access_rules[0].id, ...rule });
  const look = (headers: Record<string, string>): Promise<Answer> =>
    call('GET', tokens, token, undefined, { 'x-subject-token': token, ...headers });
  assert.equal(await status(look({})), 404);
  assert.equal(await status(look({ 'openstack-identity-access-rules': '0.9' })), 404);
  const judged = await look({ 'openstack-identity-access-rules': '1.0' });
  assert.deepEqual(judged.body.token.application_credential.access_rules, [shown]);
  // Without rules there is no list of them: an empty one allows nothing.
  assert.equal('access_rules' in (await withRules(services, [])).answer.body.token.application_credential, false);
});

test('rules are kept by their words, shared, listed, and removed when no credential has them any more', async (t) => {
  const services = await withEmbeddedServices(t);
  const { call, login } = services;
  const words = { service: 'network', method: 'GET', path: '/v2.0/ports' };
  const { demo, path, made } = await withRules(services, [words]);
  const [{ id }] = made.access_rules;
  const second = await withRules(services, [{ id }, { ...words, method: 'POST' }]);
  assert.equal(second.made.access_rules[0].id, id);
  assert.equal((await withRules(services, [words])).made.access_rules[0].id, id);
  const list = async (query = ''): Promise<string[]> =>
    (await call('GET', `${path}/access_rules${query}`, demo)).body.access_rules.map((each: { method: string }) => each.method);
  assert.deepEqual([(await list()).toSorted(), await list('?method=POST')], [['GET', 'POST'], ['POST']]);
  const { links, ...rule } = (await call('GET', `${path}/access_rules/${id}`, demo)).body.access_rule;
  assert.deepEqual(rule, { id, ...words });
  assert.match(links.self, new RegExp(`/access_rules/${id}$`, 'u'));
  assert.equal(await status(call('DELETE', `${path}/access_rules/${id}`, demo)), 403);
  for (const { id: credential } of (await call('GET', `${path}/application_credentials`, demo)).body.application_credentials)
    assert.equal(await status(call('DELETE', `${path}/application_credentials/${credential}`, demo)), 204);
  assert.equal(await status(call('DELETE', `${path}/access_rules/${id}`, demo)), 204);
  assert.equal(await status(call('GET', `${path}/access_rules/${id}`, demo)), 404);
  assert.deepEqual(await list(), ['POST']);
  assert.equal(await status(call('GET', path.replace(/[^/]+$/u, 'somebody') + '/access_rules', demo)), 403);
  assert.equal(await status(call('GET', `${path}/access_rules`, await login('admin'))), 200);
});

test('rules that are none are refused, and leave nothing', async (t) => {
  const services = await withEmbeddedServices(t);
  const { demo, path } = await withRules(services, []);
  const fine = { service: 'network', method: 'GET', path: '/v2.0/ports' };
  for (const [rule, wanted] of [
    ['GET /', 400],
    [{}, 400],
    [{ ...fine, path: 'v2.0/ports' }, 400],
    [{ ...fine, path: `/${'x'.repeat(225)}` }, 400],
    [{ ...fine, method: 'get' }, 400],
    [{ ...fine, service: '' }, 400],
    [{ ...fine, more: 1 }, 400],
    [{ id: 'none' }, 404],
  ] as const) {
    const body = { application_credential: { name: 'x', access_rules: [fine, rule] } };
    assert.equal(await status(services.call('POST', `${path}/application_credentials`, demo, body)), wanted, JSON.stringify(rule));
  }
});

const noop = () => ({
  OS_HEALTH_MANAGER__BIND_PORT: String(randomInt(20_000, 30_000)),
  OS_CONTROLLER_WORKER__COMPUTE_DRIVER: 'compute_noop_driver',
  OS_CONTROLLER_WORKER__NETWORK_DRIVER: 'network_noop_driver',
  OS_CONTROLLER_WORKER__AMPHORA_DRIVER: 'amphora_noop_driver',
});

test('the load-balancer API judges by the rules, of its own identity and of a Keystone', async (t) => {
  const keystone = await startOctavia(t, { env: noop() });
  const passwordOf = (name: string): string => readFileSync(`${keystone.state_dir}/${name}.password`, 'utf8').trim();
  const octavia = await startOctavia(t, {
    env: {
      ...noop(),
      OS_API_SETTINGS__AUTH_STRATEGY: 'keystone',
      OS_KEYSTONE_AUTHTOKEN__AUTH_URL: `${keystone.base_url}/identity`,
      OS_KEYSTONE_AUTHTOKEN__USERNAME: 'admin',
      OS_KEYSTONE_AUTHTOKEN__PASSWORD: passwordOf('admin'),
      OS_KEYSTONE_AUTHTOKEN__PROJECT_NAME: 'admin',
    },
  });
  const send = (url: string, method: string, token: string | null, body?: object): Promise<Response> =>
    fetch(url, {
      method,
      headers: { 'content-type': 'application/json', ...(token !== null && { 'x-auth-token': token }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const login = async (auth: object): Promise<{ readonly token: string; readonly user: string }> => {
    const answer = await send(`${keystone.base_url}${tokens}`, 'POST', null, auth);
    return {
      token: answer.headers.get('x-subject-token') ?? '',
      user: ((await answer.json()) as { token: { user: { id: string } } }).token.user.id,
    };
  };
  const user = { name: 'demo', password: passwordOf('demo'), domain: { id: 'default' } };
  const demo = await login({ auth: { identity: { methods: ['password'], password: { user } } } });
  const access_rules = [{ service: 'load-balancer', method: 'GET', path: '/v2/lbaas/loadbalancers' }];
  const made = await send(`${keystone.base_url}/identity/v3/users/${demo.user}/application_credentials`, 'POST', demo.token, {
    application_credential: { name: 'looks', access_rules },
  });
  const { application_credential } = (await made.json()) as { application_credential: { id: string; secret: string } };
  const { token } = await login(signIn(application_credential.id, application_credential.secret));
  for (const { base_url } of [keystone, octavia])
    for (const [method, path, wanted] of [
      ['GET', '/v2/lbaas/loadbalancers?name=x', 200],
      ['GET', '/v2/lbaas/listeners', 401],
      ['GET', '/v2.0/lbaas/loadbalancers', 401],
      ['POST', '/v2/lbaas/loadbalancers', 401],
    ] as const)
      assert.equal(
        (await send(`${base_url}${path}`, method, token, method === 'POST' ? {} : undefined)).status,
        wanted,
        `${method} ${path}`,
      );
});
