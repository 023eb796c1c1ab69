import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Caller } from '../../cloud/identity.ts';
import { defaultRules } from './defaults.ts';
import { parseRule } from './parse.ts';
import { createPolicy, PolicyError, type PolicyOptions } from './policy.ts';

const caller = (roles: readonly string[], more: Partial<Caller> = {}): Caller => ({
  user_id: 'u',
  user_name: 'user',
  project_id: 'p',
  domain_id: null,
  roles,
  is_admin: false,
  system_scope: false,
  ...more,
});

/** Does the rule allow this caller in project p? */
function decides(rule: unknown, roles: readonly string[], more: Partial<Caller> = {}, others: Record<string, unknown> = {}): boolean {
  const overrides = new Map(Object.entries({ 'os_load-balancer_api:pool:put': rule, ...others }));
  return createPolicy({ overrides }).allows(caller(roles, more), 'pool', 'put', 'p');
}

test('a rule is read as oslo.policy reads it', () => {
  const cases: readonly (readonly [unknown, readonly string[], boolean, Partial<Caller>?])[] = [
    ['@', [], true],
    ['', [], true],
    [[], [], true],
    [[[]], ['a'], false],
    ['!', ['admin'], false],
    ['role:a', ['a'], true],
    ['role:A', ['a'], true],
    ['role:a', ['A'], true],
    ['role:a', ['b'], false],
    ['not role:a', ['a'], false],
    ['not not role:a', ['a'], true],
    ['not role:a and role:b', ['b'], true],
    ['role:a or role:b and role:c', ['a'], true],
    ['role:a and role:b or role:c', ['c'], true],
    ['(role:a or role:b) and role:c', ['a'], false],
    ['role:x or (role:a AND (role:b Or role:c))', ['a', 'c'], true],
    ['( role:a )', ['a'], true],
    ['role:a\n  or role:b', ['b'], true],
    ['project_id:%(project_id)s', [], true],
    ['project_id:%(project_id)s', [], false, { project_id: 'q' }],
    ['project_id:%(project_id)s', [], false, { project_id: null }],
    ['tenant:%(project_id)s', [], true],
    ['(role:a and project_id:%(project_id)s)', ['a'], true],
    ['user_id:u', [], true],
    ['user_id:%(user_id)s', [], false],
    ['project_id:pre-%(project_id)s', [], true, { project_id: 'pre-p' }],
    ['roles:a', ['b', 'a'], true],
    ['service_roles:service', [], true, { service_roles: ['service'] }],
    ['service_roles:service', [], false],
    ['system_scope:all', [], true, { system_scope: true }],
    ['system_scope:all', [], false],
    ['system_scope:None', [], true],
    ['is_admin:True', [], true, { is_admin: true }],
    ['is_admin:False', [], true],
    ["'p':%(project_id)s", [], true],
    ["'q':%(project_id)s", [], false],
    ['True:%(project_id)s', [], false],
    ['constructor:x', [], false],
    ['role:%(project_id)s', ['p'], true],
    [[['role:a', 'role:b'], 'role:c'], ['c'], true],
    [[['role:a', 'role:b'], ['role:c']], ['a'], false],
    [[['role:a', 'role:b'], []], ['a', 'b'], true],
    ['rule:nowhere', ['a'], false],
  ];
  for (const [rule, roles, expected, more] of cases)
    assert.equal(decides(rule, roles, more), expected, `${JSON.stringify(rule)} for ${roles.join()}`);
  assert.equal(decides('rule:mine or role:b', ['a'], {}, { mine: 'role:a' }), true);
  assert.equal(decides('rule:nowhere', ['a'], {}, { default: 'role:a' }), true);
});

test('a rule that cannot be read, or that asks itself, is refused with its name', () => {
  for (const rule of [
    'role:a and',
    'or role:a',
    'role:a role:b',
    '(role:a',
    'role:a)',
    'role',
    'http://x/y',
    'x:100%',
    null,
    { a: 1 },
    7,
    [[1]],
  ])
    assert.throws(
      () => decides(rule, []),
      (error) => error instanceof PolicyError && error.message.includes('"os_load-balancer_api:pool:put"'),
      String(rule),
    );
  assert.throws(() => decides('rule:b', [], {}, { b: 'not rule:c', c: 'rule:b' }), /refers to itself: .*b → c → b/u);
  assert.deepEqual(parseRule('role:a'), { kind: 'role', name: ['a'] });
});

