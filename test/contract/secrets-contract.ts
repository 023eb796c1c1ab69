/** What every key manager must do for controllers, whatever stores the secrets. */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { type SecretReader, type Secrets, UnusableSecret } from '../../src/cloud/secrets.ts';
import { Retry } from '../../src/model/index.ts';
import { chainUpsideDown, fixture, fixtureText } from '../support/tls-fixtures.ts';

/** The pieces of a certificate; texts are PEM. */
export type CertificatePieces = {
  readonly certificate: string;
  readonly key: string;
  readonly intermediates?: string;
  readonly passphrase?: string;
};

/** A key manager for one test. */
export type SecretsStage = {
  readonly secrets: Secrets;
  /** On whose behalf the test reads. */
  readonly reader: SecretReader;
  /** Stores pieces and answers the reference. */
  putPieces(pieces: CertificatePieces): Promise<string>;
  /** Stores one payload and answers the reference; null: this kind has no such thing. */
  readonly putPayload: ((payload: Buffer) => Promise<string>) | null;
  /** Stores a payload that is text. */
  putText(payload: string): Promise<string>;
  remove(ref: string): Promise<void>;
  /** Puts other pieces where the reference points to; null: what is stored never changes. */
  readonly replacePieces: ((ref: string, pieces: CertificatePieces) => Promise<void>) | null;
  /** Makes it unable to answer; null: nothing can. */
  readonly breakDown: (() => Promise<void>) | null;
  /** Ids of the load balancers that are entered as consumers of a reference; null: there are no consumers. */
  readonly consumersOf: ((ref: string) => Promise<readonly string[]>) | null;
};

/** A reference that cannot be. */
const strange = [
  '',
  'x',
  '../../etc/passwd',
  '/etc/passwd',
  'a\u0000b',
  `${'a'.repeat(300)}`,
  'http://127.0.0.1:1/v1/secrets/x',
  '00000000-0000-4000-8000-000000000000',
];

const rsa = (): CertificatePieces => ({
  certificate: fixtureText('rsa.crt'),
  key: fixtureText('rsa-encrypted.key'),
  passphrase: 'secret',
  intermediates: chainUpsideDown(),
});
const ecdsa = (): CertificatePieces => ({ certificate: fixtureText('ecdsa.crt'), key: fixtureText('ecdsa.key') });

const isUnusable =
  (ref: string, why: UnusableSecret['why']) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof UnusableSecret, String(error));
    assert.equal(error.why, why);
    assert.equal(error.ref, ref);
    return true;
  };

