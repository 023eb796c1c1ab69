/** PostgreSQL as a database engine. */
import { type CompiledQuery, type DatabaseConnection, type QueryResult, sql } from 'kysely';
import { Client, Pool, type PoolClient, type QueryResult as PgResult } from 'pg';
import type { Logger } from '../../lib/log.ts';
import type { Backend } from '../backend.ts';
import { asText } from '../columns.ts';
import { DatabaseUnavailable, TransactionConflict } from '../errors.ts';
import { kyselyOver, transactionOver } from '../over.ts';
import { decodeJson } from '../read-many.ts';
import { isLast, isLater, type LaterChange, writeMany } from '../write-many.ts';
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
      const hint = sql`select pg_notify(current_schema() || '.' || ${channel}, ${payload})`;
      // A session that may only read may notify.
      if (tx === undefined) await hint.execute(read);
      else await writeMany(tx, [{ compile: () => hint.compile(tx) }]);
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
    // A statement goes out before the last is answered: a transaction sends what it need not wait for at once.
    pipeline: true,
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

/** One connection during one transaction. BEGIN and changes for later are sent at once, and their answers awaited with the next one. */
class TransactionConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  readonly #names: StatementNames;
  #state: 'open' | 'failed' | 'ended' = 'open';
  /** Answers that are still to come, in the order of their statements. */
  #expected: Promise<unknown>[] = [];
  /** Is one of them a reason not to commit that the server does not know? */
  #mayMiss = false;
  readonly streamQuery = noStreams;

  constructor(client: PoolClient, names: StatementNames) {
    this.#client = client;
    this.#names = names;
    this.#expect(this.#say('BEGIN'));
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#state !== 'open') throw new Error(`the transaction has ${this.#state}`);
    if (isLater(query)) {
      for (const change of query.later) this.#expect(this.#carryOutLater(change));
      return { rows: [] };
    }
    if (isLast(query) && this.#mayMiss) await this.#settle();
    const answer = run<R>(this.#client, this.#names, query);
    this.#expect(answer);
    if (isLast(query)) await this.#commit();
    else await this.#settle();
    return answer;
  }

  /** Runs the work and commits; rolls back when it throws. */
  async carryOut<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      if (this.#state === 'failed') throw new Error('the transaction has failed');
      if (this.#state === 'ended') return result;
      if (this.#mayMiss) await this.#settle();
      await this.#commit();
      return result;
    } catch (error) {
      this.#state = 'ended';
      await Promise.allSettled(this.#expected);
      // When ROLLBACK fails too, the connection is gone, and the transaction with it: `withClient` must know.
      await this.#say('ROLLBACK');
      throw error;
    }
  }

  async #carryOutLater({ query, orElse }: LaterChange): Promise<void> {
    if (orElse !== undefined) this.#mayMiss = true;
    const { numAffectedRows } = await run(this.#client, this.#names, query);
    if (orElse !== undefined && numAffectedRows === 0n) throw orElse();
  }

  #expect(answer: Promise<unknown>): void {
    // It is looked at later, and until then it is nobody's error.
    answer.catch(() => undefined);
    this.#expected.push(answer);
  }

  /** Waits for every answer, and throws the first error: those of later statements only follow from it. */
  async #settle(): Promise<void> {
    const answers = await Promise.allSettled(this.#expected.splice(0));
    this.#mayMiss = false;
    const failure = answers.find((answer) => answer.status === 'rejected');
    if (failure === undefined) return;
    this.#state = 'failed';
    throw failure.reason;
  }

  /** COMMIT goes out behind statements that are not answered yet: when one of them fails, the server rolls back instead. */
  async #commit(): Promise<void> {
    this.#expect(this.#say('COMMIT'));
    this.#state = 'ended';
    await this.#settle();
  }

  async #say(word: 'BEGIN' | 'COMMIT' | 'ROLLBACK'): Promise<void> {
    try {
      await this.#client.query(word);
    } catch (error) {
      throw translate(error);
    }
  }
}
