/** From what a key manager stores to what a server can show: the pieces are read, checked against each other and written anew. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { Secret } from '../../lib/secret.ts';
import { type SecretRefusal, type TlsCertificate, UnusableSecret } from '../secrets.ts';
import { openLockedKey, openPkcs12, type Unlocked } from './locked.ts';
import { certificatesIn, pemBlocks, type PemBlock } from './pem.ts';
import { revocationsIn } from './revocations.ts';

/** What stands behind a reference to a certificate: one PKCS#12 or PEM bundle, or the pieces. */
export type StoredCertificate =
  | { readonly form: 'bundle'; readonly content: Buffer }
  | {
      readonly form: 'pieces';
      readonly certificate: Buffer;
      readonly private_key: Buffer;
      readonly intermediates: Buffer | null;
      readonly passphrase: Buffer | null;
    };

/** Each may have a passphrase, which takes work. */
const MAX_KEYS = 4;

type Pieces = { readonly certificates: readonly X509Certificate[]; readonly keys: readonly KeyObject[] };

/** Larger than Barbican's limit for a secret, so that nothing endless is read. */
const MAX_BYTES = 1024 * 1024;

/** The certificate with its key and chain. Throws `UnusableSecret`. */
export async function certificateFrom(ref: string, stored: StoredCertificate): Promise<TlsCertificate> {
  const { certificates, keys } = stored.form === 'bundle' ? await open(ref, stored.content) : await readPieces(ref, stored);
  if (certificates.length === 0) throw unusable(ref, 'unreadable', 'there is no certificate in it');
  if (keys.length === 0) throw unusable(ref, 'unreadable', 'there is no private key in it');
  // A container says which certificate is the server's own; in a bundle it is the one that the key belongs to.
  const candidates = stored.form === 'bundle' ? certificates : certificates.slice(0, 1);
  for (const certificate of candidates) {
    const key = keys.find((each) => certificate.checkPrivateKey(each));
    if (key === undefined) continue;
    if (!hasName(certificate))
      throw new UnusableSecret(ref, 'nameless', 'No CN or DNSName(s) found in certificate. The certificate is invalid.');
    const others = certificates.filter((each) => each !== certificate);
    return {
      certificate: certificate.toString(),
      intermediates: inOrder(certificate, others).map(String),
      key: new Secret(key.export({ type: 'pkcs8', format: 'pem' }) as string),
      not_after_ms: Date.parse(certificate.validTo),
    };
  }
  throw unusable(ref, 'unreadable', 'the private key does not belong to the certificate');
}

/** Authorities as one PEM text. Throws `UnusableSecret`. */
export function authoritiesFrom(ref: string, content: Buffer): string {
  const certificates = tried(ref, 'not a certificate in PEM', () => certificatesIn(limited(content)));
  if (certificates.length === 0) throw unusable(ref, 'unreadable', 'there is no certificate in it');
  return certificates.map(String).join('');
}

/** Lists of revoked certificates as one PEM text. Throws `UnusableSecret`. */
export function revocationsFrom(ref: string, content: Buffer): string {
  return tried(ref, 'not a list of revoked certificates in PEM', () => revocationsIn(limited(content)));
}

async function open(ref: string, content: Buffer): Promise<Pieces> {
  if (limited(content).includes('-----BEGIN ')) return readPem(ref, content);
  const unlocked = await openPkcs12(limited(content));
  const pieces = unlocked === null ? null : piecesOf(unlocked);
  if (pieces !== null) return pieces;
  throw new UnusableSecret(
    ref,
    'unreadable bundle',
    'The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. In addition, make sure it does not require a pass phrase. Error: Invalid password or PKCS12 data',
  );
}

/** Null: what came out of it is no key or certificate. */
function piecesOf({ keys, certificates }: Unlocked): Pieces | null {
  try {
    return {
      keys: keys.map((key) => createPrivateKey({ key: Buffer.from(key), format: 'der', type: 'pkcs8' })),
      certificates: certificates.map((certificate) => new X509Certificate(certificate)),
    };
  } catch {
    return null;
  }
}

