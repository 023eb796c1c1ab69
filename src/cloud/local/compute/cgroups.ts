/** Limits of an instance through cgroups, version 1 or 2, found for each controller on its own because machines mix them. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { stateNames } from '../fabric/names.ts';

/** What an instance may use; null: no limit. */
export type InstanceLimits = {
  readonly memory_bytes: number | null;
  /** Per cent of one processor: 150 is one and a half. */
  readonly cpu_percent: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
};

/** A mounted hierarchy, and which of our controllers it has. */
export type Hierarchy = { readonly path: string; readonly version: 1 | 2; readonly controllers: readonly Controller[] };

type Controller = 'cpu' | 'memory' | 'pids';
const CONTROLLERS: readonly Controller[] = ['cpu', 'memory', 'pids'];

/**
 * The mounted cgroup hierarchies that have one of our controllers.
 *
 * @param mountinfo the text of /proc/self/mountinfo (proc(5))
 * @param readControllers answers the `cgroup.controllers` of a version 2 mount, null when it cannot be read
 */
export function findHierarchies(mountinfo: string, readControllers: (path: string) => string | null): readonly Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of mountinfo.split('\n')) {
    const [before = '', behind = ''] = line.split(' - ');
    const path = (before.split(' ')[4] ?? '').replaceAll('\\040', ' ');
    const [type, , options = ''] = behind.split(' ');
    if (type === 'cgroup') found.push({ path, version: 1, controllers: pick(options.split(',')) });
    if (type === 'cgroup2') found.push({ path, version: 2, controllers: pick((readControllers(path) ?? '').trim().split(' ')) });
  }
  return found.filter(({ controllers }) => controllers.length > 0);
}

/** The hierarchies of this machine. */
export function readHierarchies(): readonly Hierarchy[] {
  return findHierarchies(readText('/proc/self/mountinfo') ?? '', (path) => readText(join(path, 'cgroup.controllers')));
}

/**
 * Makes the groups of an instance and sets their limits, as far as this machine lets us.
 *
 * @returns the `cgroup.procs` files to join, and the controllers whose limit could not be set
 */
export function ensureGroups(
  hierarchies: readonly Hierarchy[],
  place: { readonly state_id: string; readonly compute_id: string },
  limits: InstanceLimits,
): { readonly joins: readonly string[]; readonly missing: readonly Controller[] } {
  const joins: string[] = [];
  const limited = new Set<Controller>();
  for (const hierarchy of hierarchies) {
    const parent = join(hierarchy.path, stateNames(place.state_id).cgroup);
    const group = join(parent, place.compute_id);
    if (!makeGroup(hierarchy, parent, group)) continue;
    for (const controller of hierarchy.controllers) if (setLimit(hierarchy, group, controller, limits)) limited.add(controller);
    joins.push(join(group, 'cgroup.procs'));
  }
  const wanted = CONTROLLERS.filter((controller) => limitOf(controller, limits) !== null);
  return { joins, missing: wanted.filter((controller) => !limited.has(controller)) };
}

/** Removes the groups of an instance, or of a whole state; waits up to two seconds until the kernel has let go of dead processes. */
export async function removeGroups(hierarchies: readonly Hierarchy[], state_id: string, compute_id?: string): Promise<void> {
  for (const { path } of hierarchies) {
    const parent = join(path, stateNames(state_id).cgroup);
    const groups = compute_id === undefined ? [...childrenOf(parent), parent] : [join(parent, compute_id)];
    for (const group of groups) await removeGroup(group);
  }
}

/** The processes in any group of a state. */
export function processesInGroups(hierarchies: readonly Hierarchy[], state_id: string): readonly number[] {
  const groups = hierarchies.flatMap(({ path }) => childrenOf(join(path, stateNames(state_id).cgroup)));
  const pids = groups.flatMap((group) => (readText(join(group, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number));
  return [...new Set(pids)];
}

function makeGroup(hierarchy: Hierarchy, parent: string, group: string): boolean {
  try {
    mkdirSync(parent, { recursive: true });
    if (hierarchy.version === 2) {
      const wanted = hierarchy.controllers.map((controller) => `+${controller}`).join(' ');
      // Refused where the root has processes of its own (a container): then there are no limits, and the group is still a mark.
      attempt(() => writeFileSync(join(hierarchy.path, 'cgroup.subtree_control'), wanted));
      attempt(() => writeFileSync(join(parent, 'cgroup.subtree_control'), wanted));
    }
    mkdirSync(group, { recursive: true });
    return true;
  } catch {
    return false;
  }
}

function setLimit(hierarchy: Hierarchy, group: string, controller: Controller, limits: InstanceLimits): boolean {
  const limit = limitOf(controller, limits);
  if (limit === null) return true;
  const period_us = 100_000;
  const quota_us = Math.max(1000, Math.round((limit * period_us) / 100));
  const files = {
    1: { cpu: ['cpu.cfs_quota_us', quota_us], memory: ['memory.limit_in_bytes', limit], pids: ['pids.max', limit] },
    2: { cpu: ['cpu.max', `${quota_us} ${period_us}`], memory: ['memory.max', limit], pids: ['pids.max', limit] },
  } as const;
  const [file, value] = files[hierarchy.version][controller];
  return attempt(() => writeFileSync(join(group, file), String(value), { flag: 'r+' }));
}

function limitOf(controller: Controller, limits: InstanceLimits): number | null {
  return { cpu: limits.cpu_percent, memory: limits.memory_bytes, pids: limits.pids }[controller];
}

async function removeGroup(group: string): Promise<void> {
  for (let wait = 1; existsSync(group); wait *= 2) {
    try {
      rmdirSync(group);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      if (wait > 1024) throw error;
      await after(wait);
    }
  }
}

function childrenOf(parent: string): readonly string[] {
  try {
    const folders = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return folders.map((entry) => join(parent, entry.name));
  } catch {
    return [];
  }
}

function pick(names: readonly string[]): readonly Controller[] {
  return CONTROLLERS.filter((controller) => names.includes(controller));
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function attempt(fn: () => void): boolean {
  try {
    fn();
    return true;
  } catch {
    return false;
  }
}
