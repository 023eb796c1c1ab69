/** Networks, subnets and ports, in Neutron's words: the interface that each kind of network implements (local bridges, Neutron, the fake cloud). */

/** A network. */
export type Network = {
  readonly id: string;
  readonly name: string;
  readonly project_id: string | null;
  readonly subnets: readonly string[];
  readonly mtu: number;
  readonly port_security_enabled: boolean;
  readonly shared: boolean;
};

/** A subnet; `gateway_ip` is null when the subnet has no way out. */
export type Subnet = {
  readonly id: string;
  readonly name: string;
  readonly network_id: string;
  readonly project_id: string | null;
  readonly ip_version: 4 | 6;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly host_routes: readonly { readonly destination: string; readonly nexthop: string }[];
};

/** One address of a port. */
export type FixedIp = { readonly subnet_id: string; readonly ip_address: string };

/** A port. */
export type Port = {
  readonly id: string;
  readonly name: string;
  readonly network_id: string;
  readonly project_id: string | null;
  readonly mac_address: string;
  readonly fixed_ips: readonly FixedIp[];
  /** The load balancer (`lb-<id>`) or instance that it belongs to; empty: nobody. */
  readonly device_id: string;
  /** `Octavia` for ports that we made, `Octavia:amphora` for an amphora's own. */
  readonly device_owner: string;
  readonly security_groups: readonly string[];
  readonly allowed_address_pairs: readonly { readonly ip_address: string }[];
  readonly qos_policy_id: string | null;
  readonly tags: readonly string[];
  /** Absent: `normal`. */
  readonly vnic_type?: VnicType;
};

/** How a port reaches its network: by a virtual switch, or by a virtual function of a network card (SR-IOV). */
export type VnicType = 'normal' | 'direct';

/** What a port is to be. Its name makes it findable: a second `createPort` of the same name and device adopts the first. */
export type PortSpec = {
  readonly name: string;
  readonly network_id: string;
  readonly project_id: string | null;
  /** With an address: that one; without: any free address of the subnet. Empty: the network chooses. */
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address?: string }[];
  readonly device_id: string;
  readonly device_owner: string;
  readonly security_groups?: readonly string[];
  readonly allowed_address_pairs?: readonly { readonly ip_address: string }[];
  readonly qos_policy_id?: string | null;
  /** Absent: `normal`. A network that has no other refuses, or says so beforehand (`Compute.findRefusal`). */
  readonly vnic_type?: VnicType;
};

/** Looks up what a tenant named; each answers null when it does not exist or the caller may not see it (`project_id` null: see all). */
export interface NetworkCatalog {
  findNetwork(id: string, project_id: string | null): Promise<Network | null>;
  findSubnet(id: string, project_id: string | null): Promise<Subnet | null>;
  findPort(id: string, project_id: string | null): Promise<Port | null>;
  findSecurityGroup(id: string, project_id: string | null): Promise<{ readonly id: string } | null>;
  findQosPolicy(id: string, project_id: string | null): Promise<{ readonly id: string } | null>;
  /** How many more addresses a subnet can give. */
  countFreeAddresses(subnet_id: string): Promise<number>;
}

/** Makes and removes our ports. */
export interface PortService {
  /** Throws `Fault` 409 when the address is taken, 400 when it is not of the subnet. */
  createPort(spec: PortSpec): Promise<Port>;
  /** Ports by exact match of what is given. */
  listPorts(filter: { readonly device_id?: string; readonly name?: string; readonly device_owner?: string }): Promise<readonly Port[]>;
  updatePort(
    id: string,
    change: Partial<Pick<Port, 'name' | 'device_id' | 'device_owner' | 'security_groups' | 'allowed_address_pairs' | 'qos_policy_id'>>,
  ): Promise<Port>;
  /** One that is not there is success. */
  deletePort(id: string): Promise<void>;
}
