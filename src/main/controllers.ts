/** The controllers of one process: API, worker, health manager and housekeeping, started in this order and stopped in the other. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { createApi } from '../api/app.ts';
import type { Policy } from '../api/policy/policy.ts';
import type { Identity } from '../cloud/identity.ts';
import type { Config } from '../config/table.ts';
import type { Database, Tx } from '../db/database.ts';
import { releaseLeasesOf } from '../db/reconciliations.ts';
import { type HealthManager, startHealthManager } from '../health/health-manager.ts';
import { type Housekeeping, startHousekeeping } from '../housekeeping/housekeeping.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { amphoraProvider } from '../providers/amphora/provider.ts';
import type { Tools } from '../providers/amphora/apply.ts';
import { noopProvider } from '../providers/noop/provider.ts';
import type { Provider, Step } from '../providers/provider.ts';
import { reconcileChannel, startWorker, type Worker } from '../worker/worker.ts';
import { openAudit } from './audit-map.ts';
import type { AmphoraCloud } from './amphora-tools.ts';
import { apiOptions, isGoneOwner, patience, processName } from './settings.ts';

/** What controllers are made of. */
export type ControllerParts = {
  readonly config: Config;
  readonly db: Database;
  readonly identity: Identity;
  readonly cloud: AmphoraCloud;
  readonly tools: Tools;
  /** The rules in force now. */
  readonly policy: () => Policy;
  readonly facades: readonly ((app: FastifyInstance) => void)[];
  /** Where heartbeats are received; null: no health manager in this process. */
  readonly heartbeat_address: string | null;
  readonly clock: Clock;
  readonly log: Logger;
};

/** Which controllers run in this process. */
export type Roles = { readonly api: boolean; readonly worker: boolean; readonly health: boolean; readonly housekeeping: boolean };

/** Running controllers. */
export type Controllers = {
  readonly app: FastifyInstance | null;
  readonly worker: Worker | null;
  readonly health: HealthManager | null;
  readonly housekeeping: Housekeeping | null;
  stop(): Promise<void>;
};

/** Sends the hint that there is work; one that is lost costs a second. */
const wakeWorkers =
  (db: Database) =>
  (loadbalancer_id: string): void => {
    db.notify(reconcileChannel, loadbalancer_id).catch(() => undefined);
  };

/** Every enabled provider by its name; a name that nobody knows is left out, as upstream does. */
export function openProviders(config: Config, tools: Tools): Map<string, Provider<unknown, Step, Tx>> {
  const providers = new Map<string, Provider<unknown, Step, Tx>>();
  for (const [name, description] of Object.entries(config.api_settings.enabled_provider_drivers)) {
    if (name === 'amphora' || name === 'octavia' || name === 'amphorav2') {
      providers.set(name, amphoraProvider(tools, name, description) as Provider<unknown, Step, Tx>);
    } else if (name.startsWith('noop_driver')) providers.set(name, noopProvider(name, description) as Provider<unknown, Step, Tx>);
  }
  return providers;
}

/** Starts what `roles` names. */
export async function startControllers(parts: ControllerParts, roles: Roles): Promise<Controllers> {
  const providers = openProviders(parts.config, parts.tools);
  const health = roles.health && parts.heartbeat_address !== null ? await startHealth(parts, parts.heartbeat_address) : null;
  const worker = roles.worker ? await startItsWorker(parts, providers) : null;
  const housekeeping = roles.housekeeping ? startItsHousekeeping(parts) : null;
  const app = roles.api ? await listen(parts, providers) : null;
  return {
    app,
    worker,
    health,
    housekeeping,
    async stop() {
      await app?.close();
      await housekeeping?.stop();
      await worker?.stop();
      await health?.stop();
    },
  };
}

async function listen(parts: ControllerParts, providers: ReadonlyMap<string, Provider<unknown, Step, Tx>>): Promise<FastifyInstance> {
  const { config, db, identity, cloud, clock, log, facades, policy } = parts;
  const { catalog, ports, secrets } = cloud;
  const app = createApi({
    db,
    identity,
    catalog,
    ports,
    ...(secrets !== null && { secrets }),
    providers,
    options: apiOptions(config),
    policy,
    audit: openAudit(config),
    clock,
    log,
    plugins: facades,
  });
  await app.listen({ host: config.api_settings.bind_host, port: config.api_settings.bind_port });
  return app;
}

async function startItsWorker(parts: ControllerParts, providers: ReadonlyMap<string, Provider<unknown, Step, Tx>>): Promise<Worker> {
  const { controller_worker: worker } = parts.config;
  const released = await parts.db.tx((tx) => releaseLeasesOf(tx, (owner) => isGoneOwner(parts.config, owner)));
  if (released > 0) parts.log.info({ released }, 'leases of processes that ended were released');
  return startWorker({
    db: parts.db,
    providers,
    clock: parts.clock,
    log: parts.log,
    lease_ms: 1000 * worker.lease_seconds,
    patience,
    random: Math.random,
    newId: randomUUID,
    owner: `${processName(parts.config)}/${randomUUID().slice(0, 8)}`,
    concurrency: worker.max_concurrent_reconciles,
    poll_ms: 1000,
  });
}

function startHealth(parts: ControllerParts, bind_ip: string): Promise<HealthManager> {
  const { health_manager: health } = parts.config;
  const key = health.heartbeat_key;
  return startHealthManager({
    db: parts.db,
    bind_ip,
    bind_port: health.bind_port,
    heartbeat_keys: key === null ? [] : [key],
    heartbeat_interval: health.heartbeat_interval,
    // Fake amphorae send nothing: their silence means nothing.
    heartbeat_timeout: parts.config.controller_worker.amphora_driver === 'amphora_noop_driver' ? 315_360_000 : health.heartbeat_timeout,
    health_check_interval: health.health_check_interval,
    failover_threads: health.failover_threads,
    failover_threshold: health.failover_threshold,
    sock_rlimit: health.sock_rlimit,
    log: parts.log,
    clock: parts.clock,
    wake: wakeWorkers(parts.db),
  });
}

function startItsHousekeeping(parts: ControllerParts): Housekeeping {
  const { house_keeping: house } = parts.config;
  return startHousekeeping({
    db: parts.db,
    compute: parts.cloud.compute,
    ports: parts.cloud.ports,
    ...(parts.cloud.secrets !== null && { secrets: parts.cloud.secrets }),
    ...house,
    log: parts.log,
    clock: parts.clock,
    wake: wakeWorkers(parts.db),
  });
}
