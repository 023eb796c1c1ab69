/** Answers that are more than a resource: whole trees, statuses, counters, capabilities, errors. */
import { quotaNames } from '../../db/quotas.ts';
import { loadbalancerFields } from '../../model/index.ts';
import { aliases, quotas } from '../quotas.ts';
import { type JsonSchema, nullable, publicSchema } from '../request/describe.ts';
import { healthmonitors, l7policies, l7rules, listeners, loadbalancers, members, pools } from '../resources.ts';
import type { Resource } from '../resource.ts';
import { answerSchema, refTo, schemaName, withWords } from './schemas.ts';

const text: JsonSchema = { type: 'string' };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const uuid: JsonSchema = { type: 'string', format: 'uuid' };

const object = (properties: Readonly<Record<string, JsonSchema>>, optional: readonly string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
});
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

type ObjectSchema = { readonly properties: Readonly<Record<string, JsonSchema>>; readonly required: readonly string[] };

/** The schema of a resource as it stands in a whole tree: without its parents, with its parts in full. */
function inTree(resource: Resource, without: readonly string[], parts: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const { properties, required } = answerSchema(resource) as unknown as ObjectSchema;
  const kept = Object.entries(properties).filter(([name]) => !without.includes(name));
  return {
    type: 'object',
    properties: { ...Object.fromEntries(kept), ...parts },
    required: [...new Set([...required, ...Object.keys(parts)])].filter((name) => !without.includes(name)),
  };
}

function treeSchemas(): Record<string, JsonSchema> {
  const policy = inTree(l7policies, [], { rules: listOf(refTo(schemaName(l7rules))) });
  const listener = inTree(listeners, ['loadbalancers'], { l7policies: listOf(policy) });
  const monitor = inTree(healthmonitors, ['pools'], {});
  const pool = inTree(pools, ['healthmonitor_id', 'loadbalancers'], {
    members: listOf(refTo(schemaName(members))),
    healthmonitor: nullable(monitor),
  });
  return { LoadBalancerTree: inTree(loadbalancers, [], { listeners: listOf(listener), pools: listOf(pool) }) };
}

function statusSchemas(): Record<string, JsonSchema> {
  const { provisioning_status, operating_status } = loadbalancerFields;
  const statuses = {
    provisioning_status: publicSchema(provisioning_status.schema),
    operating_status: publicSchema(operating_status.schema),
    fault: text,
  };
  const state = (more: Readonly<Record<string, JsonSchema>>): JsonSchema =>
    object({ id: uuid, name: text, ...statuses, ...more }, ['fault']);
  const monitor = state({ type: text });
  const member = state({ address: text, protocol_port: { type: 'integer' } });
  const pool = state({ health_monitor: { anyOf: [monitor, { type: 'null' }] }, members: listOf(member) });
  const listener = state({ pools: listOf(pool) });
  return { StatusTree: withWords('loadbalancer', state({ listeners: listOf(listener) })) };
}

const counters = {
  active_connections: count,
  bytes_in: count,
  bytes_out: count,
  request_errors: count,
  total_connections: count,
};

/** How an amphora's HAProxy was changed since it booted. */
function haproxySchema(): JsonSchema {
  const told = (schema: JsonSchema, description: string): JsonSchema => ({ ...schema, description });
  return object({
    maxconn_limit: told(count, 'The most connections that HAProxy can have there: limits of listeners above it are cut to it.'),
    lost_log_lines: told(
      count,
      'Lines of logs that were lost since its agent was started, because a receiver or the disk did not keep up.',
    ),
    by_commands: told(count, 'Changes for which HAProxy was not reloaded.'),
    reloads: told(count, 'Changes for which it was reloaded.'),
    starts: told(count, 'How often it was started for a change.'),
    crashes: told(count, 'How often it ended by itself, for want of memory for instance, and was started again.'),
    repairs: told(count, 'What was found other than the configuration says, and put right.'),
    last_reloads: told(
      listOf(object({ at: { type: 'string', format: 'date-time' }, reason: text, took_ms: count })),
      'The last reloads, the newest first.',
    ),
  });
}

function quotaSchema(): JsonSchema {
  const limit: JsonSchema = { type: ['integer', 'null'], minimum: -1 };
  const names = [...Object.keys(quotas.fields).filter((name) => name !== 'project_id'), ...Object.keys(aliases)];
  return withWords('quota', object({ project_id: text, tenant_id: text, ...Object.fromEntries(names.map((name) => [name, limit])) }));
}

function usageSchema(): JsonSchema {
  const share = object({ limit: { type: 'integer', minimum: -1 }, used: count });
  return object({ project_id: text, tenant_id: text, ...Object.fromEntries(quotaNames.map((name) => [name, share])) });
}

/** The schemas that are not one resource's, by name. */
export function commonSchemas(): Record<string, JsonSchema> {
  return {
    ...treeSchemas(),
    ...statusSchemas(),
    Quota: quotaSchema(),
    QuotaUsage: usageSchema(),
    Statistics: object(counters),
    AmphoraStatistics: object({ ...counters, id: uuid, listener_id: uuid, loadbalancer_id: { type: ['string', 'null'], format: 'uuid' } }),
    AmphoraHaproxy: haproxySchema(),
    Described: object({ name: text, description: text }),
    Links: listOf(object({ rel: { type: 'string', enum: ['next', 'previous'] }, href: text })),
    Versions: object({
      versions: listOf(
        object({
          id: text,
          status: { type: 'string', enum: ['SUPPORTED', 'CURRENT'] },
          updated: text,
          links: listOf(object({ href: text, rel: text })),
        }),
      ),
    }),
    Fault: {
      ...object({ faultcode: { type: 'string', enum: ['Client', 'Server'] }, faultstring: text, debuginfo: { type: 'null' } }),
      description: 'A refusal of a resource or of the policy; faultstring says why.',
    },
    Refusal: {
      ...object({ code: { type: 'integer' }, title: text, description: text }),
      description: 'A refusal before a resource was found: no such path, method, type or size.',
    },
    Unauthorized: {
      ...object({ error: object({ code: { type: 'integer' }, title: text, message: text }) }),
      description: 'The token is missing, expired or revoked.',
    },
  };
}
