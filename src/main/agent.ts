/** The amphora agent as a process, and with `datagram` the engine beside it: started and kept by `src/agent/init.sh`, shipped as one bundled file. */
import { startAgent } from '../agent/agent.ts';
import { runDatagramEngine } from '../agent/datagram/main.ts';
import { log } from '../agent/log.ts';

/** Starting leaves 2 MB of garbage behind, the first configuration some more. */
const COLLECT_AFTER_MS = [10_000, 40_000];
const COLLECT_EVERY_MS = 600_000;

// A function, because a CommonJS bundle cannot await at its top.
async function main(): Promise<void> {
  const { env } = process;
  const [what, config, state] = process.argv.slice(2);
  if (what === 'datagram' && config !== undefined && state !== undefined) return runDatagramEngine({ config, state }, log);
  const agent = await startAgent(
    {
      config_dir: env['OCTAVIA_AMPHORA_DIR'] ?? '/etc/octavia',
      state_dir: env['OCTAVIA_STATE_DIR'] ?? '/var/lib/octavia',
      run_dir: env['OCTAVIA_RUN_DIR'] ?? '/run/octavia',
      traffic_netns: env['OCTAVIA_TRAFFIC_NETNS'] ?? '/run/netns/amphora-haproxy',
    },
    log,
  );
  // Only with --expose-gc, as the init starts it: an idle process would keep for hours what it does not need.
  const { gc } = globalThis;
  if (gc !== undefined) {
    // As before running out of memory: this alone gives back pages that are nearly empty, too.
    const collect = (): void => void gc({ type: 'major', flavor: 'last-resort', execution: 'sync' });
    for (const wait of COLLECT_AFTER_MS) setTimeout(collect, wait).unref();
    setInterval(collect, COLLECT_EVERY_MS).unref();
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void agent.stop().finally(() => process.exit(0)));
}

main().catch((error: unknown) => {
  log('error', 'agent cannot start', { error });
  process.exit(1);
});
