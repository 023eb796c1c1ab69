/** Files that may be missing, and waiting for what other processes do. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as after } from 'node:timers/promises';

/** The text of a file; undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** The JSON of a file that we wrote; undefined when there is none, or when it is damaged: all such files can be done without. */
export async function readJsonIfThere<T>(path: string): Promise<T | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** Replaces a file that may be lost in a power failure but must never be half-written (0600). */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

/** Asks again and again, soon at first, until the answer is not undefined; undefined when the time is over. */
export async function until<T>(limit_ms: number, ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const end = Date.now() + limit_ms;
  for (let wait = 2; ; wait = Math.min(wait * 1.3, 25)) {
    const answer = await ask();
    if (answer !== undefined || Date.now() > end) return answer;
    await after(wait);
  }
}

/** The process whose id a file of the init holds, when it lives. */
export async function livingProcess(pidFile: string): Promise<number | undefined> {
  const pid = Number(await readIfThere(pidFile));
  const stat = pid > 0 ? await readIfThere(`/proc/${pid}/stat`) : undefined;
  return stat === undefined || /\) Z /u.test(stat) ? undefined : pid;
}
