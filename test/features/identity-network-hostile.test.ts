/** Nothing that is sent to the facades of the embedded services makes them fail: every answer is below 500. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { withEmbeddedServices } from '../support/embedded-services.ts';

const attributes = [
  'name',
  'id',
  'network_id',
  'fixed_ips',
  'cidr',
  'ip_version',
  'allocation_pools',
  'tags',
  'direction',
  'protocol',
  'security_group_id',
];
const members = [
  'auth',
  'identity',
  'methods',
  'password',
  'user',
  'domain',
  'scope',
  'project',
  'roles',
  'expires_at',
  'enabled',
  'token',
  'system',
];
const wrappers = [
  'port',
  'network',
  'subnet',
  'security_group',
  'security_group_rule',
  'project',
  'user',
  'application_credential',
  'auth',
  'tags',
];
const words = [
  'password',
  'token',
  'application_credential',
  '10.0.0.0/24',
  'fd00::/64',
  '198.18.1.7',
  'ingress',
  'tcp',
  '\0',
  '\ud800',
  '__proto__',
  '',
];

const value = fc.letrec((tie) => ({
  leaf: fc.oneof(fc.constantFrom(...words), fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
  list: fc.array(tie('any'), { maxLength: 3 }),
  thing: fc.dictionary(fc.constantFrom(...attributes, ...members, '__proto__', 'constructor', 'tenant_id'), tie('any'), { maxKeys: 6 }),
  any: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('list'), tie('thing')),
})).any;
const body = fc.oneof(fc.dictionary(fc.constantFrom(...wrappers), value, { minKeys: 1, maxKeys: 2 }), value);
const part = fc.oneof(
  fc.constantFrom('%00', 'x', '%F0%9F%92%A9', '{private}', '{project}', '{user}'),
  fc.webSegment().filter((each) => !/^(?:\.|%2e)+$/iu.test(each)),
);
const query = fc.webQueryParameters();

const paths = [
  ...['networks', 'subnets', 'ports', 'security-groups', 'security-group-rules', 'quotas', 'extensions', 'qos/policies'].map(
    (each) => `/network/v2.0/${each}`,
  ),
  ...[
    'projects',
    'users',
    'roles',
    'domains',
    'role_assignments',
    'services',
    'auth/tokens',
    'users/{user}/application_credentials',
    'users/{user}/password',
  ].map((each) => `/identity/v3/${each}`),
];
const path = fc.oneof(
  fc.constantFrom(...paths),
  fc.tuple(fc.constantFrom(...paths), part).map(([base, last]) => `${base}/${last}`),
  fc.tuple(fc.constantFrom(...paths), part, part).map(([base, middle, last]) => `${base}/${middle}/tags/${last}`),
);

test('no request makes the facades fail', async (t) => {
  const services = await withEmbeddedServices(t);
  const token = await services.login('admin');
  const user = (await services.identity.users.findByName('default', 'admin'))?.id ?? '';
  const known = (url: string): string =>
    url
      .replaceAll('{user}', user)
      .replaceAll('{private}', services.networks.tenant.network.id)
      .replaceAll('{project}', services.project_ids.demo);
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE');
  await fc.assert(
    fc.asyncProperty(method, path, query, body, async (verb, url, parameters, content) => {
      // The administrator and his project have to survive, or all later answers would be 401.
      const isSuicide = verb !== 'GET' && (url.includes('{user}') || url.includes('{project}')) && !url.includes('application_credentials');
      fc.pre(!isSuicide);
      const headers = { host: 'lb.example', 'x-auth-token': token, 'x-subject-token': token, 'content-type': 'application/json' };
      const request = { method: verb as 'GET', url: `${known(url)}?${parameters}`, headers };
      const isRevocation = verb === 'DELETE' && url.includes('auth/tokens');
      fc.pre(!isRevocation);
      const answer = await services.app.inject(verb === 'GET' ? request : { ...request, payload: JSON.stringify(content) });
      assert.ok(answer.statusCode < 500, `${verb} ${url}?${parameters} ${JSON.stringify(content)} → ${answer.statusCode} ${answer.body}`);
      assert.notEqual(answer.statusCode, url.includes('auth/tokens') || url.includes('password') ? 0 : 401);
    }),
    { numRuns: 1_500 },
  );
});
