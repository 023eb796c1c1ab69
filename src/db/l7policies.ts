/** Queries of L7 policies. */
import { type Kysely, sql } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

type Tx = Kysely<Tables>;

/** The queries of what an answer shows beside the columns: rules, tags. */
export const l7policyRelations = (reader: Kysely<Tables>, ids: IdList) =>
  [
    reader.selectFrom('l7rule').select(['id', 'l7policy_id']).where('l7policy_id', 'in', ids).orderBy('created_at').orderBy('id'),
    tagsQuery(reader, ids),
  ] as const;

/** Makes room at a position, or closes the gap: the policies of a listener from `from` to `to` move by `by`. Those being deleted stay. */
export async function shiftPolicies(
  tx: Tx,
  listener_id: string,
  { from, to, by }: { readonly from: number; readonly to: number; readonly by: 1 | -1 },
): Promise<void> {
  await tx
    .updateTable('l7policy')
    .set({ position: sql<number>`position + ${sql.lit(by)}` })
    .where('listener_id', '=', listener_id)
    .where('position', '>=', from)
    .where('position', '<=', to)
    .where('provisioning_status', '!=', 'PENDING_DELETE')
    .execute();
}
