/** Nothing that is sent to the key manager makes it fail, or tells what it must not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { store, pathOf, withKeyManager } from '../support/secrets/key-manager-api.ts';

const members = [
  'name',
  'payload',
  'payload_content_type',
  'payload_content_encoding',
  'secret_type',
  'algorithm',
  'mode',
  'bit_length',
  'expiration',
  'type',
  'secret_refs',
  'secret_ref',
  'read',
  'users',
  'project-access',
  'service',
  'resource_type',
  'resource_id',
  'URL',
  'metadata',
  'key',
  'value',
];
const words = [
  'text/plain',
  'application/octet-stream',
  'base64',
  'opaque',
  'certificate',
  'generic',
  '2099-01-01',
  '2099-13-45T99:99:99',
  '\0',
  '\ud800',
  '__proto__',
  'constructor',
  '',
  '=',
  '%00',
  '../..',
  "'",
  '9'.repeat(400),
];
const headers = ['accept', 'content-type', 'content-encoding', 'openstack-api-version', 'x-project-id'];

const leaf = fc.oneof(
  fc.constantFrom(...words),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.double(),
  fc.integer(),
  fc.constantFrom(null, true, false, 1e308, -1, 0.5),
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...members), tie('value'), { maxKeys: 6 }),
  ),
}));
/** Bodies that are right, but for what one member may hold. */
const nearlyGood = fc.oneof(
  fc.tuple(fc.constantFrom(...members), value).map(([name, each]) => ({ payload: 'x', payload_content_type: 'text/plain', [name]: each })),
  fc.tuple(fc.constantFrom('type', 'name', 'secret_refs'), value).map(([name, each]) => ({ type: 'generic', [name]: each })),
  value.map((each) => ({ read: each })),
  value.map((each) => ({ metadata: each })),
);
const queries = fc.array(
  fc.tuple(
    fc.constantFrom('name', 'limit', 'offset', 'bits', 'alg', 'mode', 'sort', 'created', 'expiration', 'secret_type', 'type'),
    fc.oneof(fc.constantFrom(...words, 'gt:2020-01-01', 'name:desc', '-1', '1e9'), fc.string({ maxLength: 12 })),
  ),
  { maxLength: 3 },
);

test('any request to the key manager is answered, and never with 5xx', async (t) => {
  const w = await withKeyManager(t);
  const secret = pathOf(await store(w, 'x'));
  const container = pathOf((await w.km('POST', '/v1/containers', { body: { type: 'generic' } })).body.container_ref);
  const paths = [
    '/v1/secrets',
    secret,
    `${secret}/payload`,
    `${secret}/acl`,
    `${secret}/consumers`,
    `${secret}/metadata`,
    `${secret}/metadata/key`,
    '/v1/containers',
    container,
    `${container}/acl`,
    `${container}/consumers`,
    `${container}/secrets`,
    '/v1/orders',
    '/v1/quotas',
    '/v1/secrets/%00',
    '/v1/secrets/..%2f..',
    '/v1',
    '/',
  ];
  const seen = new Map<number, number>();
  const requests = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
    path: fc.constantFrom(...paths),
    query: queries,
    body: fc.oneof(fc.record({ json: fc.oneof(value, nearlyGood) }), fc.record({ raw: fc.uint8Array({ maxLength: 60 }) })),
    header: fc.option(
      fc.tuple(fc.constantFrom(...headers), fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'grapheme-ascii', maxLength: 20 }))),
      { nil: undefined },
    ),
    token: fc.constantFrom('owner', 'guest', 'reader', 'nobody'),
  });
  await fc.assert(
    fc.asyncProperty(requests, async ({ method, path, query, body, header, token }) => {
      // Deletions of the two would leave nothing to play with.
      if (method === 'DELETE' && (path === secret || path === container)) return;
      const more = header === undefined || /[^\x20-\x7e]/u.test(header[1]) ? {} : { [header[0]]: header[1] };
      const search = query.length === 0 ? '' : `?${new URLSearchParams(query).toString()}`;
      const answer = await w.km(method, `${path}${search}`, {
        token,
        headers: { 'content-type': 'application/json', ...more },
        ...('json' in body ? { body: JSON.stringify(body.json) ?? 'null' } : { raw: Buffer.from(body.raw) }),
      });
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      assert.ok(answer.status < 500, `${answer.status} ${answer.text}`);
    }),
    { numRuns: 1500 },
  );
  t.diagnostic(
    `answers: ${[...seen]
      .toSorted()
      .map(([status, count]) => `${status}: ${count}`)
      .join(', ')}`,
  );
  for (const status of [200, 400, 403, 404]) assert.ok((seen.get(status) ?? 0) > 0, `no answer was ${status}`);
});