/** Runs the contract; `open` builds a key manager that ends with the test. */
export function secretsContract(name: string, open: (t: TestContext) => Promise<SecretsStage>): void {
  test(`${name}: a certificate is read with its key and its chain`, async (t) => {
    const { secrets, reader, putPieces, putPayload } = await open(t);
    const found = await secrets.readCertificate(await putPieces(rsa()), reader);
    const certificate = new X509Certificate(found.certificate);
    assert.equal(certificate.subject, 'CN=rsa.example');
    assert.ok(certificate.checkPrivateKey(createPrivateKey(found.key.reveal())));
    assert.deepEqual(
      found.intermediates.map((each) => new X509Certificate(each).subject),
      ['CN=Test issuer', 'CN=Test above'],
    );
    assert.equal((await secrets.readCertificate(await putPieces(ecdsa()), reader)).intermediates.length, 0);
    if (putPayload === null) return;
    for (const bundle of ['ecdsa-modern.p12', 'rsa-legacy.p12']) {
      const opened = await secrets.readCertificate(await putPayload(fixture(bundle)), reader);
      assert.equal(opened.intermediates.length, 2, bundle);
    }
    const locked = await putPayload(fixture('rsa-password.p12'));
    await assert.rejects(secrets.readCertificate(locked, reader), isUnusable(locked, 'unreadable bundle'));
  });

  test(`${name}: authorities and lists of revoked certificates are read, and nothing else passes for them`, async (t) => {
    const { secrets, reader, putText } = await open(t);
    const authorities = await putText(`A comment.\n${chainUpsideDown()}`);
    assert.equal(await secrets.readAuthorities(authorities, reader), chainUpsideDown());
    const list = await putText(fixtureText('issuer.crl'));
    assert.equal(await secrets.readRevocations(list, reader), fixtureText('issuer.crl'));
    await assert.rejects(secrets.readAuthorities(list, reader), isUnusable(list, 'unreadable'));
    await assert.rejects(secrets.readRevocations(authorities, reader), isUnusable(authorities, 'unreadable'));
  });

  test(`${name}: what is not there, or cannot be a reference, is not found`, async (t) => {
    const { secrets, reader, putPieces, remove } = await open(t);
    const gone = await putPieces(ecdsa());
    await remove(gone);
    for (const ref of [gone, ...strange]) {
      await assert.rejects(secrets.readCertificate(ref, reader), isUnusable(ref, 'not found'), ref);
      await assert.rejects(secrets.readAuthorities(ref, reader), isUnusable(ref, 'not found'), ref);
      await assert.rejects(secrets.readRevocations(ref, reader), isUnusable(ref, 'not found'), ref);
      await assert.rejects(secrets.readVersion(ref, reader), isUnusable(ref, 'not found'), ref);
    }
  });

  test(`${name}: the version changes with the material, and only then`, async (t) => {
    const { secrets, reader, putPieces, replacePieces } = await open(t);
    const ref = await putPieces(ecdsa());
    const version = await secrets.readVersion(ref, reader);
    assert.equal(await secrets.readVersion(ref, reader), version);
    if (replacePieces === null) return;
    await replacePieces(ref, rsa());
    assert.notEqual(await secrets.readVersion(ref, reader), version);
    assert.equal(new X509Certificate((await secrets.readCertificate(ref, reader)).certificate).subject, 'CN=rsa.example');
  });

  usesAndOutages(name, open);
}

function usesAndOutages(name: string, open: (t: TestContext) => Promise<SecretsStage>): void {
  test(`${name}: load balancers are entered as consumers, and taken off`, async (t) => {
    const { secrets, putPieces, consumersOf, remove } = await open(t);
    const [one, other] = [await putPieces(ecdsa()), await putPieces(rsa())];
    const loadbalancer = { id: '11111111-2222-4333-8444-555555555555', project_id: 'project' };
    await secrets.recordUses(loadbalancer, [one, one]);
    await secrets.recordUses(loadbalancer, [other, one]);
    await secrets.recordUses(loadbalancer, [other, one]);
    if (consumersOf !== null) assert.deepEqual([await consumersOf(one), await consumersOf(other)], [[loadbalancer.id], [loadbalancer.id]]);
    await secrets.recordUses(loadbalancer, [other]);
    if (consumersOf !== null) assert.deepEqual([await consumersOf(one), await consumersOf(other)], [[], [loadbalancer.id]]);
    // What is gone meanwhile is in nobody's way.
    await remove(other);
    await secrets.recordUses(loadbalancer, [one, ...strange]);
    if (consumersOf !== null) assert.deepEqual(await consumersOf(one), [loadbalancer.id]);
    await secrets.recordUses(loadbalancer, []);
    if (consumersOf !== null) assert.deepEqual(await consumersOf(one), []);
  });

  test(`${name}: while it does not answer, the caller is to try again`, async (t) => {
    const { secrets, reader, putPieces, breakDown } = await open(t);
    if (breakDown === null) return;
    const ref = await putPieces(ecdsa());
    await secrets.readCertificate(ref, reader);
    await breakDown();
    for (const attempt of [
      () => secrets.readCertificate(ref, reader),
      () => secrets.readAuthorities(ref, reader),
      () => secrets.readRevocations(ref, reader),
      () => secrets.readVersion(ref, reader),
    ])
      await assert.rejects(attempt, Retry);
  });
}
