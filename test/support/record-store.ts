/** A record store in memory, with the rules of the real one: unique keys, order of creation, all or nothing. */
import { RecordConflict } from '../../src/cloud/local/record-store.ts';
import type { RecordChange, RecordKind, RecordStore, StoredRecord } from '../../src/cloud/local/record-store.ts';

/** A store that counts its reads and writes, so that a test can tell whether a cache worked. */
export type MemoryRecordStore = RecordStore & { readonly counts: { reads: number; writes: number } };

type Rows = Map<string, StoredRecord>;

/** An empty store. Each call gives way to others first, as a real one does. */
export function createMemoryRecordStore(): MemoryRecordStore {
  let rows: Rows = new Map();
  const counts = { reads: 0, writes: 0 };
  return {
    counts,
    async get<T>(kind: RecordKind, id: string) {
      counts.reads += 1;
      await turn();
      const row = rows.get(`${kind}:${id}`);
      return row === undefined ? null : (structuredClone(row.body) as T);
    },
    async list<T>(kind: RecordKind, filter: { readonly project_id?: string; readonly name?: string; readonly unique_key?: string } = {}) {
      counts.reads += 1;
      await turn();
      const wanted = Object.entries(filter) as ['project_id' | 'name' | 'unique_key', string][];
      const found = [...rows.values()].filter((row) => row.kind === kind && wanted.every(([key, value]) => row[key] === value));
      return found.map((row) => structuredClone(row.body) as T);
    },
    async write(changes) {
      counts.writes += 1;
      await turn();
      const next: Rows = new Map(rows);
      for (const change of changes) carryOut(next, change);
      rows = next;
    },
  };
}

function carryOut(rows: Rows, change: RecordChange): void {
  if (change.action === 'delete') {
    rows.delete(`${change.kind}:${change.id}`);
    return;
  }
  // As the database does it: through JSON.
  const record = JSON.parse(JSON.stringify(change.record)) as StoredRecord;
  const key = `${record.kind}:${record.id}`;
  if (rows.has(key) === (change.action === 'insert')) throw new RecordConflict(record.kind, `${change.action} of ${key}`);
  const rival = [...rows.values()].find(
    (row) => row.kind === record.kind && row.id !== record.id && row.unique_key !== null && row.unique_key === record.unique_key,
  );
  if (rival !== undefined) throw new RecordConflict(record.kind, `unique key ${record.unique_key} is taken`);
  rows.set(key, record);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
