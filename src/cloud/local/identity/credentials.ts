/** Application credentials of the embedded identity. */
import { randomBytes } from 'node:crypto';
import { notFound, refuseDuplicate } from './faults.ts';
import type { Passwords } from '../identity-passwords.ts';
import { credentialRecord, newIdentityId, ownedKey } from './records.ts';
import type { ApplicationCredential } from './records.ts';
import type { RecordStore } from '../record-store.ts';

/** What an application credential may be given; without `secret` one is drawn. */
export type CredentialSpec = Omit<ApplicationCredential, 'id' | 'secret_hash'> & { readonly secret?: string };

/** Reads and writes application credentials. */
export interface Credentials {
  list(user_id: string): Promise<readonly ApplicationCredential[]>;
  find(id: string): Promise<ApplicationCredential | null>;
  findByName(user_id: string, name: string): Promise<ApplicationCredential | null>;
  /** The credential and its secret, which is kept nowhere else. Throws `Fault` 409 when the user has the name already. */
  create(spec: CredentialSpec): Promise<{ readonly credential: ApplicationCredential; readonly secret: string }>;
  /** Its tokens are void at once. Throws `Fault` 404. */
  remove(id: string): Promise<void>;
}

const kind = 'identity.application_credential';

/** Application credentials in a store. */
export function createCredentials(store: RecordStore, passwords: Passwords): Credentials {
  const find = (id: string): Promise<ApplicationCredential | null> => store.get<ApplicationCredential>(kind, id);
  return {
    find,
    list: (user_id) => store.list<ApplicationCredential>(kind, { name: user_id }),
    findByName: async (user_id, name) =>
      (await store.list<ApplicationCredential>(kind, { unique_key: ownedKey(user_id, name) }))[0] ?? null,
    async create({ secret = randomBytes(48).toString('base64url'), ...spec }) {
      const credential = { id: newIdentityId(), ...spec, secret_hash: await passwords.hash(secret) };
      const insert = { action: 'insert', record: credentialRecord(credential) } as const;
      await refuseDuplicate('application_credential', spec.name, () => store.write([insert]));
      return { credential, secret };
    },
    async remove(id) {
      if ((await find(id)) === null) notFound('Application Credential', id);
      await store.write([{ action: 'delete', kind, id }]);
    },
  };
}
