/** Removing everything of one state from this machine, by nothing but its id: no database, no record, no folder is needed. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { withFileLock } from '../fabric/exclusive.ts';
import { removeFirewall } from '../fabric/firewall.ts';
import { ipBatch, isMissing, removeNamespaces } from '../fabric/ip.ts';
import { NETNS_DIR, stateNames } from '../fabric/names.ts';
import { processesInGroups, readHierarchies, removeGroups } from './cgroups.ts';
import { endProcesses, findMarked, findProcess } from './processes.ts';
import type { ProcessId } from './processes.ts';

/** What was found and removed. */
export type Removed = { readonly processes: number; readonly namespaces: number; readonly interfaces: number };

/**
 * Removes all instances, bridges, legs, rules and cgroups of a state, and the folders of instances and their programs below the
 * state folder (null: there is none any more). Controllers must be stopped first, or they make things again. Doing it twice is success.
 *
 * Touches only what carries the state id. Throws when the id is none, or when a process or group cannot be removed.
 */
export async function destroyState(state_dir: string | null, state_id: string): Promise<Removed> {
  stateNames(state_id);
  const isLockable = state_dir !== null && existsSync(state_dir);
  if (!isLockable) return removeFromMachine(state_id);
  const removed = await withFileLock(join(state_dir, 'fabric.lock'), () => removeFromMachine(state_id));
  for (const name of ['instances', 'runtime', 'fabric.lock']) await rm(join(state_dir, name), { recursive: true, force: true });
  return removed;
}

async function removeFromMachine(state_id: string): Promise<Removed> {
  const processes = await endAllProcesses(state_id);
  const namespaces = await namespacesOf(state_id);
  await removeNamespaces(namespaces);
  const interfaces = await removeLegs(state_id);
  await removeFirewall(state_id);
  await removeGroups(readHierarchies(), state_id);
  return { processes, namespaces: namespaces.length, interfaces };
}

/** Launchers may be about to start more: looks again until nothing is found. */
async function endAllProcesses(state_id: string): Promise<number> {
  let ended = 0;
  for (let round = 0; round < 20; round += 1) {
    const found = processesOf(state_id);
    if (found.length === 0) break;
    ended += found.length;
    await endProcesses(found, 0);
  }
  return ended;
}

function processesOf(state_id: string): readonly ProcessId[] {
  const marked = findMarked(state_id);
  const known = new Set(marked.map(({ pid }) => pid));
  // A process can overwrite its own environment, but cannot leave its cgroup.
  const grouped = processesInGroups(readHierarchies(), state_id).filter((pid) => pid > 0 && !known.has(pid) && pid !== process.pid);
  return [...marked, ...grouped.map(findProcess).filter((found) => found !== null)];
}

async function namespacesOf(state_id: string): Promise<readonly string[]> {
  const { fabric } = stateNames(state_id);
  const all = await readdir(NETNS_DIR).catch(() => []);
  return all.filter((name) => name === fabric || name.startsWith(`${fabric}-`));
}

/** The far ends of legs vanish with the fabric's namespace, but the kernel takes its time; afterwards they are surely gone. */
async function removeLegs(state_id: string): Promise<number> {
  const { tenantLegs, managementLegs, floating } = stateNames(state_id);
  const isLeg = (name: string): boolean => name.startsWith(tenantLegs) || name.startsWith(managementLegs);
  const isOurs = (name: string): boolean => name.length === 15 && (isLeg(name) || name === floating.hostSide);
  const listed = (): readonly string[] => interfaceNames().filter(isOurs);
  const found = listed();
  for (const name of found) {
    await ipBatch([`link delete ${name}`]).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }
  for (let wait = 1; listed().length > 0 && wait < 2000; wait *= 2) await after(wait);
  return found.length;
}

/** sysfs would show the interfaces of the namespace that it was mounted in; this shows those of our own. */
function interfaceNames(): readonly string[] {
  const lines = readFileSync('/proc/self/net/dev', 'utf8').split('\n').slice(2);
  return lines.map((line) => line.split(':')[0]?.trim() ?? '');
}
