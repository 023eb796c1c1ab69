import assert from 'node:assert/strict';
import { test } from 'node:test';
import { passOn, pathMatches, requireAccess } from './access-rules.ts';
import type { Caller } from './identity.ts';

test('a path matches by parts, by anything, and by nothing else', () => {
  for (const [path, pattern, matches] of [
    ['/v2/lbaas/loadbalancers', '/v2/lbaas/loadbalancers', true],
    ['/v2/lbaas/loadbalancers/', '/v2/lbaas/loadbalancers', false],
    ['/v2/lbaas/loadbalancers/1', '/v2/lbaas/loadbalancers', false],
    ['/v2/lbaas/loadbalancers/1', '/v2/lbaas/loadbalancers/*', true],
    ['/v2/lbaas/loadbalancers/', '/v2/lbaas/loadbalancers/*', false],
    ['/v2/lbaas/loadbalancers/1/status', '/v2/lbaas/loadbalancers/*', false],
    ['/v2/lbaas/loadbalancers/1/status', '/v2/lbaas/loadbalancers/{id}/status', true],
    ['/v2/lbaas/loadbalancers//status', '/v2/lbaas/loadbalancers/{id}/status', false],
    ['/v2/lbaas/loadbalancers/1/status', '/v2/**', true],
    ['/v2/', '/v2/**', true],
    ['/v1/secrets', '/v2/**', false],
    ['/v2/lbaas/pools/1/members/2', '/**/members/*', true],
    ['/v2/lbaas/pools/1/members', '/**/members/*', false],
    ['/v2x0/lbaas', '/v2.0/lbaas', false],
    ['/a/web-1.x/b', '/a/web-*.x/b', true],
    ['/a{b', '/a{b', true],
    ['', '', true],
    ['', '**', true],
    ['', '*', false],
  ] as const) {
    assert.equal(pathMatches(path, pattern), matches, `${path} by ${pattern}`);
  }
});

test('a rule made to be slow is not', () => {
  const began = process.cpuUsage();
  assert.equal(pathMatches(`/${'a'.repeat(4000)}`, `/${'**a'.repeat(74)}b`), false);
  assert.ok(process.cpuUsage(began).user < 2_000_000);
});

test('rules limit the bearer of a credential, not what a service passes on, nor others', () => {
  const caller: Caller = {
    user_id: 'u',
    user_name: 'u',
    project_id: 'p',
    domain_id: null,
    roles: ['member'],
    is_admin: false,
    system_scope: false,
  };
  const asked = { service: 'network', method: 'GET', paths: ['/network/v2.0/ports', '/v2.0/ports'] };
  const withRule = (change: object): Caller => ({
    ...caller,
    access_rules: [{ service: 'network', method: 'GET', path: '/v2.0/ports', ...change }],
  });
  requireAccess(caller, asked);
  requireAccess(withRule({}), asked);
  requireAccess(withRule({ path: '/network/v2.0/*' }), asked);
  requireAccess(passOn(withRule({ method: 'POST' }), ['service'], true), asked);
  assert.throws(() => requireAccess(passOn(withRule({ method: 'POST' }), ['member'], false), asked), { status: 401 });
  for (const change of [{ method: 'POST' }, { service: 'load-balancer' }, { path: '/v2.0/networks' }])
    assert.throws(() => requireAccess(withRule(change), asked), { status: 401 });
  assert.throws(() => requireAccess({ ...caller, access_rules: [] }, asked), { status: 401 });
});
