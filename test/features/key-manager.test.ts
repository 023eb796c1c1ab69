/** The embedded key manager from outside: Barbican's API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerSecrets } from '../../src/api/secrets/register.ts';
import type { KeyManager } from '../../src/cloud/local/secrets/key-manager.ts';
import { recordingLogger } from '../../src/lib/log.ts';
import { withApi } from '../support/api.ts';
import { openTestKeyManager, testKeys } from '../support/secrets/key-manager.ts';
import { callers, pathOf, root, store, withKeyManager } from '../support/secrets/key-manager-api.ts';

test('a secret is stored, described, read in the types it can have, and deleted', async (t) => {
  const w = await withKeyManager(t);
  const { km } = w;
  const created = await km('POST', '/v1/secrets', {
    body: {
      name: ' web ',
      payload: ' text ',
      payload_content_type: 'text/plain',
      secret_type: 'certificate',
      algorithm: 'rsa',
      bit_length: 2048,
      mode: 'cbc',
      expiration: '2099-01-01T00:00:00',
    },
  });
  assert.equal(created.status, 201);
  assert.match(created.body.secret_ref, new RegExp(`^${root}/secrets/[0-9a-f-]{36}$`, 'u'));
  assert.equal(created.headers['location'], created.body.secret_ref);
  const path = pathOf(created.body.secret_ref);
  const { created: time, updated, ...rest } = (await km('GET', path)).body;
  assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/u);
  assert.equal(updated, time);
  assert.deepEqual(rest, {
    status: 'ACTIVE',
    name: 'web',
    secret_type: 'certificate',
    expiration: '2099-01-01T00:00:00',
    algorithm: 'rsa',
    bit_length: 2048,
    mode: 'cbc',
    creator_id: 'owner',
    content_types: { default: 'text/plain' },
    secret_ref: created.body.secret_ref,
  });
  assert.deepEqual((await km('GET', path, { headers: { 'openstack-api-version': 'key-manager 1.1' } })).body.consumers, []);
  const types = { 'text/plain': 200, 'application/octet-stream': 200, '*/*': 200, 'application/json': 406, 'image/png': 406 };
  for (const [accept, status] of Object.entries(types)) {
    const answer = await km('GET', `${path}/payload`, { headers: { accept } });
    assert.equal(answer.status, status, accept);
    if (status === 200) assert.equal(answer.text, 'text');
    if (status === 200) assert.equal(answer.headers['x-content-type-options'], 'nosniff');
  }
  assert.equal((await km('GET', path, { headers: { accept: 'text/plain' } })).text, 'text');
  assert.equal((await km('DELETE', path)).status, 204);
  const gone = await km('GET', path);
  assert.deepEqual([gone.status, gone.body], [404, { code: 404, title: 'Not Found', description: 'Secret not found.' }]);
});

test('a payload can come later, once, as text, as bytes or in base64', async (t) => {
  const { km } = await withKeyManager(t);
  const bytes = Buffer.from([0, 255, 128, 10]);
  const uploads: readonly [Buffer, Record<string, string>, Buffer][] = [
    [Buffer.from('grüß'), { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('grüß')],
    [bytes, { 'content-type': 'application/octet-stream' }, bytes],
    [Buffer.from(bytes.toString('base64')), { 'content-type': 'application/octet-stream', 'content-encoding': 'base64' }, bytes],
  ];
  for (const [raw, headers, content] of uploads) {
    const path = pathOf((await km('POST', '/v1/secrets', { body: { name: 'later' } })).body.secret_ref);
    assert.equal((await km('GET', path)).body.content_types, undefined);
    assert.equal((await km('GET', `${path}/payload`)).status, 404);
    assert.equal((await km('PUT', path, { raw, headers })).status, 204);
    assert.deepEqual((await km('GET', `${path}/payload`, { headers: { accept: 'application/octet-stream' } })).raw, content);
    const again = await km('PUT', path, { raw, headers });
    assert.deepEqual([again.status, again.body.description], [409, 'Secret already has data, cannot modify it.']);
  }
  const path = pathOf((await km('POST', '/v1/secrets', { body: {} })).body.secret_ref);
  assert.equal((await km('PUT', path, { body: { payload: 'x' } })).status, 415);
  assert.equal((await km('PUT', path, { headers: { 'content-type': 'text/plain' } })).status, 400);
  assert.equal((await km('PUT', path, { raw: Buffer.from([255]), headers: { 'content-type': 'text/plain' } })).status, 400);
  assert.equal(
    (
      await km('PUT', path, {
        raw: Buffer.from('%%'),
        headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'base64' },
      })
    ).status,
    400,
  );
  assert.equal((await km('PUT', path, { raw: Buffer.alloc(20_001), headers: { 'content-type': 'application/octet-stream' } })).status, 413);
  assert.equal(
    (await km('PUT', path, { raw: Buffer.alloc(20_000, 1), headers: { 'content-type': 'application/octet-stream' } })).status,
    204,
  );
});