async function readPem(ref: string, content: Buffer): Promise<Pieces> {
  return {
    certificates: tried(ref, 'a certificate in it cannot be read', () => certificatesIn(content)),
    keys: await keysIn(ref, content, null),
  };
}

async function readPieces(ref: string, stored: Extract<StoredCertificate, { form: 'pieces' }>): Promise<Pieces> {
  const own = tried(ref, 'the certificate cannot be read', () => certificatesIn(limited(stored.certificate)));
  const { intermediates } = stored;
  const above =
    intermediates === null ? [] : tried(ref, 'an intermediate certificate cannot be read', () => certificatesIn(limited(intermediates)));
  return { certificates: [...own, ...above], keys: await keysIn(ref, limited(stored.private_key), stored.passphrase) };
}

async function keysIn(ref: string, content: Buffer, passphrase: Buffer | null): Promise<KeyObject[]> {
  const keys: KeyObject[] = [];
  const blocks = tried(ref, 'there are too many blocks in it', () => pemBlocks(content.toString('latin1')));
  const ofKeys = blocks.filter(({ label }) => label === 'PRIVATE KEY' || label.endsWith(' PRIVATE KEY'));
  for (const block of ofKeys.slice(0, MAX_KEYS)) {
    const key = isLocked(block)
      ? await unlocked(block, passphrase ?? Buffer.alloc(0))
      : tried(ref, 'the private key cannot be read', () => createPrivateKey(block.text));
    if (key === null) throw unusable(ref, 'unreadable', 'the private key cannot be read, or needs another passphrase');
    keys.push(key);
  }
  return keys;
}

const isLocked = ({ label, text }: PemBlock): boolean => label === 'ENCRYPTED PRIVATE KEY' || text.includes('Proc-Type: 4,ENCRYPTED');

/** A line's end behind a passphrase, which editors leave, is not part of it. */
async function unlocked(block: PemBlock, passphrase: Buffer): Promise<KeyObject | null> {
  const trimmed = Buffer.from(passphrase.toString('latin1').replace(/\r?\n$/u, ''), 'latin1');
  for (const each of trimmed.equals(passphrase) ? [passphrase] : [passphrase, trimmed]) {
    const opened = await openLockedKey(block, each).catch(() => null);
    const key = opened === null ? undefined : piecesOf(opened)?.keys[0];
    if (key !== undefined) return key;
  }
  return null;
}

/** Issuer above issuer; what does not fit into the chain stays at its end, as it was given. */
function inOrder(certificate: X509Certificate, others: readonly X509Certificate[]): X509Certificate[] {
  const rest = [...others];
  const chain: X509Certificate[] = [];
  for (let below = certificate; ;) {
    const at = rest.findIndex((each) => below.checkIssued(each) && below !== each);
    const next = at < 0 ? undefined : rest.splice(at, 1)[0];
    if (next === undefined) return [...chain, ...rest];
    chain.push(next);
    below = next;
  }
}

const hasName = ({ subject, subjectAltName }: X509Certificate): boolean =>
  /^CN=./mu.test(subject ?? '') || /(?:^|, )DNS:/u.test(subjectAltName ?? '');

function limited(content: Buffer): Buffer {
  return content.length > MAX_BYTES ? Buffer.alloc(0) : content;
}

/** The cause is not kept: OpenSSL's errors may quote what was read. */
function tried<T>(ref: string, what: string, read: () => T): T {
  try {
    return read();
  } catch {
    throw unusable(ref, 'unreadable', what);
  }
}

function unusable(ref: string, why: SecretRefusal, what: string): UnusableSecret {
  return new UnusableSecret(ref, why, `Could not use the certificate ${ref}: ${what}.`);
}
