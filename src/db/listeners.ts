/** Queries of listeners. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: tags. */
export const listenerRelations = (reader: Kysely<Tables>, ids: IdList) => [tagsQuery(reader, ids)] as const;
