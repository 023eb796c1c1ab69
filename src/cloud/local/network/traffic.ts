/** What the machine has to do with traffic, from what the records say: translate floating IPs, filter by security groups, limit by QoS policies. */
import type { FilterRule, PortFilter, PortLimit, Rate, Traffic } from '../fabric/traffic.ts';
import type { RecordStore } from '../record-store.ts';
import { floatingState } from './floating-ips.ts';
import { protocolNumber } from './protocols.ts';
import type { LocalPort, QosRule, SecurityGroupRule } from './records.ts';

/** All of it, as it is now. */
export async function trafficOf(store: RecordStore): Promise<Traffic> {
  const { ranges, translations } = await floatingState(store);
  const ports = await portsWithRules(store);
  return { ranges, translations, filters: await filtersOf(store, ports), limits: await limitsOf(store, ports) };
}

/** The limit of one port; null: none. */
export async function limitOf(
  store: RecordStore,
  port: Pick<LocalPort, 'id' | 'mac_address' | 'qos_policy_id'>,
): Promise<PortLimit | null> {
  const { id, mac_address, qos_policy_id } = port;
  if (qos_policy_id === null) return null;
  const rules = await store.list<QosRule>('network.qos_rule', { name: qos_policy_id });
  const rateOf = (direction: QosRule['direction']): Rate | null => {
    const rule = rules.find((each) => each.direction === direction);
    return rule === undefined ? null : { kbps: rule.max_kbps, burst_kbit: rule.max_burst_kbps };
  };
  return { port_id: id, mac_address, ingress: rateOf('ingress'), egress: rateOf('egress') };
}

/** Ports of our devices that a group or a policy is about; those of tenants' own are plugged nowhere on this machine. */
async function portsWithRules(store: RecordStore): Promise<readonly LocalPort[]> {
  const isNeeded = (await store.list('network.qos_policy')).length + (await store.list('network.security_group')).length > 0;
  if (!isNeeded) return [];
  const ports = await store.list<LocalPort>('network.port');
  return ports.filter((port) => port.managed && port.device_id !== '');
}

/** A port's groups decide what reaches the addresses that it has beside its own: the VIPs. */
async function filtersOf(store: RecordStore, ports: readonly LocalPort[]): Promise<readonly PortFilter[]> {
  const filtered = ports.filter((port) => port.security_groups.length > 0 && port.allowed_address_pairs.length > 0);
  if (filtered.length === 0) return [];
  const all = await store.list<SecurityGroupRule>('network.security_group_rule');
  const everyPort = await store.list<LocalPort>('network.port');
  const membersOf = (group_id: string): readonly string[] =>
    everyPort
      .filter((port) => port.security_groups.includes(group_id))
      .flatMap((port) => [...port.fixed_ips, ...port.allowed_address_pairs].map((each) => each.ip_address));
  return filtered.map((port) => ({
    port_id: port.id,
    addresses: port.allowed_address_pairs.map((pair) => pair.ip_address),
    rules: all
      .filter((rule) => rule.direction === 'ingress' && port.security_groups.includes(rule.security_group_id))
      .flatMap((rule) => filterRule(rule, membersOf)),
  }));
}

function filterRule(rule: SecurityGroupRule, membersOf: (group_id: string) => readonly string[]): readonly FilterRule[] {
  const version = rule.ethertype === 'IPv6' ? 6 : 4;
  const protocol = rule.protocol === null ? null : protocolNumber(rule.protocol, version);
  // A protocol that nobody knows lets nothing through.
  if (rule.protocol !== null && protocol === null) return [];
  const { port_range_min: least, port_range_max: most, remote_ip_prefix, remote_group_id } = rule;
  const named = remote_group_id === null ? null : [...new Set(membersOf(remote_group_id))];
  return [{ version, protocol, least, most, remotes: remote_ip_prefix === null ? named : [remote_ip_prefix] }];
}

async function limitsOf(store: RecordStore, ports: readonly LocalPort[]): Promise<readonly PortLimit[]> {
  // Also those whose policy has no rule any more: their limits are lifted.
  const limits = await Promise.all(ports.map((port) => limitOf(store, port)));
  return limits.filter((limit) => limit !== null);
}
