/** What every identity must do, whoever keeps its users. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Identity } from '../../src/cloud/identity.ts';
import { Fault } from '../../src/model/faults.ts';
import type { People } from '../support/keystone.ts';

/** An identity under test, and the people that it knows. */
export type IdentityWorld = { readonly identity: Identity; readonly people: People };

const HOUR_MS = 3_600_000;
/** Longer than any identity believes a token without asking. */
const RECHECK_MS = 301_000;
const refused = (error: unknown): boolean => error instanceof Fault && error.status === 401;

/** The tests, for one kind of identity. */
export function identityContract(kind: string, build: (t: TestContext) => Promise<IdentityWorld>): void {
  test(`${kind}: a token tells its user, scope and roles`, async (t) => {
    const { identity, people } = await build(t);
    const demo = await people.local.users.findByName('default', 'demo');
    assert.deepEqual(await identity.authenticate(await people.login('demo')), {
      user_id: demo?.id,
      user_name: 'demo',
      project_id: people.demo_project,
      domain_id: null,
      roles: ['member', 'reader', 'load-balancer_member'],
      is_admin: false,
      system_scope: false,
    });
    const system = await identity.authenticate(await people.login('admin', { type: 'system' }));
    assert.deepEqual([system.system_scope, system.project_id, system.is_admin], [true, null, true]);
    const domain = await identity.authenticate(await people.login('admin', { type: 'domain', domain: { id: 'default' } }));
    assert.deepEqual([domain.domain_id, domain.project_id], ['default', null]);
    const none = await identity.authenticate(await people.login('demo', { type: 'unscoped' }));
    assert.deepEqual([none.project_id, none.roles, none.is_admin], [null, [], false]);
  });

  test(`${kind}: what is no token is refused`, async (t) => {
    const { identity, people } = await build(t);
    const token = await people.login('demo');
    const wrong = [undefined, '', ' ', 'x', `${token}x`, token.slice(0, -2), 'ä'.repeat(20), `a${'b'.repeat(20_000)}`, 'a\u0000b', 'a b'];
    for (const each of wrong) await assert.rejects(identity.authenticate(each), refused, JSON.stringify(each)?.slice(0, 40));
    assert.equal((await identity.authenticate(token)).user_name, 'demo');
  });

  test(`${kind}: a token that was revoked, or whose user was disabled, is refused in time`, async (t) => {
    const { identity, people } = await build(t);
    const [token, other] = [await people.login('demo'), await people.login('admin')];
    await identity.authenticate(token);
    await identity.authenticate(other);
    await people.local.tokens.revoke(await people.local.tokens.check(token));
    const admin = await people.local.users.findByName('default', 'admin');
    await people.local.users.update(admin?.id ?? '', { enabled: false });
    await people.clock.advance(RECHECK_MS);
    await assert.rejects(identity.authenticate(token), refused);
    await assert.rejects(identity.authenticate(other), refused);
  });

  test(`${kind}: a token ends when it says, whether it was seen before or not`, async (t) => {
    const { identity, people } = await build(t);
    const [seen, unseen] = [await people.login('demo'), await people.login('demo')];
    await people.clock.advance(HOUR_MS - 1000);
    await identity.authenticate(seen);
    await people.clock.advance(2000);
    await assert.rejects(identity.authenticate(seen), refused);
    await assert.rejects(identity.authenticate(unseen), refused);
  });

  test(`${kind}: a service may pass on a request whose token has expired, nobody else may`, async (t) => {
    const { identity, people } = await build(t);
    const old = await people.login('demo');
    await people.clock.advance(HOUR_MS + 1000);
    const service = await people.login('octavia');
    const caller = await identity.authenticate(old, service);
    assert.deepEqual([caller.user_name, caller.service_roles], ['demo', ['service']]);
    // What was allowed for a service is not allowed without it, although it was just seen.
    await assert.rejects(identity.authenticate(old), refused);
    await assert.rejects(identity.authenticate(old, await people.login('demo')), refused);
    await assert.rejects(identity.authenticate(await people.login('demo'), 'forged'), refused);
    assert.deepEqual(
      (await identity.authenticate(await people.login('demo'), await people.login('demo'))).service_roles?.includes('service'),
      false,
    );
  });
}
