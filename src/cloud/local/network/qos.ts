/** QoS policies of this machine: limits of the bandwidth of ports. */
import { newId } from '../../../lib/ids.ts';
import { missing, NetworkFault } from './faults.ts';
import { deleteOf, insertOf, newCommon, qosPolicyRecord, qosRuleRecord, touched, updateOf } from './records.ts';
import type { LocalNetwork, LocalPort, QosPolicy, QosRule } from './records.ts';
import type { TopologyContext } from './topology.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore } from '../record-store.ts';

/** What policies need. */
export type QosContext = Pick<TopologyContext, 'store' | 'clock' | 'inTurn' | 'onTrafficChanged'>;

/** Stores a policy. */
export async function createQosPolicy(
  { store, clock }: QosContext,
  spec: Pick<QosPolicy, 'name' | 'project_id' | 'shared'> & Partial<Pick<QosPolicy, 'description'>>,
): Promise<QosPolicy> {
  const policy: QosPolicy = { ...newCommon(newId(), clock.now(), spec), shared: spec.shared };
  await store.write([insertOf(qosPolicyRecord(policy))]);
  return policy;
}

/** Changes a policy. Throws `NetworkFault` 404. */
export function updateQosPolicy(
  { store, clock, inTurn }: QosContext,
  id: string,
  change: Partial<Pick<QosPolicy, 'name' | 'description' | 'shared' | 'tags'>>,
): Promise<QosPolicy> {
  return inTurn(`policy ${id}`, async () => {
    const before = await store.get<QosPolicy>('network.qos_policy', id);
    if (before === null) throw missing.qos_policy(id);
    const after = { ...before, ...change, ...touched(before, clock.now()) };
    await store.write([updateOf(qosPolicyRecord(after))]);
    return after;
  });
}

/** Removes a policy with its rules. Throws `NetworkFault` 404, 409 while a port or a network has it. */
export async function deleteQosPolicy({ store }: QosContext, id: string): Promise<void> {
  const policy = await store.get<QosPolicy>('network.qos_policy', id);
  if (policy === null) throw missing.qos_policy(id);
  const users = [...(await store.list<LocalPort>('network.port')), ...(await store.list<LocalNetwork>('network.network'))];
  const user = users.find((each) => each.qos_policy_id === id);
  if (user !== undefined) {
    const kind = 'fixed_ips' in user ? 'port' : 'network';
    throw new NetworkFault(409, 'QosPolicyInUse', `QoS Policy ${id} is used by ${kind} ${user.id}.`);
  }
  const rules = await rulesOfPolicy(store, id);
  await store.write([...rules.map((rule) => deleteOf(qosRuleRecord(rule))), deleteOf(qosPolicyRecord(policy))]);
}

/** The rules of a policy. */
export function rulesOfPolicy(store: RecordStore, policy_id: string): Promise<readonly QosRule[]> {
  return store.list<QosRule>('network.qos_rule', { name: policy_id });
}

/** Stores a rule. Throws `NetworkFault` 409 when the policy has one for the direction. */
export async function createQosRule({ store, onTrafficChanged }: QosContext, spec: Omit<QosRule, 'id' | 'type'>): Promise<QosRule> {
  const rule: QosRule = { id: newId(), type: 'bandwidth_limit', ...spec };
  try {
    await store.write([insertOf(qosRuleRecord(rule))]);
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    const message = `Rule bandwidth_limit with direction ${spec.direction} conflicts with another rule which already exists in QoS Policy ${spec.policy_id}.`;
    throw new NetworkFault(409, 'QoSRulesConflict', message, { cause: error });
  }
  await onTrafficChanged();
  return rule;
}

/** Changes a rule. Throws `NetworkFault` 404, or 409 when the policy has another for the direction. */
export async function updateQosRule(
  context: QosContext,
  id: string,
  change: Partial<Pick<QosRule, 'direction' | 'max_kbps' | 'max_burst_kbps'>>,
): Promise<QosRule> {
  const { store } = context;
  const before = await store.get<QosRule>('network.qos_rule', id);
  if (before === null) throw missing.qos_rule(id);
  const after = { ...before, ...change };
  try {
    await store.write([updateOf(qosRuleRecord(after))]);
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    throw new NetworkFault(409, 'QoSRulesConflict', `QoS Policy ${before.policy_id} has another rule for that direction.`, {
      cause: error,
    });
  }
  await context.onTrafficChanged();
  return after;
}

/** Removes a rule. Throws `NetworkFault` 404. */
export async function deleteQosRule({ store, onTrafficChanged }: QosContext, id: string): Promise<void> {
  const rule = await store.get<QosRule>('network.qos_rule', id);
  if (rule === null) throw missing.qos_rule(id);
  await store.write([deleteOf(qosRuleRecord(rule))]);
  await onTrafficChanged();
}
