/** A network in memory that gives no address twice, adopts a port of the same name and device, and can fail to answer. */
import type { Network, NetworkCatalog, Port, PortService, PortSpec, Subnet } from '../../src/cloud/network.ts';
import { Fault, Retry } from '../../src/model/index.ts';

/** Network `network` has subnet `subnet`, `network-2` has `subnet-2`. */
export class StrictNetwork implements NetworkCatalog, PortService {
  readonly ports = new Map<string, Port>();
  #serial = 0;
  readonly #mayFail: () => boolean;

  constructor(mayFail: () => boolean) {
    this.#mayFail = mayFail;
  }

  async createPort(spec: PortSpec): Promise<Port> {
    this.#answer();
    const same = [...this.ports.values()].find((port) => port.name === spec.name && port.device_id === spec.device_id);
    if (same) return same;
    this.#serial += 1;
    const fixed_ips = spec.fixed_ips.map(({ subnet_id, ip_address }) => ({
      subnet_id,
      ip_address: ip_address ?? `10.${subnet_id === 'subnet' ? 0 : 1}.${this.#serial >> 8}.${this.#serial & 255}`,
    }));
    for (const { ip_address } of fixed_ips) if (this.#isTaken(ip_address)) throw new Fault(409, `Address ${ip_address} is taken.`);
    const port: Port = {
      id: `port-${this.#serial}`,
      name: spec.name,
      network_id: spec.network_id,
      project_id: spec.project_id,
      mac_address: `fa:16:3e:00:${hex(this.#serial >> 8)}:${hex(this.#serial & 255)}`,
      fixed_ips,
      device_id: spec.device_id,
      device_owner: spec.device_owner,
      security_groups: [],
      allowed_address_pairs: spec.allowed_address_pairs ?? [],
      qos_policy_id: null,
      tags: [],
    };
    this.ports.set(port.id, port);
    return port;
  }

  async listPorts(filter: {
    readonly device_id?: string;
    readonly name?: string;
    readonly device_owner?: string;
  }): Promise<readonly Port[]> {
    this.#answer();
    return [...this.ports.values()].filter((port) => Object.entries(filter).every(([key, value]) => port[key as 'name'] === value));
  }

  async updatePort(id: string, change: Partial<Port>): Promise<Port> {
    this.#answer();
    const port = this.ports.get(id);
    if (!port) throw new Fault(404, `Port ${id} not found.`);
    const changed = { ...port, ...change };
    this.ports.set(id, changed);
    return changed;
  }

  async deletePort(id: string): Promise<void> {
    this.#answer();
    this.ports.delete(id);
  }

  async findNetwork(id: string): Promise<Network | null> {
    return {
      id,
      name: 'net',
      project_id: null,
      subnets: [id.replace('network', 'subnet')],
      mtu: 1500,
      port_security_enabled: true,
      shared: true,
    };
  }

  async findSubnet(id: string): Promise<Subnet | null> {
    const network_id = id.replace('subnet', 'network');
    return { id, name: id, network_id, project_id: null, ip_version: 4, cidr: '10.0.0.0/8', gateway_ip: '10.0.0.1', host_routes: [] };
  }

  async findPort(id: string): Promise<Port | null> {
    return this.ports.get(id) ?? null;
  }

  async findSecurityGroup(): Promise<null> {
    return null;
  }

  async findQosPolicy(): Promise<null> {
    return null;
  }

  async countFreeAddresses(): Promise<number> {
    return 1000;
  }

  #isTaken(address: string): boolean {
    return [...this.ports.values()].some((port) => port.fixed_ips.some((ip) => ip.ip_address === address));
  }

  #answer(): void {
    if (this.#mayFail()) throw new Retry('The network service does not answer.');
  }
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
