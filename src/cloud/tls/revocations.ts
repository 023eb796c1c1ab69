/** Lists of revoked certificates (RFC 5280 section 5), as far as Node does not read them by itself. */
import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto';
import { objectId, readElements, tags } from '../../lib/der.ts';
import { bytesOf, pemBlocks, pemOf } from './pem.ts';

type List = { readonly signed: Buffer; readonly algorithm: Buffer; readonly signature: Buffer };

/** Digest by the algorithm of a signature; null: the key alone says it. */
const digests = new Map<string, string | null>(
  [
    ['1.2.840.113549.1.1.5', 'sha1'],
    ['1.2.840.113549.1.1.14', 'sha224'],
    ['1.2.840.113549.1.1.11', 'sha256'],
    ['1.2.840.113549.1.1.12', 'sha384'],
    ['1.2.840.113549.1.1.13', 'sha512'],
    ['1.2.840.10045.4.1', 'sha1'],
    ['1.2.840.10045.4.3.1', 'sha224'],
    ['1.2.840.10045.4.3.2', 'sha256'],
    ['1.2.840.10045.4.3.3', 'sha384'],
    ['1.2.840.10045.4.3.4', 'sha512'],
    ['1.3.101.112', null],
    ['1.3.101.113', null],
  ].map(([oid, digest]) => [objectId(oid ?? '').toString('hex'), digest ?? null]),
);
const rsaPss = objectId('1.2.840.113549.1.1.10').toString('hex');

/** The lists of a text as one normalised PEM text. Throws when there is none or one cannot be read. */
export function revocationsIn(content: Buffer): string {
  const blocks = pemBlocks(content.toString('latin1')).filter((block) => block.label === 'X509 CRL');
  if (blocks.length === 0) throw new RangeError('no list of revoked certificates');
  return blocks
    .map((block) => {
      const bytes = bytesOf(block);
      partsOf(bytes);
      return pemOf('X509 CRL', bytes);
    })
    .join('');
}

/** Is every list of the one text signed by an authority of the other? */
export function areSignedBy(revocations: string, authorities: string): boolean {
  const keys = pemBlocks(authorities).map((block) => new X509Certificate(bytesOf(block)).publicKey);
  return pemBlocks(revocations).every((block) => {
    const list = partsOf(bytesOf(block));
    return keys.some((key) => isSignedBy(list, key));
  });
}

function partsOf(der: Buffer): List {
  const [whole, ...rest] = readElements(der);
  const [signed, algorithm, signature, ...more] = readElements(whole?.body ?? Buffer.alloc(0));
  if (
    whole?.tag !== tags.sequence ||
    rest.length > 0 ||
    more.length > 0 ||
    signed?.tag !== tags.sequence ||
    algorithm?.tag !== tags.sequence
  )
    throw new RangeError('not a list of revoked certificates');
  if (signature?.tag !== tags.bitString) throw new RangeError('the list has no signature');
  // Version, algorithm, issuer, time: a certificate has its serial number where a list has its algorithm.
  const fields = readElements(signed.body).filter((field) => field.tag !== tags.integer);
  if (fields[0]?.tag !== tags.sequence || fields[1]?.tag !== tags.sequence) throw new RangeError('not a list of revoked certificates');
  if (fields[2]?.tag !== tags.utcTime && fields[2]?.tag !== tags.generalizedTime) throw new RangeError('the list has no time');
  return { signed: signed.whole, algorithm: algorithm.body, signature: signature.body.subarray(1) };
}

function isSignedBy({ signed, algorithm, signature }: List, key: KeyObject): boolean {
  const oid = readElements(algorithm)[0]?.whole.toString('hex') ?? '';
  try {
    if (oid === rsaPss) {
      const padding = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
      return ['sha256', 'sha384', 'sha512', 'sha1'].some((digest) => verify(digest, signed, padding, signature));
    }
    const digest = digests.get(oid);
    return digest !== undefined && verify(digest, signed, key, signature);
  } catch {
    // A key of another kind than the signature.
    return false;
  }
}