test('probable mistakes are told', () => {
  const warn = (overrides: Record<string, unknown>): readonly string[] =>
    createPolicy({ overrides: new Map(Object.entries(overrides)) }).warnings;
  assert.deepEqual(warn({ 'load-balancer:read': 'rule:mine', mine: 'role:x', 'os_load-balancer_api:flavor:get_all': '@' }), []);
  assert.match(warn({ 'os_load-balancer_api:pool:pst': '@' }).join(), /"os_load-balancer_api:pool:pst" is neither/u);
  assert.match(warn({ 'load-balancer:read': 'rule:nowhere' }).join(), /"nowhere", which is not defined/u);
  assert.match(warn({ 'load-balancer:read': 'user_id:%(owner)s' }).join(), /only project_id is known/u);
});

/** Override files of the four kinds that operators of the reference use, in our own words. */
const files: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'load-balancer roles only': {
    context_is_admin: 'role:admin or role:load-balancer_admin',
    'load-balancer:owner': 'project_id:%(project_id)s',
    'load-balancer:admin': 'is_admin:True or role:admin or role:load-balancer_admin',
    'load-balancer:observer_and_owner': 'role:load-balancer_observer and rule:load-balancer:owner',
    'load-balancer:global_observer': 'role:load-balancer_global_observer',
    'load-balancer:member_and_owner': 'role:load-balancer_member and rule:load-balancer:owner',
    'load-balancer:write-quota': 'role:load-balancer_quota_admin or rule:load-balancer:admin',
  },
  'owner or admin': {
    context_is_admin: 'role:admin or role:load-balancer_admin',
    admin_or_owner: 'is_admin:True or project_id:%(project_id)s',
    'load-balancer:read': 'rule:admin_or_owner',
    'load-balancer:read-global': 'is_admin:True',
    'load-balancer:write': 'rule:admin_or_owner',
    'load-balancer:read-quota': 'rule:admin_or_owner',
    'load-balancer:read-quota-global': 'is_admin:True',
    'load-balancer:write-quota': 'is_admin:True',
  },
  'default roles': {
    context_is_admin: 'role:admin',
    reader_here: 'role:reader and project_id:%(project_id)s',
    member_here: 'role:member and project_id:%(project_id)s',
    'load-balancer:admin': 'is_admin:True or role:load-balancer_admin',
    'load-balancer:read': 'is_admin:True or rule:reader_here',
    'load-balancer:read-global': 'is_admin:True',
    'load-balancer:write': 'is_admin:True or rule:member_here',
    'load-balancer:write-quota': 'is_admin:True',
  },
  'default roles, administrators of the system': {
    context_is_admin: 'role:admin and system_scope:all',
    system_reader: 'role:reader and system_scope:all',
    reader_here: 'role:reader and project_id:%(project_id)s',
    member_here: 'role:member and project_id:%(project_id)s',
    'load-balancer:admin': 'is_admin:True or role:load-balancer_admin',
    'load-balancer:read': 'is_admin:True or rule:system_reader or rule:reader_here',
    'load-balancer:read-global': 'is_admin:True or rule:system_reader',
    'load-balancer:write': 'is_admin:True or rule:member_here',
    'load-balancer:write-quota': 'is_admin:True',
  },
};

