/** Opens one bundle or key in a thread of its own, and ends. */
import { createPrivateKey } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import forge from 'node-forge';
import type { Locked, Unlocked } from './locked.ts';

const { pkcs12, asn1, pki } = forge;

const bags: Readonly<Record<string, 'key' | 'certificate'>> = {
  [pki.oids['keyBag'] ?? '']: 'key',
  [pki.oids['pkcs8ShroudedKeyBag'] ?? '']: 'key',
  [pki.oids['certBag'] ?? '']: 'certificate',
};

const locked = workerData as Locked;
parentPort?.postMessage(locked.form === 'pkcs12' ? contentOf(Buffer.from(locked.bundle)) : keyOf(locked));

function keyOf({ pem, passphrase }: Extract<Locked, { form: 'key' }>): Unlocked | null {
  try {
    const key = createPrivateKey({ key: pem, passphrase: Buffer.from(passphrase) });
    return { keys: [key.export({ type: 'pkcs8', format: 'der' })], certificates: [] };
  } catch {
    return null;
  }
}

function contentOf(bundle: Buffer): Unlocked | null {
  for (const password of ['', null]) {
    try {
      const parsed = pkcs12.pkcs12FromAsn1(asn1.fromDer(bundle.toString('latin1')), true, password as string);
      const found = parsed.safeContents.flatMap((content) => content.safeBags);
      const bytesOf = (kind: 'key' | 'certificate'): Uint8Array[] =>
        found.flatMap((bag) => (bags[bag.type] === kind ? [derOf(kind, bag)] : [])).filter((each) => each !== null);
      return { keys: bytesOf('key'), certificates: bytesOf('certificate') };
    } catch {
      // No bytes and two zero bytes are both "no password": RFC 7292 appendix B.1 leaves it open, and both are found.
    }
  }
  return null;
}

/** `asn1` is there for kinds of key that the library does not know, as elliptic curves. */
function derOf(kind: 'key' | 'certificate', bag: forge.pkcs12.Bag): Uint8Array | null {
  let tree: forge.asn1.Asn1 | null = null;
  if (kind === 'certificate') tree = bag.cert ? pki.certificateToAsn1(bag.cert) : (bag.asn1 ?? null);
  else tree = bag.key ? pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(bag.key)) : (bag.asn1 ?? null);
  return tree === null ? null : Buffer.from(asn1.toDer(tree).getBytes(), 'latin1');
}
