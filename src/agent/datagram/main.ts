/** The engine of datagrams as a process: how the init starts it, by the agent's own file. */
import type { Log } from '../log.ts';
import { DatagramEngine } from './engine.ts';

/** Runs the engine until SIGTERM; SIGHUP: look again now. */
export async function runDatagramEngine(files: { readonly config: string; readonly state: string }, log: Log): Promise<void> {
  const ending = new AbortController();
  const engine = new DatagramEngine(files, log);
  process.on('SIGHUP', () => engine.wake());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ending.abort());
  log('info', 'datagrams are looked after', { started_after_ms: Math.round(performance.now()) });
  await engine.run(ending.signal);
}
