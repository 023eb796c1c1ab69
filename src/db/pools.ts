/** Queries of pools. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: listeners by default pool, members, health monitors, tags, listeners by L7 policies. */
export const poolRelations = (reader: Kysely<Tables>, ids: IdList) =>
  [
    reader.selectFrom('listener').select(['id', 'default_pool_id']).where('default_pool_id', 'in', ids).orderBy('created_at').orderBy('id'),
    reader.selectFrom('member').select(['id', 'pool_id']).where('pool_id', 'in', ids).orderBy('created_at').orderBy('id'),
    reader.selectFrom('healthmonitor').select(['id', 'pool_id']).where('pool_id', 'in', ids),
    tagsQuery(reader, ids),
    // A policy counts while it is switched on and has rules, as in the reference.
    reader
      .selectFrom('l7policy')
      .innerJoin('listener', 'listener.id', 'l7policy.listener_id')
      .select(['listener.id', 'l7policy.redirect_pool_id'])
      .where('l7policy.redirect_pool_id', 'in', ids)
      .where('l7policy.admin_state_up', '=', true)
      .where((eb) => eb.exists(eb.selectFrom('l7rule').select('l7rule.id').whereRef('l7rule.l7policy_id', '=', 'l7policy.id')))
      .orderBy('listener.created_at')
      .orderBy('listener.id'),
  ] as const;
