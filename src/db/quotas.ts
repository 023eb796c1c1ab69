/** Limits of projects. What is in use is counted from the rows, in the transaction that adds some. */
import type { Kysely } from 'kysely';
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
