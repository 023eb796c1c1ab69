/** PostgreSQL as a database engine. */
import { type CompiledQuery, type DatabaseConnection, type QueryResult, sql } from 'kysely';
import { Client, Pool, type PoolClient, type QueryResult as PgResult } from 'pg';
import type { Logger } from '../../lib/log.ts';
import type { Backend } from '../backend.ts';
import { asText } from '../columns.ts';
import { DatabaseUnavailable, TransactionConflict } from '../errors.ts';
import { kyselyOver, transactionOver } from '../over.ts';
import { decodeJson } from '../read-many.ts';
import { getTypeParser, postgresqlDialect, StalePlan, StatementNames, translate, withoutRows } from './dialect.ts';
import { listenTo } from './listen.ts';

/** How a PostgreSQL database is opened. */
export type PostgresqlSettings = {
  /** `postgresql://…`; a unix socket as `postgresql:///name?host=/folder`. May hold a password: never logged. */
  readonly url: string;
  /** Connections for transactions, and as many again for reads. */
  readonly connections: number;
  readonly log: Logger;
};

const connectTimeoutMs = 5000;
const statementTimeoutMs = 30_000;

/** Opens nothing yet: connections are made when queries need them. Throws an `Error` with a sentence when the URL is not understood. */
export function openPostgresql(settings: PostgresqlSettings): Backend {
  checkUrl(settings.url);
  const writers = openPool(settings, '');
  // A pool of its own, so that reads and transactions never wait for each other's connections.
  const readers = openPool(settings, '-c default_transaction_read_only=on');
  const names = new StatementNames();
  const read = kyselyOver(postgresqlDialect, new ReadConnection(readers, names));
  const listener = listenTo(settings);
  return {
    dialect: 'postgresql',
    read,
    transaction: (work) =>
      withClient(writers, (client) => {
        const connection = new TransactionConnection(client, names);
        return connection.carryOut(() => work(transactionOver(postgresqlDialect, connection)));
      }),
    nowMs: () => sql`(extract(epoch from clock_timestamp()) * 1000)::bigint`,
    async notify(channel, payload, tx) {
      // A session that may only read may notify.
      await sql`select pg_notify(current_schema() || '.' || ${channel}, ${payload})`.execute(tx ?? read);
    },
    listen: (channel, handler) => listener.listen(channel, handler),
    async close() {
      await Promise.all([listener.close(), readers.end(), writers.end()]);
    },
  };
}

function checkUrl(url: string): void {
  try {
    void new Client({ connectionString: url });
  } catch {
    // Without its cause, which quotes the URL and so the password.
    throw new Error('The database URL is not valid: it should look like postgresql://user:password@host:5432/octavia.');
  }
}

function openPool({ url, connections, log }: PostgresqlSettings, sessionOptions: string): Pool {
  const pool = new Pool({
    connectionString: withOptions(url, sessionOptions),
    max: connections,
    connectionTimeoutMillis: connectTimeoutMs,
    idleTimeoutMillis: 30_000,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    // A server that vanished without a word; later than the server's own limit, which tells more.
    query_timeout: statementTimeoutMs + 5000,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: 'octavia',
    types: { getTypeParser },
  });
  // Without listeners, a server that restarts would end this process.
  pool.on('error', (error) => log.warn({ err: withoutRows(error) }, 'idle database connection lost'));
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** The URL with more session options (`-c name=value …`). Not by `URL`, which refuses a user without a host, as for unix sockets. */
function withOptions(url: string, more: string): string {
  const [address = '', query = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  const options = [parameters.get('options') ?? '', more].filter((part) => part !== '').join(' ');
  if (options !== '') parameters.set('options', options);
  // URLSearchParams writes a space as +, which the reader of the URL would take for a plus.
  return `${address}?${parameters.toString().replaceAll('+', '%20')}`;
}

async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translate(error);
  });
  let lost: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    // A connection that did not answer may still do so later, to somebody else's question.
    if (error instanceof DatabaseUnavailable && !(error instanceof TransactionConflict)) lost = error;
    throw error;
  } finally {
    client.release(lost);
  }
}

async function run<R>(client: PoolClient, names: StatementNames, { sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
  const name = names.of(sql);
  const query = { text: sql, values: parameters.map(asText), ...(name === undefined ? {} : { name }) };
  try {
    const { rows, fields, rowCount }: PgResult<Record<string, unknown>> = await client.query(query);
    const columns = fields.map((field) => field.name);
    decodeJson(rows, columns);
    return { rows: rows as R[], numAffectedRows: BigInt(rowCount ?? 0) };
  } catch (error) {
    const translated = translate(error);
    if (translated instanceof StalePlan) names.renew();
    throw translated;
  }
}

const noStreams = (): never => {
  throw new Error('rows are not streamed');
};

/** Reads outside transactions, each on the next free connection. */
class ReadConnection implements DatabaseConnection {
  readonly #pool: Pool;
  readonly #names: StatementNames;
  readonly streamQuery = noStreams;

  constructor(pool: Pool, names: StatementNames) {
    this.#pool = pool;
    this.#names = names;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const attempt = () => withClient(this.#pool, (client) => run<R>(client, this.#names, query));
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StalePlan) return attempt();
      throw error;
    }
  }
}

/** One connection during one transaction. */
class TransactionConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  readonly #names: StatementNames;
  #state: 'open' | 'failed' | 'ended' = 'open';
  readonly streamQuery = noStreams;

  constructor(client: PoolClient, names: StatementNames) {
    this.#client = client;
    this.#names = names;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#state !== 'open') throw new Error(`the transaction has ${this.#state}`);
    try {
      return await run(this.#client, this.#names, query);
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  /** Begins, runs the work and commits; rolls back when it throws. */
  async carryOut<T>(work: () => Promise<T>): Promise<T> {
    await this.#say('BEGIN');
    try {
      const result = await work();
      if (this.#state === 'failed') throw new Error('the transaction has failed');
      this.#state = 'ended';
      await this.#say('COMMIT');
      return result;
    } catch (error) {
      this.#state = 'ended';
      // When ROLLBACK fails too, the connection is gone, and the transaction with it: `withClient` must know.
      await this.#say('ROLLBACK');
      throw error;
    }
  }

  async #say(word: 'BEGIN' | 'COMMIT' | 'ROLLBACK'): Promise<void> {
    try {
      await this.#client.query(word);
    } catch (error) {
      throw translate(error);
    }
  }
}
