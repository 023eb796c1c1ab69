/** Secrets that are drawn once. */
import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** A secret in a file of its own that only its owner may read; of several who draw at once the first wins. */
export function secretFile(path: string, draw: () => string): string {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    // Linked, not renamed: nobody sees half of it, and nobody's is replaced.
    writeFileSync(temporary, `${draw()}\n`, { mode: 0o600, flag: 'wx' });
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readFileSync(path, 'utf8').trim();
}
