/** What the kernel tells about processes and the machine: processor time, memory, and what is there of namespaces and their like. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/lib/run.ts';

/** Clock ticks per second of /proc/<pid>/stat: USER_HZ, which is 100 on every Linux that Node runs on (proc(5)). */
const ticksPerSecond = 100;

/** The processes that this process can see. */
export const allPids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map(Number);

/** Processor seconds that these processes have used, with all their threads and the children that they waited for; those that are gone count 0. */
export function cpuSeconds(pids: readonly number[]): number {
  const ticks = pids.map((pid) =>
    fieldsOf(pid)
      .slice(11, 15)
      .reduce((sum, each) => sum + Number(each), 0),
  );
  return ticks.reduce((sum, each) => sum + each, 0) / ticksPerSecond;
}

/**
 * The same to the nanosecond, where the kernel counts so (sched-stats(7), `schedstat` of each thread): of threads that live, without children. For series that
 * take less than a second, in which a clock tick is some per cent.
 */
export function preciseCpuSeconds(pids: readonly number[]): number {
  const threads = pids.flatMap((pid) => namesIn(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`));
  const texts = threads.map((path) => readText(path));
  if (texts.every((text) => text === '')) return cpuSeconds(pids);
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]), 0) / 1e9;
}

/** Proportional set size of these processes in bytes: shared pages count once, divided among those that share them. */
export function proportionalBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + kilobytes(readText(`/proc/${pid}/smaps_rollup`), 'Pss') * 1024, 0);
}

/** The most memory that a process has had, in bytes. */
export const peakBytes = (pid: number): number => kilobytes(readText(`/proc/${pid}/status`), 'VmHWM') * 1024;

/** What the machine could still give to programs, in bytes. */
export const availableBytes = (): number => kilobytes(readText('/proc/meminfo'), 'MemAvailable') * 1024;

/** A process and all that descend from it. */
export function withDescendants(pid: number): number[] {
  const parents = allPids().map((each) => [each, Number(fieldsOf(each)[1])] as const);
  const found = [pid];
  for (const known of found) for (const [child, parent] of parents) if (parent === known && !found.includes(child)) found.push(child);
  return found;
}

/** The machine in one line of a report. */
export function describeMachine(): Readonly<Record<string, string | number>> {
  return {
    node: process.version,
    kernel: readText('/proc/sys/kernel/osrelease').trim(),
    processor: cpus()[0]?.model ?? 'unknown',
    processors: availableParallelism(),
    memory_mib: Math.round(totalmem() / 2 ** 20),
    load_before: Number(readText('/proc/loadavg').split(' ')[0]),
  };
}

/** Everything that load balancers on this machine leave traces in, by kind; compared before and after. */
export type Inventory = Readonly<Record<'processes' | 'namespaces' | 'interfaces' | 'nft tables' | 'cgroups' | 'files', readonly string[]>>;

/** What is there now; `folder` is where state folders are made. Processes are those this process can see, without threads of the kernel. */
export async function takeInventory(folder: string): Promise<Inventory> {
  const tables = await run('nft', ['list', 'tables']).catch(() => '');
  return {
    processes: allPids().filter(hasProgram).map(String),
    namespaces: namesIn('/run/netns'),
    interfaces: readText('/proc/self/net/dev')
      .split('\n')
      .slice(2)
      .flatMap((line) => line.split(':')[0]?.trim() || []),
    'nft tables': tables.split('\n').filter(Boolean),
    cgroups: cgroupFolders(),
    files: namesIn(folder),
  };
}

/** What is there in `after` and was not in `before`, as `kind name`. */
export function addedSince(before: Inventory, after: Inventory): string[] {
  return (Object.keys(after) as (keyof Inventory)[]).flatMap((kind) =>
    after[kind].filter((name) => !before[kind].includes(name)).map((name) => `${kind} ${name}`),
  );
}

/** Groups of load balancers, in whichever hierarchy they are. */
function cgroupFolders(): string[] {
  const mounts = readText('/proc/self/mountinfo')
    .split('\n')
    .filter((line) => / - cgroup2? /u.test(line));
  const paths = mounts.map((line) => line.split(' ')[4] ?? '');
  return paths.flatMap((path) =>
    namesIn(path)
      .filter((name) => name.startsWith('oct-'))
      .map((name) => join(path, name)),
  );
}

/** Zombies have none; they end when their parent looks. */
const hasProgram = (pid: number): boolean => readText(`/proc/${pid}/cmdline`) !== '';

/** Fields of /proc/<pid>/stat from the third on, which is index 0: the second, the name, may hold spaces. */
function fieldsOf(pid: number): string[] {
  const stat = readText(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

const kilobytes = (text: string, name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'mu').exec(text)?.[1] ?? 0);

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // A process that ended meanwhile, or a file that this kernel does not have.
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
