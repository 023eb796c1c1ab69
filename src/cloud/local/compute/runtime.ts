/** What amphorae need to run, copied into the state folder so that they start again without the checkout. */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, link, mkdir, readFile, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InstanceRecords } from './record.ts';

/** Where the programs are taken from. */
export type RuntimeSources = { readonly nodeBinary: string; readonly agentBundle: string; readonly initScript: string };

/** A copy of them; the three names are those of files in `folder`. */
export type Runtime = { readonly folder: string; readonly node: string; readonly agent: string; readonly init: string };

/**
 * Copies node, the agent and the init into `<state>/runtime/<version>/` unless that is there. The version is a hash of agent and init, and
 * of node's size and time of change (hashing its 120 MB takes 0.2 s, at each start). Versions that no instance runs are removed.
 *
 * The folder appears whole or not at all. Throws the file system's error when a source is missing or the disk is full.
 */
export async function prepareRuntime(state_dir: string, sources: RuntimeSources): Promise<Runtime> {
  const names = { node: 'node', agent: basename(sources.agentBundle), init: basename(sources.initScript) };
  const parent = join(state_dir, 'runtime');
  const folder = join(parent, await versionOf(sources));
  if (!(await exists(folder))) {
    const temporary = join(parent, `.new-${randomBytes(6).toString('hex')}`);
    await mkdir(temporary, { recursive: true, mode: 0o755 });
    try {
      await place(await realpath(sources.nodeBinary), join(temporary, names.node));
      await copy(sources.agentBundle, join(temporary, names.agent), 0o644);
      await copy(sources.initScript, join(temporary, names.init), 0o755);
      await rename(temporary, folder).catch(async (error: unknown) => {
        // Another process was faster: its copy is the same.
        if (!(await exists(folder))) throw error;
      });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }
  await removeOthers(parent, [folder, ...foldersInUse(state_dir)]);
  return { folder, ...names };
}

async function versionOf(sources: RuntimeSources): Promise<string> {
  const node = await stat(sources.nodeBinary);
  const hash = createHash('sha256').update(`${node.size} ${node.mtimeMs} ${await realpath(sources.nodeBinary)}\n`);
  for (const path of [sources.agentBundle, sources.initScript]) hash.update(`${basename(path)}\n`).update(await readFile(path));
  return hash.digest('hex').slice(0, 16);
}

/** Sharing blocks costs nothing, a hard link neither (npm replaces files, it never writes into them); else 120 MB are copied. */
async function place(from: string, to: string): Promise<void> {
  const ways = [() => copyFile(from, to, constants.COPYFILE_FICLONE_FORCE), () => link(from, to), () => copyFile(from, to)];
  for (const [index, way] of ways.entries()) {
    try {
      await way();
      if (((await stat(to)).mode & 0o111) === 0) await chmod(to, 0o755);
      return;
    } catch (error) {
      if (index === ways.length - 1) throw error;
      await rm(to, { force: true });
    }
  }
}

async function copy(from: string, to: string, mode: number): Promise<void> {
  await copyFile(from, to);
  await chmod(to, mode);
}

function foldersInUse(state_dir: string): readonly string[] {
  const records = new InstanceRecords(state_dir);
  return records.ids().flatMap((id) => records.find(id)?.running?.runtime ?? []);
}

async function removeOthers(parent: string, kept: readonly string[]): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    // Copies that another process is making now have names that begin with a dot.
    if (!name.startsWith('.') && !kept.includes(path)) await rm(path, { recursive: true, force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
