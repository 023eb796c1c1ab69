/** Which load balancer uses which secrets: rows first, so that whatever a crash leaves in between is found and undone. */
import { randomUUID } from 'node:crypto';
import { parseSecretRef } from './secret-ref.ts';
import { RecordConflict, type RecordChange, type RecordStore, type StoredRecord } from './local/record-store.ts';

/** A reference that a load balancer is, or is to be, entered as consumer for. */
export type Use = { readonly id: string; readonly loadbalancer_id: string; readonly project_id: string | null; readonly ref: string };

/** What enters and takes off; both may be called again with the same, and neither minds what is gone. */
export type Registrar = {
  register(use: Use): Promise<void>;
  unregister(use: Use): Promise<void>;
};

/** `Secrets.recordUses` for any key manager that has consumers: what was entered before is known from records of our own. */
export function createUses(store: RecordStore, registrar: Registrar) {
  return async (loadbalancer: { readonly id: string; readonly project_id: string | null }, refs: readonly string[]): Promise<void> => {
    const present = await store.list<Use & { readonly isEntered: boolean }>('secrets.use', { name: loadbalancer.id });
    // What cannot be a reference has no consumers, and needs no row.
    const wanted = new Set(refs.filter((ref) => parseSecretRef(ref) !== null));
    for (const use of present) {
      if (wanted.has(use.ref)) continue;
      await registrar.unregister(use);
      await store.write([{ action: 'delete', kind: 'secrets.use', id: use.id }]);
    }
    for (const ref of wanted) {
      const known = present.find((use) => use.ref === ref);
      if (known?.isEntered === true) continue;
      const use = known ?? { id: randomUUID(), loadbalancer_id: loadbalancer.id, project_id: loadbalancer.project_id, ref };
      if (known === undefined) await written(store, { action: 'insert', record: useRecord({ ...use, isEntered: false }) });
      await registrar.register(use);
      await written(store, { action: 'update', record: useRecord({ ...use, isEntered: true }) });
    }
  };
}

function useRecord(use: Use & { readonly isEntered: boolean }): StoredRecord {
  const { id, loadbalancer_id, project_id, ref } = use;
  return { kind: 'secrets.use', id, project_id, name: loadbalancer_id, unique_key: `${loadbalancer_id}/${ref}`, body: use };
}

/** A worker that lost its lease may have been faster: the next pass looks again. */
async function written(store: RecordStore, change: RecordChange): Promise<void> {
  try {
    await store.write([change]);
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
  }
}
