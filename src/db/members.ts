/** Queries of members. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: tags. */
export const memberRelations = (reader: Kysely<Tables>, ids: IdList) => [tagsQuery(reader, ids)] as const;

/** A member of this pool; undefined when there is none. */
export const findMemberOf = (reader: Kysely<Tables>, pool_id: string, id: string): Promise<Tables['member'] | undefined> =>
  reader.selectFrom('member').selectAll().where('id', '=', id).where('pool_id', '=', pool_id).executeTakeFirst();
