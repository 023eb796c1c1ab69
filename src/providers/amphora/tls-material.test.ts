import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { FakeSecrets } from '../../cloud/fake/secrets.ts';
import { Secret } from '../../lib/secret.ts';
import { Retry } from '../../model/index.ts';
import { parseTlsFileName } from '../../wire/tls-files.ts';
import { sampleId, sampleListener, sampleLoadBalancer, samplePool, sampleTree } from '../../../test/support/sample-trees.ts';
import { chainUpsideDown, fixture, fixtureText } from '../../../test/support/tls-fixtures.ts';
import { placeSecrets, TlsMaterial } from './tls-material.ts';

const listener = sampleListener({
  protocol: 'TERMINATED_HTTPS',
  default_tls_container_ref: 'rsa',
  sni_container_refs: ['ecdsa', 'rsa'],
  client_ca_tls_container_ref: 'ca',
  client_crl_container_ref: 'crl',
});
const pool = samplePool({ tls_enabled: true, tls_container_ref: 'ecdsa', ca_tls_container_ref: 'ca' });
const tree = sampleTree({ listeners: [listener], pools: [pool] });
const nothing: ReadonlyMap<string, string> = new Map();

function keyManager(): FakeSecrets {
  const secrets = new FakeSecrets();
  const key = new Secret(fixtureText('rsa.key'));
  secrets.putCertificate('rsa', { certificate: fixtureText('rsa.crt'), key, intermediates: chainUpsideDown() });
  secrets.putPayload('ecdsa', fixture('ecdsa-modern.p12'));
  secrets.putPayload('ca', fixtureText('issuer.crt'));
  secrets.putPayload('crl', fixtureText('issuer.crl'));
  return secrets;
}

const heldAfter = async (material: TlsMaterial): Promise<ReadonlyMap<string, string>> =>
  new Map([...placeSecrets(await material.read(tree), nothing, true).tls_files].map(([name, { md5 }]) => [name, md5]));

test('every secret becomes a file that is named after its place and its content', async () => {
  const { outcomes, tls_files } = placeSecrets(await new TlsMaterial(keyManager()).read(tree), nothing, true);
  const slots = [...tls_files.keys()].map((name) => parseTlsFileName(name)?.slot);
  assert.deepEqual(slots, [`${listener.id}-default`, 'sni', `${listener.id}-ca`, `${listener.id}-crl`, `${pool.id}-crt`, `${pool.id}-ca`]);
  assert.ok([...tls_files].every(([name, file]) => parseTlsFileName(name)?.md5 === file.md5));
  assert.ok([...outcomes.values()].every((outcome) => 'name' in outcome));
  const labels = [...tls_files.values()].map((file) =>
    [...(file.content?.reveal() ?? '').matchAll(/BEGIN ([A-Z0-9 ]+)-/gu)].map((match) => match[1]),
  );
  assert.deepEqual(labels[0], ['CERTIFICATE', 'CERTIFICATE', 'CERTIFICATE', 'PRIVATE KEY']);
  assert.deepEqual([labels[2], labels[3]], [['CERTIFICATE'], ['X509 CRL']]);
  assert.ok(!inspect(tls_files, { depth: 9 }).includes('PRIVATE'), 'what is printed shows no key');
});

test('what has not changed is not read again; what has changed is another file in the same place', async () => {
  const secrets = keyManager();
  let reads = 0;
  const counted = Object.assign(Object.create(secrets) as FakeSecrets, {
    readCertificate: (...args: Parameters<FakeSecrets['readCertificate']>) => {
      reads += 1;
      return secrets.readCertificate(...args);
    },
  });
  const material = new TlsMaterial(counted);
  const before = await heldAfter(material);
  const first = reads;
  assert.deepEqual(await heldAfter(material), before);
  assert.equal(reads, first);
  secrets.putPayload('rsa', fixture('ecdsa-modern.p12'));
  const after = [...(await heldAfter(material)).keys()];
  const [old, renewed] = [[...before.keys()][0] ?? '', after[0] ?? ''].map(parseTlsFileName);
  assert.deepEqual([renewed?.slot, renewed?.reference], [old?.slot, old?.reference]);
  assert.notEqual(renewed?.md5, old?.md5);
});

test('a secret that is gone fails its own place only, and not where the amphora has the file', async () => {
  const secrets = keyManager();
  const material = new TlsMaterial(secrets);
  const held = await heldAfter(material);
  secrets.remove('ecdsa');
  const readings = await material.read(tree);
  const without = placeSecrets(readings, nothing, true);
  const unreadable = [...without.outcomes].filter(([, outcome]) => 'unreadable' in outcome).map(([place]) => place.split('.')[0]);
  assert.deepEqual(unreadable, ['sni', `${pool.id}-crt`]);
  const going = placeSecrets(readings, held, true);
  assert.deepEqual([...going.tls_files.keys()], [...held.keys()]);
  assert.equal([...going.tls_files.values()].filter((file) => file.content === null).length, 2);
  const damaged = new Map([...held].map(([name]) => [name, 'another']));
  assert.ok([...placeSecrets(readings, damaged, true).outcomes.values()].some((outcome) => 'unreadable' in outcome));
});

test('while the key manager does not answer, what was read before serves', async () => {
  const secrets = keyManager();
  const material = new TlsMaterial(secrets);
  const held = await heldAfter(material);
  secrets.isDown = true;
  assert.deepEqual(await heldAfter(material), held);
  const readings = await new TlsMaterial(secrets).read(tree);
  assert.deepEqual([...placeSecrets(readings, held, true).tls_files.keys()], [...held.keys()]);
  assert.throws(() => placeSecrets(readings, nothing, true), Retry);
  const [first] = placeSecrets(readings, nothing, false).outcomes.values();
  assert.ok(first !== undefined && 'unreadable' in first && first.unreadable.includes('does not answer'));
});

test('the key manager learns what a load balancer uses', async () => {
  const secrets = keyManager();
  const material = new TlsMaterial(secrets);
  await material.read(tree);
  const { id } = tree.loadbalancer;
  assert.deepEqual(secrets.uses.get(id), ['ca', 'crl', 'ecdsa', 'rsa']);
  secrets.isDown = true;
  const going = sampleListener({ ...listener, provisioning_status: 'PENDING_DELETE' });
  await material.read({ ...tree, listeners: [{ ...going, l7policies: [] }] });
  secrets.isDown = false;
  await material.read({ ...tree, listeners: [{ ...going, l7policies: [] }] });
  assert.deepEqual(secrets.uses.get(id), ['ca', 'ecdsa']);
  // Another process, which knows nothing of before, tells that it is gone.
  await new TlsMaterial(secrets).read({ ...tree, loadbalancer: sampleLoadBalancer({ provisioning_status: 'PENDING_DELETE' }) });
  assert.equal(secrets.uses.has(id), false);
});

test('without references nobody is asked, and without a key manager nothing can be read', async () => {
  const plain = sampleTree({ loadbalancer: sampleLoadBalancer({ id: sampleId('loadbalancer', 2) }) });
  const secrets = keyManager();
  secrets.isDown = true;
  assert.deepEqual((await new TlsMaterial(secrets).read(plain)).files, []);
  const { outcomes } = placeSecrets(await new TlsMaterial(null).read(tree), nothing, true);
  assert.ok([...outcomes.values()].every((outcome) => 'unreadable' in outcome));
});
