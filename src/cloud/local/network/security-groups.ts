/**
 * Security groups of this machine. They have effect where a load balancer names them for its VIPs (see network/traffic); tenants' own
 * ports are plugged nowhere here, so that for those they are only kept.
 */
import type { Clock } from '../../../lib/clock.ts';
import { newId } from '../../../lib/ids.ts';
import { missing, NetworkFault } from './faults.ts';
import { deleteOf, insertOf, newCommon, touched, updateOf } from './records.ts';
import type { LocalPort, SecurityGroup, SecurityGroupRule } from './records.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordChange, RecordStore, StoredRecord } from '../record-store.ts';

/** What security groups need. */
export type SecurityGroupsContext = {
  readonly store: RecordStore;
  readonly clock: Clock;
  /** Called after a change of what is let through. */
  readonly onTrafficChanged: () => Promise<void>;
};

/** What a rule is made of. */
export type RuleSpec = Omit<SecurityGroupRule, 'id' | 'created_at' | 'updated_at' | 'revision_number'>;

/** Stores a group, with the two rules that Neutron gives each: everything may go out. */
export async function createSecurityGroup(
  { store, clock }: SecurityGroupsContext,
  spec: Pick<SecurityGroup, 'name' | 'project_id'> & Partial<Pick<SecurityGroup, 'description' | 'stateful'>>,
): Promise<SecurityGroup> {
  const group: SecurityGroup = { ...newCommon(newId(), clock.now(), spec), stateful: spec.stateful ?? true };
  const rules = (['IPv4', 'IPv6'] as const).map((ethertype) =>
    newRule({ ...anything, ethertype, project_id: spec.project_id, security_group_id: group.id }, clock.now()),
  );
  await store.write([insertOf(groupRecord(group)), ...rules.map((rule) => insertOf(ruleRecord(rule)))]);
  return group;
}

/** The default group of a project, and what has to be written for it to be there: nothing when it is. */
export type DefaultGroup = { readonly group: SecurityGroup; readonly changes: readonly RecordChange[] };

/** The group that each project has, and that its ports get when none is named: lets in what comes from the group itself. */
export async function planDefaultGroup({ store, clock }: SecurityGroupsContext, project_id: string): Promise<DefaultGroup> {
  const [present] = await store.list<SecurityGroup>('network.security_group', { unique_key: defaultKey(project_id) });
  if (present !== undefined) return { group: present, changes: [] };
  const description = 'Default security group';
  const group = { ...newCommon(newId(), clock.now(), { name: DEFAULT, project_id, description }), stateful: true, is_default: true };
  const rules = (['IPv4', 'IPv6'] as const).flatMap((ethertype) => {
    const own = { ...anything, ethertype, project_id, security_group_id: group.id };
    return [own, { ...own, direction: 'ingress', remote_group_id: group.id } as const].map((rule) => newRule(rule, clock.now()));
  });
  return { group, changes: [insertOf(groupRecord(group)), ...rules.map((rule) => insertOf(ruleRecord(rule)))] };
}

/** The default group of a project; made when it is not there. */
export async function defaultSecurityGroup(context: SecurityGroupsContext, project_id: string): Promise<SecurityGroup> {
  const { group, changes } = await planDefaultGroup(context, project_id);
  try {
    if (changes.length > 0) await context.store.write(changes);
    return group;
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    return (await planDefaultGroup(context, project_id)).group;
  }
}

/** Changes a group. Throws `NetworkFault` 404, 409 for another name of a default group. */
export async function updateSecurityGroup(
  { store, clock }: SecurityGroupsContext,
  id: string,
  change: Partial<Pick<SecurityGroup, 'name' | 'description' | 'stateful' | 'tags'>>,
): Promise<SecurityGroup> {
  const before = await store.get<SecurityGroup>('network.security_group', id);
  if (before === null) throw missing.security_group(id);
  if (before.is_default === true && change.name !== undefined && change.name !== before.name)
    throw new NetworkFault(409, 'SecurityGroupCannotUpdateDefault', 'Updating default security group not allowed.');
  const after = { ...before, ...change, ...touched(before, clock.now()) };
  await store.write([updateOf(groupRecord(after))]);
  return after;
}

