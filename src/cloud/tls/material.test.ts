import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { element, integer, readElements, sequence, tags } from '../../lib/der.ts';
import { UnusableSecret } from '../secrets.ts';
import { chainUpsideDown, fixture, fixtureText } from '../../../test/support/tls-fixtures.ts';
import { authoritiesFrom, certificateFrom, revocationsFrom, type StoredCertificate } from './material.ts';
import { openPkcs12 } from './locked.ts';
import { areSignedBy } from './revocations.ts';

const chainSubjects = ['CN=Test issuer', 'CN=Test above'];

async function checkMaterial(stored: StoredCertificate, subject: string): Promise<void> {
  const found = await certificateFrom('ref', stored);
  const certificate = new X509Certificate(found.certificate);
  assert.equal(certificate.subject, subject);
  assert.ok(certificate.checkPrivateKey(createPrivateKey(found.key.reveal())));
  assert.match(found.key.reveal(), /^-----BEGIN PRIVATE KEY-----\n/u);
  assert.deepEqual(
    found.intermediates.map((each) => new X509Certificate(each).subject),
    chainSubjects,
  );
  assert.equal(found.not_after_ms, Date.parse(certificate.validTo));
}

const pieces = (certificate: string, key: string, intermediates: Buffer | null, passphrase: string | null = null): StoredCertificate => ({
  form: 'pieces',
  certificate: Buffer.from(certificate),
  private_key: Buffer.from(key),
  intermediates,
  passphrase: passphrase === null ? null : Buffer.from(passphrase),
});

const refused = (stored: StoredCertificate, why: UnusableSecret['why'], message: RegExp): Promise<void> =>
  assert.rejects(certificateFrom('ref', stored), (error) => {
    assert.ok(error instanceof UnusableSecret);
    assert.equal(error.why, why);
    assert.match(error.message, message);
    assert.equal(error.cause, undefined);
    return true;
  });

test('PKCS#12 bundles of every kind that OpenSSL writes are opened, with their chain in order', async () => {
  for (const name of ['ecdsa-modern', 'ecdsa-legacy', 'ecdsa-plain', 'rsa-modern', 'rsa-legacy', 'rsa-plain', 'rsa-no-mac']) {
    await checkMaterial({ form: 'bundle', content: fixture(`${name}.p12`) }, name.startsWith('rsa') ? 'CN=rsa.example' : 'CN=ec.example');
  }
});

test('pieces are put together: chains as PEM and PKCS#7, keys with and without passphrase', async () => {
  const leaf = fixtureText('rsa.crt');
  for (const chain of [Buffer.from(chainUpsideDown()), fixture('chain.p7b'), fixture('chain.p7c')])
    await checkMaterial(pieces(leaf, fixtureText('rsa.key'), chain), 'CN=rsa.example');
  for (const [key, passphrase] of [
    ['rsa-encrypted.key', 'secret'],
    ['rsa-encrypted.key', 'secret\n'],
    ['rsa-traditional.key', 'secret'],
  ] as const)
    await checkMaterial(pieces(leaf, fixtureText(key), fixture('chain.p7b'), passphrase), 'CN=rsa.example');
  await checkMaterial(
    { form: 'bundle', content: Buffer.from(`text around\n${chainUpsideDown()}${fixtureText('ecdsa.key')}${fixtureText('ecdsa.crt')}`) },
    'CN=ec.example',
  );
  // More than the leaf in the certificate's own place.
  await checkMaterial(pieces(fixtureText('ecdsa.crt') + chainUpsideDown(), fixtureText('ecdsa.key'), null), 'CN=ec.example');
});

