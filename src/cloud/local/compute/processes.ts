/** Processes of this machine, known by pid and start time, because a pid alone is given to others again. */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { COMPUTE_MARK, STATE_MARK } from '../fabric/names.ts';

/** A process that is or was there. */
export type ProcessId = {
  readonly pid: number;
  /** Clock ticks from the boot to its start (proc(5), stat field 22). */
  readonly started: number;
};

/** A process that carries our marks. */
export type MarkedProcess = ProcessId & {
  readonly compute_id: string;
  /** It is process 1 of a pid namespace of its own: the kernel ends all others in there with it. */
  readonly is_init: boolean;
};

/** Fields of proc(5)'s `stat`, counted from the third, the state. */
const FIELD = { state: 0, flags: 6, starttime: 19, env_start: 47, env_end: 48 } as const;
/** The flag of processes that are the kernel's own (PF_KTHREAD). */
const KERNEL_THREAD = 0x200000;
/** How often one that may be within execve(2) is looked at, a millisecond apart. */
const EXECVE_LOOKS = 500;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** A process by its pid now; null when there is none, or only its zombie. */
export function findProcess(pid: number): ProcessId | null {
  const fields = readStat(pid);
  return fields === null ? null : { pid, started: Number(fields[FIELD.starttime]) };
}

/** True while that very process runs. */
export function isRunning(process: ProcessId): boolean {
  return findProcess(process.pid)?.started === process.started;
}

/** All processes of a state, by the marks in their environment, which children inherit. */
export function findMarked(state_id: string): readonly MarkedProcess[] {
  const found: MarkedProcess[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/u.test(name)) continue;
    const environment = readEnvironment(Number(name));
    if (!environment.includes(`${STATE_MARK}=${state_id}`)) continue;
    const process = findProcess(Number(name));
    if (process === null) continue;
    const mark = environment.find((entry) => entry.startsWith(`${COMPUTE_MARK}=`)) ?? '';
    found.push({ ...process, compute_id: mark.slice(COMPUTE_MARK.length + 1), is_init: isNamespaceInit(process.pid) });
  }
  return found;
}

/** Sends a signal to that very process; one that is gone is success. */
export function signalProcess(process: ProcessId, signal: NodeJS.Signals): void {
  if (!isRunning(process)) return;
  try {
    globalThis.process.kill(process.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until none of them runs; answers those that still do after the time. */
export async function awaitEnd(processes: readonly ProcessId[], timeout_ms: number): Promise<readonly ProcessId[]> {
  const deadline = Date.now() + timeout_ms;
  for (let wait = 1; ; wait = Math.min(20, wait * 2)) {
    const left = processes.filter(isRunning);
    if (left.length === 0 || Date.now() >= deadline) return left;
    await after(wait);
  }
}

/** Asks processes to end, and after the grace ends them. Throws when one is still there two seconds after SIGKILL. */
export async function endProcesses(processes: readonly ProcessId[], grace_ms: number): Promise<void> {
  for (const process of processes) signalProcess(process, 'SIGTERM');
  const stubborn = await awaitEnd(processes, grace_ms);
  for (const process of stubborn) signalProcess(process, 'SIGKILL');
  const immortal = await awaitEnd(stubborn, 2000);
  if (immortal.length > 0) throw new Error(`processes ${immortal.map(({ pid }) => pid).join(', ')} do not end after SIGKILL`);
}

/**
 * The environment of a process, empty when there is none.
 *
 * For some microseconds of every execve(2) the kernel shows nothing, though the process had its marks before and has them after. So one
 * that shows nothing is read again, unless it is one that has no environment.
 */
function readEnvironment(pid: number): readonly string[] {
  for (let look = 0; look < EXECVE_LOOKS; look += 1) {
    const environment = readProc(pid, 'environ');
    if (environment === null) return [];
    if (environment !== '') return environment.split('\0');
    if (hasNoEnvironment(pid)) return [];
    Atomics.wait(PAUSE, 0, 0, 1);
  }
  return [];
}

/** True for one that ended, for the kernel's own, and for one that was started with an empty environment. */
function hasNoEnvironment(pid: number): boolean {
  const fields = readStat(pid);
  if (fields === null || (Number(fields[FIELD.flags]) & KERNEL_THREAD) !== 0) return true;
  return fields[FIELD.env_end] !== '0' && fields[FIELD.env_end] === fields[FIELD.env_start];
}

/** The fields of a process's `stat` from the third one on; null when there is none, or only its zombie. */
function readStat(pid: number): readonly string[] | null {
  const stat = readProc(pid, 'stat');
  if (stat === null) return null;
  // The command's name may hold spaces and brackets: fields are counted after the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[FIELD.state] === 'Z' || fields[FIELD.state] === 'X' ? null : fields;
}

function isNamespaceInit(pid: number): boolean {
  const line = /^NSpid:\s+(.*)$/mu.exec(readProc(pid, 'status') ?? '')?.[1];
  const pids = line?.trim().split(/\s+/u) ?? [];
  return pids.length > 1 && pids.at(-1) === '1';
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    // It ended meanwhile, or is not ours to look at: either way it is none that we look for.
    return null;
  }
}
