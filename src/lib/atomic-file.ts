/** Writing files so that a reader, or a crash, sees the old content or the new one and never half of it. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Rights of the new file; 0600 unless told, because a file that should be public is the exception here. */
export type WriteOptions = { readonly mode?: number };

/**
 * Replaces a file: writes a temporary one beside it, sets its rights (whatever the umask), syncs it to the disk and
 * renames it. The folder must exist. On failure the temporary file is removed and the old one is untouched.
 */
export async function writeFileAtomic(path: string, content: string | Uint8Array, options: WriteOptions = {}): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomBytes(6).toString('hex')}`);
  try {
    // Opened with no rights for others from the start: between open and chmod nobody else can read a secret.
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.chmod(options.mode ?? 0o600);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
