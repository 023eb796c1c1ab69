/** SQLite for Kysely. */
import {
  type CompiledQuery,
  type Dialect,
  DummyDriver,
  type SelectModifierNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { asText, type Storage, storageOfColumn } from '../columns.ts';
import { DatabaseUnavailable, ForeignKeyViolation, TransactionConflict, UniqueViolation } from '../errors.ts';
import { SqliteError } from './statements.ts';
import type { SqliteQuery, SqliteResult } from './statements.ts';

class PortableCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    // There is one writer: every row is locked for it from the start.
    const isLock = node.modifier !== undefined && node.modifier !== 'Distinct';
    if (!isLock) super.visitSelectModifier(node);
  }
}

/** The dialect; `for update` and its like are left out. */
export const sqliteDialect: Dialect = {
  createAdapter: () => new SqliteAdapter(),
  createDriver: () => new DummyDriver(),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new PortableCompiler(),
};

/** A compiled query in the form that the connection takes: booleans as 0 and 1, arrays and objects as JSON text. */
export const toSqlite = ({ sql, parameters }: CompiledQuery): SqliteQuery => ({
  sql,
  parameters: parameters.map((value) => (typeof value === 'boolean' ? Number(value) : asText(value))),
});

/** Rows as the model has them. */
export function toRows({ columns, rows }: SqliteResult): Record<string, unknown>[] {
  const storages = columns.map(storageOfColumn);
  return rows.map((values) => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i += 1) row[columns[i]!] = decode(values[i], storages[i]!);
    return row;
  });
}

function decode(value: unknown, storage: Storage): unknown {
  if (storage === 'plain' || value === null) return value;
  return storage === 'boolean' ? value !== 0 : JSON.parse(value as string);
}

const busy = 5;
const locked = 6;
const unique = new Set([1555, 2067]);
const foreignKey = 787;
// READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB; and 0: no answer of SQLite's at all.
const outside = new Set([0, 8, 10, 11, 13, 14, 15, 26]);

/** An error of SQLite as what the callers of the database know. */
export function translate(error: unknown): unknown {
  if (!(error instanceof SqliteError)) return error;
  const { errcode, message } = error;
  const primary = errcode % 256;
  if (primary === busy || primary === locked) return new TransactionConflict(`the database is busy: ${message}`, { cause: error });
  if (outside.has(primary)) return new DatabaseUnavailable(`the database cannot be used: ${message}`, { cause: error });
  if (errcode === foreignKey) return new ForeignKeyViolation({ cause: error });
  if (unique.has(errcode)) return uniqueViolation(error);
  return error;
}

/** `UNIQUE constraint failed: member.pool_id, member.address` */
function uniqueViolation(error: SqliteError): UniqueViolation {
  const keys = error.message.slice(error.message.indexOf(':') + 1).split(',');
  const [table = ''] = keys.map((key) => key.trim().split('.')[0]);
  return new UniqueViolation(
    table,
    keys.map((key) => key.trim().slice(table.length + 1)),
    { cause: error },
  );
}
