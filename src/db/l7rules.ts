/** Queries of L7 rules. */
import type { Kysely } from 'kysely';
import { type IdList, tagsQuery } from './rows.ts';
import type { Tables } from './tables.ts';

/** The queries of what an answer shows beside the columns: tags. */
export const l7ruleRelations = (reader: Kysely<Tables>, ids: IdList) => [tagsQuery(reader, ids)] as const;

/** A rule of this policy; undefined when there is none. */
export const findRuleOf = (reader: Kysely<Tables>, l7policy_id: string, id: string): Promise<Tables['l7rule'] | undefined> =>
  reader.selectFrom('l7rule').selectAll().where('id', '=', id).where('l7policy_id', '=', l7policy_id).executeTakeFirst();
