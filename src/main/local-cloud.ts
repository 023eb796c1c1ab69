/** The cloud of one machine, put together: namespaces, bridges, networks and their first-start draws. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Compute } from '../cloud/compute.ts';
import { LocalCompute } from '../cloud/local/compute/local-compute.ts';
import { prepareRuntime } from '../cloud/local/compute/runtime.ts';
import { LocalFabric } from '../cloud/local/fabric/fabric.ts';
import type { ManagementAddress, PortWiring } from '../cloud/local/fabric/wiring.ts';
import type { DefaultNetworks } from '../cloud/local/network-bootstrap.ts';
import { createLocalNetwork, type LocalNetworkService } from '../cloud/local/network-service.ts';
import { limitOf, trafficOf } from '../cloud/local/network/traffic.ts';
import type { RecordStore } from '../cloud/local/record-store.ts';
import type { Config } from '../config/table.ts';
import type { Logger } from '../lib/log.ts';
import { bundleAgent } from './agent-bundle.ts';
import type { State } from './state.ts';

/** The owner of the ports that amphorae have on the management network. */
const managementOwner = 'Octavia:amphora-mgmt';

/** The cloud of this machine. */
export type LocalCloud = {
  readonly compute: LocalCompute & Compute;
  readonly network: LocalNetworkService;
  readonly fabric: LocalFabric;
  readonly networks: DefaultNetworks;
  /** The host's address on the management network: where agents find the health manager. */
  readonly management_gateway: string;
};

/** Brings up bridges and finds the amphorae that run already. Throws what the kernel refuses. */
export async function openLocalCloud(
  config: Config,
  state: State,
  store: RecordStore,
  service_project_id: string,
  log: Logger,
): Promise<LocalCloud> {
  const fabric = new LocalFabric({ state_id: state.id, state_dir: state.dir, log, traffic: () => trafficOf(store) });
  let namespaceOfPort: (port_id: string) => string | null = () => null;
  const network = createLocalNetwork({
    store,
    onNetworkDeleted: async (id) => fabric.remove(id),
    onTrafficChanged: async (lifted) => {
      const none = lifted === undefined ? [] : [{ port_id: lifted.id, mac_address: lifted.mac_address, ingress: null, egress: null }];
      await fabric.applyTraffic((port_id) => namespaceOfPort(port_id), none);
    },
  });
  const { management_cidr, tenant_cidr, tenant_cidr_v6, floating_cidr } = config.local;
  const networks = await network.bootstrapNetworks({
    management_cidr: management_cidr ?? '',
    tenant_cidr: tenant_cidr ?? '',
    tenant_cidr_v6: tenant_cidr_v6 === 'none' ? null : tenant_cidr_v6,
    floating_cidr: floating_cidr === 'none' ? null : floating_cidr,
    service_project_id,
  });
  const managementId = networks.management.network.id;
  const wiring = wiringOf(network, managementId);
  for (const each of await network.listNetworks()) {
    if (each.host_reachable) await fabric.ensure({ ...each, is_management: each.id === managementId }, await network.listSubnets(each.id));
  }
  const agentBundle = join(state.dir, 'agent.cjs');
  await bundleAgent(agentBundle);
  const runtime = await prepareRuntime(state.dir, {
    nodeBinary: process.execPath,
    agentBundle,
    initScript: fileURLToPath(new URL('../agent/init.sh', import.meta.url)),
  });
  const compute = new LocalCompute({
    state_id: state.id,
    state_dir: state.dir,
    runtime,
    fabric,
    portOf: wiring,
    allocateManagementAddress: (amphora_id) => allocateManagement(network, networks, amphora_id),
    releaseManagementAddress: (amphora_id) => releaseManagement(network, amphora_id),
    limits: limitsOf(config),
    management_network_id: managementId,
    portLimitOf: async (port_id) => {
      const port = await network.findPort(port_id, null);
      return port === null ? null : limitOf(store, port);
    },
    log,
  });
  namespaceOfPort = (port_id) => compute.namespaceOfPort(port_id);
  const gateway = networks.management.subnets[0]?.gateway_ip;
  if (!gateway) throw new Error('The management subnet has no gateway address, which controllers need there.');
  return { compute, network, fabric, networks, management_gateway: gateway };
}

const limitsOf = ({ local }: Config) => ({
  memory_bytes: local.amphora_memory_limit_mb === 0 ? null : local.amphora_memory_limit_mb * 2 ** 20,
  cpu_percent: local.amphora_cpu_limit === 0 ? null : Math.round(local.amphora_cpu_limit * 100),
  pids: local.amphora_process_limit === 0 ? null : local.amphora_process_limit,
});

const wiringOf =
  (network: LocalNetworkService, managementId: string) =>
  async (port_id: string): Promise<PortWiring | null> => {
    const port = await network.findPort(port_id, null);
    if (port === null) return null;
    const its = await network.findNetwork(port.network_id, null);
    if (its === null) return null;
    return { port, network: { ...its, is_management: its.id === managementId }, subnets: await network.listSubnets(its.id) };
  };

async function allocateManagement(network: LocalNetworkService, networks: DefaultNetworks, amphora_id: string): Promise<ManagementAddress> {
  const subnet = networks.management.subnets[0];
  if (!subnet) throw new Error('The management network has no subnet.');
  const port = await network.createPort({
    name: `octavia-lb-mgmt-${amphora_id}`,
    network_id: subnet.network_id,
    project_id: networks.management.network.project_id,
    fixed_ips: [{ subnet_id: subnet.id }],
    device_id: `amphora-${amphora_id}`,
    device_owner: managementOwner,
  });
  const address = port.fixed_ips[0]?.ip_address;
  if (address === undefined) throw new Error('The management port has no address.');
  return { port, address, prefix: Number(subnet.cidr.split('/')[1]), gateway: subnet.gateway_ip };
}

async function releaseManagement(network: LocalNetworkService, amphora_id: string): Promise<void> {
  for (const port of await network.listPorts({ name: `octavia-lb-mgmt-${amphora_id}` })) await network.deletePort(port.id);
}
