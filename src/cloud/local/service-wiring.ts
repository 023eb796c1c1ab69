/** What the wires and instances of this machine ask the embedded network service. */
import type { LocalFabric } from './fabric/fabric.ts';
import type { ManagementAddress, PortWiring, WiredNetwork, WiredSubnet } from './fabric/wiring.ts';
import type { LocalNetworkService } from './network-service.ts';

/** The owner of ports that carry an amphora's address on the management network. */
export const MANAGEMENT_PORT_OWNER = 'Octavia:amphora-mgmt';

/** The network between controllers and agents, and the project that its ports belong to. */
export type ManagementPlace = { readonly network_id: string; readonly project_id: string | null };

/** The three questions of `LocalCompute`, and the networks that the host has legs in. */
export type ServiceWiring = {
  portOf(port_id: string): Promise<PortWiring | null>;
  allocateManagementAddress(amphora_id: string): Promise<ManagementAddress>;
  releaseManagementAddress(amphora_id: string): Promise<void>;
  /** Makes the bridges and legs of all networks that the host reaches, so that it does before the first port is plugged. */
  ensureLegs(fabric: LocalFabric): Promise<void>;
};

/** Answers them from the service. Each throws what the service throws; `Error` when the management network has no IPv4 or IPv6 subnet. */
export function wiringOfService(service: LocalNetworkService, management: ManagementPlace): ServiceWiring {
  const wired = (network: { readonly id: string; readonly mtu: number; readonly host_reachable: boolean }): WiredNetwork => {
    const is_management = network.id === management.network_id;
    return { id: network.id, mtu: network.mtu, is_management, host_reachable: network.host_reachable || is_management };
  };
  return {
    async portOf(port_id) {
      const port = await service.findPort(port_id, null);
      const network = port === null ? null : await service.findNetwork(port.network_id, null);
      if (port === null || network === null) return null;
      return { port, network: wired(network), subnets: await service.listSubnets(network.id) };
    },

    async allocateManagementAddress(amphora_id) {
      const port = await service.createPort({
        name: `octavia-mgmt-${amphora_id}`,
        network_id: management.network_id,
        project_id: management.project_id,
        fixed_ips: [],
        device_id: amphora_id,
        device_owner: MANAGEMENT_PORT_OWNER,
      });
      const subnets = await service.listSubnets(management.network_id);
      for (const { subnet_id, ip_address } of port.fixed_ips) {
        const subnet = subnets.find((each) => each.id === subnet_id);
        if (subnet !== undefined) return { port: pick(port), address: ip_address, prefix: prefixOf(subnet), gateway: subnet.gateway_ip };
      }
      throw new Error(`port ${port.id} on the management network has no address`);
    },

    async releaseManagementAddress(amphora_id) {
      const ports = await service.listPorts({ device_id: amphora_id, device_owner: MANAGEMENT_PORT_OWNER });
      for (const { id } of ports) await service.deletePort(id);
    },

    async ensureLegs(fabric) {
      for (const network of (await service.listNetworks()).map(wired)) {
        if (network.host_reachable) await fabric.ensure(network, await service.listSubnets(network.id));
      }
    },
  };
}

function pick(port: PortWiring['port']): PortWiring['port'] {
  return { id: port.id, mac_address: port.mac_address };
}

function prefixOf(subnet: Pick<WiredSubnet, 'cidr'>): number {
  return Number(subnet.cidr.split('/')[1]);
}
