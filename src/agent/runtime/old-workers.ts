/**
 * Workers of before a reload, which stay as long as their connections: bounded in number, because each takes some 8 MB.
 * (`hard-stop-after` in the configuration bounds their age.)
 */
import { until } from '../files.ts';
import type { Log } from '../log.ts';
import { askSocket } from '../unix-socket.ts';
import type { Processes } from '../unix-socket.ts';

/** Most old workers after a reload. */
export const MAX_OLD_WORKERS = 3;
/** An old worker closes its idle connections over 5 seconds; one that has more to do stays for longer than this. */
const PATIENCE_MS = 6000;
const END_LIMIT_MS = 3000;

/** How processes are seen and asked. */
export type Workers = { readonly masterSocket: string; readonly processes: () => Promise<Processes | undefined> };

/**
 * Waits before a reload until there is room for one more old worker. When it takes too long, the connections of the oldest are ended:
 * one that has lasted over so many changes cannot be had without a limit to memory.
 */
export async function makeRoom(workers: Workers, log: Log): Promise<void> {
  const hasRoom = async (): Promise<true | undefined> => ((await oldWorkers(workers)).length < MAX_OLD_WORKERS ? true : undefined);
  if ((await until(PATIENCE_MS, hasRoom)) === true) return;
  for (const pid of (await oldWorkers(workers)).slice(0, 1 - MAX_OLD_WORKERS)) {
    log('warn', 'connections of an old worker are ended to make room for a reload', { pid });
    await endSessions(workers, pid);
  }
  if ((await until(END_LIMIT_MS, hasRoom)) !== true) log('warn', 'old workers of HAProxy do not end', { old: await oldWorkers(workers) });
}

/** The oldest first. */
async function oldWorkers({ processes }: Workers): Promise<readonly number[]> {
  return (await processes())?.oldWorkers ?? [];
}

/** By the master's socket, because the agent may not send signals to processes of another user. */
async function endSessions({ masterSocket }: Workers, pid: number): Promise<void> {
  try {
    const sessions = await askSocket(masterSocket, `@!${pid} show sess`);
    const ids = sessions
      .split('\n')
      .flatMap((row) => (row.includes(' fe=GLOBAL ') ? [] : (/^(0x[0-9a-f]+): proto=/u.exec(row)?.[1] ?? [])));
    for (const id of ids) await askSocket(masterSocket, `@!${pid} shutdown session ${id}`);
  } catch {
    // It ended meanwhile; if not, the log tells.
  }
}
