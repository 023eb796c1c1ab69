/** python-barbicanclient, as `openstack secret …` uses it, against the embedded key manager. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findPython, withClient } from '../support/stock-client.ts';

const python = findPython('barbicanclient, openstack');
const skip = python === null ? 'the stock client is not installed (Debian: python3-barbicanclient)' : false;
const fixtures = fileURLToPath(new URL('../fixtures/tls', import.meta.url));

test('python-barbicanclient stores, reads, lists, shares and deletes secrets and containers', { skip }, async (t) => {
  const { execute } = await withClient(t, { keyManager: true });
  const printed = await execute(python ?? '', [join(import.meta.dirname, 'key-manager.py'), fixtures]);
  const { 'secret consumers': consumers, forced, ...seen } = JSON.parse(printed) as Record<string, unknown>;
  assert.deepEqual(seen, {
    catalog: ['identity', 'key-manager', 'load-balancer', 'network'],
    bytes: true,
    text: ['text', 'certificate', 2048, '2099-01-01 00:00:00+00:00', 'text/plain', 'ACTIVE'],
    payload: true,
    late: 'afterwards',
    listed: [2, 3, 6],
    container: ['CertificateContainer', 'secret', 3],
    consumers: [{ name: 'me', URL: 'https://somewhere' }],
    without: 0,
    containers: ['box', 'web'],
    acl: [['somebody'], false],
    open: true,
    refusals: [
      [404, 'Not Found: Secret not found.'],
      [413, 'Request Entity Too Large: Provided information too large to process'],
      [
        400,
        "Bad Request: Provided object does not match schema 'Secret': 'expiration' is before current time. Invalid property: 'expiration'",
      ],
    ],
    left: 0,
  });
  // Since version 5.5 the client knows consumers of secrets.
  if (consumers !== undefined)
    assert.deepEqual([consumers, forced], [[{ service: 'compute', resource_type: 'SERVERS', resource_id: 'one' }], true]);
});

test('the openstack command stores a bundle and gets it back', { skip }, async (t) => {
  const { execute } = await withClient(t, { keyManager: true });
  const openstack = (...args: readonly string[]): Promise<string> => execute('openstack', ['--os-cloud', 'octavia', ...args]);
  const value = ['-f', 'value', '-c', 'Secret href'];
  const ref = (
    await openstack('secret', 'store', '--name', 'web', '-t', 'application/octet-stream', '-e', 'base64', '--payload', 'AAEC', ...value)
  ).trim();
  assert.equal((await openstack('secret', 'list', '--name', 'web', ...value)).trim(), ref);
  await openstack('acl', 'user', 'add', '--user', 'somebody', ref);
  await openstack('secret', 'delete', ref);
});
