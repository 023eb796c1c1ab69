/**
 * Certificates in files (`cert_manager = local_cert_manager`), as the reference lays them out in `storage_path`: `<ref>.crt`, `<ref>.key`, and
 * where there are any `<ref>.int` (PEM or PKCS#7) and `<ref>.pass`. Authorities and lists of revoked certificates are `.crt` files, too. Whoever knows a name may use it:
 * the folder is the operator's. Replacing the files renews a certificate.
 */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Retry } from '../../model/faults.ts';
import { type Secrets, UnusableSecret } from '../secrets.ts';
import { createSecrets, type SecretSource } from '../tls/stored-secrets.ts';

/** No certificate, key or list that fits into HAProxy's memory is larger. */
const MAX_FILE_BYTES = 1024 * 1024;
const endings = ['.crt', '.key', '.int', '.pass'] as const;

/** The certificates of a folder, which may come into being later. */
export function createCertificateFiles(folder: string): Secrets {
  const source: SecretSource = {
    async findCertificate(ref) {
      const base = baseOf(folder, ref);
      const before = await versionOf(base, ref);
      const [certificate, private_key, intermediates, passphrase] = await Promise.all(endings.map((ending) => findFile(base + ending)));
      if (!certificate || !private_key) throw missing(ref);
      if ((await versionOf(base, ref)) !== before) throw new Retry(`The files of the certificate ${ref} are being replaced.`);
      return { form: 'pieces', certificate, private_key, intermediates: intermediates ?? null, passphrase: passphrase ?? null };
    },
    async findPayload(ref) {
      const content = await findFile(`${baseOf(folder, ref)}.crt`);
      if (content === null) throw missing(ref);
      return content;
    },
    readVersion: (ref) => versionOf(baseOf(folder, ref), ref),
    // Files have no consumers.
    recordUses: async () => undefined,
  };
  return createSecrets(source);
}

/** What tenants write becomes a file name only when it cannot leave the folder. */
function baseOf(folder: string, ref: string): string {
  if (!/^[A-Za-z0-9_][\w.-]{0,254}$/u.test(ref)) throw missing(ref);
  return join(folder, ref);
}

async function versionOf(base: string, ref: string): Promise<string> {
  const parts = await Promise.all(
    endings.map(async (ending) => {
      const found = await reading(() => stat(base + ending));
      return found === null ? '' : `${found.ino.toString(36)}.${Math.round(found.mtimeMs * 1000).toString(36)}.${found.size.toString(36)}`;
    }),
  );
  if (parts[0] === '') throw missing(ref);
  return parts.join('-');
}

function findFile(path: string): Promise<Buffer | null> {
  return reading(async () => {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      return size > MAX_FILE_BYTES ? Buffer.alloc(0) : await file.readFile();
    } finally {
      await file.close();
    }
  });
}

/** Null for what is not there or not for us; throws `Retry` when the disk or the process is in trouble. */
async function reading<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'].includes(code)) return null;
    throw new Retry(`A file of storage_path cannot be read (${code}).`, { cause: error });
  }
}

const missing = (ref: string): UnusableSecret =>
  new UnusableSecret(ref, 'not found', `There is no certificate ${ref} that this project may use.`);
