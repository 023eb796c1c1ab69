/** The embedded identity: who gets a token, what it stands for, and what makes it void. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { AuthRequest, ScopeRequest } from '../../src/cloud/local/identity/login.ts';
import { createPasswords } from '../../src/cloud/local/identity-passwords.ts';
import { createLocalIdentity } from '../../src/cloud/local/identity.ts';
import type { LocalIdentity } from '../../src/cloud/local/identity.ts';
import type { RecordStore } from '../../src/cloud/local/record-store.ts';
import { createNoAuth } from '../../src/cloud/noauth.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { Fault } from '../../src/model/faults.ts';
import { cheapPasswords, passwords } from '../support/embedded-services.ts';
import { createMemoryRecordStore } from '../support/record-store.ts';
import type { MemoryRecordStore } from '../support/record-store.ts';

const HOUR_MS = 3_600_000;
const signing_key = randomBytes(32);
const status = (code: number) => (error: unknown) => error instanceof Fault && error.status === code;

type World = {
  readonly store: MemoryRecordStore;
  readonly clock: FakeClock;
  readonly identity: LocalIdentity;
  readonly demo_project: string;
};

async function world(): Promise<World> {
  const store = createMemoryRecordStore();
  const clock = new FakeClock();
  const identity = another(store, clock);
  const { project_ids } = await identity.bootstrap(passwords);
  return { store, clock, identity, demo_project: project_ids.demo };
}

/** A second controller on the same store. */
function another(store: RecordStore, clock: FakeClock): LocalIdentity {
  return createLocalIdentity({ store, clock, signing_key, passwords: cheapPasswords, token_seconds: 3600 });
}

function byPassword(name: 'admin' | 'demo', scope: ScopeRequest = { type: 'default' }, password = passwords[name].reveal()): AuthRequest {
  return { methods: [{ method: 'password', user: { name, domain: { name: 'Default' } }, password }], scope };
}

async function login({ identity }: World, name: 'admin' | 'demo' = 'demo', scope?: ScopeRequest): Promise<string> {
  return (await identity.tokens.issue(byPassword(name, scope), '127.0.0.1')).token;
}

async function demoUser({ identity }: World): Promise<{ readonly id: string }> {
  return (await identity.users.findByName('default', 'demo')) ?? assert.fail('there is no user demo');
}

test('the first start makes users once; a later one keeps their passwords', async () => {
  const { store, clock, identity } = await world();
  assert.equal((await another(store, clock).bootstrap(passwords)).created, false);
  assert.deepEqual((await identity.projects.list()).map((project) => project.name).toSorted(), ['admin', 'demo', 'service']);
  assert.equal((await identity.roles.list()).length, 12);
});

test('two first starts at once make one admin', async () => {
  const store = createMemoryRecordStore();
  const clock = new FakeClock();
  const results = await Promise.all([another(store, clock), another(store, clock)].map((each) => each.bootstrap(passwords)));
  assert.equal(results.filter((each) => each.created).length, 1);
  assert.deepEqual(results[0]?.project_ids, results[1]?.project_ids);
});

test('no password is kept as it is', async () => {
  const { store } = await world();
  const kept = JSON.stringify(await store.list('identity.user'));
  assert.ok(!kept.includes(passwords.admin.reveal()) && kept.includes('scrypt$'));
});

test('a login without a scope is for the default project, with implied roles', async () => {
  const here = await world();
  const caller = await here.identity.authenticate(await login(here));
  assert.deepEqual(caller, {
    user_id: (await demoUser(here)).id,
    user_name: 'demo',
    project_id: here.demo_project,
    domain_id: null,
    roles: ['member', 'reader', 'load-balancer_member'],
    is_admin: false,
    system_scope: false,
  });
});

test('a token is for the scope that was asked for, if the user has a role there', async () => {
  const here = await world();
  const system = await here.identity.authenticate(await login(here, 'admin', { type: 'system' }));
  assert.deepEqual([system.system_scope, system.is_admin, system.project_id], [true, true, null]);
  const domain = await here.identity.authenticate(await login(here, 'admin', { type: 'domain', domain: { id: 'default' } }));
  assert.equal(domain.domain_id, 'default');
  const none = await here.identity.authenticate(await login(here, 'demo', { type: 'unscoped' }));
  assert.deepEqual([none.project_id, none.roles, none.is_admin], [null, [], false]);
  const project = { type: 'project', project: { name: 'admin', domain: { id: 'default' } } } as const;
  assert.equal((await here.identity.authenticate(await login(here, 'admin', project))).is_admin, true);
  for (const scope of [
    project,
    { type: 'system' },
    { type: 'domain', domain: { id: 'default' } },
    { type: 'project', project: { id: 'nope' } },
  ] as const) {
    await assert.rejects(login(here, 'demo', scope), status(401));
  }
});

