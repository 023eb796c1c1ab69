/** `/v2.0/ports`. */
import type { Caller } from '../../cloud/identity.ts';
import { invalidInput, missing, NetworkFault } from '../../cloud/local/network/faults.ts';
import { planDefaultGroup } from '../../cloud/local/network/security-groups.ts';
import type { LocalPort } from '../../cloud/local/network/records.ts';
import type { LocalNetworkService } from '../../cloud/local/network-service.ts';
import type { JsonObject } from '../identity/fields.ts';
import {
  absent,
  address,
  addressOrCidr,
  boolean,
  forbidden,
  listOf,
  objectOf,
  projectId,
  readAttributes,
  tags,
  text,
  uuid,
  uuidOrNull,
} from './attributes.ts';
import type { Given } from './attributes.ts';
import type { Collection } from './collection.ts';
import { ownerOf, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';

const ipMembers = { subnet_id: { read: uuid, in: 'both' }, ip_address: { read: address, in: 'both' } } as const;
const pairMembers = { ip_address: { read: addressOrCidr, in: 'both' }, mac_address: { read: mac, in: 'both' } } as const;

const portAttributes = {
  project_id: { read: projectId, in: 'POST' },
  network_id: { read: uuid, in: 'POST' },
  name: { read: text, in: 'both' },
  description: { read: text, in: 'both' },
  admin_state_up: { read: boolean, in: 'both' },
  fixed_ips: { read: listOf(objectOf(ipMembers, []), 10), in: 'both' },
  device_id: { read: text, in: 'both' },
  device_owner: { read: text, in: 'both' },
  security_groups: { read: listOf(uuid, 20), in: 'both' },
  allowed_address_pairs: { read: listOf(objectOf(pairMembers, ['ip_address']), 20), in: 'both' },
  qos_policy_id: { read: uuidOrNull, in: 'both' },
  port_security_enabled: { read: boolean, in: 'both' },
  mac_address: { read: mac, in: 'POST' },
  // As they are by default, these change nothing.
  dns_name: { read: absent, in: 'both' },
  extra_dhcp_opts: { read: absent, in: 'both' },
  'binding:host_id': { read: absent, in: 'both' },
  'binding:profile': { read: absent, in: 'both' },
  tags: { read: tags, in: 'POST' },
  'binding:vnic_type': { read: normalOnly, in: 'both' },
} as const;

/** Ports of the caller's project. */
export function portsOf({ network }: NetworkContext): Collection<LocalPort> {
  return {
    path: '/ports',
    singular: 'port',
    plural: 'ports',
    missing: missing.port,
    list: (caller) => network.topology.store.list<LocalPort>('network.port', scopeFilter(scopeOf(caller))),
    find: (id, caller) => network.findPort(id, scopeOf(caller)),
    show: (items, caller) => items.map((port) => showPort(port, caller)),
    async create(body, caller) {
      const given = readAttributes(portAttributes, body, 'POST', caller);
      const { project_id, network_id, tags: labels, allowed_address_pairs: pairs } = given;
      const rest = keptOf(given);
      if (network_id === undefined) throw invalidInput('a port needs a network_id');
      if ((await network.findNetwork(network_id, scopeOf(caller))) === null) throw missing.network(network_id);
      requireFreeOwner(caller, rest.device_owner);
      await requireVisible(network, caller, rest);
      const owner = ownerOf(caller, project_id);
      const isSecured = rest.port_security_enabled !== false && owner !== null;
      const isGrouped = isSecured && rest.security_groups === undefined;
      const base = {
        ...(isGrouped && { defaultGroup: () => planDefaultGroup(network.topology, owner) }),
        name: '',
        device_id: '',
        device_owner: '',
        fixed_ips: [],
        allowed_address_pairs: pairsOf(pairs ?? []),
      };
      const made = await network.createTenantPort({ ...base, ...rest, network_id, project_id: owner });
      return labels === undefined ? made : network.changeTenantPort(made.id, { tags: labels });
    },
    async update(item, body, caller) {
      const given = readAttributes(portAttributes, body, 'PUT', caller);
      const { allowed_address_pairs: pairs } = given;
      const { mac_address: _mac, ...rest } = keptOf(given);
      requireFreeOwner(caller, rest.device_owner);
      const touchesUse = rest.device_id !== undefined || rest.device_owner !== undefined || rest.fixed_ips !== undefined;
      if (touchesUse) requireNotServing(caller, item, 'changed');
      await requireVisible(network, caller, rest);
      return network.changeTenantPort(item.id, { ...rest, ...(pairs === undefined ? {} : { allowed_address_pairs: pairsOf(pairs) }) });
    },
    async remove(item, caller) {
      requireNotServing(caller, item, 'deleted');
      await network.deletePort(item.id);
    },
    setTags: (item, labels) => network.changeTenantPort(item.id, { tags: labels }),
  };
}

/** What of a body is written as it is. */
function keptOf(given: Given<typeof portAttributes>): Pick<Given<typeof portAttributes>, (typeof kept)[number]> {
  return Object.fromEntries(kept.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])));
}

