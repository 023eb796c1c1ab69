/** Quotas of projects (api-ref "Quotas"). */
import Type from 'typebox';
import {
  countUsage,
  countUsages,
  findQuota,
  type Limits,
  listQuotaProjects,
  nothingUsed,
  type QuotaName,
  quotaNames,
  resetQuota,
  setQuota,
  type Usage,
} from '../db/quotas.ts';
import type { Quota } from '../db/tables.ts';
import { Fault, type Fields } from '../model/index.ts';
import { nullableInteger } from '../model/field.ts';
import type { Answer, Call } from './call.ts';
import { enforce } from './policy/enforce.ts';
import { isTrue } from './http/query.ts';
import { readFields, readLimit } from './request/list-args.ts';
import { showMany } from './read.ts';
import { readObject } from './request/read-object.ts';
import type { Resource, Row } from './resource.ts';
import { bodies } from './request/shapes.ts';

const limit = { schema: nullableInteger(-1) };

const quotaFields = {
  project_id: { schema: Type.String() },
  loadbalancer: limit,
  listener: limit,
  member: limit,
  pool: limit,
  healthmonitor: limit,
  l7policy: limit,
  l7rule: limit,
} as const satisfies Fields;

/** Quotas. */
export const quotas: Resource = {
  table: 'quota',
  root: 'quota',
  plural: 'quotas',
  title: 'Quotas',
  argument: 'quotas',
  policy: 'quota',
  fields: quotaFields,
  idColumn: 'project_id',
  hideDeleted: null,
  relations: () => [],
  groupings: [],
  shown: {},
  alsoFilters: [],
};

/** Two kinds have an older spelling beside the present one. */
export const aliases: Readonly<Record<string, QuotaName>> = { load_balancer: 'loadbalancer', health_monitor: 'healthmonitor' };

function present(
  project_id: string,
  limits: Readonly<Record<QuotaName, number | null>>,
  only: ReadonlySet<string> | null,
): Record<string, unknown> {
  const all: Record<string, unknown> = { project_id, tenant_id: project_id };
  for (const name of quotaNames) all[name] = limits[name];
  for (const [alias, name] of Object.entries(aliases)) all[alias] = limits[name];
  return only === null ? all : Object.fromEntries(Object.entries(all).filter(([name]) => only.has(name)));
}

const withDefaults = (stored: Partial<Quota> | undefined, defaults: Limits): Limits =>
  Object.fromEntries(quotaNames.map((name) => [name, stored?.[name] ?? defaults[name]])) as Limits;

/** `GET /quotas`: the projects for which limits were set; null is the default. */
export const listQuotas = (call: Call): Promise<Answer> =>
  showMany(call, quotas, {
    projectNarrows: true,
    show: (row: Row, only) => present(row['project_id'] as string, row as unknown as Quota, only),
  });

const projectOf = (call: Call): string => {
  const project_id = call.params['id'] ?? '';
  if ([...project_id].length > 255) throw new Fault(404, `Project ${project_id.slice(0, 300)} not found.`);
  return project_id;
};

/** `GET /quotas/:id`: a project without limits of its own has the defaults. */
export async function showQuota(call: Call): Promise<Answer> {
  const project_id = call.params['id'] ?? '';
  enforce(call, 'quota', 'get_one', project_id);
  const stored = await findQuota(call.deps.db.read, project_id);
  const { options } = call.deps;
  return { status: 200, body: { quota: present(project_id, withDefaults(stored, options.quotas), readFields(call.query, options)) } };
}

/** `GET /quotas/:id/default` */
export function showDefaultQuota(call: Call): Answer {
  const project_id = call.params['id'] ?? '';
  enforce(call, 'quota', 'get_defaults', project_id);
  return { status: 200, body: { quota: present(project_id, call.deps.options.quotas, null) } };
}

/** A project's limits with what it uses of each. */
const presentUsage = (project_id: string, limits: Limits, usage: Usage): Record<string, unknown> => ({
  project_id,
  tenant_id: project_id,
  ...Object.fromEntries(quotaNames.map((name) => [name, { limit: limits[name], used: usage[name] }])),
});

/** `GET /quotas/:id/usage`, an addition: a sub-resource, so that no client of the reference meets names that it does not know. */
export async function showQuotaUsage(call: Call): Promise<Answer> {
  const project_id = projectOf(call);
  enforce(call, 'quota', 'get_one', project_id);
  const { db, options } = call.deps;
  const limits = withDefaults(await findQuota(db.read, project_id), options.quotas);
  return { status: 200, body: { quota_usage: presentUsage(project_id, limits, await countUsage(db.read, project_id)) } };
}

/** Projects in one page of usages. */
const USAGES = 500;

/** `GET /octavia/quotas`, an addition: what every project uses, with `over=true` only of those that use more than they may. */
export async function listQuotaUsages(call: Call): Promise<Answer> {
  enforce(call, 'quota', 'get_all-global', null);
  const { query, deps } = call;
  const limit = Math.min(readLimit(query, deps.options) ?? USAGES, USAGES);
  const projects = await listQuotaProjects(deps.db.read, query.last('marker') ?? '', limit);
  const ids = projects.map((project) => project.project_id);
  const usages = ids.length === 0 ? new Map<string, Usage>() : await countUsages(deps.db.read, ids);
  const shown = projects.flatMap((stored) => {
    const limits = withDefaults(stored, deps.options.quotas);
    const usage = usages.get(stored.project_id) ?? nothingUsed;
    const isOver = quotaNames.some((name) => limits[name] >= 0 && usage[name] > limits[name]);
    return isOver || !isTrue(query.last('over')) ? [presentUsage(stored.project_id, limits, usage)] : [];
  });
  const last = ids.at(-1);
  const links =
    last !== undefined && ids.length >= limit
      ? [{ rel: 'next', href: `${call.base_url}${call.path}?limit=${limit}&marker=${encodeURIComponent(last)}` }]
      : [];
  return { status: 200, body: { quota_usages: shown, quota_usages_links: links } };
}

/** `PUT /quotas/:id` */
export async function updateQuota(call: Call): Promise<Answer> {
  const body = readObject(call, quotas, bodies.quota);
  const project_id = projectOf(call);
  enforce(call, 'quota', 'put', project_id);
  const change: Partial<Record<QuotaName, number | null>> = {};
  // Of both spellings the present one counts, as in the reference.
  const entries = Object.entries(body).toSorted(([one], [other]) => Number(other in aliases) - Number(one in aliases));
  for (const [name, value] of entries) change[aliases[name] ?? (name as QuotaName)] = value as number | null;
  const stored = await call.deps.db.tx((tx) => setQuota(tx, project_id, change));
  return { status: 202, body: { quota: present(project_id, withDefaults(stored, call.deps.options.quotas), null) } };
}

/** `DELETE /quotas/:id`: the defaults hold again. */
export async function deleteQuota(call: Call): Promise<Answer> {
  const project_id = projectOf(call);
  enforce(call, 'quota', 'delete', project_id);
  if (!(await call.deps.db.tx((tx) => resetQuota(tx, project_id)))) throw new Fault(404, `Quotas ${project_id} not found.`);
  return { status: 202 };
}
