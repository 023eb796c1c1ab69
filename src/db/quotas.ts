/** Limits of projects. What is in use is counted from the rows, in the transaction that adds some. */
import { type Kysely, sql } from 'kysely';
import { forUpdate } from './database.ts';
import { countOfProject, type ResourceTable } from './rows.ts';
import type { Quota, Tables } from './tables.ts';

type Reader = Kysely<Tables>;

/** The kinds of resource that a quota counts. */
export const quotaNames = ['loadbalancer', 'listener', 'member', 'pool', 'healthmonitor', 'l7policy', 'l7rule'] as const;

/** One kind of resource that a quota counts. */
export type QuotaName = (typeof quotaNames)[number];

/** A limit for each kind; -1: no limit. */
export type Limits = Readonly<Record<QuotaName, number>>;

/** The stored limits of a project; undefined: none were ever set. */
export const findQuota = (reader: Reader, project_id: string): Promise<Quota | undefined> =>
  reader.selectFrom('quota').selectAll().where('project_id', '=', project_id).executeTakeFirst();

/** Stores limits of a project; null brings the default back, what is left out stays. */
export async function setQuota(tx: Reader, project_id: string, change: Partial<Record<QuotaName, number | null>>): Promise<Quota> {
  await ensureQuota(tx, project_id);
  if (Object.keys(change).length > 0) await tx.updateTable('quota').set(change).where('project_id', '=', project_id).execute();
  return tx.selectFrom('quota').selectAll().where('project_id', '=', project_id).executeTakeFirstOrThrow();
}

/** Brings all defaults of a project back; false when nothing was ever set. */
export async function resetQuota(tx: Reader, project_id: string): Promise<boolean> {
  const nothing = Object.fromEntries(quotaNames.map((name) => [name, null])) as Record<QuotaName, null>;
  const result = await tx.updateTable('quota').set(nothing).where('project_id', '=', project_id).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/**
 * The kinds of which a project may not have so many more; empty: go on. The row of the project is locked until the
 * transaction ends when a limit applies, so that two requests cannot both take the last place.
 */
export async function quotaExceeded(
  tx: Reader,
  project_id: string,
  more: Partial<Readonly<Record<QuotaName, number>>>,
  defaults: Limits,
): Promise<readonly QuotaName[]> {
  const wanted = quotaNames.filter((name) => (more[name] ?? 0) > 0);
  const isLimited = (row: Quota | undefined): boolean => wanted.some((name) => (row?.[name] ?? defaults[name]) >= 0);
  if (!isLimited(await findQuota(tx, project_id))) return [];
  await ensureQuota(tx, project_id);
  const row = await forUpdate(tx.selectFrom('quota').selectAll().where('project_id', '=', project_id)).executeTakeFirstOrThrow();
  const exceeded: QuotaName[] = [];
  for (const name of wanted) {
    const limit = row[name] ?? defaults[name];
    if (limit < 0) continue;
    const used = limit === 0 ? 0 : await countOfProject(tx, name as ResourceTable, project_id);
    if (used + (more[name] ?? 0) > limit) exceeded.push(name);
  }
  return exceeded;
}

/** How much of each kind there is; the truth, because nothing is kept that could differ from the rows. */
export type Usage = Readonly<Record<QuotaName, number>>;

/** What a project uses. */
export async function countUsage(reader: Reader, project_id: string): Promise<Usage> {
  const counted = await countUsages(reader, [project_id]);
  return counted.get(project_id) ?? nothingUsed;
}

/** The usage of a project that has nothing. */
export const nothingUsed = Object.fromEntries(quotaNames.map((name) => [name, 0])) as Usage;

/** What each of these projects uses; one that is not in the answer uses nothing. Read in one statement, so from one state. */
export async function countUsages(reader: Reader, project_ids: readonly string[]): Promise<ReadonlyMap<string, Usage>> {
  const counts = quotaNames.map(
    (name) =>
      sql`select ${sql.lit(name)} as kind, project_id, count(*) as used from ${sql.table(name)}
        where project_id in (${sql.join(project_ids)}) ${sql.raw(name === 'loadbalancer' ? "and provisioning_status <> 'DELETED'" : '')}
        group by project_id`,
  );
  const { rows } = await sql<{ kind: QuotaName; project_id: string; used: number }>`${sql.join(counts, sql` union all `)}`.execute(reader);
  const usages = new Map<string, Usage>();
  for (const { kind, project_id, used } of rows)
    usages.set(project_id, { ...(usages.get(project_id) ?? nothingUsed), [kind]: Number(used) });
  return usages;
}

/** Projects that have load balancers or limits of their own, by id, after the given one; with their limits. */
export async function listQuotaProjects(
  reader: Reader,
  after: string,
  limit: number,
): Promise<readonly (Pick<Quota, 'project_id'> & Partial<Quota>)[]> {
  const { rows } = await sql<{ project_id: string }>`
    select project_id from quota where project_id > ${after}
    union select project_id from loadbalancer where project_id > ${after} and provisioning_status <> 'DELETED'
    order by project_id limit ${limit}`.execute(reader);
  const ids = rows.map((row) => row.project_id);
  const stored = ids.length === 0 ? [] : await reader.selectFrom('quota').selectAll().where('project_id', 'in', ids).execute();
  const byId = new Map(stored.map((row) => [row.project_id, row]));
  return ids.map((project_id) => byId.get(project_id) ?? { project_id });
}

async function ensureQuota(tx: Reader, project_id: string): Promise<void> {
  const row = {
    project_id,
    loadbalancer: null,
    listener: null,
    member: null,
    pool: null,
    healthmonitor: null,
    l7policy: null,
    l7rule: null,
  };
  await tx
    .insertInto('quota')
    .values(row)
    .onConflict((conflict) => conflict.column('project_id').doNothing())
    .execute();
}
