/** The records of the embedded services (identity, network, certificates …) in one table, each as JSON. */
import { type Clock, systemClock } from '../lib/clock.ts';
import type { Database, Tx } from './database.ts';
import { UniqueViolation } from './errors.ts';

type Row = {
  readonly kind: string;
  readonly id: string;
  readonly project_id: string | null;
  readonly name: string | null;
  readonly unique_key: string | null;
  readonly body: unknown;
};

type Change =
  | { readonly action: 'insert' | 'update'; readonly record: Row }
  | { readonly action: 'delete'; readonly kind: string; readonly id: string };

type Filter = { readonly project_id?: string; readonly name?: string; readonly unique_key?: string };

/** How a record store is made. */
export type RecordsOptions<Kind extends string> = {
  /** Makes the error for two records that claim the same id or unique key, and for an update of a missing record. */
  readonly conflict: (kind: Kind, message: string, options: { cause?: unknown }) => Error;
  readonly clock?: Clock;
};

/** The record store of `cloud/local/record-store.ts`, whose description holds; this folder may not import it, so the kinds and the error come from outside. */
export function createRecords<Kind extends string>(db: Database, options: RecordsOptions<Kind>) {
  const { conflict, clock = systemClock } = options;
  const nextTime = monotonicTime(clock);
  return {
    async get<T>(kind: Kind, id: string): Promise<T | null> {
      const row = await db.read
        .selectFrom('embedded_record')
        .select('body')
        .where('kind', '=', kind)
        .where('id', '=', id)
        .executeTakeFirst();
      return row === undefined ? null : (JSON.parse(row.body) as T);
    },

    async list<T>(kind: Kind, filter: Filter = {}): Promise<readonly T[]> {
      let query = db.read.selectFrom('embedded_record').select('body').where('kind', '=', kind);
      for (const column of ['project_id', 'name', 'unique_key'] as const) {
        const value = filter[column];
        if (value !== undefined) query = query.where(column, '=', value);
      }
      const rows = await query.orderBy('created_at').orderBy('id').execute();
      return rows.map((row) => JSON.parse(row.body) as T);
    },

    async write(changes: readonly Change[]): Promise<void> {
      const time = changes.map(nextTime);
      await db.tx(async (tx) => {
        for (const [index, change] of changes.entries()) {
          const refuse = (message: string, cause?: unknown) =>
            conflict(kindOf(change) as Kind, message, cause === undefined ? {} : { cause });
          await carryOut(tx, change, time[index]!, refuse);
        }
      });
    },
  };
}

/** Writes records with other rows, in their transaction; those that are there, by id or unique key, stay as they are. */
export async function insertRecords(tx: Tx, records: readonly Row[], now_ms: number): Promise<void> {
  if (records.length === 0) return;
  const created_at = new Date(now_ms).toISOString().replace('Z', '000Z');
  const rows = records.map(({ kind, id, project_id, name, unique_key, body }) => ({
    ...{ kind, id, project_id, name, unique_key },
    ...{ body: JSON.stringify(body), created_at, updated_at: null },
  }));
  await tx
    .insertInto('embedded_record')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Takes back what was written so. */
export async function deleteRecords(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.deleteFrom('embedded_record').where('id', 'in', ids).execute();
}

const kindOf = (change: Change): string => (change.action === 'delete' ? change.kind : change.record.kind);

async function carryOut(tx: Tx, change: Change, time: string, refuse: (message: string, cause?: unknown) => Error): Promise<void> {
  if (change.action === 'delete') {
    await tx.deleteFrom('embedded_record').where('kind', '=', change.kind).where('id', '=', change.id).execute();
    return;
  }
  const { kind, id, project_id, name, unique_key } = change.record;
  const columns = { project_id, name, unique_key, body: JSON.stringify(change.record.body) };
  try {
    if (change.action === 'insert') {
      await tx
        .insertInto('embedded_record')
        .values({ kind, id, ...columns, created_at: time, updated_at: null })
        .execute();
      return;
    }
    const changed = await tx
      .updateTable('embedded_record')
      .set({ ...columns, updated_at: time })
      .where('kind', '=', kind)
      .where('id', '=', id)
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) throw refuse(`there is no ${kind} ${id} to update`);
  } catch (error) {
    if (error instanceof UniqueViolation)
      throw refuse(`another ${kind} has the same ${error.columns.includes('id') ? 'id' : 'unique key'}`, error);
    throw error;
  }
}

/** Times in microseconds that grow with every call, so that the order of creation is known also within one millisecond. */
function monotonicTime(clock: Clock): () => string {
  let last = 0;
  return () => {
    last = Math.max(last + 1, clock.now() * 1000);
    return new Date(Math.floor(last / 1000)).toISOString().replace('Z', `${String(last % 1000).padStart(3, '0')}Z`);
  };
}
