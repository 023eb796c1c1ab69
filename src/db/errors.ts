/** What a database call may throw, the same on both databases. Anything else it throws is a bug in a query. */
import { Retry } from '../model/index.ts';

/** The database does not answer, or not in time: worth another try later. An open transaction did not happen, unless the answer to its COMMIT was lost. */
export class DatabaseUnavailable extends Retry {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'DatabaseUnavailable';
  }
}

/** Another transaction got in the way (deadlock, serialisation failure, busy file); `Database.tx` tries again before it lets this out. */
export class TransactionConflict extends DatabaseUnavailable {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'TransactionConflict';
  }
}

/** A row with the same key exists. */
export class UniqueViolation extends Error {
  readonly table: string;
  /** The columns that had to be unique together, in the order of the key. */
  readonly columns: readonly string[];

  constructor(table: string, columns: readonly string[], options: { cause?: unknown } = {}) {
    super(`a row of ${table} with the same ${columns.join(', ')} exists`, options);
    this.name = 'UniqueViolation';
    this.table = table;
    this.columns = columns;
  }
}

/** A row refers to one that does not exist. Which one is not known: SQLite does not tell. */
export class ForeignKeyViolation extends Error {
  constructor(options: { cause?: unknown } = {}) {
    super('a row refers to one that does not exist', options);
    this.name = 'ForeignKeyViolation';
  }
}

/** The database was written by a newer version of this program. */
export class NewerSchema extends Error {
  readonly found: number;
  readonly known: number;

  constructor(found: number, known: number) {
    super(
      `The database has schema version ${found}, but this program knows versions up to ${known} only: run the version that wrote it, or a newer one.`,
    );
    this.name = 'NewerSchema';
    this.found = found;
    this.known = known;
  }
}
