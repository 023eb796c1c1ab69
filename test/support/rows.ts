/** Rows of resources for tests that only care about a few of their columns. */
import type { TSchema } from 'typebox';
import { columnsOf, resourceFields } from '../../src/db/columns.ts';
import type { Tables } from '../../src/db/tables.ts';
import { newId } from '../../src/lib/ids.ts';

type ResourceTable = 'loadbalancer' | 'listener' | 'pool' | 'member' | 'healthmonitor' | 'l7policy' | 'l7rule' | 'amphora';

/** A row with the given columns; every other one is null, false, empty, or the least that its schema allows. Ids are new. */
export function sampleRow<T extends ResourceTable>(table: T, values: Partial<Tables[T]> = {}): Tables[T] {
  const fields = resourceFields[table]!;
  const row = Object.fromEntries(columnsOf(fields).map((name) => [name, name === 'id' ? newId() : least(fields[name]!.schema)]));
  return { ...row, created_at: '2026-01-01T00:00:00', ...values } as unknown as Tables[T];
}

function least(schema: TSchema): unknown {
  const { type, anyOf, enum: words, minimum } = schema as { type?: string; anyOf?: object[]; enum?: string[]; minimum?: number };
  if (anyOf !== undefined) return null;
  if (words !== undefined) return words[0];
  const byType: Record<string, unknown> = { boolean: false, array: [], object: {}, integer: minimum ?? 0, number: 0 };
  return type !== undefined && type in byType ? byType[type] : '';
}
