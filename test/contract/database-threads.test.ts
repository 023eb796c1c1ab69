/** What only SQLite in a worker thread and PostgreSQL over its connection can do wrong: losing the other side. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { test, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { sql } from 'kysely';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { DatabaseUnavailable, TransactionConflict } from '../../src/db/errors.ts';
import { migrate } from '../../src/db/migrate.ts';
import { recordingLogger } from '../../src/lib/log.ts';
import { testDialect, withDatabase, withDatabaseUrl } from '../support/database.ts';

const names = async (reader: Database['read']) =>
  (await reader.selectFrom('setting').select('name').orderBy('name').execute()).map((row) => row.name);

const put = (db: Database, name: string) => db.tx((tx) => tx.insertInto('setting').values({ name, value: '' }).execute());

/** The worker threads that are started from now on, until the test ends. */
function startedThreads(t: TestContext): Worker[] {
  const threads: Worker[] = [];
  const collect = (worker: Worker) => threads.push(worker);
  process.on('worker', collect);
  t.after(() => process.off('worker', collect));
  return threads;
}

test('who reads again and again keeps nobody from their turn', async (t) => {
  const db = await withDatabase(t);
  let isOver = false;
  setTimeout(() => (isOver = true), 20);
  let reads = 0;
  // A million reads take half a minute: then it was not the timer that ended them.
  while (!isOver && reads < 1_000_000) {
    await names(db.read);
    reads += 1;
  }
  assert.ok(isOver && reads > 1, `${reads} reads`);
});

if (testDialect === 'sqlite') {
  test('a transaction whose work never ends is rolled back after a while, so that others get their turn', async (t) => {
    const db = await withDatabase(t);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const endless = db.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'endless', value: '' }).execute();
      begin();
      await new Promise(() => undefined);
    });
    const next = put(db, 'next');
    await begun;
    t.mock.timers.tick(30_000);
    await assert.rejects(endless, DatabaseUnavailable);
    await next;
    assert.deepEqual(await names(db.read), ['next']);
  });

  test('when the thread dies, what it was asked is refused, the transaction is undone, and the next query starts another', async (t) => {
    const threads = startedThreads(t);
    const { log, lines } = recordingLogger();
    const db = await withDatabase(t, { file: true, log });
    const [writer] = threads;
    await put(db, 'before');
    const lost = db.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'lost', value: '' }).execute();
      await writer!.terminate();
      await tx.insertInto('setting').values({ name: 'also lost', value: '' }).execute();
    });
    await assert.rejects(lost, DatabaseUnavailable);
    assert.match(JSON.stringify(lines), /database thread died/u);
    await put(db, 'after');
    assert.deepEqual(await names(db.read), ['after', 'before']);
  });

  test('queries that wait for an answer when the thread dies get an error', async (t) => {
    const threads = startedThreads(t);
    const db = await withDatabase(t, { file: true });
    const slow = sql`with recursive n (x) as (select 1 union all select x + 1 from n limit 500000) select count(*) from n`;
    const work = db.tx(async (tx) => {
      const asked = [slow.execute(tx), names(tx), names(tx)];
      await Promise.all([
        threads.at(-1)!.terminate(),
        ...asked.map((question) => assert.rejects(async () => question, DatabaseUnavailable)),
      ]);
    });
    await assert.rejects(work, /failed/u);
    assert.deepEqual(await names(db.read), []);
  });

  test('nothing is asked of a closed database', async (t) => {
    const db = openDatabase({ url: await withDatabaseUrl(t) });
    await migrate(db);
    await db.close();
    await db.close();
    await assert.rejects(names(db.read), DatabaseUnavailable);
  });

  test('the file and its journals are readable by their owner only', async (t) => {
    const url = await withDatabaseUrl(t);
    const db = openDatabase({ url });
    t.after(() => db.close());
    await migrate(db);
    const path = url.slice('sqlite://'.length);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal((await stat(file)).mode & 0o777, 0o600, file);
  });

  test('a file that another process keeps busy is a TransactionConflict, and free again it works', async (t) => {
    const url = await withDatabaseUrl(t);
    const [one, two] = [openDatabase({ url }), openDatabase({ url })];
    t.after(() => Promise.all([one.close(), two.close()]));
    await migrate(one);
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
    const long = one.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'long', value: '' }).execute();
      await mayEnd;
    });
    await names(one.read);
    const shortWaits = sql`pragma busy_timeout = 20`;
    await two.tx(async (tx) => {
      // BEGIN has waited for the other already when this is said, so this transaction only tells the connection.
      end();
      await shortWaits.execute(tx);
    });
    await long;
    const { promise: mayEndAgain, resolve: endAgain } = Promise.withResolvers<void>();
    const again = one.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'again', value: '' }).execute();
      await mayEndAgain;
    });
    await names(one.read);
    await assert.rejects(put(two, 'refused'), TransactionConflict);
    endAgain();
    await again;
    await put(two, 'taken');
    assert.deepEqual(await names(two.read), ['again', 'long', 'taken']);
  });
} else {
  test('when the server ends a connection, its transaction is undone and the next one gets another', async (t) => {
    const db = await withDatabase(t, { connections: 1 });
    await put(db, 'before');
    const lost = db.tx(async (tx) => {
      await tx.insertInto('setting').values({ name: 'lost', value: '' }).execute();
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      await endBackend(t, rows[0]!.pid);
      await names(tx);
    });
    await assert.rejects(lost, DatabaseUnavailable);
    await put(db, 'after');
    assert.deepEqual(await names(db.read), ['after', 'before']);
  });

  test('listening goes on after its connection was lost', async (t) => {
    const db = await withDatabase(t);
    const heard = Promise.withResolvers<string>();
    await db.listen('work', heard.resolve);
    const { rows } = await sql<{ pid: number }>`
      select pid from pg_stat_activity where application_name = 'octavia-listen'
      and query = 'LISTEN "' || current_schema() || '.work"'`.execute(db.read);
    assert.equal(rows.length, 1);
    await endBackend(t, rows[0]!.pid);
    const deadline = setTimeout(() => heard.reject(new Error('nothing was heard within 10 s')), 10_000);
    const repeat = setInterval(() => void db.notify('work', 'again').catch(heard.reject), 50);
    try {
      assert.equal(await heard.promise, 'again');
    } finally {
      clearInterval(repeat);
      clearTimeout(deadline);
    }
  });

  test('two transactions that wait for each other both succeed in the end', async (t) => {
    const db = await withDatabase(t);
    await put(db, 'a');
    await put(db, 'b');
    const { promise: bothHoldOne, resolve } = Promise.withResolvers<void>();
    let holding = 0;
    const lock = (first: string, second: string) =>
      db.tx(async (tx) => {
        await tx.updateTable('setting').set({ value: first }).where('name', '=', first).execute();
        holding += 1;
        if (holding >= 2) resolve();
        await bothHoldOne;
        await tx.updateTable('setting').set({ value: first }).where('name', '=', second).execute();
      });
    await Promise.all([lock('a', 'b'), lock('b', 'a')]);
    // The one that gives way may come back before the other has woken, and both wait again.
    assert.ok(holding >= 3, `${holding} attempts`);
  });
}

/** Ends a session of the server, as a restart would. */
async function endBackend(t: TestContext, pid: number): Promise<void> {
  const other = await withDatabase(t, { unmigrated: true });
  await other.tx((tx) => sql`select pg_terminate_backend(${pid}, 5000)`.execute(tx));
}
