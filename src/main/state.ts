/** The state folder: claimed by one program at a time, with a short id that marks everything this state makes on the machine. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProcess, isRunning } from '../cloud/local/compute/processes.ts';
import { isStateId, newStateId } from '../cloud/local/fabric/names.ts';

/** Something that the user has to change before the program can start: one sentence that says what and what to do. */
export class StartRefused extends Error {
  constructor(sentence: string, options: { cause?: unknown } = {}) {
    super(sentence, options);
    this.name = 'StartRefused';
  }
}

/** A state folder that is ours until `release`. */
export type State = { readonly dir: string; readonly id: string; readonly release: () => void };

/** The processes that may hold a state folder. */
export const processNames = ['all', 'api', 'worker', 'health-manager', 'housekeeping'] as const;

const idFile = 'state-id';

/**
 * Makes or takes the folder for the process of that name (`all`, or one kind of controller). Throws `StartRefused` when it cannot be
 * used or such a process runs on it. `all` and single controllers may share a folder only on purpose: they find each other's work
 * through the database.
 */
export function claimState(dir: string, name: string): State {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const release = lock(dir, name);
    return { dir, id: stateIdOf(dir) ?? drawId(dir), release };
  } catch (error) {
    if (error instanceof StartRefused) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new StartRefused(
      `The state folder ${dir} cannot be used (${reason}): make it writable, or set OCTAVIA_STATE_DIR to another one.`,
      { cause: error },
    );
  }
}

/** The id of a state folder; null: it has none. Throws `StartRefused` when the file is damaged. */
export function stateIdOf(dir: string): string | null {
  let text: string;
  try {
    text = readFileSync(join(dir, idFile), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (!isStateId(text)) throw new StartRefused(`The file ${join(dir, idFile)} is damaged: it should hold six hexadecimal digits.`);
  return text;
}

function drawId(dir: string): string {
  const id = newStateId();
  writeFileSync(join(dir, idFile), `${id}\n`, { mode: 0o600, flag: 'wx' });
  return id;
}

/** A lock file with pid and start time: one whose process is gone is taken over. */
function lock(dir: string, name: string): () => void {
  const path = join(dir, `${name}.lock`);
  const self = findProcess(process.pid);
  const text = JSON.stringify(self);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
      return () => release(path, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readHolder(path);
    if (holder !== null && isRunning(holder)) {
      throw new StartRefused(
        `Another Octavia (process ${holder.pid}) runs on the state folder ${dir}: stop it, or set OCTAVIA_STATE_DIR to another folder.`,
      );
    }
    rmSync(path, { force: true });
  }
  throw new StartRefused(`The state folder ${dir} is being taken by another program: try again.`);
}

const release = (path: string, text: string): void => {
  if (readText(path) === text) rmSync(path, { force: true });
};

const readText = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

function readHolder(path: string): { pid: number; started: number } | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { pid: number; started: number };
  } catch {
    return null;
  }
}
