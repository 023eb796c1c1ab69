/** PostgreSQL for Kysely. */
import { type Dialect, DummyDriver, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { DatabaseError, types } from 'pg';
import { DatabaseUnavailable, ForeignKeyViolation, TransactionConflict, UniqueViolation } from '../errors.ts';

const maxInt4 = 2 ** 31 - 1;

class PortableCompiler extends PostgresQueryCompiler {
  protected override appendValue(value: unknown): void {
    super.appendValue(value);
    // Where only small constants stand around a parameter, PostgreSQL takes it for an int4, and epoch milliseconds overflow.
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > maxInt4) this.append('::bigint');
  }
}

/** The dialect. */
export const postgresqlDialect: Dialect = {
  createAdapter: () => new PostgresAdapter(),
  createDriver: () => new DummyDriver(),
  createIntrospector: (db) => new PostgresIntrospector(db),
  createQueryCompiler: () => new PortableCompiler(),
};

const int8 = 20;
const numeric = 1700;

/** Readers of values: counters and epoch milliseconds stay below 2^53, so numbers are exact. */
export const getTypeParser = ((oid: number, format?: 'text') =>
  oid === int8 || oid === numeric ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser;

const maxNames = 1000;

/**
 * Names under which the server keeps statements prepared: planning a tree takes 2 ms, running it 0.2 ms.
 * Statements beyond the limit get none.
 */
export class StatementNames {
  #names = new Map<string, string>();
  #epoch = 0;

  of(sql: string): string | undefined {
    const known = this.#names.get(sql);
    if (known !== undefined || this.#names.size >= maxNames) return known;
    const name = `s${this.#epoch}_${this.#names.size}`;
    this.#names.set(sql, name);
    return name;
  }

  /** Every statement gets a new name, because a server's plan no longer fits. */
  renew(): void {
    this.#epoch += 1;
    this.#names = new Map();
  }
}

/** The server's plan of a prepared statement is out of date: a newer program changed the schema. */
export class StalePlan extends TransactionConflict {
  constructor(options: { cause?: unknown } = {}) {
    super('the schema of the database changed', options);
    this.name = 'StalePlan';
  }
}

// Conditions that pass or that an operator mends (postgresql.org/docs/current/errcodes-appendix.html): no resources, shut down,
// starting, timed out; the classes 08 (connection) and 28 (log-in); no such database.
const outside = /^(?:08|28|53|57|58)|^(?:25006|25P03|25P04|55P03|3D000)$/u;
const conflict = /^40(?:001|P01)$/u;

/** An error of the driver or the server as what the callers of the database know. */
export function translate(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const cause = withoutRows(error);
  // Everything that is not an answer of the server: refused, reset, timed out, no such host.
  if (!(error instanceof DatabaseError)) {
    return isConnectionError(error) ? new DatabaseUnavailable(`the database does not answer: ${cause.message}`, { cause }) : error;
  }
  const code = error.code ?? '';
  if (code === '26000' || (code === '0A000' && /cached plan/u.test(error.message))) return new StalePlan({ cause });
  if (conflict.test(code)) return new TransactionConflict(`another transaction got in the way: ${cause.message}`, { cause });
  if (outside.test(code)) return new DatabaseUnavailable(`the database cannot be used: ${cause.message}`, { cause });
  if (code === '23503') return new ForeignKeyViolation({ cause });
  if (code === '23505') return new UniqueViolation(error.table ?? '', keyOf(error.detail), { cause });
  return cause;
}

/** `Key (pool_id, address)=(…) already exists.`; only the form with the brackets is the same in every language. */
const keyOf = (detail = ''): string[] => /\(([^()]*)\)=\(/u.exec(detail)?.[1]?.split(', ') ?? [];

const isConnectionError = (error: Error): boolean =>
  'code' in error ||
  error instanceof AggregateError ||
  /connection|timeout|terminated|not queryable|closed|after calling end/iu.test(error.message);

/** The server's errors quote whole rows, which may hold secrets: only code and message are kept. */
export function withoutRows(error: Error): Error {
  const { code } = error as { code?: string };
  const kept = new Error(code === undefined ? error.message : `${error.message || error.name} (${code})`);
  if (error.stack !== undefined) kept.stack = error.stack;
  return kept;
}
