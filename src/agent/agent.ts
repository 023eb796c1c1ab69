/** The amphora agent, put together. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { refuse } from './answers.ts';
import { canPassDatagrams } from './datagram/kernel.ts';
import { DatagramService } from './datagram/service.ts';
import { Generations } from './generations.ts';
import { HaproxyProcess } from './haproxy-process.ts';
import { HaproxyService } from './haproxy-service.ts';
import { Heartbeats } from './heartbeats.ts';
import { Interfaces } from './interfaces.ts';
import { Keepalived } from './keepalived.ts';
import type { Log } from './log.ts';
import { Logs } from './logs/service.ts';
import { findVersions, installPing, maxconnLimit } from './machine.ts';
import type { Places } from './places.ts';
import { MetricsExporter } from './prometheus/exporter.ts';
import { agentRoutes } from './routes.ts';
import { ApiServer } from './server.ts';
import { parseSettings } from './settings.ts';
import type { AgentSettings } from './settings.ts';
import { keep } from './runtime/keeping.ts';
import { TrafficNamespace } from './traffic.ts';
import { Turns } from './turns.ts';

/** A running agent. */
export type Agent = { readonly port: number; readonly stop: () => Promise<void> };

/** What the launcher says: where files lie. */
export type AgentPlaces = Omit<Places, 'base_path' | 'base_cert_dir'>;

/**
 * Reads the configuration, listens, and begins to send heartbeats. HAProxy and keepalived are the init's: they run before,
 * and go on after. Throws what reading files, certificates and listening throw.
 */
export async function startAgent(from: AgentPlaces, console: Log): Promise<Agent> {
  const file = `${from.config_dir}/amphora-agent.conf`;
  let settings = parseSettings(await readFile(file, 'utf8'), file, from);
  const places: Places = { ...from, base_path: settings.base_path, base_cert_dir: settings.base_cert_dir };
  await mkdir(places.base_path, { recursive: true });
  const boot_id = randomUUID();
  const logs = new Logs(places, settings.amphora_id, settings.logs, console);
  const { log } = logs;
  const process_ = new HaproxyProcess(places, log);
  const haproxy = new HaproxyService(places, process_, log);
  const interfaces = new Interfaces(places, new TrafficNamespace(places.run_dir), log);
  const keepalived = new Keepalived(places);
  const datagrams = new DatagramService(places);
  const generations = new Generations(`${places.base_path}/generation`);
  await generations.load();
  const maxconn_limit = await maxconnLimit();
  const heartbeats = new Heartbeats(
    {
      boot_id,
      statsSocket: () => haproxy.statsSocket(),
      members: () => haproxy.members(),
      datagrams: () => datagrams.state(),
      haproxy: async () => ({ maxconn_limit, lost_log_lines: await lostLines(logs, haproxy), ...(await haproxy.changeCounts()) }),
      isWhole: () => keepalived.isWhole(),
      countersFile: `${places.base_path}/stats_counters.json`,
      everyMinute: () => logs.collect().finally(() => process_.boundMessages()),
    },
    settings,
    log,
  );
  haproxy.beforeReload(async () => {
    await Promise.allSettled([heartbeats.collect(), logs.collect()]);
  });
  const reconfigure = async (text: string): Promise<void> => {
    try {
      settings = parseSettings(text, file, from);
    } catch (error) {
      throw refuse(400, 'Invalid configuration', error instanceof Error ? error.message : undefined, error);
    }
    await writeFileAtomic(file, text, { mode: 0o600 });
    heartbeats.configure(settings);
    logs.configure(settings.logs);
    server.configure(settings);
  };
  const useCertificate = (pem: string): void => server.useCertificate(pem);
  const routes = agentRoutes({
    places,
    boot_id,
    haproxy,
    interfaces,
    keepalived,
    datagrams,
    generations,
    logs,
    ...(await findAbilities(places, logs)),
    reconfigure,
    useCertificate,
    settings: () => settings,
  });
  const turns = new Turns();
  const server = new ApiServer({ routes, generations, turns, log }, await readIdentity(settings), settings);
  const metrics = new MetricsExporter(places.run_dir, log);
  await metrics.listen();
  const restored = interfaces.restore();
  const port = await server.listen(settings.bind_host, settings.bind_port);
  log('info', 'agent listens', { host: settings.bind_host, port, started_after_ms: Math.round(performance.now()) });
  void findVersions();
  const beating = heartbeats.run();
  const keeping = keep(haproxy.keeper(), turns, log);
  const stop = async (): Promise<void> => {
    heartbeats.stop();
    keeping.stop();
    await Promise.all([server.close(), metrics.close(), restored, beating, keeping.ended]);
    await logs.stop();
  };
  return { port, stop };
}

async function lostLines(logs: Logs, haproxy: HaproxyService): Promise<number> {
  return logs.lost() + ((await haproxy.unwrittenLogs()) ?? 0);
}

async function readIdentity({ agent_server_cert, agent_server_ca }: AgentSettings) {
  return { server_pem: await readFile(agent_server_cert, 'utf8'), client_ca: await readFile(agent_server_ca, 'utf8') };
}

/** What this machine lets the agent do. */
async function findAbilities({ base_path }: Places, logs: Logs) {
  const [can_pass_datagrams, ping_command, can_log_flows] = await Promise.all([canPassDatagrams(), installPing(base_path), logs.start()]);
  return { can_pass_datagrams, ping_command, can_log_flows };
}