test('what cannot be used is refused with a reason that tells nothing of the contents', async () => {
  const bundle = fixture('rsa-modern.p12');
  await refused({ form: 'bundle', content: fixture('rsa-password.p12') }, 'unreadable bundle', /does not require a pass phrase/u);
  for (const content of [
    Buffer.alloc(0),
    Buffer.from('no bundle'),
    bundle.subarray(0, 1000),
    Buffer.concat([bundle.subarray(0, 1500), Buffer.alloc(500)]),
  ])
    await refused({ form: 'bundle', content }, 'unreadable bundle', /unreadable/u);
  await refused(pieces('junk', 'junk', null), 'unreadable', /no certificate/u);
  await refused(pieces(fixtureText('rsa.crt'), 'junk', null), 'unreadable', /no private key/u);
  await refused(pieces(fixtureText('rsa.crt'), fixtureText('ecdsa.key'), null), 'unreadable', /does not belong/u);
  await refused(pieces(fixtureText('rsa.crt'), fixtureText('rsa-encrypted.key'), null), 'unreadable', /passphrase/u);
  await refused(pieces(fixtureText('rsa.crt'), fixtureText('rsa-encrypted.key'), null, 'wrong'), 'unreadable', /passphrase/u);
  await refused(pieces(fixtureText('nameless.crt'), fixtureText('nameless.key'), null), 'nameless', /No CN/u);
  const broken = fixtureText('rsa.crt').replace('MII', '???');
  await refused(pieces(broken, fixtureText('rsa.key'), null), 'unreadable', /cannot be read/u);
  await refused(pieces(fixtureText('rsa.crt'), fixtureText('rsa.key'), Buffer.from(broken)), 'unreadable', /intermediate/u);
  assert.throws(() => authoritiesFrom('ref', Buffer.from(broken)), UnusableSecret);
  assert.throws(() => authoritiesFrom('ref', fixture('issuer.crl')), UnusableSecret);
  assert.throws(() => revocationsFrom('ref', fixture('issuer.crt')), UnusableSecret);
  assert.throws(() => revocationsFrom('ref', Buffer.from(fixtureText('issuer.crl').replace('\nM', '\nX'))), UnusableSecret);
  // A certificate is no list, whatever it is called.
  assert.throws(() => revocationsFrom('ref', Buffer.from(fixtureText('issuer.crt').replaceAll('CERTIFICATE', 'X509 CRL'))), UnusableSecret);
});

test('a bundle or key that asks for endless work is given up', async () => {
  const [outer] = readElements(fixture('rsa-modern.p12'));
  const [version, content, mac] = readElements(outer!.body);
  const [digest, salt] = readElements(mac!.body);
  const endless = sequence(version!.whole, content!.whole, sequence(digest!.whole, salt!.whole, integer(Buffer.from('7fffffff', 'hex'))));
  const begun = performance.now();
  assert.equal(await openPkcs12(endless, 300), null);
  assert.ok(performance.now() - begun < 5000);

  // PBES2 with PBKDF2: the rounds stand in the open.
  const rounds = (count: string): string => {
    const oid = (hex: string): Buffer => element(tags.objectId, Buffer.from(hex, 'hex'));
    const pbkdf2 = sequence(
      oid('2a864886f70d01050c'),
      sequence(element(tags.octetString, Buffer.alloc(8)), integer(Buffer.from(count, 'hex'))),
    );
    const cipher = sequence(oid('60864801650304012a'), element(tags.octetString, Buffer.alloc(16)));
    const info = sequence(sequence(oid('2a864886f70d01050d'), sequence(pbkdf2, cipher)), element(tags.octetString, Buffer.alloc(48)));
    return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${info.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
  };
  for (const count of ['7fffffff', '7fffffffffffffff'])
    await refused(pieces(fixtureText('rsa.crt'), rounds(count), null, 'secret'), 'unreadable', /passphrase/u);
  assert.ok(performance.now() - begun < 8000);
});

test('a list of revoked certificates is checked against its authority', () => {
  const issuer = authoritiesFrom('ref', fixture('issuer.crt'));
  const both = authoritiesFrom('ref', Buffer.from(fixtureText('root.crt') + fixtureText('issuer.crt')));
  const list = revocationsFrom('ref', fixture('issuer.crl'));
  const foreign = revocationsFrom('ref', fixture('stranger.crl'));
  assert.ok(areSignedBy(list, issuer));
  assert.ok(areSignedBy(list, both));
  assert.ok(!areSignedBy(foreign, both));
  assert.ok(!areSignedBy(list + foreign, both));
});
