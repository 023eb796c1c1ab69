/** Queries of pools. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: listeners by default pool, members, health monitors, tags. */
export const poolRelations = (reader: Kysely<Tables>, ids: IdList) =>
  [
    reader.selectFrom('listener').select(['id', 'default_pool_id']).where('default_pool_id', 'in', ids).orderBy('created_at').orderBy('id'),
    reader.selectFrom('member').select(['id', 'pool_id']).where('pool_id', 'in', ids).orderBy('created_at').orderBy('id'),
    reader.selectFrom('healthmonitor').select(['id', 'pool_id']).where('pool_id', 'in', ids),
    tagsQuery(reader, ids),
  ] as const;
