/** Kysely over a connection of ours. */
import { type DatabaseConnection, DefaultQueryExecutor, type Dialect, DummyDriver, Kysely, Transaction } from 'kysely';
import type { Tables } from './tables.ts';

const propsOver = (dialect: Dialect, connection: DatabaseConnection) => {
  const driver = new DummyDriver();
  // Not Kysely's own driver: it awaits five times around each query for life cycles and locks that are ours here.
  const provider = { provideConnection: <T>(consumer: (connection: DatabaseConnection) => Promise<T>) => consumer(connection) };
  const executor = new DefaultQueryExecutor(dialect.createQueryCompiler(), dialect.createAdapter(), provider);
  return { config: { dialect }, dialect, driver, executor };
};

/** A Kysely whose every query goes to the connection. */
export const kyselyOver = (dialect: Dialect, connection: DatabaseConnection): Kysely<Tables> => new Kysely(propsOver(dialect, connection));

/** The same as a transaction; beginning and ending it is the caller's. */
export const transactionOver = (dialect: Dialect, connection: DatabaseConnection): Transaction<Tables> =>
  new Transaction(propsOver(dialect, connection));
