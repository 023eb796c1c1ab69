/** Opens everything below the controllers: state, database, identity, cloud and agents; in the order in which each needs the last. */
import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { defaultServices, keyManagerService } from '../api/identity/catalog.ts';
import { registerNoAuthProjects } from '../api/identity/noauth-projects.ts';
import { registerIdentity } from '../api/identity/register.ts';
import { registerNetwork } from '../api/network/register.ts';
import { FakeCompute } from '../cloud/fake/compute.ts';
import { createNoopNetwork } from '../cloud/fake/network.ts';
import { createLocalNetwork, type LocalNetworkService } from '../cloud/local/network-service.ts';
import { RecordConflict, type RecordKind, type RecordStore } from '../cloud/local/record-store.ts';
import type { Config } from '../config/table.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { NewerSchema } from '../db/errors.ts';
import { migrate } from '../db/migrate.ts';
import { createRecords } from '../db/records.ts';
import { systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { FakeAgents } from '../providers/amphora/fake-agents.ts';
import { createPkiFiles, loadPki, type Pki } from '../providers/amphora/pki.ts';
import { type AmphoraCloud, amphoraTools, openAgents } from './amphora-tools.ts';
import type { ControllerParts } from './controllers.ts';
import type { LocalCloud } from './local-cloud.ts';
import { openIdentity } from './open-identity.ts';
import { openSecrets } from './secrets.ts';
import { openPolicy } from './policy-files.ts';
import { type State, StartRefused } from './state.ts';

/** Everything that controllers stand on. */
export type Opened = ControllerParts & { readonly local: LocalCloud | null; readonly close: () => Promise<void> };

/** Tells the user what is being done; one short line each. */
export type Tell = (line: string) => void;

/** Opens it all. Throws `StartRefused` with a sentence for the user, or what nobody foresaw. */
export async function open(config: Config, state: State, base_url: string, log: Logger, tell: Tell): Promise<Opened> {
  const db = await openAndMigrate(config, log);
  try {
    const store = createRecords<RecordKind>(db, {
      conflict: (kind, message, options) => new RecordConflict(kind, message, options),
      clock: systemClock,
    });
    const identity = await openIdentity({ config, state, store, base_url, log, tell });
    const policy = openPolicy(config, dirname(process.env['OCTAVIA_CONFIG'] ?? ''), systemClock, log);
    const pki = await openPki(config);
    const keys = await openSecrets({ config, state, store, db, pki, session: identity.session, log });
    const { cloud: place, local, network, fake } = await openCloud(config, state, store, identity.service_project_id, log, tell);
    const cloud = { ...place, secrets: keys.secrets };
    const agents =
      config.controller_worker.amphora_driver === 'amphora_noop_driver'
        ? new FakeAgents({ compute: fake ?? new FakeCompute({ clock: systemClock, newId: randomUUID }) })
        : openAgents(config, pki, log);
    const facades: ((app: FastifyInstance) => void)[] = [];
    if (identity.local !== null) {
      const service = identity.local;
      const services = keys.keyManager === null ? defaultServices : [...defaultServices, keyManagerService];
      facades.push((app) => registerIdentity(app, { identity: service, base_url: config.api_settings.api_base_uri, services }));
    }
    facades.push(...keys.facades(identity.identity));
    // With a Keystone, networks are looked up where its catalog says.
    if (network !== null && config.api_settings.auth_strategy !== 'keystone') {
      facades.push((app) => registerNetwork(app, { network, identity: identity.identity, base_url: config.api_settings.api_base_uri }));
      if (config.api_settings.auth_strategy === 'noauth') {
        facades.push((app) => registerNetwork(app, { network, identity: identity.identity, base_url: null, prefix: '' }));
        facades.push(registerNoAuthProjects);
      }
    }
    const heartbeat_address = local === null ? config.health_manager.bind_ip : local.management_gateway;
    return {
      config,
      db,
      identity: identity.identity,
      cloud,
      tools: amphoraTools(config, cloud, agents, pki, systemClock, log),
      policy: policy.current,
      facades,
      heartbeat_address,
      clock: systemClock,
      log,
      local,
      async close() {
        policy.stop();
        if ('close' in agents) await agents.close();
        await keys.close();
        await identity.close();
        await db.close();
      },
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function openAndMigrate(config: Config, log: Logger): Promise<Database> {
  const url = config.database.connection.reveal();
  let db: Database;
  try {
    db = openDatabase({ url, log, connections: config.database.max_pool_size });
  } catch (error) {
    throw new StartRefused(error instanceof Error ? error.message : String(error), { cause: error });
  }
  try {
    await migrate(db);
    return db;
  } catch (error) {
    await db.close().catch(() => undefined);
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof NewerSchema) throw new StartRefused(message, { cause: error });
    throw new StartRefused(`The database cannot be used (${message}): start it, or correct connection in the group [database].`, {
      cause: error,
    });
  }
}

async function openPki(config: Config): Promise<Pki> {
  const { certificates, haproxy_amphora: haproxy, controller_worker: worker } = config;
  const files = {
    ca_certificate: certificates.ca_certificate,
    ca_private_key: certificates.ca_private_key,
    ca_private_key_passphrase: certificates.ca_private_key_passphrase,
    client_cert: haproxy.client_cert,
    server_ca: haproxy.server_ca,
    client_ca: worker.client_ca,
  };
  if (config.local.enabled) await createPkiFiles(files, Date.now());
  return loadPki(files);
}

type OpenedCloud = {
  readonly cloud: Omit<AmphoraCloud, 'secrets'>;
  readonly local: LocalCloud | null;
  readonly network: LocalNetworkService | null;
  readonly fake: FakeCompute | null;
};

async function openCloud(config: Config, state: State, store: RecordStore, project: string, log: Logger, tell: Tell): Promise<OpenedCloud> {
  const { compute_driver, network_driver } = config.controller_worker;
  if (compute_driver === 'compute_local_driver') {
    // Loaded only where it is used: it brings the bundler of the agent with it.
    const { openLocalCloud } = await import('./local-cloud.ts');
    const local = await openLocalCloud(config, state, store, project, log);
    tell(`Tenant network ${config.local.tenant_cidr}, management network ${config.local.management_cidr}.`);
    const controllers = config.health_manager.controller_ip_port_list;
    const here = [{ host: local.management_gateway, port: config.health_manager.bind_port }];
    const boot_network_ids = [local.networks.management.network.id];
    const cloud = {
      compute: local.compute,
      ports: local.network,
      catalog: local.network,
      boot_network_ids,
      controllers: controllers.length > 0 ? controllers : here,
    };
    return { cloud, local, network: local.network, fake: null };
  }
  if (compute_driver !== 'compute_noop_driver')
    throw new StartRefused(`compute_driver = ${compute_driver} is not there yet: use compute_local_driver or compute_noop_driver.`);
  // As upstream's compute_noop_driver: every amphora has the one address.
  const fake = new FakeCompute({ clock: systemClock, newId: randomUUID, lb_network_ip: '192.0.2.1' });
  const network = network_driver === 'network_noop_driver' ? null : createLocalNetwork({ store });
  const ports = network ?? createNoopNetwork();
  return {
    cloud: { compute: fake, ports, catalog: ports, boot_network_ids: [], controllers: [] },
    local: null,
    network,
    fake,
  };
}