const system = { system_scope: true, project_id: null };
type Case = readonly [
  file: string,
  roles: readonly string[],
  resource: string,
  action: string,
  project: string,
  expected: boolean,
  more?: Partial<Caller>,
];
const cases: readonly Case[] = [
  ['load-balancer roles only', ['member', 'reader'], 'pool', 'get_one', 'p', false],
  ['load-balancer roles only', ['load-balancer_observer'], 'pool', 'get_one', 'p', true],
  ['load-balancer roles only', ['load-balancer_observer'], 'pool', 'put', 'p', false],
  ['load-balancer roles only', ['load-balancer_member'], 'pool', 'put', 'p', true],
  ['load-balancer roles only', ['load-balancer_member'], 'pool', 'put', 'q', false],
  ['load-balancer roles only', ['load-balancer_global_observer'], 'pool', 'get_all-global', 'q', true],
  ['load-balancer roles only', ['load-balancer_quota_admin'], 'quota', 'put', 'q', true],
  ['load-balancer roles only', ['load-balancer_admin'], 'loadbalancer', 'put_failover', 'q', true],
  ['load-balancer roles only', ['admin'], 'loadbalancer', 'put_failover', 'q', true],
  ['owner or admin', ['whatever'], 'pool', 'put', 'p', true],
  ['owner or admin', [], 'loadbalancer', 'get_one', 'p', true],
  ['owner or admin', ['whatever'], 'pool', 'put', 'q', false],
  ['owner or admin', ['whatever'], 'pool', 'get_all-global', 'p', false],
  ['owner or admin', ['load-balancer_admin'], 'pool', 'put', 'q', true],
  ['owner or admin', ['admin'], 'quota', 'delete', 'q', true],
  ['default roles', ['reader'], 'pool', 'get_one', 'p', true],
  ['default roles', ['load-balancer_observer'], 'pool', 'get_one', 'p', false],
  ['default roles', ['member'], 'pool', 'put', 'p', true],
  ['default roles', ['load-balancer_member'], 'pool', 'put', 'p', false],
  ['default roles', ['admin'], 'pool', 'put', 'q', true],
  ['default roles, administrators of the system', ['admin', 'member', 'reader'], 'pool', 'put', 'q', false],
  ['default roles, administrators of the system', ['admin', 'member', 'reader'], 'pool', 'put', 'p', true],
  ['default roles, administrators of the system', ['admin'], 'pool', 'put', 'q', true, system],
  ['default roles, administrators of the system', ['reader'], 'pool', 'get_all-global', 'q', true, system],
  ['default roles, administrators of the system', ['reader'], 'pool', 'put', 'q', false, system],
  ['default roles, administrators of the system', ['reader'], 'pool', 'get_all-global', 'p', false],
];

test('the override files that operators of the reference use mean the same here', () => {
  for (const [file, roles, resource, action, project, expected, more] of cases) {
    const policy = createPolicy({ overrides: new Map(Object.entries(files[file] ?? assert.fail(file))) });
    assert.deepEqual(policy.warnings, [], file);
    const who = caller(roles, more);
    const given = { ...who, is_admin: policy.isAdmin(who) };
    assert.equal(policy.allows(given, resource, action, project), expected, `${file}: ${roles.join()} ${resource}:${action} in ${project}`);
  }
});

test('the two options of scope and roles narrow what counts', () => {
  const asks = (options: PolicyOptions, roles: readonly string[], more?: Partial<Caller>): boolean => {
    const policy = createPolicy(options);
    const who = caller(roles, more);
    return policy.allows({ ...who, is_admin: policy.isAdmin(who) }, 'pool', 'get_one', 'p');
  };
  assert.equal(asks({}, ['load-balancer_observer']), true);
  assert.equal(asks({ enforce_new_defaults: true }, ['load-balancer_observer']), false);
  assert.equal(asks({ enforce_new_defaults: true }, ['load-balancer_admin']), false);
  assert.equal(asks({ enforce_new_defaults: true }, ['reader']), true);
  assert.equal(asks({}, ['admin'], system), true);
  assert.equal(asks({ enforce_scope: true }, ['admin'], system), false);
  assert.equal(asks({ enforce_scope: true }, ['admin'], { domain_id: 'd', project_id: null }), false);
  assert.equal(asks({ enforce_scope: true }, ['admin']), true);
  assert.equal(asks({}, ['reader'], system), false);
});

test('deciding takes no longer than a table would', () => {
  const policy = createPolicy();
  const who = caller(['member', 'reader']);
  const begun = performance.now();
  let allowed = 0;
  for (let count = 0; count < 100_000; count += 1) if (policy.allows(who, 'loadbalancer', 'get_one', 'p')) allowed += 1;
  assert.equal(allowed, 100_000);
  assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms for 100,000 decisions`);
  assert.equal(defaultRules.size, 97);
});
