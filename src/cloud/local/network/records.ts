/** What the embedded network service keeps, in Neutron's words, and how each is found in the store. */
import type { FixedIp, Network, Port, Subnet } from '../../network.ts';
import type { AllocationPool } from './addresses.ts';
import type { RecordChange, StoredRecord } from '../record-store.ts';

/** What every resource has; times are `2026-01-01T00:00:00Z`. */
export type Common = {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly project_id: string | null;
  readonly tags: readonly string[];
  readonly created_at: string;
  readonly updated_at: string;
  readonly revision_number: number;
};

/** What the first start makes has a name of its own by which later starts find it, whatever it was renamed to; null: made by somebody. */
export type Bootstrapped = { readonly bootstrap_key: string | null };

/**
 * A network of this machine; `host_reachable`: the host has a leg in it, at the gateways of its subnets; `is_external`: nothing but
 * floating IPs comes from it, and everybody may see it (absent in records of older states: it is not).
 */
export type LocalNetwork = Common &
  Bootstrapped &
  Omit<Network, 'subnets'> & {
    readonly host_reachable: boolean;
    readonly is_external?: boolean;
    readonly admin_state_up: boolean;
    readonly qos_policy_id: string | null;
  };

/** A subnet of this machine. */
export type LocalSubnet = Common &
  Bootstrapped &
  Subnet & {
    readonly allocation_pools: readonly AllocationPool[];
    readonly dns_nameservers: readonly string[];
    readonly enable_dhcp: boolean;
  };

/** A port of this machine; `managed`: somebody's device by our word, `adoptable`: made by us, and found by device and name. */
export type LocalPort = Common &
  Port & {
    readonly managed: boolean;
    readonly adoptable: boolean;
    readonly admin_state_up: boolean;
    readonly port_security_enabled: boolean;
  };

/** A security group; its rules are records of their own. `is_default`: the one that its project has by itself. */
export type SecurityGroup = Common & { readonly stateful: boolean; readonly is_default?: boolean };

/** A rule of a security group; null means any. */
export type SecurityGroupRule = Omit<Common, 'name' | 'tags'> & {
  readonly security_group_id: string;
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: 'IPv4' | 'IPv6';
  readonly protocol: string | null;
  readonly port_range_min: number | null;
  readonly port_range_max: number | null;
  readonly remote_ip_prefix: string | null;
  readonly remote_group_id: string | null;
};

/** A QoS policy; its rules are records of their own. */
export type QosPolicy = Common & { readonly shared: boolean };

/** A limit of the bandwidth of a port: `ingress` is what it receives. Rates are kbit/s and, for bursts, kbit; 0: what suits the rate. */
export type QosRule = {
  readonly id: string;
  readonly policy_id: string;
  readonly type: 'bandwidth_limit';
  readonly direction: 'ingress' | 'egress';
  readonly max_kbps: number;
  readonly max_burst_kbps: number;
};

/** An address of an external network, which stands for a fixed address of a port as long as it has one. */
export type FloatingIp = Omit<Common, 'name'> & {
  readonly floating_network_id: string;
  readonly floating_ip_address: string;
  readonly subnet_id: string;
  readonly port_id: string | null;
  readonly fixed_ip_address: string | null;
};

/** An address that is taken. */
export type Allocation = FixedIp & { readonly port_id: string };

/** The record of a network. */
export function networkRecord(network: LocalNetwork): StoredRecord<LocalNetwork> {
  const { id, project_id, name, bootstrap_key } = network;
  return { kind: 'network.network', id, project_id, name, unique_key: bootstrap_key, body: network };
}

/** The record of a subnet, found by its network as the name. */
export function subnetRecord(subnet: LocalSubnet): StoredRecord<LocalSubnet> {
  const { id, project_id, network_id, bootstrap_key } = subnet;
  return { kind: 'network.subnet', id, project_id, name: network_id, unique_key: bootstrap_key, body: subnet };
}

