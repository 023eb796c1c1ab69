/** Certificates between controllers and agents: the built-in authority, or the operator's files. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { Secret } from '../../lib/secret.ts';
import { type Digest, makeCertificate, newKey } from './x509/certificate.ts';

/** A certificate with its key, as PEM. */
export type KeyedCertificate = { readonly certificate: string; readonly key: Secret };

/** A certificate made for an amphora. */
export type IssuedCertificate = KeyedCertificate & {
  /** Hex digits. */
  readonly serial: string;
  readonly not_after: Date;
  /** Certificate and key in one text, as agents take it (`server.pem`). */
  readonly pem: Secret;
};

/** An authority that signs. */
export type Authority = { readonly certificate: X509Certificate; readonly key: KeyObject };

/** How long a certificate is valid from now on, and how it is signed. */
export type Validity = { readonly seconds: number; readonly digest: Digest; readonly now_ms: number };

/** Where the certificates are: `[certificates]`, `[haproxy_amphora]`, `[controller_worker]`. */
export type PkiFiles = {
  readonly ca_certificate: string;
  readonly ca_private_key: string;
  readonly ca_private_key_passphrase: Secret | null;
  /** Certificate and key in one file. */
  readonly client_cert: string;
  readonly server_ca: string;
  readonly client_ca: string;
};

/** Everything that controllers need to speak to agents and to make new ones. */
export type Pki = {
  /** Signs server certificates for amphorae. */
  readonly authority: Authority;
  /** What controllers show to agents. */
  readonly client: KeyedCertificate;
  /** PEM: what agents are checked against. */
  readonly server_ca: string;
  /** PEM: what agents check controllers against; goes into each amphora. */
  readonly client_ca: string;
};

/** Clocks of amphorae may be a little behind. */
const backdated_ms = 3_600_000;
const year_seconds = 365 * 86_400;

/** A new authority. */
export function createAuthority(common_name: string, validity: Validity): Authority {
  const key = newKey();
  return { certificate: makeCertificate(key, { certificate: null, key }, { common_name, kind: 'authority', ...span(validity) }), key };
}

/** A certificate and key for an amphora (its id is the name that is checked), or for controllers. */
export function issueCertificate(authority: Authority, common_name: string, validity: Validity): IssuedCertificate {
  const key = newKey();
  const certificate = makeCertificate(key, authority, { common_name, kind: 'peer', ...span(validity) });
  const keyText = pemOf(key);
  return {
    certificate: certificate.toString(),
    key: new Secret(keyText),
    serial: certificate.serialNumber.toLowerCase(),
    not_after: new Date(certificate.validTo),
    pem: new Secret(certificate.toString() + keyText),
  };
}

const span = ({ seconds, digest, now_ms }: Validity) => ({
  not_before: new Date(now_ms - backdated_ms),
  not_after: new Date(now_ms + seconds * 1000),
  digest,
});

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

/** Reads the operator's files, or ours. Throws an `Error` that names the file and what is wrong with it. */
export async function loadPki(files: PkiFiles): Promise<Pki> {
  const [server_ca, client_ca, client] = await Promise.all([
    readText(files.server_ca),
    readText(files.client_ca),
    readText(files.client_cert),
  ]);
  named(files.server_ca, () => new X509Certificate(server_ca));
  named(files.client_ca, () => new X509Certificate(client_ca));
  const clientKey = named(files.client_cert, () => createPrivateKey(client));
  named(files.client_cert, () => checkPair(new X509Certificate(client), clientKey));
  return {
    authority: await loadAuthority(files.ca_certificate, files.ca_private_key, files.ca_private_key_passphrase),
    client: { certificate: certificatesIn(client), key: new Secret(pemOf(clientKey)) },
    server_ca,
    client_ca,
  };
}

async function loadAuthority(certificate: string, key: string, passphrase: Secret | null): Promise<Authority> {
  const [certificateText, keyText] = await Promise.all([readText(certificate), readText(key)]);
  const authority = {
    certificate: named(certificate, () => new X509Certificate(certificateText)),
    key: named(key, () => createPrivateKey({ key: keyText, ...(passphrase === null ? {} : { passphrase: passphrase.reveal() }) })),
  };
  named(key, () => checkPair(authority.certificate, authority.key));
  return authority;
}

function checkPair(certificate: X509Certificate, key: KeyObject): void {
  if (!certificate.checkPrivateKey(key)) throw new Error('the key does not belong to the certificate');
}

/** All certificates of a PEM text, without keys. */
const certificatesIn = (pem: string): string =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu)].map(([text]) => `${text}\n`).join('');

function named<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new Error(`${path}: the file cannot be read`, { cause: error });
  }
}

/**
 * Makes what is missing of our own authority, for one machine: the authority that signs for amphorae, the one that signs
 * for controllers (its key beside `client_ca`, ending in `.key`), and the controllers' certificate, anew when it has less
 * than a year left. Keys are written before their certificates, so a crash in between makes the pair again. Only for one
 * process at a time.
 */
export async function createPkiFiles(files: PkiFiles, now_ms: number): Promise<void> {
  const years = (count: number): Validity => ({ seconds: count * year_seconds, digest: 'sha256', now_ms });
  const folders = new Set([files.ca_certificate, files.ca_private_key, files.client_cert, files.server_ca, files.client_ca].map(dirname));
  await Promise.all([...folders].map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })));
  const clientKeyPath = `${files.client_ca.replace(/\.pem$/u, '')}.key`;
  if (!(await exists(files.ca_certificate))) {
    await writeAuthority(createAuthority('Octavia amphora CA', years(20)), files.ca_certificate, files.ca_private_key);
  }
  if (files.server_ca !== files.ca_certificate && !(await exists(files.server_ca))) {
    await writeFileAtomic(files.server_ca, await readText(files.ca_certificate), { mode: 0o644 });
  }
  if (!(await exists(files.client_ca))) {
    await writeAuthority(createAuthority('Octavia controller CA', years(20)), files.client_ca, clientKeyPath);
  }
  const clientCa = new X509Certificate(await readText(files.client_ca));
  if (await isGood(files.client_cert, clientCa, now_ms + year_seconds * 1000)) return;
  const issued = issueCertificate(await loadAuthority(files.client_ca, clientKeyPath, null), 'octavia-controller', years(10));
  await writeFileAtomic(files.client_cert, issued.pem.reveal());
}

async function writeAuthority(authority: Authority, certificatePath: string, keyPath: string): Promise<void> {
  await writeFileAtomic(keyPath, pemOf(authority.key));
  await writeFileAtomic(certificatePath, authority.certificate.toString(), { mode: 0o644 });
}

async function exists(path: string): Promise<boolean> {
  return (await readFile(path).catch(() => null)) !== null;
}

async function isGood(path: string, authority: X509Certificate, until_ms: number): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return false;
  const certificate = named(path, () => new X509Certificate(text));
  return certificate.verify(authority.publicKey) && Date.parse(certificate.validTo) > until_ms;
}
