/** PEM (RFC 7468) in and out. What tenants store is taken apart and written anew, so that nothing but the blocks themselves goes on. */
import { X509Certificate } from 'node:crypto';
import { readElements, tags } from '../../lib/der.ts';

/** A block: `label` as in `-----BEGIN label-----`, `text` the whole of it. */
export type PemBlock = { readonly label: string; readonly text: string };

/** More blocks than anybody's chain has. */
const MAX_BLOCKS = 200;

/** All blocks of a text, in order. Throws `RangeError` when there are more than 200. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  const begin = /-----BEGIN ([A-Z0-9 ]{1,40})-----/gu;
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    const label = match[1] ?? '';
    const end = `-----END ${label}-----`;
    const at = text.indexOf(end, begin.lastIndex);
    if (at < 0) break;
    if (blocks.length === MAX_BLOCKS) throw new RangeError(`more than ${MAX_BLOCKS} PEM blocks`);
    blocks.push({ label, text: `${text.slice(match.index, at)}${end}\n` });
    begin.lastIndex = at + end.length;
  }
  return blocks;
}

/** The bytes inside a block. */
export function bytesOf(block: PemBlock): Buffer {
  const lines = block.text.split(/\r?\n/u).filter((line) => !line.startsWith('-----') && !line.includes(':'));
  return Buffer.from(lines.join(''), 'base64');
}

/** Bytes as a block. */
export function pemOf(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/gu) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The certificates of a text: PEM, PKCS#7 as PEM, or PKCS#7 as DER. Throws when one cannot be read. */
export function certificatesIn(content: Buffer): X509Certificate[] {
  const text = content.toString('latin1');
  const certificates: X509Certificate[] = [];
  const blocks = pemBlocks(text);
  for (const block of blocks) {
    if (block.label === 'CERTIFICATE' || block.label === 'X509 CERTIFICATE') certificates.push(new X509Certificate(bytesOf(block)));
    else if (block.label === 'PKCS7' || block.label === 'CMS') certificates.push(...certificatesOfPkcs7(bytesOf(block)));
  }
  return blocks.length === 0 && content[0] === tags.sequence ? certificatesOfPkcs7(content) : certificates;
}

const signedData = Buffer.from('06092a864886f70d010702', 'hex');

/** The certificates of a SignedData (RFC 5652 section 5.1), whose signature is of no interest. */
function certificatesOfPkcs7(der: Buffer): X509Certificate[] {
  const [info] = readElements(der);
  const [type, explicit] = readElements(info?.body ?? Buffer.alloc(0));
  if (type === undefined || explicit === undefined || !type.whole.equals(signedData)) throw new RangeError('not a PKCS#7 of certificates');
  const [signed] = readElements(explicit.body);
  const list = readElements(signed?.body ?? Buffer.alloc(0)).find((element) => element.tag === 0xa0);
  return readElements(list?.body ?? Buffer.alloc(0)).map((element) => new X509Certificate(element.whole));
}