test('what cannot be a secret is refused as Barbican does, and quotes no payload', async (t) => {
  const { km } = await withKeyManager(t);
  const plain = { payload: 'confidential-payload', payload_content_type: 'text/plain' };
  const refused: readonly [unknown, number, RegExp][] = [
    ['{', 400, /^Malformed JSON$/u],
    ['"confidential-payload-in-the-wrong-place"', 400, /schema 'Secret'/u],
    [
      { ...plain, payload_content_type: undefined },
      400,
      /'payload_content_type' must also be supplied.*Invalid property: 'payload_content_type'/u,
    ],
    [{ ...plain, payload_content_type: 'image/png' }, 400, /payload_content_type is not one of/u],
    [{ ...plain, payload_content_encoding: 'base64' }, 400, /payload_content_encoding is not one of None/u],
    [{ ...plain, payload_content_type: 'application/octet-stream' }, 400, /payload_content_encoding is not one of \['base64', 'binary'\]/u],
    [{ ...plain, payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' }, 400, /Invalid payload/u],
    [{ ...plain, payload: ' ' }, 400, /must be non empty/u],
    [{ ...plain, payload: { secret: 'confidential-payload-in-an-object' } }, 400, /is not of type 'string'/u],
    [{ ...plain, payload: 'x'.repeat(20_001) }, 413, /too large/u],
    [{ payload_content_type: 'text/plain' }, 400, /payload must be provided/u],
    [{ ...plain, secret_type: 'strange' }, 400, /'strange' is not one of \['symmetric'/u],
    [{ ...plain, bit_length: 0 }, 400, /less than the minimum of 1/u],
    [{ ...plain, name: 'n'.repeat(256) }, 400, /too long/u],
    [{ ...plain, name: 'a\u0000b' }, 400, /not allowed/u],
    [{ ...plain, expiration: '2001-01-01' }, 400, /'expiration' is before current time/u],
    [{ ...plain, expiration: 'soon' }, 400, /Invalid date for 'expiration'/u],
  ];
  for (const [body, status, description] of refused) {
    const answer = await km('POST', '/v1/secrets', { body });
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.body.description, description);
    assert.equal(answer.body.code, status);
    assert.ok(!/confidential-payload\b/u.test(answer.text), answer.text);
  }
  assert.equal((await km('GET', '/v1/secrets')).body.total, 0);
  assert.equal((await km('POST', '/v1/secrets', { raw: Buffer.from('x'), headers: { 'content-type': 'text/plain' } })).status, 415);
  for (const [method, path, status] of [
    ['GET', '/v1/secrets/x', 404],
    ['GET', '/v1/secrets/00000000-0000-4000-8000-000000000000', 404],
    ['DELETE', '/v1/containers/x', 404],
    ['PATCH', '/v1/secrets', 405],
    ['POST', '/v1/orders', 405],
    ['GET', '/v1/nothing', 404],
    ['GET', '/v1/quotas', 200],
    ['GET', '/v1/orders', 200],
    ['GET', '/v1/secrets?sort=strange', 400],
    ['GET', '/v1/secrets?created=gt:never', 400],
  ] as const)
    assert.equal((await km(method, path)).status, status, `${method} ${path}`);
});

test('lists filter, sort and page with links', async (t) => {
  const w = await withKeyManager(t);
  const { km } = w;
  for (let number = 1; number <= 12; number += 1)
    await store(w, 'x', {
      name: `s${String(number).padStart(2, '0')}`,
      secret_type: number % 2 === 0 ? 'passphrase' : 'opaque',
      bit_length: number,
    });
  await store(w, 'x', { name: 's01' }, 'guest');
  const names = async (query: string): Promise<string[]> =>
    (await km('GET', `/v1/secrets${query}`)).body.secrets.map((each: { name: string }) => each.name);
  const first = (await km('GET', '/v1/secrets')).body;
  assert.deepEqual(
    [first.secrets.length, first.total, first.next, first.previous],
    [10, 12, `${root}/secrets?limit=10&offset=10`, undefined],
  );
  const second = (await km('GET', pathOf(first.next))).body;
  assert.deepEqual([second.secrets.length, second.next, second.previous], [2, undefined, `${root}/secrets?limit=10&offset=0`]);
  assert.deepEqual(await names('?name=s01'), ['s01']);
  assert.deepEqual(await names('?bits=3'), ['s03']);
  assert.equal((await names('?secret_type=passphrase&limit=100')).length, 6);
  assert.deepEqual(await names('?sort=name:desc&limit=2'), ['s12', 's11']);
  assert.deepEqual(await names('?sort=bit_length:desc&limit=1'), ['s12']);
  assert.equal((await names('?limit=0')).length, 1);
  assert.equal((await names('?limit=x&offset=-3')).length, 10);
  assert.deepEqual(await names('?created=lt:2020-01-01T00:00:00'), []);
  assert.equal((await names('?created=gt:2020-01-01T00:00:00,lt:2999-01-01')).length, 10);
});

test('containers hold secrets by name, with the rules of their type', async (t) => {
  const w = await withKeyManager(t);
  const { km } = w;
  const [certificate, private_key, foreign] = [await store(w, 'c'), await store(w, 'k'), await store(w, 'f', {}, 'guest')];
  const named = (refs: Record<string, string>) => Object.entries(refs).map(([name, secret_ref]) => ({ name, secret_ref }));
  const created = await km('POST', '/v1/containers', {
    body: { type: 'certificate', name: 'web', secret_refs: named({ certificate, private_key }) },
  });
  assert.equal(created.status, 201, created.text);
  const path = pathOf(created.body.container_ref);
  const { created: _created, updated: _updated, ...shown } = (await km('GET', path)).body;
  assert.deepEqual(shown, {
    status: 'ACTIVE',
    name: 'web',
    type: 'certificate',
    creator_id: 'owner',
    secret_refs: named({ certificate, private_key }),
    consumers: [],
    container_ref: created.body.container_ref,
  });
  const refused: readonly [unknown, number, RegExp][] = [
    [{ type: 'strange' }, 400, /is not one of/u],
    [{}, 400, /'type' is a required property/u],
    [
      { type: 'certificate', secret_refs: named({ certificate, other: private_key }) },
      400,
      /reference names are allowed for Certificate type/u,
    ],
    [{ type: 'certificate', secret_refs: named({ private_key }) }, 400, /minimum required reference name is 'certificate'/u],
    [{ type: 'rsa', secret_refs: named({ private_key }) }, 400, /'public_key' and'private_key' for RSA/u],
    [{ type: 'generic', secret_refs: [...named({ one: certificate }), ...named({ one: private_key })] }, 400, /Duplicate reference names/u],
    [{ type: 'generic', secret_refs: named({ one: certificate, two: certificate }) }, 400, /Duplicate secret ids/u],
    [{ type: 'generic', secret_refs: named({ one: foreign }) }, 404, /Secret provided for 'one' doesn't exist/u],
    [
      { type: 'generic', secret_refs: named({ one: 'http://x/v1/containers/00000000-0000-4000-8000-000000000000' }) },
      400,
      /not the reference of a secret/u,
    ],
    [{ type: 'generic', secret_refs: ['x'] }, 400, /not of type 'object'/u],
  ];
  for (const [body, status, description] of refused) {
    const answer = await km('POST', '/v1/containers', { body });
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.body.description, description);
  }
  const generic = pathOf((await km('POST', '/v1/containers', { body: { type: 'generic' } })).body.container_ref);
  const one = { name: 'one', secret_ref: certificate };
  assert.equal((await km('POST', `${generic}/secrets`, { body: one })).status, 201);
  assert.equal((await km('POST', `${generic}/secrets`, { body: one })).status, 409);
  assert.equal((await km('POST', `${path}/secrets`, { body: one })).status, 400);
  assert.deepEqual((await km('GET', generic)).body.secret_refs, [one]);
  assert.equal((await km('DELETE', `${generic}/secrets`, { body: one })).status, 204);
  assert.equal((await km('DELETE', `${generic}/secrets`, { body: one })).status, 404);
  const list = (await km('GET', '/v1/containers?type=generic')).body;
  assert.deepEqual([list.total, list.containers[0].container_ref], [1, `http://lb.example:9876/key-manager${generic}`]);
  assert.equal((await km('DELETE', path)).status, 204);
  assert.equal((await km('GET', path)).status, 404);
  assert.equal((await km('GET', pathOf(certificate))).status, 200);
});

test('consumers are entered once, listed and taken off by who entered them or owns the secret', async (t) => {
  const w = await withKeyManager(t);
  const { km, keyManager } = w;
  const ref = await store(w, 'x');
  const path = `${pathOf(ref)}/consumers`;
  const consumer = { service: 'compute', resource_type: 'SERVERS', resource_id: 'one' };
  assert.deepEqual((await km('POST', path, { body: consumer })).body.consumers, [consumer]);
  assert.equal((await km('POST', path, { body: consumer })).status, 200);
  assert.equal((await km('POST', path, { body: { service: 'x' } })).status, 400);
  const list = (await km('GET', path)).body;
  assert.deepEqual([list.total, list.consumers[0].service, list.consumers[0].status], [1, 'compute', 'ACTIVE']);
  assert.equal((await km('DELETE', path, { body: { ...consumer, resource_id: 'two' } })).status, 404);
  assert.deepEqual((await km('DELETE', path, { body: consumer })).body.consumers, []);
  // What a load balancer uses it uses.
  const fields = { service: 'octavia', resource_type: 'loadbalancers', resource_id: 'lb' };
  await keyManager.addConsumer(ref.split('/').at(-1)!, { project_id: 'p1', fields, loadbalancer_id: 'lb' });
  assert.equal((await km('DELETE', path, { body: fields })).status, 403);
  const container = pathOf((await km('POST', '/v1/containers', { body: { type: 'generic' } })).body.container_ref);
  const named = { name: 'x', URL: 'https://x' };
  assert.deepEqual((await km('POST', `${container}/consumers`, { body: named })).body.consumers, [named]);
  assert.deepEqual((await km('DELETE', `${container}/consumers`, { body: named })).body.consumers, []);
});

test('who may do what: roles, owner, administrators, private secrets and ACLs', async (t) => {
  const w = await withKeyManager(t);
  const { km } = w;
  const ref = await store(w, 'x');
  const path = pathOf(ref);
  const statuses = async (method: string, at: string, body?: unknown): Promise<Record<string, number>> => {
    const entries: [string, number][] = [];
    for (const token of Object.keys(callers)) {
      const answer = await km(method, at, { token, headers: { accept: at.endsWith('payload') ? 'text/plain' : 'application/json' }, body });
      entries.push([token, answer.status]);
    }
    return Object.fromEntries(entries);
  };
  const [yes, no] = [200, 403];
  const members = { owner: yes, colleague: yes, creator: yes, boss: yes, nobody: no, guest: no, root: no };
  assert.deepEqual(await statuses('GET', path), { ...members, observer: yes, auditor: yes, reader: yes });
  assert.deepEqual(await statuses('GET', `${path}/payload`), { ...members, observer: yes, auditor: no, reader: no });
  assert.deepEqual(await statuses('GET', `${path}/acl`), { ...members, observer: yes, auditor: no, reader: no });
  const makers = {
    owner: 201,
    colleague: 201,
    creator: 201,
    boss: 201,
    guest: 201,
    root: 201,
    observer: no,
    auditor: no,
    reader: no,
    nobody: no,
  };
  assert.deepEqual(await statuses('POST', '/v1/secrets', {}), makers);
  assert.deepEqual(await statuses('GET', '/v1/secrets'), { ...members, guest: yes, root: yes, observer: yes, auditor: no, reader: yes });

  const acl = await km('PUT', `${path}/acl`, { body: { read: { users: ['guest'], 'project-access': false } } });
  assert.deepEqual([acl.status, acl.body], [200, { acl_ref: `${ref}/acl` }]);
  const priv = {
    owner: yes,
    colleague: no,
    creator: no,
    boss: yes,
    observer: no,
    auditor: no,
    reader: no,
    nobody: no,
    guest: yes,
    root: no,
  };
  assert.deepEqual(await statuses('GET', path), priv);
  assert.deepEqual(await statuses('GET', `${path}/payload`), priv);
  assert.deepEqual((await km('GET', `${path}/acl`)).body.read.users, ['guest']);
  const shared = async (token: string) =>
    (await km('GET', '/v1/secrets?acl_only=true', { token })).body.secrets.map((each: { secret_ref: string }) => each.secret_ref);
  assert.deepEqual([await shared('guest'), await shared('colleague')], [[ref], []]);
  assert.equal((await km('PUT', `${path}/acl`, { token: 'guest', body: { read: { 'project-access': true } } })).status, 403);
  assert.equal((await km('DELETE', path, { token: 'guest' })).status, 403);
  assert.equal((await km('DELETE', path, { token: 'colleague' })).status, 403);
  await km('PATCH', `${path}/acl`, { body: { read: { users: ['guest', 'colleague'] } } });
  const { users, 'project-access': project_access } = (await km('GET', `${path}/acl`)).body.read;
  assert.deepEqual([users, project_access], [['guest', 'colleague'], false]);
  for (const body of [{ write: {} }, { read: { users: 'x' } }, { read: { 'project-access': 'x' } }, { read: { strange: 1 } }])
    assert.equal((await km('PUT', `${path}/acl`, { body })).status, 400);
  assert.equal((await km('DELETE', `${path}/acl`)).status, 200);
  assert.deepEqual((await km('GET', `${path}/acl`)).body, { read: { 'project-access': true } });
  assert.equal((await km('GET', path, { token: 'strange' })).status, 401);
  assert.equal((await km('DELETE', path, { token: 'colleague' })).status, 204);
});

test('notes on a secret', async (t) => {
  const w = await withKeyManager(t);
  const { km } = w;
  const path = `${pathOf(await store(w, 'x'))}/metadata`;
  assert.deepEqual((await km('GET', path)).body, { metadata: {} });
  assert.equal((await km('PUT', path, { body: { metadata: { Place: 'here', __proto__x: 'y' } } })).status, 201);
  assert.deepEqual((await km('GET', path)).body, { metadata: { place: 'here', __proto__x: 'y' } });
  assert.equal((await km('POST', path, { body: { key: 'place', value: 'there' } })).status, 409);
  assert.equal((await km('POST', path, { body: { key: 'other', value: 'there' } })).status, 201);
  assert.deepEqual((await km('GET', `${path}/other`)).body, { key: 'other', value: 'there' });
  assert.deepEqual((await km('PUT', `${path}/other`, { body: { key: 'other', value: 'now' } })).body, { key: 'other', value: 'now' });
  assert.equal((await km('DELETE', `${path}/other`)).status, 204);
  assert.equal((await km('GET', `${path}/constructor`)).status, 404);
  assert.equal((await km('PUT', path, { body: { metadata: { 'a b': 'x' } } })).status, 400);
});

test('version documents need no token, and without identity no token is needed at all', async (t) => {
  const w = await withKeyManager(t, { open: true });
  const host = { host: '127.0.0.1:9876' };
  const root1 = await w.km('GET', '/', { headers: host });
  assert.deepEqual(
    [root1.status, root1.body.versions.values[0].id, root1.body.versions.values[0].links[0].href],
    [300, 'v1', 'http://127.0.0.1:9876/key-manager/v1/'],
  );
  const micro = (await w.km('GET', '/v1', { headers: { ...host, 'openstack-api-version': 'key-manager 1.1' } })).body.version;
  assert.deepEqual([micro.status, micro.min_version, micro.max_version], ['CURRENT', '1.0', '1.1']);
  const ref = (
    await w.km('POST', '/v1/secrets', {
      body: { payload: 'x', payload_content_type: 'text/plain' },
      headers: { ...host, 'x-project-id': 'p7' },
    })
  ).body.secret_ref;
  assert.equal((await w.km('GET', `${new URL(ref).pathname.replace('/key-manager', '')}/payload`, { headers: host })).text, 'x');
  assert.equal(
    (await w.app.inject({ headers: host, url: `${new URL(ref).pathname.replace('/key-manager', '')}/payload` })).statusCode,
    200,
  );
});

test('a payload never gets into the log, whatever goes wrong', async (t) => {
  const { log, lines } = recordingLogger();
  const marker = 'payload-that-is-in-no-log';
  const api = await withApi(t, {
    callers,
    parts(db, identity) {
      const { keyManager } = openTestKeyManager(db);
      const broken = { ...keyManager, createSecret: () => Promise.reject(new Error('disk full')) } as KeyManager;
      return { log, plugins: [(app) => registerSecrets(app, { keyManager: broken, identity, log })] };
    },
  });
  const headers = { 'x-auth-token': 'owner', 'content-type': 'application/json' };
  const payload = JSON.stringify({ payload: marker, payload_content_type: 'text/plain' });
  const answer = await api.app.inject({ method: 'POST', url: '/key-manager/v1/secrets', headers, payload });
  assert.equal(answer.statusCode, 500);
  const written = JSON.stringify(lines);
  assert.ok(written.includes('disk full'));
  assert.ok(!written.includes(marker) && !answer.body.includes(marker));
});

test('a secret whose key is not here is to be asked for later; the log says why, the client is not told', async (t) => {
  const { log, lines } = recordingLogger();
  const api = await withApi(t, {
    callers,
    parts(db, identity) {
      const [first, second] = testKeys;
      const before = openTestKeyManager(db, { keys: [first!] });
      const after = openTestKeyManager(db, { keys: [second!] });
      const keyManager: KeyManager = { ...after.keyManager, createSecret: before.keyManager.createSecret };
      return { log, plugins: [(app) => registerSecrets(app, { keyManager, identity, log })] };
    },
  });
  const headers = { 'x-auth-token': 'owner', 'content-type': 'application/json', accept: 'text/plain' };
  const payload = JSON.stringify({ payload: 'x', payload_content_type: 'text/plain' });
  const made = await api.app.inject({ method: 'POST', url: '/key-manager/v1/secrets', headers, payload });
  const path = new URL((JSON.parse(made.body) as { secret_ref: string }).secret_ref).pathname;
  const answer = await api.app.inject({ url: `${path}/payload`, headers });
  assert.deepEqual([answer.statusCode, answer.headers['retry-after']], [503, '5']);
  assert.match(answer.body, /Please try again/u);
  assert.match(JSON.stringify(lines), /encrypted with a key that is not configured here/u);
});
