/** Rotation of the keys that encrypt secrets at rest. */
import { RecordConflict, type RecordStore } from '../record-store.ts';
import { payloadRecord, type StoredPayload } from './records.ts';
import { keyIdOf, type Sealer } from './seal.ts';

/**
 * Encrypts with the first key what is encrypted with another, one payload after the other; answers how many. A payload is written only
 * once and then deleted, so nothing can get in between but its end. Throws `Retry` when one cannot be decrypted; the others are done then.
 */
export async function resealPayloads(store: RecordStore, sealer: Sealer): Promise<number> {
  const old = (await store.list<StoredPayload>('secrets.payload')).filter(({ sealed }) => keyIdOf(sealed) !== sealer.key_id);
  let count = 0;
  let failure: unknown = null;
  for (const { id, sealed } of old) {
    try {
      const record = payloadRecord({ id, sealed: sealer.seal(sealer.open(sealed, id), id) });
      await store.write([{ action: 'update', record }]);
      count += 1;
    } catch (error) {
      if (!(error instanceof RecordConflict)) failure = error;
    }
  }
  if (failure !== null) throw failure;
  return count;
}
