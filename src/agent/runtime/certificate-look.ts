/** Compares the certificates that a worker shows with the files that they came from. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseTlsFileName } from '../../wire/tls-files.ts';
import { parseFingerprint } from './seen.ts';
import type { Session } from './session.ts';
import type { TlsHeld } from './steps.ts';
import { commandWord } from './words.ts';

/** Looks, and remembers fingerprints of files: their names carry the MD5 of their content, so none changes. */
export class CertificateLook {
  #known = new Map<string, string>();

  /** What the worker has, with an empty name for each certificate that is not the one of its file. Throws `SessionError`. */
  async compare(session: Session, held: TlsHeld): Promise<TlsHeld> {
    const paths = Object.keys(held).filter((path) => held[path] !== '' && isCertificate(path));
    const answers = await session.askAll(paths.map((path) => `show ssl cert ${commandWord(path)}`));
    const compared: Record<string, string> = { ...held };
    const known = new Map<string, string>();
    for (const [index, path] of paths.entries()) {
      const file = `${dirname(path)}/${held[path]}`;
      const expected = this.#known.get(file) ?? (await fingerprintOf(file));
      if (expected === undefined) continue;
      known.set(file, expected);
      if (parseFingerprint(answers[index] ?? '') !== expected) compared[path] = '';
    }
    this.#known = known;
    return compared;
  }
}

/** By the slots of `render/tls-files.ts`: the rest are lists, authorities and revocation lists. */
function isCertificate(path: string): boolean {
  const slot = parseTlsFileName(path.slice(path.lastIndexOf('/') + 1))?.slot ?? '';
  return slot === 'sni' || slot.endsWith('-default') || slot.endsWith('-crt');
}

/** Undefined: the file is gone or no certificate. */
async function fingerprintOf(file: string): Promise<string | undefined> {
  try {
    return new X509Certificate(await readFile(file)).fingerprint.replaceAll(':', '');
  } catch {
    return undefined;
  }
}
