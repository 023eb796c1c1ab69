/** `/v2.0/qos/policies` and their bandwidth limits. */
import { invalidInput, missing } from '../../cloud/local/network/faults.ts';
import {
  createQosPolicy,
  createQosRule,
  deleteQosPolicy,
  deleteQosRule,
  rulesOfPolicy,
  updateQosPolicy,
  updateQosRule,
} from '../../cloud/local/network/qos.ts';
import type { QosPolicy, QosRule } from '../../cloud/local/network/records.ts';
import { maySee } from '../../cloud/local/network-service.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isObject, jsonBody } from '../identity/fields.ts';
import type { JsonObject } from '../identity/fields.ts';
import { noContent, queryOf } from '../identity/http.ts';
import { absent, badRequest, boolean, integer, oneOf, projectId, readAttributes, tags, text } from './attributes.ts';
import type { Collection } from './collection.ts';
import { callerOf, ownerOf, requireOwner, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';
import { selectPage } from './list.ts';

const policyAttributes = {
  project_id: { read: projectId, in: 'POST' },
  name: { read: text, in: 'both' },
  description: { read: text, in: 'both' },
  shared: { read: boolean, in: 'both', adminOnly: true },
  is_default: { read: absent, in: 'both' },
  tags: { read: tags, in: 'POST' },
} as const;

const ruleAttributes = {
  direction: { read: oneOf(['ingress', 'egress']), in: 'both' },
  max_kbps: { read: integer(1, 2_147_483_647), in: 'both' },
  max_burst_kbps: { read: integer(0, 2_147_483_647), in: 'both' },
} as const;

/** QoS policies: the caller's and shared ones. */
export function qosPoliciesOf({ network }: NetworkContext): Collection<QosPolicy> {
  const { topology } = network;
  const { store } = topology;
  return {
    path: '/qos/policies',
    singular: 'policy',
    plural: 'policies',
    missing: missing.qos_policy,
    list: async (caller) => (await store.list<QosPolicy>('network.qos_policy')).filter((each) => maySee(each, scopeOf(caller))),
    async find(id, caller) {
      const visible = await network.findQosPolicy(id, scopeOf(caller));
      return visible === null ? null : store.get<QosPolicy>('network.qos_policy', visible.id);
    },
    show: (policies) =>
      Promise.all(
        policies.map(async (policy) => {
          const rules = (await rulesOfPolicy(store, policy.id)).map((rule) => ({
            ...showRule(rule),
            qos_policy_id: policy.id,
            type: rule.type,
          }));
          return { ...policy, tenant_id: policy.project_id, rules, is_default: false };
        }),
      ),
    async create(body, caller) {
      const {
        project_id,
        tags: labels,
        is_default: _default,
        shared = false,
        ...given
      } = readAttributes(policyAttributes, body, 'POST', caller);
      if (given.name === undefined) throw invalidInput('a QoS policy needs a name');
      const made = await createQosPolicy(topology, { ...given, name: given.name, shared, project_id: ownerOf(caller, project_id) });
      return labels === undefined ? made : updateQosPolicy(topology, made.id, { tags: labels });
    },
    async update(item, body, caller) {
      const given = readAttributes(policyAttributes, body, 'PUT', caller);
      const { project_id: _project, tags: _tags, is_default: _default, ...change } = given;
      return updateQosPolicy(topology, item.id, change);
    },
    remove: (item) => deleteQosPolicy(topology, item.id),
    setTags: (item, labels) => updateQosPolicy(topology, item.id, { tags: labels }),
  };
}

/** Adds the rules below policies, their older address, and what kinds of rule there are. */
export function addQosRules(scope: FastifyInstance, context: NetworkContext): void {
  const { topology } = context.network;
  const key = 'bandwidth_limit_rule';
  const root = '/qos/policies/:policy/bandwidth_limit_rules';
  scope.get(root, async (request) => {
    const policy = await policyOf(context, request, 'see');
    const rules = (await rulesOfPolicy(topology.store, policy.id)).map(showRule);
    return { [`${key}s`]: selectPage(rules, queryOf(request)).items };
  });
  scope.post(root, async (request, reply) => {
    const policy = await policyOf(context, request, 'change');
    const caller = await callerOf(context, request);
    const { max_kbps, max_burst_kbps = 0, direction = 'egress' } = readAttributes(ruleAttributes, ruleBody(request, key), 'POST', caller);
    if (max_kbps === undefined) throw invalidInput('a bandwidth limit needs max_kbps');
    reply.code(201);
    return { [key]: showRule(await createQosRule(topology, { policy_id: policy.id, direction, max_kbps, max_burst_kbps })) };
  });
  for (const path of [`${root}/:rule`, '/qos/alias-bandwidth-limit-rules/:rule']) {
    scope.get(path, async (request) => ({ [key]: showRule(await ruleOf(context, request, 'see')) }));
    scope.put(path, async (request) => {
      const rule = await ruleOf(context, request, 'change');
      const change = readAttributes(ruleAttributes, ruleBody(request, key), 'PUT', await callerOf(context, request));
      return { [key]: showRule(await updateQosRule(topology, rule.id, change)) };
    });
    scope.delete(path, async (request, reply) => {
      await deleteQosRule(topology, (await ruleOf(context, request, 'change')).id);
      return noContent(reply);
    });
  }
  for (const other of ['dscp_marking_rules', 'minimum_bandwidth_rules', 'minimum_packet_rate_rules', 'packet_rate_limit_rules'])
    scope.get(`/qos/policies/:policy/${other}`, async (request) => {
      await policyOf(context, request, 'see');
      return { [other]: [] };
    });
  addRuleTypes(scope, context);
}

function addRuleTypes(scope: FastifyInstance, context: NetworkContext): void {
  const type = 'bandwidth_limit';
  const parameters = [
    { parameter_name: 'direction', parameter_type: 'choices', parameter_values: ['ingress', 'egress'] },
    { parameter_name: 'max_kbps', parameter_type: 'range', parameter_values: { start: 1, end: 2_147_483_647 } },
    { parameter_name: 'max_burst_kbps', parameter_type: 'range', parameter_values: { start: 0, end: 2_147_483_647 } },
  ];
  scope.get('/qos/rule-types', async (request) => {
    await callerOf(context, request);
    return { rule_types: [{ type }] };
  });
  scope.get('/qos/rule-types/:type', async (request) => {
    await callerOf(context, request);
    if ((request.params as { readonly type?: string }).type !== type) throw missing.qos_rule('of that type');
    return { rule_type: { type, drivers: [{ name: 'tc', supported_parameters: parameters }] } };
  });
}

/** The policy in the path. Throws `NetworkFault` 404 or 403. */
async function policyOf(context: NetworkContext, request: FastifyRequest, use: 'see' | 'change'): Promise<QosPolicy> {
  const { policy: id = '' } = request.params as { readonly policy?: string };
  return policyById(context, request, id, use);
}

async function policyById(context: NetworkContext, request: FastifyRequest, id: string, use: 'see' | 'change'): Promise<QosPolicy> {
  const caller = await callerOf(context, request);
  const policy = await qosPoliciesOf(context).find(id, caller);
  if (policy === null) throw missing.qos_policy(id.slice(0, 64));
  if (use === 'change') requireOwner(caller, policy);
  return policy;
}

/** The rule in the path, which must be of the policy in the path where there is one. */
async function ruleOf(context: NetworkContext, request: FastifyRequest, use: 'see' | 'change'): Promise<QosRule> {
  const { rule: id = '', policy } = request.params as { readonly rule?: string; readonly policy?: string };
  const rule = await context.network.topology.store.get<QosRule>('network.qos_rule', id.slice(0, 64));
  await callerOf(context, request);
  if (rule === null || (policy !== undefined && rule.policy_id !== policy)) throw missing.qos_rule(id.slice(0, 64));
  await policyById(context, request, rule.policy_id, use);
  return rule;
}

function showRule({ id, direction, max_kbps, max_burst_kbps }: QosRule): JsonObject {
  return { id, direction, max_kbps, max_burst_kbps };
}

function ruleBody(request: FastifyRequest, key: string): JsonObject {
  const value = jsonBody(request.body)[key];
  if (!isObject(value)) throw badRequest(`Unable to find '${key}' in request body`);
  return value;
}
