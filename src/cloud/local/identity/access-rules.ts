/** Access rules that users of the embedded identity have made: each once, shared by their application credentials, and kept after these. */
import { Fault } from '../../../model/faults.ts';
import type { AccessRule } from '../../access-rules.ts';
import { RecordConflict } from '../record-store.ts';
import type { RecordStore } from '../record-store.ts';
import { notFound } from './faults.ts';
import { newIdentityId } from './records.ts';
import type { ApplicationCredential } from './records.ts';

/** A rule with its owner. */
export type KeptRule = AccessRule & { readonly id: string; readonly user_id: string };

/** Reads and writes access rules. */
export interface AccessRules {
  list(user_id: string): Promise<readonly KeptRule[]>;
  /** Throws `Fault` 404, also for a rule of somebody else. */
  get(user_id: string, id: string): Promise<KeptRule>;
  /** The user's rule of these words, made when there is none. */
  keep(user_id: string, rule: AccessRule): Promise<KeptRule>;
  /** Throws `Fault` 404, and 403 while a credential uses it. */
  remove(user_id: string, id: string): Promise<void>;
}

const kind = 'identity.access_rule';

/** Access rules in a store. */
export function createAccessRules(store: RecordStore): AccessRules {
  const get = async (user_id: string, id: string): Promise<KeptRule> => {
    const found = await store.get<KeptRule>(kind, id);
    return found?.user_id === user_id ? found : notFound('Access Rule', id);
  };
  const keep = async (user_id: string, rule: AccessRule): Promise<KeptRule> => {
    const unique_key = JSON.stringify([user_id, rule.service, rule.method, rule.path]);
    const [found] = await store.list<KeptRule>(kind, { unique_key });
    if (found !== undefined) return found;
    const { service, method, path } = rule;
    const body: KeptRule = { id: newIdentityId(), user_id, service, method, path };
    try {
      await store.write([{ action: 'insert', record: { kind, id: body.id, project_id: null, name: user_id, unique_key, body } }]);
      return body;
    } catch (error) {
      // Another request made the same one.
      if (error instanceof RecordConflict) return keep(user_id, rule);
      throw error;
    }
  };
  return {
    list: (user_id) => store.list<KeptRule>(kind, { name: user_id }),
    get,
    keep,
    async remove(user_id, id) {
      await get(user_id, id);
      const credentials = await store.list<ApplicationCredential>('identity.application_credential', { name: user_id });
      if (credentials.some(({ access_rules = [] }) => access_rules.some((rule) => rule.id === id)))
        throw new Fault(403, 'You are not authorized to perform the requested action: May not delete access rule in use.');
      await store.write([{ action: 'delete', kind, id }]);
    },
  };
}