/** The record of a port; what makes one of ours unique is its device and name. */
export function portRecord(port: LocalPort): StoredRecord<LocalPort> {
  const unique_key = port.adoptable && port.device_id !== '' ? portKey(port.device_id, port.name) : null;
  return { kind: 'network.port', id: port.id, project_id: port.project_id, name: port.name, unique_key, body: port };
}

/** By what a second `createPort` finds the first. */
export function portKey(device_id: string, name: string): string {
  return `${device_id}/${name}`;
}

/** The record that takes an address of a subnet, found by the subnet as the name. */
export function allocationRecord(allocation: Allocation): StoredRecord<Allocation> {
  return keyed(allocationId(allocation), allocation.subnet_id, allocation);
}

/** The id and unique key of a taken address. */
export function allocationId({ subnet_id, ip_address }: FixedIp): string {
  return `${subnet_id}/${ip_address}`;
}

/** The record that takes a hardware address. */
export function macRecord(mac_address: string, port_id: string): StoredRecord {
  return keyed(`mac/${mac_address}`, null, { port_id });
}

/** The record of a floating IP, found by its port as the name; a fixed address has no two of them. */
export function floatingIpRecord(floating: FloatingIp): StoredRecord<FloatingIp> {
  const { id, project_id, port_id, fixed_ip_address } = floating;
  const unique_key = port_id === null ? null : `${port_id}/${fixed_ip_address ?? ''}`;
  return { kind: 'network.floating_ip', id, project_id, name: port_id, unique_key, body: floating };
}

/** The record of a QoS policy. */
export function qosPolicyRecord(policy: QosPolicy): StoredRecord<QosPolicy> {
  return { kind: 'network.qos_policy', id: policy.id, project_id: policy.project_id, name: policy.name, unique_key: null, body: policy };
}

/** The record of a QoS rule, found by its policy as the name; a policy has one for each direction. */
export function qosRuleRecord(rule: QosRule): StoredRecord<QosRule> {
  const { id, policy_id, direction } = rule;
  return { kind: 'network.qos_rule', id, project_id: null, name: policy_id, unique_key: `${policy_id}/${direction}`, body: rule };
}

/** The record by which a device's ports are found without reading all ports. */
export function deviceRecord(device_id: string, port_id: string): StoredRecord<{ readonly port_id: string }> {
  return keyed(`device/${device_id}/${port_id}`, `device/${device_id}`, { port_id });
}

/**
 * The record that says a network or subnet may be used. Whoever puts something into it updates this record in the same
 * write, and whoever removes it deletes the record before looking whether it is empty: so one of the two always notices.
 */
export function guardRecord(id: string): StoredRecord {
  return keyed(`guard/${id}`, null, {});
}

/** The change that removes a record. */
export function deleteOf({ kind, id }: Pick<StoredRecord, 'kind' | 'id'>): RecordChange {
  return { action: 'delete', kind, id };
}

/** The change that inserts a record. */
export function insertOf(record: StoredRecord): RecordChange {
  return { action: 'insert', record };
}

/** The change that updates a record. */
export function updateOf(record: StoredRecord): RecordChange {
  return { action: 'update', record };
}

/** A time in Neutron's form. */
export function neutronTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** What a new resource has in common with all others. */
export function newCommon(
  id: string,
  now_ms: number,
  spec: { readonly name: string; readonly project_id: string | null; readonly description?: string },
): Common {
  const time = neutronTime(now_ms);
  const { name, project_id, description = '' } = spec;
  return { id, name, description, project_id, tags: [], created_at: time, updated_at: time, revision_number: 1 };
}

/** The marks of a change on a resource. */
export function touched(before: Pick<Common, 'revision_number'>, now_ms: number): Pick<Common, 'updated_at' | 'revision_number'> {
  return { updated_at: neutronTime(now_ms), revision_number: before.revision_number + 1 };
}

function keyed<T>(key: string, name: string | null, body: T): StoredRecord<T> {
  return { kind: 'network.allocation', id: key, project_id: null, name, unique_key: key, body };
}
