import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { Secret } from '../../lib/secret.ts';
import { makeCertificate } from './x509/certificate.ts';
import { type Authority, createAuthority, createPkiFiles, issueCertificate, loadPki, type PkiFiles, type Validity } from './pki.ts';

const id = '60000000-0000-4000-8000-000000000001';
const month: Validity = { seconds: 2_592_000, digest: 'sha256', now_ms: Date.now() };
const year = 365 * 86_400_000;

function inFolder(work: (files: PkiFiles, folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pki-'));
    const at = (name: string) => join(folder, 'pki', name);
    const files = {
      ca_certificate: at('server-ca.pem'),
      ca_private_key: at('server-ca.key'),
      ca_private_key_passphrase: null,
      client_cert: at('client.pem'),
      server_ca: at('server-ca.pem'),
      client_ca: at('client-ca.pem'),
    };
    try {
      await work(files, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** A TLS connection with client certificate between two authorities' certificates; answers what each side thinks of the other. */
async function handshake(
  server: Authority,
  client: Authority,
  name: string,
  checked: string,
): Promise<{ authorized: boolean; error: string }> {
  const serverCertificate = issueCertificate(server, name, month);
  const clientCertificate = issueCertificate(client, 'octavia-controller', month);
  const listener = createServer({
    cert: serverCertificate.certificate,
    key: serverCertificate.key.reveal(),
    ca: client.certificate.toString(),
    requestCert: true,
    rejectUnauthorized: true,
  });
  listener.on('tlsClientError', () => undefined);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const accepted = once(listener, 'secureConnection').then(([socket]) => (socket as TLSSocket).on('error', () => undefined).authorized);
  const socket = connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    servername: checked,
    ca: server.certificate.toString(),
    cert: clientCertificate.certificate,
    key: clientCertificate.key.reveal(),
  });
  try {
    await once(socket, 'secureConnect');
    return { authorized: socket.authorized && (await accepted), error: '' };
  } catch (error) {
    return { authorized: false, error: (error as NodeJS.ErrnoException).code ?? String(error) };
  } finally {
    socket.destroy();
    listener.close();
  }
}

test('agent and controller accept each other, and only under the right name', async () => {
  const server = createAuthority('servers', month);
  const client = createAuthority('clients', month);
  assert.deepEqual(await handshake(server, client, id, id), { authorized: true, error: '' });
  assert.deepEqual(await handshake(server, client, id, 'another'), { authorized: false, error: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('an RSA authority signs for us', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spec = {
    common_name: 'operator',
    kind: 'authority',
    not_before: new Date(Date.now() - year),
    not_after: new Date(Date.now() + year),
  } as const;
  for (const digest of ['sha256', 'sha384', 'sha512'] as const) {
    const certificate = makeCertificate(privateKey, { certificate: null, key: privateKey }, { ...spec, digest });
    const rsa = { certificate, key: privateKey };
    assert.deepEqual(await handshake(rsa, rsa, id, id), { authorized: true, error: '' });
  }
});

test('an Ed25519 authority signs for us', async () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const spec = {
    common_name: 'operator',
    kind: 'authority',
    digest: 'sha256',
    not_before: new Date(0),
    not_after: new Date(Date.now() + 40 * year),
  } as const;
  const authority = { certificate: makeCertificate(privateKey, { certificate: null, key: privateKey }, spec), key: privateKey };
  assert.deepEqual(await handshake(authority, authority, id, id), { authorized: true, error: '' });
});

test('a certificate says what upstream expects of it', () => {
  const authority = createAuthority('servers', month);
  const issued = issueCertificate(authority, id, month);
  const certificate = new X509Certificate(issued.certificate);
  assert.equal(certificate.subject, `CN=${id}`);
  assert.equal(certificate.issuer, 'CN=servers');
  assert.equal(certificate.subjectAltName, `DNS:${id}`);
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(certificate.ca, false);
  assert.ok(certificate.checkIssued(authority.certificate));
  assert.ok(certificate.verify(authority.certificate.publicKey));
  assert.ok(Math.abs(issued.not_after.getTime() - month.now_ms - month.seconds * 1000) < 1000);
  assert.ok(certificate.validFromDate.getTime() < month.now_ms);
  assert.equal(issued.serial.length, 32);
  assert.equal(new X509Certificate(issued.pem.reveal()).checkPrivateKey(authority.key), false);
});

test('no two certificates have one serial number', () => {
  const authority = createAuthority('servers', month);
  assert.equal(new Set(Array.from({ length: 50 }, () => issueCertificate(authority, id, month).serial)).size, 50);
});

test('a key prints nowhere', () => {
  const issued = issueCertificate(createAuthority('servers', month), id, month);
  assert.doesNotMatch(inspect(issued, { depth: 9 }) + JSON.stringify(issued) + String(issued.pem), /PRIVATE KEY/u);
});

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test(
  'openssl accepts the chain under its strict rules',
  { skip: hasOpenssl ? false : 'openssl is not installed' },
  inFolder(async (files, folder) => {
    await createPkiFiles(files, Date.now());
    const { authority } = await loadPki(files);
    const leaf = join(folder, 'leaf.pem');
    writeFileSync(leaf, issueCertificate(authority, id, month).certificate);
    for (const purpose of ['sslserver', 'sslclient']) {
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-verify_hostname', id, '-CAfile', files.server_ca, leaf];
      const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
      assert.equal(status, 0, stdout + stderr);
    }
  }),
);

test(
  "an operator's authority made by openssl, with a name of several parts, signs for us",
  { skip: hasOpenssl ? false : 'openssl is not installed' },
  inFolder(async (files, folder) => {
    await createPkiFiles(files, Date.now());
    const subject = '/C=DE/O=Example/OU=Clöud/CN=operator';
    const made = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-utf8', '-subj', subject, '-days', '30'];
    const { status, stderr } = spawnSync('openssl', [...made, '-keyout', files.ca_private_key, '-out', files.ca_certificate], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    const { authority } = await loadPki(files);
    const leaf = join(folder, 'leaf.pem');
    writeFileSync(leaf, issueCertificate(authority, id, { ...month, seconds: 86_400, digest: 'sha512' }).certificate);
    const verified = spawnSync('openssl', ['verify', '-CAfile', files.ca_certificate, leaf], { encoding: 'utf8' });
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.deepEqual(await handshake(authority, authority, id, id), { authorized: true, error: '' });
  }),
);

test(
  'the files of one machine are made once, private, and made whole again after a crash',
  inFolder(async (files) => {
    await createPkiFiles(files, Date.now());
    const all = [files.ca_certificate, files.ca_private_key, files.client_ca, files.client_cert, files.client_ca.replace('.pem', '.key')];
    const before = all.map((path) => readFileSync(path, 'utf8'));
    await createPkiFiles(files, Date.now());
    assert.deepEqual(
      all.map((path) => readFileSync(path, 'utf8')),
      before,
    );
    for (const path of all.filter((name) => /\.key$|client\.pem$/u.test(name))) assert.equal(statSync(path).mode & 0o777, 0o600);
    const pki = await loadPki(files);
    assert.ok(new X509Certificate(pki.client.certificate).verify(new X509Certificate(pki.client_ca).publicKey));
    assert.doesNotMatch(pki.client.certificate, /KEY/u);
    for (const path of all.filter((name) => name.endsWith('.pem'))) {
      rmSync(path);
      await createPkiFiles(files, Date.now());
      const again = await loadPki(files);
      assert.ok(new X509Certificate(again.client.certificate).verify(new X509Certificate(again.client_ca).publicKey));
      assert.ok(
        new X509Certificate(issueCertificate(again.authority, id, month).certificate).verify(
          new X509Certificate(again.server_ca).publicKey,
        ),
      );
    }
  }),
);

test(
  "the controllers' certificate is renewed in its last year, under the same authority",
  inFolder(async (files) => {
    await createPkiFiles(files, Date.now() - 9.5 * year);
    const [authority, client] = [readFileSync(files.client_ca, 'utf8'), readFileSync(files.client_cert, 'utf8')];
    await createPkiFiles(files, Date.now());
    assert.equal(readFileSync(files.client_ca, 'utf8'), authority);
    assert.notEqual(readFileSync(files.client_cert, 'utf8'), client);
  }),
);

test(
  "an operator's key may have a passphrase, and a mistake names the file",
  inFolder(async (files) => {
    await createPkiFiles(files, Date.now());
    const { authority } = await loadPki(files);
    writeFileSync(
      files.ca_private_key,
      authority.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'tr0ub4dor' }),
    );
    await loadPki({ ...files, ca_private_key_passphrase: new Secret('tr0ub4dor') });
    await assert.rejects(loadPki(files), (error: Error) => error.message.startsWith(files.ca_private_key));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(files.ca_private_key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await assert.rejects(loadPki(files), /server-ca\.key: the key does not belong to the certificate/u);
    await assert.rejects(loadPki({ ...files, client_ca: '/nonexistent' }), /\/nonexistent: the file cannot be read/u);
  }),
);
