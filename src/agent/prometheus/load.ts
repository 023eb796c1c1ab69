/** How busy the amphora is: the share of processors and memory that its processes have. Its /proc shows no others. */
import { readdir, readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';

/** What the processes have used up to a moment. */
export type Use = { readonly at_ms: number; readonly cpu_ms: number; readonly memory_bytes: number };

/** In percent of the machine. */
export type Load = { readonly cpu: number; readonly memory: number };

/** A clock tick of /proc (USER_HZ is 100 everywhere), and a page. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

/** Adds up all processes. One that ends meanwhile is left out. */
export async function measureUse(): Promise<Use> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/u.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  let [ticks, pages] = [0, 0];
  for (const stat of stats) {
    // The name of the program, in parentheses, may contain anything; fields are counted from after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
    pages += Number(fields[21] ?? 0);
  }
  return { at_ms: performance.now(), cpu_ms: ticks * TICK_MS, memory_bytes: pages * PAGE_BYTES };
}

/** The load between two moments; of processes that ended in between, what they had used is not known. */
export function loadBetween(before: Use, now: Use): Load {
  const elapsed = Math.max(1, now.at_ms - before.at_ms) * availableParallelism();
  const percent = (share: number): number => Math.round(Math.min(100, Math.max(0, share * 100)) * 100) / 100;
  return { cpu: percent((now.cpu_ms - before.cpu_ms) / elapsed), memory: percent(now.memory_bytes / totalmem()) };
}