const kept = [
  'name',
  'description',
  'admin_state_up',
  'fixed_ips',
  'device_id',
  'device_owner',
  'security_groups',
  'qos_policy_id',
  'port_security_enabled',
  'mac_address',
] as const;

/** The store's filter for what a project owns; null: no filter. */
export function scopeFilter(project_id: string | null): { readonly project_id?: string } {
  return project_id === null ? {} : { project_id };
}

function showPort({ managed: _managed, adoptable: _adoptable, ...port }: LocalPort, caller: Caller): JsonObject {
  const binding = {
    'binding:host_id': '',
    'binding:profile': {},
    'binding:vif_details': {},
    'binding:vif_type': port.device_id === '' ? 'unbound' : 'other',
  };
  return {
    ...port,
    allowed_address_pairs: port.allowed_address_pairs.map((pair) => ({ mac_address: port.mac_address, ...pair })),
    tenant_id: port.project_id,
    status: port.device_id === '' ? 'DOWN' : 'ACTIVE',
    'binding:vnic_type': 'normal',
    ...(caller.is_admin ? binding : {}),
    dns_name: '',
    dns_assignment: [],
    extra_dhcp_opts: [],
    ip_allocation: port.fixed_ips.length === 0 ? 'none' : 'immediate',
    qos_network_policy_id: null,
    propagate_uplink_status: true,
    resource_request: null,
  };
}

/** Who owns a device is what services are recognised by: tenants cannot pose as one. */
function requireFreeOwner(caller: Caller, device_owner: string | undefined): void {
  const isService = ['network:', 'neutron:', 'octavia'].some((prefix) => device_owner?.toLowerCase().startsWith(prefix) === true);
  if (isService && !caller.is_admin) throw forbidden('this device_owner is for services');
}

/** A load balancer's port is removed with the load balancer, or its traffic would go nowhere. */
function requireNotServing(caller: Caller, port: LocalPort, what: string): void {
  if (!port.managed || caller.is_admin) return;
  const message = `Port ${port.id} cannot be ${what} directly via the port API: has device owner ${port.device_owner}.`;
  throw new NetworkFault(409, 'ServicePortInUse', message);
}

async function requireVisible(
  network: LocalNetworkService,
  caller: Caller,
  named: { readonly security_groups?: readonly string[]; readonly qos_policy_id?: string | null },
): Promise<void> {
  for (const id of named.security_groups ?? []) {
    if ((await network.findSecurityGroup(id, scopeOf(caller))) === null) throw missing.security_group(id);
  }
  const policy = named.qos_policy_id ?? null;
  if (policy !== null && (await network.findQosPolicy(policy, scopeOf(caller))) === null) throw missing.qos_policy(policy);
}

/** What is kept of address pairs: a pair's hardware address is always the port's own here. */
function pairsOf(pairs: readonly { readonly ip_address: string }[]): readonly { readonly ip_address: string }[] {
  return pairs.map(({ ip_address }) => ({ ip_address }));
}

function mac(value: unknown, name: string): string {
  if (typeof value === 'string' && /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/iu.test(value)) return value.toLowerCase();
  throw invalidInput(`'${name}' is not a valid MAC address`);
}

function normalOnly(value: unknown, name: string): 'normal' {
  if (value === 'normal') return value;
  throw invalidInput(`'${name}' can only be normal`);
}
