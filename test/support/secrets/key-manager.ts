/** An embedded key manager on a test's database. */
import { createEmbeddedSecrets } from '../../../src/cloud/local/secrets/embedded-secrets.ts';
import { createKeyManager, type KeyManager } from '../../../src/cloud/local/secrets/key-manager.ts';
import { createSealer } from '../../../src/cloud/local/secrets/seal.ts';
import { RecordConflict, type RecordKind, type RecordStore } from '../../../src/cloud/local/record-store.ts';
import type { Secrets } from '../../../src/cloud/secrets.ts';
import type { Database } from '../../../src/db/database.ts';
import { createRecords } from '../../../src/db/records.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { Secret } from '../../../src/lib/secret.ts';

/** A key manager with what it stands on. */
export type TestKeyManager = { readonly keyManager: KeyManager; readonly secrets: Secrets; readonly store: RecordStore };

/** Keys as an operator gives them. */
export const testKeys = ['first-key-of-the-test-with-32-characters', 'second-key-of-the-test-with-32-characters'].map(
  (text) => new Secret(text),
);

/** Opens one; the first of the keys encrypts. */
export function openTestKeyManager(
  db: Database,
  options: { readonly clock?: Clock; readonly keys?: readonly Secret[] } = {},
): TestKeyManager {
  const { clock = systemClock } = options;
  const store = createRecords<RecordKind>(db, { conflict: (kind, message, cause) => new RecordConflict(kind, message, cause), clock });
  return keyManagerOn(store, options);
}

/** Opens one on records that are there already. */
export function keyManagerOn(
  store: RecordStore,
  options: { readonly clock?: Clock; readonly keys?: readonly Secret[] } = {},
): TestKeyManager {
  const { clock = systemClock, keys = testKeys.slice(0, 1) } = options;
  const keyManager = createKeyManager({ store, sealer: createSealer(keys), clock });
  return { keyManager, secrets: createEmbeddedSecrets(keyManager, store), store };
}