test('a wrong password, an unknown user and a forged token are all the same 401', async () => {
  const here = await world();
  const messages = new Set<string>();
  const token = await login(here);
  const attempts = [
    () => here.identity.tokens.issue(byPassword('demo', undefined, 'wrong'), '10.0.0.1'),
    () =>
      here.identity.tokens.issue(
        { ...byPassword('demo'), methods: [{ method: 'password', user: { id: 'nobody' }, password: 'x' }] },
        '10.0.0.1',
      ),
    () => here.identity.authenticate(undefined),
    () => here.identity.authenticate(''),
    () => here.identity.authenticate('.'),
    () => here.identity.authenticate(`${token}A`),
    () => here.identity.authenticate(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`),
    () => here.identity.authenticate(`x${token}`),
    () => here.identity.authenticate('a'.repeat(100_000)),
  ];
  for (const attempt of attempts) {
    await assert.rejects(attempt, (error) => error instanceof Fault && error.status === 401 && messages.add(error.message) !== null);
  }
  assert.equal(messages.size, 1);
});

test('a token signed with another key is void', async () => {
  const here = await world();
  const stranger = createLocalIdentity({ store: here.store, clock: here.clock, signing_key: randomBytes(32), passwords: cheapPasswords });
  const { token } = await stranger.tokens.issue(byPassword('admin'), 'x');
  await assert.rejects(here.identity.authenticate(token), status(401));
});

test('a token ends at its hour, and one made from it no later', async () => {
  const here = await world();
  const token = await login(here);
  await here.clock.advance(HOUR_MS / 2);
  const { token: second } = await here.identity.tokens.issue({ methods: [{ method: 'token', token }], scope: { type: 'unscoped' } }, 'x');
  await here.identity.authenticate(second);
  await here.clock.advance(HOUR_MS / 2 - 1);
  await here.identity.authenticate(token);
  await here.clock.advance(1);
  await assert.rejects(here.identity.authenticate(token), status(401));
  await assert.rejects(here.identity.authenticate(second), status(401));
  assert.equal((await here.identity.tokens.check(token, { expired_too: true })).user.name, 'demo');
});

test('a remembered token costs no look-up, and many requests at once cost one', async () => {
  const here = await world();
  const token = await login(here);
  await Promise.all(Array.from({ length: 50 }, () => here.identity.authenticate(token)));
  const before = here.store.counts.reads;
  for (let count = 0; count < 100; count += 1) await here.identity.authenticate(token);
  assert.equal(here.store.counts.reads, before);
});

test('a revoked token is void at once here, and within five seconds on another controller', async () => {
  const here = await world();
  const other = another(here.store, here.clock);
  const token = await login(here);
  const sibling = await login(here);
  await other.authenticate(token);
  const valid = await here.identity.tokens.check(token);
  await Promise.all([here.identity.tokens.revoke(valid), other.tokens.revoke(valid)]);
  await assert.rejects(here.identity.authenticate(token), status(401));
  await here.identity.authenticate(sibling);
  await here.clock.advance(5_000);
  await assert.rejects(other.authenticate(token), status(401));
});

test('revocations of tokens that ended long ago are forgotten', async () => {
  const here = await world();
  for (const days of [0, 4]) {
    await here.clock.advance(days * 24 * HOUR_MS);
    await here.identity.tokens.revoke(await here.identity.tokens.check(await login(here)));
  }
  assert.equal((await here.store.list('identity.revocation')).length, 1);
});

const voiding: Readonly<Record<string, (here: World) => Promise<unknown>>> = {
  'its user is disabled': async (here) => here.identity.users.update((await demoUser(here)).id, { enabled: false }),
  'its user is removed': async (here) => here.identity.users.remove((await demoUser(here)).id),
  "its user's password is changed": async (here) => here.identity.users.update((await demoUser(here)).id, { password: 'another' }),
  'its project is disabled': (here) => here.identity.projects.update(here.demo_project, { enabled: false }),
  'its project is removed': (here) => here.identity.projects.remove(here.demo_project),
  'the last role is taken': async (here) => {
    const { id } = await demoUser(here);
    for (const { role_id, scope } of await here.identity.roles.assignments(id)) await here.identity.roles.revoke(id, role_id, scope);
  },
};
for (const [reason, change] of Object.entries(voiding)) {
  test(`a token is void as soon as ${reason}`, async () => {
    const here = await world();
    const token = await login(here);
    await here.identity.authenticate(token);
    await here.clock.advance(1);
    await change(here);
    await assert.rejects(here.identity.authenticate(token), status(401));
  });
}

test('removing a user or project leaves nothing of it behind', async () => {
  const here = await world();
  const { id } = await demoUser(here);
  const [role] = await here.identity.roles.list();
  const spec = {
    name: 'one',
    description: '',
    user_id: id,
    project_id: here.demo_project,
    role_ids: [role?.id ?? ''],
    expires_ms: null,
    unrestricted: false,
  };
  await here.identity.credentials.create(spec);
  await here.identity.projects.remove(here.demo_project);
  assert.deepEqual(await here.store.list('identity.application_credential'), []);
  assert.deepEqual(await here.identity.roles.assignments(id), []);
  await here.identity.users.remove(id);
  assert.equal(await here.identity.users.find(id), null);
});

test('an application credential gives its roles on its project, as long as the user has them', async () => {
  const here = await world();
  const { id } = await demoUser(here);
  const reader = (await here.identity.roles.list()).find((role) => role.name === 'reader');
  const spec = {
    name: 'ci',
    description: '',
    user_id: id,
    project_id: here.demo_project,
    role_ids: [reader?.id ?? ''],
    unrestricted: false,
  };
  const { credential, secret } = await here.identity.credentials.create({ ...spec, expires_ms: here.clock.now() + HOUR_MS / 2 });
  const issue = (given: string, scope: ScopeRequest = { type: 'default' }): Promise<{ readonly token: string }> =>
    here.identity.tokens.issue(
      { methods: [{ method: 'application_credential', credential: { id: credential.id }, secret: given }], scope },
      'x',
    );
  const { token } = await issue(secret);
  assert.deepEqual((await here.identity.authenticate(token)).roles, ['reader']);
  await assert.rejects(issue('wrong'), status(401));
  await assert.rejects(issue(secret, { type: 'system' }), status(401));
  const again: AuthRequest = { methods: [{ method: 'token', token }], scope: { type: 'project', project: { id: here.demo_project } } };
  assert.deepEqual((await here.identity.authenticate((await here.identity.tokens.issue(again, 'x')).token)).roles, ['reader']);
  await here.clock.advance(HOUR_MS / 2);
  await assert.rejects(here.identity.authenticate(token), status(401));
  await assert.rejects(issue(secret), status(401));
});

test('an application credential that is removed takes its tokens with it', async () => {
  const here = await world();
  const { id } = await demoUser(here);
  const role_ids = (await here.identity.roles.list()).map((role) => role.id);
  const spec = { name: 'ci', description: '', user_id: id, project_id: here.demo_project, role_ids, expires_ms: null, unrestricted: false };
  const { credential, secret } = await here.identity.credentials.create({ ...spec, secret: 'my own secret' });
  assert.equal(secret, 'my own secret');
  const reference = { name: 'ci', user: { id } };
  const { token } = await here.identity.tokens.issue(
    { methods: [{ method: 'application_credential', credential: reference, secret }], scope: { type: 'default' } },
    'x',
  );
  assert.deepEqual((await here.identity.authenticate(token)).roles, ['member', 'reader', 'load-balancer_member']);
  await here.identity.credentials.remove(credential.id);
  await assert.rejects(here.identity.authenticate(token), status(401));
});

test('names are unique within their domain, and conflicts are 409', async () => {
  const here = await world();
  const project = { name: 'demo', domain_id: 'default', description: '', enabled: true, tags: [] };
  await assert.rejects(here.identity.projects.create(project), status(409));
  await assert.rejects(here.identity.projects.create({ ...project, name: 'x', domain_id: 'y' }), status(400));
  await assert.rejects(here.identity.users.update((await demoUser(here)).id, { name: 'admin' }), status(409));
  await assert.rejects(here.identity.projects.remove('nope'), status(404));
});

test('guessing passwords is slowed down for that account and address only', async () => {
  const here = await world();
  const guess = (password: string, address: string): Promise<unknown> =>
    here.identity.tokens.issue(byPassword('demo', undefined, password), address);
  for (let count = 0; count < 6; count += 1) await assert.rejects(guess('wrong', '10.0.0.1'), status(401));
  await assert.rejects(guess(passwords.demo.reveal(), '10.0.0.1'), status(429));
  await guess(passwords.demo.reveal(), '10.0.0.2');
  await here.clock.advance(1_000);
  await guess(passwords.demo.reveal(), '10.0.0.1');
});

test('a crowd of logins is refused before it fills the machine', async () => {
  const crowd = createPasswords({ N: 512, r: 8, p: 1 });
  const results = await Promise.allSettled(Array.from({ length: 80 }, () => crowd.matches('x', null)));
  const refused = results.filter((each) => each.status === 'rejected');
  assert.equal(refused.length, 14);
  assert.ok(refused.every((each) => status(503)(each.reason)));
  assert.equal(await crowd.matches('secret', await crowd.hash('secret')), true);
});

test('a short key and a wrong life of tokens are refused at the start', () => {
  const store = createMemoryRecordStore();
  assert.throws(() => createLocalIdentity({ store, signing_key: randomBytes(16) }));
  assert.throws(() => createLocalIdentity({ store, signing_key, token_seconds: 60 }));
});

test('without authentication everybody is an administrator without a project', async () => {
  const caller = await createNoAuth().authenticate(undefined);
  assert.deepEqual([caller.is_admin, caller.project_id], [true, null]);
});
