/** What the wiring of this machine needs to know about a port; the embedded network service answers it. */
import type { Network, Port, Subnet } from '../../network.ts';

/** A network of the embedded network service, as far as wires matter. */
export type WiredNetwork = Pick<Network, 'id' | 'mtu'> & {
  /** The host has a leg in it, at each subnet's `gateway_ip`. Ranges of reachable networks must not overlap; others may. */
  readonly host_reachable: boolean;
  /** It is the network between controllers and agents: its ports see the host's leg and not each other. */
  readonly is_management: boolean;
};

/** A subnet, as far as wires matter. */
export type WiredSubnet = Pick<Subnet, 'ip_version' | 'cidr' | 'gateway_ip'>;

/** A port with its network and all subnets of that. */
export type PortWiring = {
  readonly port: Pick<Port, 'id' | 'mac_address'>;
  readonly network: WiredNetwork;
  readonly subnets: readonly WiredSubnet[];
};

/** An address on the management network that belongs to an amphora. */
export type ManagementAddress = {
  readonly port: Pick<Port, 'id' | 'mac_address'>;
  readonly address: string;
  /** Length of the subnet's prefix. */
  readonly prefix: number;
  /** The host's address in that network; null: the agents reach only what is on the link. */
  readonly gateway: string | null;
};
