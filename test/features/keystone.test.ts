/** An external Keystone: how often it is asked, what happens when it does not answer, and a whole Octavia that trusts one. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { recordingLogger, silentLogger } from '../../src/lib/log.ts';
import { openIdentity } from '../../src/main/open-identity.ts';
import { StartRefused } from '../../src/main/state.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Overrides } from '../../src/config/table.ts';
import { Fault } from '../../src/model/faults.ts';
import { createAuthority, issueCertificate } from '../../src/providers/amphora/pki.ts';
import { keystoneIdentity, startKeystone, type TestKeystone } from '../support/keystone.ts';
import { startOctavia, until } from '../support/octavia.ts';

const validations = ({ asked }: TestKeystone): number => asked.filter((each) => each.startsWith('GET /identity/v3/auth/tokens')).length;
const signIns = ({ asked }: TestKeystone): number => asked.filter((each) => each.startsWith('POST')).length;
const busy = (error: unknown): boolean => error instanceof Fault && error.status === 503 && (error.retry_after_seconds ?? 0) >= 1;

test('a token is asked about once for its cache time, a refused one for less, and many requests at once ask once', async (t) => {
  const keystone = await startKeystone(t);
  const identity = keystoneIdentity(t, keystone);
  const token = await keystone.login('demo');
  await Promise.all(Array.from({ length: 50 }, () => identity.authenticate(token)));
  assert.deepEqual([validations(keystone), signIns(keystone)], [1, 1]);
  await keystone.clock.advance(299_000);
  await identity.authenticate(token);
  assert.equal(validations(keystone), 1);
  await keystone.clock.advance(2000);
  await identity.authenticate(token);
  assert.equal(validations(keystone), 2);
  for (let count = 0; count < 20; count += 1) await assert.rejects(identity.authenticate('forged'), { status: 401 });
  assert.equal(validations(keystone), 3);
  await keystone.clock.advance(31_000);
  await assert.rejects(identity.authenticate('forged'), { status: 401 });
  assert.equal(validations(keystone), 4);
});

test('a cache time below one asks each time; more than five minutes counts as five', async (t) => {
  const keystone = await startKeystone(t);
  const token = await keystone.login('demo');
  const [never, long] = [
    keystoneIdentity(t, keystone, { token_cache_time: -1 }),
    keystoneIdentity(t, keystone, { token_cache_time: 3600 }),
  ];
  for (let count = 0; count < 3; count += 1) await never.authenticate(token);
  assert.equal(validations(keystone), 3);
  await long.authenticate(token);
  await keystone.clock.advance(301_000);
  await long.authenticate(token);
  assert.equal(validations(keystone), 5);
});

test('while Keystone is away, tokens seen lately go on, others get 503 at once, and it is left alone between tries', async (t) => {
  const keystone = await startKeystone(t);
  const { log, lines } = recordingLogger();
  const identity = keystoneIdentity(t, keystone, { log });
  const [known, other] = [await keystone.login('demo'), await keystone.login('admin')];
  await identity.authenticate(known);
  for (const mood of ['broken', '403'] as const) {
    keystone.mood = mood;
    await assert.rejects(identity.authenticate(other), busy, mood);
    const before = keystone.asked.length;
    await Promise.all(Array.from({ length: 30 }, () => assert.rejects(identity.authenticate(other), busy)));
    assert.equal(keystone.asked.length, before, 'nobody is asked during the pause');
    assert.equal((await identity.authenticate(known)).user_name, 'demo');
    keystone.mood = 'well';
    await keystone.clock.advance(11_000);
    assert.equal((await identity.authenticate(other)).user_name, 'admin');
    await keystone.clock.advance(301_000);
    await identity.authenticate(known);
  }
  // One token that makes Keystone stumble closes the way for nobody else.
  keystone.mood = '500';
  await assert.rejects(identity.authenticate('odd'), busy);
  keystone.mood = 'well';
  assert.equal((await identity.authenticate(await keystone.login('admin'))).user_name, 'admin');
  const text = JSON.stringify(lines);
  assert.ok(lines.length >= 4 && lines.length < 10, text);
  for (const secret of ['octavia-password', known, other]) assert.equal(text.includes(secret), false);
});

test('a Keystone that keeps silent costs a time-out, not a request for ever; one that breaks a connection is asked again', async (t) => {
  const keystone = await startKeystone(t);
  const { log, lines } = recordingLogger();
  const slow = keystoneIdentity(t, keystone, { timeout_ms: 300, log });
  const token = await keystone.login('demo');
  keystone.mood = 'silent';
  const begun = performance.now();
  await assert.rejects(slow.authenticate(token), busy);
  assert.ok(performance.now() - begun < 3000);
  assert.match(JSON.stringify(lines), /does not answer \(too slow\)/u);
  keystone.mood = 'broken';
  const patient = keystoneIdentity(t, keystone, { clock: systemClock, http_request_max_retries: 20 });
  // Real time: the fake clock of the tokens stands still.
  const answer = assert.rejects(patient.authenticate(token), { status: 401 });
  const asked = keystone.asked.length;
  await until(() => keystone.asked.length >= asked + 2, 'it is asked again');
  keystone.mood = 'well';
  await answer;
});

test("the service's own token is renewed in time, and anew when Keystone no longer knows it", async (t) => {
  const keystone = await startKeystone(t);
  const identity = keystoneIdentity(t, keystone, { token_cache_time: -1 });
  await identity.authenticate(await keystone.login('demo'));
  assert.equal(signIns(keystone), 1);
  // Within its last ten minutes it still serves while the next one is made.
  await keystone.clock.advance(3_100_000);
  await identity.authenticate(await keystone.login('demo'));
  await until(() => keystone.answered.filter((each) => each.startsWith('POST')).length === 2, 'the next token is made');
  await keystone.clock.advance(1000);
  const octavia = await keystone.local.users.findByName('default', 'octavia');
  await keystone.local.users.update(octavia?.id ?? '', { password: 'octavia-password' });
  await keystone.clock.advance(1000);
  await identity.authenticate(await keystone.login('demo'));
  assert.equal(signIns(keystone), 3);
  const wrong = keystoneIdentity(t, keystone, { password: 'wrong' });
  await assert.rejects(wrong.authenticate(await keystone.login('demo')), busy);
});

test('Keystone is spoken to by TLS when its certificate comes from an authority that is trusted', async (t) => {
  const validity = { seconds: 3600, digest: 'sha256', now_ms: Date.now() } as const;
  const authority = createAuthority('a test', validity);
  const { certificate, key } = issueCertificate(authority, 'localhost', validity);
  const dir = await mkdtemp(join(tmpdir(), 'keystone-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const cafile = join(dir, 'ca.pem');
  writeFileSync(cafile, authority.certificate.toString());
  const keystone = await startKeystone(t, { key: key.reveal(), cert: certificate });
  const token = await keystone.login('demo');
  assert.equal((await keystoneIdentity(t, keystone, { cafile }).authenticate(token)).user_name, 'demo');
  assert.equal((await keystoneIdentity(t, keystone, { insecure: true }).authenticate(token)).user_name, 'demo');
  await assert.rejects(keystoneIdentity(t, keystone).authenticate(token), busy);
});

test('a service without the role may be refused altogether', async (t) => {
  const keystone = await startKeystone(t);
  const identity = keystoneIdentity(t, keystone, { service_token_roles_required: true });
  const [demo, admin] = [await keystone.login('demo'), await keystone.login('admin')];
  await assert.rejects(identity.authenticate(demo, admin), { status: 401 });
  assert.equal((await identity.authenticate(demo, await keystone.login('octavia'))).user_name, 'demo');
});

const noop = () => ({
  OS_HEALTH_MANAGER__BIND_PORT: String(randomInt(20_000, 30_000)),
  OS_CONTROLLER_WORKER__COMPUTE_DRIVER: 'compute_noop_driver',
  OS_CONTROLLER_WORKER__NETWORK_DRIVER: 'network_noop_driver',
  OS_CONTROLLER_WORKER__AMPHORA_DRIVER: 'amphora_noop_driver',
});

test('a whole Octavia trusts the tokens of another identity service, and has none of its own', async (t) => {
  const keystone = await startOctavia(t, { env: noop() });
  const passwordOf = (name: string): string => readFileSync(`${keystone.state_dir}/${name}.password`, 'utf8').trim();
  const password = passwordOf('admin');
  const octavia = await startOctavia(t, {
    env: {
      ...noop(),
      OS_API_SETTINGS__AUTH_STRATEGY: 'keystone',
      OS_KEYSTONE_AUTHTOKEN__AUTH_URL: `${keystone.base_url}/identity`,
      OS_KEYSTONE_AUTHTOKEN__WWW_AUTHENTICATE_URI: 'http://identity.example/v3',
      OS_KEYSTONE_AUTHTOKEN__USERNAME: 'admin',
      OS_KEYSTONE_AUTHTOKEN__PASSWORD: password,
      OS_KEYSTONE_AUTHTOKEN__PROJECT_NAME: 'admin',
    },
  });
  const token = await tokenOf(keystone.base_url, 'demo', passwordOf('demo'));
  const ask = (path: string, headers: Record<string, string> = { 'x-auth-token': token }): Promise<Response> =>
    fetch(`${octavia.base_url}${path}`, { headers });
  assert.equal((await ask('/v2/lbaas/loadbalancers')).status, 200);
  assert.equal((await ask('/v2/lbaas/loadbalancers?project_id=other')).status, 403);
  const refused = await ask('/v2/lbaas/loadbalancers', {});
  assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Keystone uri="http://identity.example/v3"']);
  assert.deepEqual(
    [(await ask('/identity/v3')).status, (await ask('/network/v2.0/networks')).status, (await ask('/')).status],
    [404, 404, 200],
  );
  await keystone.stop();
  assert.equal((await ask('/v2/lbaas/loadbalancers')).status, 200, 'a token seen lately goes on');
  const unknown = await ask('/v2/lbaas/loadbalancers', { 'x-auth-token': 'unseen' });
  assert.equal(unknown.status, 503);
  assert.ok(Number(unknown.headers.get('retry-after')) >= 1);
  assert.match(octavia.output(), /Keystone cannot be asked/u);
  assert.equal(octavia.output().includes(password), false);
});

async function tokenOf(base_url: string, name: string, password: string): Promise<string> {
  const user = { name, password, domain: { id: 'default' } };
  const auth = { identity: { methods: ['password'], password: { user } } };
  const body = JSON.stringify({ auth });
  const answer = await fetch(`${base_url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return answer.headers.get('x-subject-token') ?? '';
}

type KeystoneOverrides = NonNullable<Overrides['keystone_authtoken']>;

test('what is missing for a Keystone stops the start with one sentence; a Keystone that is away does not', async () => {
  const told: string[] = [];
  const open = (options: KeystoneOverrides) => {
    const overrides = { api_settings: { auth_strategy: 'keystone' }, keystone_authtoken: options, local: { state_dir: tmpdir() } } as const;
    const config = loadConfig({ env: {}, files: [], overrides });
    const tell = (line: string): void => void told.push(line);
    return openIdentity({ config, state: {} as never, store: {} as never, base_url: '', log: silentLogger, tell });
  };
  const user = { auth_url: 'http://127.0.0.1:9', username: 'octavia', password: 'hidden', project_name: 'service' };
  const credential = { auth_url: user.auth_url, auth_type: 'v3applicationcredential', application_credential_id: 'x' };
  const cases: readonly (readonly [KeystoneOverrides, RegExp])[] = [
    [{}, /needs auth_url in the group \[keystone_authtoken\]/u],
    [{ ...user, username: null }, /needs username/u],
    [{ ...user, password: null }, /needs password/u],
    [{ ...user, project_name: null }, /needs project_name/u],
    [credential, /needs application_credential_secret/u],
    [{ ...user, cafile: '/no/such/file' }, /cafile cannot be read/u],
  ];
  for (const [options, sentence] of cases)
    await assert.rejects(
      open(options),
      (error) => error instanceof StartRefused && sentence.test(error.message) && !error.message.includes('\n'),
    );
  const opened = await open(user);
  await until(() => told.length > 0, 'it is told');
  assert.match(told.join(), /^http:\/\/127\.0\.0\.1:9 does not answer \(ECONNREFUSED\)\. Requests get 503/u);
  await assert.rejects(opened.identity.authenticate('a'), busy);
  await opened.close();
});