/** Removes a group with its rules. Throws `NetworkFault` 404, 409 while a port or a rule of another group names it, or when it is a default group. */
export async function deleteSecurityGroup({ store }: SecurityGroupsContext, id: string): Promise<void> {
  const group = await store.get<SecurityGroup>('network.security_group', id);
  if (group === null) throw missing.security_group(id);
  if (group.is_default === true)
    throw new NetworkFault(409, 'SecurityGroupCannotRemoveDefault', 'Insufficient rights for removing default security group.');
  const ports = await store.list<LocalPort>('network.port');
  const rules = await store.list<SecurityGroupRule>('network.security_group_rule');
  const isUsed =
    ports.some((port) => port.security_groups.includes(id)) ||
    rules.some((rule) => rule.remote_group_id === id && rule.security_group_id !== id);
  if (isUsed) throw new NetworkFault(409, 'SecurityGroupInUse', `Security Group ${id} in use.`);
  const own = rules.filter((rule) => rule.security_group_id === id);
  await store.write([...own.map((rule) => deleteOf(ruleRecord(rule))), deleteOf(groupRecord(group))]);
}

/** Stores a rule. Throws `NetworkFault` 409 when the group has the same rule already. */
export async function createRule({ store, clock, onTrafficChanged }: SecurityGroupsContext, spec: RuleSpec): Promise<SecurityGroupRule> {
  const rule = newRule(spec, clock.now());
  try {
    await store.write([insertOf(ruleRecord(rule))]);
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    throw new NetworkFault(409, 'SecurityGroupRuleExists', 'Security group rule already exists.', { cause: error });
  }
  await onTrafficChanged();
  return rule;
}

/** Removes a rule. Throws `NetworkFault` 404. */
export async function deleteRule({ store, onTrafficChanged }: SecurityGroupsContext, id: string): Promise<void> {
  const rule = await store.get<SecurityGroupRule>('network.security_group_rule', id);
  if (rule === null) throw missing.security_group_rule(id);
  await store.write([deleteOf(ruleRecord(rule))]);
  await onTrafficChanged();
}

/** The rules of a group. */
export function rulesOf(store: RecordStore, security_group_id: string): Promise<readonly SecurityGroupRule[]> {
  return store.list<SecurityGroupRule>('network.security_group_rule', { name: security_group_id });
}

const anything = {
  description: '',
  direction: 'egress',
  protocol: null,
  port_range_min: null,
  port_range_max: null,
  remote_ip_prefix: null,
  remote_group_id: null,
} as const;

function newRule(spec: RuleSpec, now_ms: number): SecurityGroupRule {
  const { created_at, updated_at, revision_number } = newCommon('', now_ms, { name: '', project_id: null });
  return { ...spec, id: newId(), created_at, updated_at, revision_number };
}

const DEFAULT = 'default';

function defaultKey(project_id: string): string {
  return `default/${project_id}`;
}

function groupRecord(group: SecurityGroup): StoredRecord<SecurityGroup> {
  const { id, project_id, name } = group;
  const unique_key = group.is_default === true ? defaultKey(project_id ?? '') : null;
  return { kind: 'network.security_group', id, project_id, name, unique_key, body: group };
}

/** Found by its group as the name; unique by all that it says. */
function ruleRecord(rule: SecurityGroupRule): StoredRecord<SecurityGroupRule> {
  const said = [
    rule.direction,
    rule.ethertype,
    rule.protocol,
    rule.port_range_min,
    rule.port_range_max,
    rule.remote_ip_prefix,
    rule.remote_group_id,
  ];
  const unique_key = `${rule.security_group_id}/${JSON.stringify(said)}`;
  return {
    kind: 'network.security_group_rule',
    id: rule.id,
    project_id: rule.project_id,
    name: rule.security_group_id,
    unique_key,
    body: rule,
  };
}
