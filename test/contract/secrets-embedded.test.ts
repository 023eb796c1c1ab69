/** The embedded key manager as controllers see it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Caller } from '../../src/cloud/identity.ts';
import { resealPayloads } from '../../src/cloud/local/secrets/reseal.ts';
import { createSealer } from '../../src/cloud/local/secrets/seal.ts';
import { UnusableSecret } from '../../src/cloud/secrets.ts';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { Retry } from '../../src/model/index.ts';
import { withDatabase, withDatabaseUrl } from '../support/database.ts';
import { openTestKeyManager, testKeys, type TestKeyManager } from '../support/secrets/key-manager.ts';
import { fixture, fixtureText } from '../support/tls-fixtures.ts';
import { type CertificatePieces, secretsContract } from './secrets-contract.ts';

const base = 'https://anywhere:9999/key-manager/v1';
const ours = { by: 'controller', project_id: 'project' } as const;
const spec = {
  name: null,
  secret_type: 'opaque',
  algorithm: null,
  bit_length: null,
  mode: null,
  expiration: null,
  creator_id: 'owner',
} as const;

type PutOptions = { readonly project_id?: string; readonly expiration?: string };

async function putSecret({ keyManager }: TestKeyManager, content: Buffer | string, options: PutOptions = {}): Promise<string> {
  const payload = { content_type: 'application/octet-stream' as const, content: Buffer.from(content) };
  const { id } = await keyManager.createSecret({ ...spec, project_id: 'project', ...options }, payload);
  return id;
}

async function putContainer(manager: TestKeyManager, pieces: CertificatePieces): Promise<string> {
  const { certificate, key: private_key, intermediates, passphrase: private_key_passphrase } = pieces;
  const secret_refs: { name: string; secret_id: string }[] = [];
  for (const [name, text] of Object.entries({ certificate, private_key, intermediates, private_key_passphrase }))
    if (text !== undefined) secret_refs.push({ name, secret_id: await putSecret(manager, text) });
  const { id } = await manager.keyManager.createContainer({
    project_id: 'project',
    creator_id: 'owner',
    name: null,
    type: 'certificate',
    secret_refs,
  });
  return `${base}/containers/${id}`;
}

secretsContract('embedded key manager', async (t) => {
  const db = await withDatabase(t);
  const manager = openTestKeyManager(db);
  const { keyManager, secrets } = manager;
  const idOf = (ref: string): string => ref.split('/').at(-1) ?? '';
  return {
    secrets,
    reader: ours,
    putPieces: (pieces) => putContainer(manager, pieces),
    putPayload: async (payload) => `${base}/secrets/${await putSecret(manager, payload)}`,
    putText: (text) => putSecret(manager, text),
    async remove(ref) {
      const secret = await keyManager.findSecret(idOf(ref));
      if (secret !== null) await keyManager.deleteSecret(secret);
      const container = await keyManager.findContainer(idOf(ref));
      if (container !== null) await keyManager.deleteContainer(container);
    },
    replacePieces: null,
    breakDown: null,
    consumersOf: async (ref) => (await keyManager.listConsumers(idOf(ref))).map((each) => each.loadbalancer_id ?? ''),
  };
});

const caller = (change: Partial<Caller>): Caller => ({
  user_id: 'owner',
  user_name: null,
  project_id: 'project',
  domain_id: null,
  roles: ['member'],
  is_admin: false,
  system_scope: false,
  ...change,
});

const notFound = (error: unknown): boolean => error instanceof UnusableSecret && error.why === 'not found';

test('controllers read what the project shares, and what somebody named who may read it', async (t) => {
  const manager = openTestKeyManager(await withDatabase(t));
  const { keyManager, secrets } = manager;
  const id = await putSecret(manager, fixtureText('issuer.crt'));
  const secret = (await keyManager.findSecret(id)) ?? assert.fail();
  const other = { by: 'controller', project_id: 'other' } as const;
  const named = (change: Partial<Caller>, project_id = 'project') =>
    secrets.readAuthorities(id, { by: 'caller', caller: caller(change), token: null, project_id });

  // Shared in the project: all its load balancers, whatever roles their users have in the key manager.
  await secrets.readAuthorities(id, ours);
  await named({ user_id: 'colleague', roles: ['load-balancer_member'] });
  await assert.rejects(secrets.readAuthorities(id, other), notFound);
  await assert.rejects(named({ user_id: 'stranger', project_id: 'other' }, 'other'), notFound);
  await assert.rejects(secrets.readAuthorities(id, other), notFound);
  // An administrator of the cloud makes load balancers of a project with what that project has, and none of another's.
  await named({ user_id: 'admin', project_id: 'admin', roles: ['admin'], is_admin: true });
  await assert.rejects(named({ user_id: 'admin', project_id: 'admin', roles: ['admin'], is_admin: true }, 'other'), notFound);

  // Private: only once its owner named it.
  await keyManager.putAcl(secret, { users: [], project_access: false });
  await assert.rejects(secrets.readAuthorities(id, ours), notFound);
  await assert.rejects(named({ user_id: 'colleague' }), notFound);
  await named({});
  await secrets.readAuthorities(id, ours);
  await secrets.readVersion(id, ours);

  // Shared with a user of another project, and taken back.
  await keyManager.putAcl(secret, { users: ['guest'], project_access: false });
  await named({ user_id: 'guest', project_id: 'other' }, 'other');
  await secrets.readAuthorities(id, other);
  await keyManager.putAcl(secret, { users: [], project_access: false });
  await assert.rejects(secrets.readAuthorities(id, other), notFound);
  await secrets.readAuthorities(id, ours);
});

test('a load balancer that may not read a secret does not keep it from being deleted', async (t) => {
  const manager = openTestKeyManager(await withDatabase(t));
  const { keyManager, secrets } = manager;
  const [bundle, container] = [await putSecret(manager, 'x'), await putContainer(manager, { certificate: 'c', key: 'k' })];
  await secrets.recordUses({ id: '11111111-2222-4333-8444-555555555555', project_id: 'other' }, [bundle, container]);
  const parts = (await keyManager.findContainer(container.split('/').at(-1) ?? '')) ?? assert.fail();
  for (const id of [bundle, parts.id, ...parts.secret_refs.map(({ secret_id }) => secret_id)])
    assert.deepEqual(await keyManager.listConsumers(id), []);
  await keyManager.deleteSecret((await keyManager.findSecret(bundle)) ?? assert.fail());
  assert.equal(await keyManager.readPayload(bundle), null);
});

test('what load balancers use outlives its deletion and its expiry, and goes with the last of them', async (t) => {
  const clock = new FakeClock();
  const manager = openTestKeyManager(await withDatabase(t), { clock });
  const { keyManager, secrets, store } = manager;
  const container = await putContainer(manager, { certificate: fixtureText('rsa.crt'), key: fixtureText('rsa.key') });
  const bundle = await putSecret(manager, fixture('ecdsa-plain.p12'));
  const [one, other] = [1, 2].map((number) => ({ id: `${number}1111111-2222-4333-8444-555555555555`, project_id: 'project' }));
  await secrets.recordUses(one!, [container, bundle]);
  await secrets.recordUses(other!, [bundle]);

  const parts = (await keyManager.findContainer(container.split('/').at(-1) ?? '')) ?? assert.fail();
  await keyManager.deleteContainer(parts);
  const inside = parts.secret_refs.map(({ secret_id }) => secret_id);
  for (const id of [bundle, ...inside]) await keyManager.deleteSecret((await keyManager.findSecret(id)) ?? assert.fail(id));

  const asCaller = { by: 'caller', caller: caller({}), token: null, project_id: 'project' } as const;
  for (const ref of [container, bundle]) {
    await assert.rejects(secrets.readCertificate(ref, asCaller), notFound);
    await assert.rejects(secrets.readVersion(ref, asCaller), notFound);
    await secrets.readCertificate(ref, ours);
    await secrets.readVersion(ref, ours);
  }
  assert.deepEqual([await keyManager.findSecret(bundle), await keyManager.findContainer(parts.id)], [null, null]);
  assert.deepEqual([await keyManager.listSecrets('project'), await keyManager.listContainers('project')], [[], []]);

  await secrets.recordUses(one!, []);
  await assert.rejects(secrets.readCertificate(container, ours), notFound);
  for (const id of inside) assert.equal(await keyManager.readPayload(id), null);
  await secrets.readCertificate(bundle, ours);
  await secrets.recordUses(other!, []);
  await assert.rejects(secrets.readCertificate(bundle, ours), notFound);
  for (const kind of ['secrets.payload', 'secrets.retired_secret', 'secrets.retired_container', 'secrets.consumer', 'secrets.use'] as const)
    assert.deepEqual(await store.list(kind), [], kind);

  const passing = await putSecret(manager, fixtureText('issuer.crt'), { expiration: keyManager.now().replace(/^\d{4}/u, '9999') });
  const brief = await putSecret(manager, fixtureText('issuer.crt'), { expiration: '2200-01-01T00:00:00.000000' });
  clock.advance(Date.UTC(2200, 1) - clock.now());
  await secrets.readAuthorities(passing, asCaller);
  await assert.rejects(secrets.readAuthorities(brief, asCaller), notFound);
  await secrets.readAuthorities(brief, ours);
});

test('keys rotate: the first encrypts, all decrypt, and afterwards the old one is not needed', async (t) => {
  const db = await withDatabase(t);
  const [first, second] = testKeys;
  const before = openTestKeyManager(db, { keys: [first!] });
  const ids = [await putSecret(before, 'one'), await putSecret(before, 'two')];
  const both = openTestKeyManager(db, { keys: [second!, first!] });
  const added = await putSecret(both, 'three');
  assert.deepEqual(await Promise.all(ids.map(async (id) => String(await both.keyManager.readPayload(id)))), ['one', 'two']);
  await assert.rejects(before.keyManager.readPayload(added), Retry);

  assert.equal(await resealPayloads(both.store, createSealer([second!, first!])), 2);
  assert.equal(await resealPayloads(both.store, createSealer([second!, first!])), 0);
  const after = openTestKeyManager(db, { keys: [second!] });
  assert.deepEqual(await Promise.all([...ids, added].map(async (id) => String(await after.keyManager.readPayload(id)))), [
    'one',
    'two',
    'three',
  ]);
  await assert.rejects(before.keyManager.readPayload(ids[0]!), Retry);
});

test('a payload that was changed or moved to another secret is not opened', () => {
  const sealer = createSealer(testKeys);
  const sealed = sealer.seal(Buffer.from('payload'), 'one');
  assert.notEqual(sealer.seal(Buffer.from('payload'), 'one'), sealed);
  assert.equal(String(sealer.open(sealed, 'one')), 'payload');
  assert.throws(() => sealer.open(sealed, 'two'), Retry);
  const at = sealed.length - 6;
  assert.throws(() => sealer.open(`${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`, 'one'), Retry);
  for (const short of [sealed.slice(0, 20), '1:x:', '', sealed.slice(0, -8)]) assert.throws(() => sealer.open(short, 'one'), Retry);
  assert.throws(() => createSealer([]), RangeError);
});

test('nothing of a payload stands in the database, in no encoding', async (t) => {
  const url = await withDatabaseUrl(t);
  const db = openDatabase({ url });
  t.after(() => db.close());
  await migrate(db);
  const manager = openTestKeyManager(db);
  const marker = `marker-${randomUUID()}`;
  const content = `${'x'.repeat(2000)}${marker}`;
  const id = await putSecret(manager, content);
  assert.equal(String(await manager.keyManager.readPayload(id)), content);
  const rows = await db.read.selectFrom('embedded_record').selectAll().execute();
  let found = JSON.stringify(rows);
  if (url.startsWith('sqlite:')) {
    const folder = dirname(url.slice('sqlite://'.length));
    for (const name of await readdir(folder)) found += (await readFile(join(folder, name))).toString('latin1');
  }
  assert.ok(found.includes(id));
  // Base64 depends on where in three bytes the text begins.
  const forms = [
    marker,
    Buffer.from(marker).toString('hex'),
    ...[0, 1, 2].map((start) => Buffer.from(marker.slice(start)).toString('base64').slice(0, -4)),
  ];
  for (const form of forms) assert.ok(!found.includes(form), form);
});

test('of two who upload a payload at once one wins, and the other is told', async (t: TestContext) => {
  const { keyManager } = openTestKeyManager(await withDatabase(t));
  const secret = await keyManager.createSecret({ ...spec, project_id: 'project' }, null);
  const upload = (text: string) => keyManager.putPayload(secret, { content_type: 'text/plain', content: Buffer.from(text) });
  const results = await Promise.allSettled([upload('one'), upload('two')]);
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const winner = results[0].status === 'fulfilled' ? 'one' : 'two';
  assert.equal(String(await keyManager.readPayload(secret.id)), winner);
  assert.equal((await keyManager.findSecret(secret.id))?.content_type, 'text/plain');
  // Gone and uploaded to at once: no payload stays behind.
  const brief = await keyManager.createSecret({ ...spec, project_id: 'project' }, null);
  await keyManager.deleteSecret(brief);
  await assert.rejects(keyManager.putPayload(brief, { content_type: 'text/plain', content: Buffer.from('late') }), /not found/u);
  assert.equal(await keyManager.readPayload(brief.id), null);
});
