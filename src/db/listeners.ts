/** Queries of listeners. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: L7 policies, tags. */
export const listenerRelations = (reader: Kysely<Tables>, ids: IdList) =>
  [
    reader.selectFrom('l7policy').select(['id', 'listener_id']).where('listener_id', 'in', ids).orderBy('position').orderBy('id'),
    tagsQuery(reader, ids),
  ] as const;
