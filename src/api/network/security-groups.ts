/** `/v2.0/security-groups` and `/v2.0/security-group-rules`. */
import { invalidInput, missing, NetworkFault } from '../../cloud/local/network/faults.ts';
import type { SecurityGroup, SecurityGroupRule } from '../../cloud/local/network/records.ts';
import {
  createRule,
  createSecurityGroup,
  defaultSecurityGroup,
  deleteRule,
  deleteSecurityGroup,
  rulesOf,
  updateSecurityGroup,
} from '../../cloud/local/network/security-groups.ts';
import type { JsonObject } from '../identity/fields.ts';
import { protocolNumber } from '../../cloud/local/network/protocols.ts';
import { isUuid } from '../../lib/ids.ts';
import { boolean, cidr, integer, oneOf, projectId, readAttributes, tags, text, uuid, uuidOrNull } from './attributes.ts';
import type { Collection } from './collection.ts';
import { ownerOf, requireOwner, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';
import { scopeFilter } from './ports.ts';

const groupAttributes = {
  project_id: { read: projectId, in: 'POST' },
  name: { read: text, in: 'both' },
  description: { read: text, in: 'both' },
  stateful: { read: boolean, in: 'both' },
  tags: { read: tags, in: 'POST' },
} as const;

const ruleAttributes = {
  project_id: { read: projectId, in: 'POST' },
  security_group_id: { read: uuid, in: 'POST' },
  direction: { read: oneOf(['ingress', 'egress']), in: 'POST' },
  ethertype: { read: ethertype, in: 'POST' },
  protocol: { read: protocol, in: 'POST' },
  port_range_min: { read: portOrNull, in: 'POST' },
  port_range_max: { read: portOrNull, in: 'POST' },
  remote_ip_prefix: { read: cidrOrNull, in: 'POST' },
  remote_group_id: { read: uuidOrNull, in: 'POST' },
  description: { read: text, in: 'POST' },
} as const;

/** Security groups of the caller's project, with their rules. */
export function securityGroupsOf({ network }: NetworkContext): Collection<SecurityGroup> {
  const { topology } = network;
  return {
    path: '/security-groups',
    singular: 'security_group',
    plural: 'security_groups',
    missing: missing.security_group,
    async list(caller, query) {
      // It belongs to every first look; a look that may yet be refused makes nothing.
      const isPlain = !['limit', 'marker', 'sort_key', 'sort_dir'].some((name) => query.has(name));
      if (caller.project_id !== null && isPlain) await defaultSecurityGroup(topology, caller.project_id);
      return topology.store.list<SecurityGroup>('network.security_group', scopeFilter(scopeOf(caller)));
    },
    find: async (id, caller) => {
      const visible = await network.findSecurityGroup(id, scopeOf(caller));
      return visible === null ? null : topology.store.get<SecurityGroup>('network.security_group', visible.id);
    },
    show: (groups) =>
      Promise.all(
        groups.map(async (group) => {
          const security_group_rules = (await rulesOf(topology.store, group.id)).map(showRule);
          const { is_default = false, ...shown } = group;
          return { ...shown, is_default, tenant_id: group.project_id, shared: false, security_group_rules };
        }),
      ),
    async create(body, caller) {
      const { project_id, tags: labels, ...given } = readAttributes(groupAttributes, body, 'POST', caller);
      if (given.name === 'default')
        throw new NetworkFault(409, 'SecurityGroupDefaultAlreadyExists', 'Default security group already exists.');
      const made = await createSecurityGroup(topology, { name: '', ...given, project_id: ownerOf(caller, project_id) });
      return labels === undefined ? made : updateSecurityGroup(topology, made.id, { tags: labels });
    },
    async update(item, body, caller) {
      const { project_id: _project, tags: _tags, ...given } = readAttributes(groupAttributes, body, 'PUT', caller);
      return updateSecurityGroup(topology, item.id, given);
    },
    remove: (item) => deleteSecurityGroup(topology, item.id),
    setTags: (item, labels) => updateSecurityGroup(topology, item.id, { tags: labels }),
  };
}

/** Rules of the caller's security groups. */
export function rulesOfGroups({ network }: NetworkContext): Collection<SecurityGroupRule> {
  const { topology } = network;
  return {
    path: '/security-group-rules',
    singular: 'security_group_rule',
    plural: 'security_group_rules',
    missing: missing.security_group_rule,
    list: (caller) => topology.store.list<SecurityGroupRule>('network.security_group_rule', scopeFilter(scopeOf(caller))),
    async find(id, caller) {
      const rule = isUuid(id) ? await topology.store.get<SecurityGroupRule>('network.security_group_rule', id) : null;
      const scope = scopeOf(caller);
      return rule !== null && (scope === null || rule.project_id === scope) ? rule : null;
    },
    show: (rules) => rules.map(showRule),
    async create(body, caller) {
      const given = readAttributes(ruleAttributes, body, 'POST', caller);
      const { security_group_id, direction } = given;
      if (security_group_id === undefined || direction === undefined)
        throw invalidInput('a rule needs a security_group_id and a direction');
      const group = await topology.store.get<SecurityGroup>('network.security_group', security_group_id);
      if (group === null || (await network.findSecurityGroup(group.id, scopeOf(caller))) === null)
        throw missing.security_group(security_group_id);
      requireOwner(caller, group);
      const { port_range_min: least = null, port_range_max: most = null, protocol: named = null, remote_ip_prefix = null } = given;
      requireSense(least, most, named, given.ethertype ?? 'IPv4', remote_ip_prefix);
      return createRule(topology, {
        description: given.description ?? '',
        project_id: group.project_id,
        security_group_id,
        direction,
        ethertype: given.ethertype ?? 'IPv4',
        protocol: named,
        port_range_min: least,
        port_range_max: most,
        remote_ip_prefix,
        remote_group_id: given.remote_group_id ?? null,
      });
    },
    remove: (item) => deleteRule(topology, item.id),
  };
}

function showRule(rule: SecurityGroupRule): JsonObject {
  return {
    ...rule,
    tenant_id: rule.project_id,
    remote_address_group_id: null,
    normalized_cidr: rule.remote_ip_prefix,
    belongs_to_default_sg: false,
  };
}

function requireSense(least: number | null, most: number | null, named: string | null, type: string, prefix: string | null): void {
  const isIcmp = named !== null && ['icmp', 'icmpv6', 'ipv6-icmp', '1', '58'].includes(named);
  if (!isIcmp && (least === null) !== (most === null)) throw invalidInput('port_range_min and port_range_max are given together');
  if (!isIcmp && least !== null && most !== null && least > most) throw invalidInput('port_range_min is more than port_range_max');
  if (least !== null && named === null) throw invalidInput('a range of ports needs a protocol');
  if (prefix !== null && prefix.includes(':') !== (type === 'IPv6'))
    throw invalidInput(`remote_ip_prefix ${prefix} is not of ethertype ${type}`);
}

/** Neutron takes it in any case. */
function ethertype(value: unknown, name: string): 'IPv4' | 'IPv6' {
  const lower = typeof value === 'string' ? value.toLowerCase() : value;
  return oneOf(['ipv4', 'ipv6'])(lower, name) === 'ipv4' ? 'IPv4' : 'IPv6';
}

/** A name or a number of IANA's list; null, '' and `any` are any. */
function protocol(value: unknown, name: string): string | null {
  if (value === null || value === '' || value === 'any') return null;
  if (typeof value === 'number' || (typeof value === 'string' && /^\d+$/u.test(value))) return String(integer(0, 255)(value, name));
  const named = text(value, name).toLowerCase();
  if (protocolNumber(named, 4) === null) throw invalidInput(`'${name}' is not a protocol`);
  return named;
}

function portOrNull(value: unknown, name: string): number | null {
  return value === null ? null : integer(0, 65_535)(value, name);
}

function cidrOrNull(value: unknown, name: string): string | null {
  if (value === null || value === '') return null;
  // A lone address means that one.
  const range = typeof value === 'string' && !value.includes('/') ? `${value}/${value.includes(':') ? 128 : 32}` : value;
  return cidr(range, name);
}
