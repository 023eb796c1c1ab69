/** What every database does, SQLite in memory, SQLite in a file, or PostgreSQL. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { type Database, forUpdate, openDatabase, type Tx } from '../../src/db/database.ts';
import { DatabaseUnavailable, ForeignKeyViolation, TransactionConflict, UniqueViolation } from '../../src/db/errors.ts';
import { readMany } from '../../src/db/read-many.ts';
import { loadTree } from '../../src/db/tree.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { contract } from '../support/database.ts';
import { sampleRow } from '../support/rows.ts';

const insertLoadbalancer = async (db: Database, values: Parameters<typeof sampleRow<'loadbalancer'>>[1] = {}) => {
  const row = sampleRow('loadbalancer', values);
  await db.tx((tx) => tx.insertInto('loadbalancer').values(row).execute());
  return row;
};

/** A promise and the function that settles it. */
const gate = () => Promise.withResolvers<void>();

const countSettings = async (reader: Tx | Database['read']) =>
  (
    await reader
      .selectFrom('setting')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
  ).n;

contract('booleans, lists, objects, nulls, fractions and large numbers come back as they went in', async (db) => {
  const lb = sampleRow('loadbalancer', {
    name: "Robert'); DROP TABLE loadbalancer; -- ü 😀",
    admin_state_up: true,
    vip_sg_ids: ['one', 'two'],
    additional_vips: [{ subnet_id: 's', ip_address: '::1', port_id: null }],
  });
  const pool = sampleRow('pool', {
    loadbalancer_id: lb.id,
    session_persistence: { type: 'APP_COOKIE', cookie_name: 'c', persistence_timeout: null, persistence_granularity: null },
    tls_versions: ['TLSv1.2', 'TLSv1.3'],
  });
  const bare = sampleRow('pool', { loadbalancer_id: lb.id, session_persistence: null });
  const monitor = sampleRow('healthmonitor', { pool_id: pool.id, http_version: 1.1 });
  const counters = { bytes_in: 2 ** 52, bytes_out: 0, active_connections: 1, total_connections: 3_000_000_000, request_errors: 0 };
  await db.tx(async (tx) => {
    await tx.insertInto('loadbalancer').values(lb).execute();
    await tx.insertInto('pool').values([pool, bare]).execute();
    await tx.insertInto('healthmonitor').values(monitor).execute();
    await tx
      .insertInto('listener_statistics')
      .values({ listener_id: 'l', amphora_id: 'a', ...counters })
      .execute();
    await tx.insertInto('amphora_health').values({ amphora_id: 'a', last_seen_ms: 1_800_000_000_000, busy: true, haproxy: null }).execute();
  });
  assert.deepEqual(await db.read.selectFrom('loadbalancer').selectAll().execute(), [lb]);
  assert.deepEqual(await db.read.selectFrom('pool').selectAll().where('id', '=', pool.id).executeTakeFirst(), pool);
  assert.deepEqual(await db.read.selectFrom('pool').selectAll().where('id', '=', bare.id).executeTakeFirst(), bare);
  assert.deepEqual(await db.read.selectFrom('healthmonitor').selectAll().executeTakeFirst(), monitor);
  assert.deepEqual(await db.read.selectFrom('listener_statistics').selectAll().executeTakeFirst(), {
    listener_id: 'l',
    amphora_id: 'a',
    ...counters,
  });
  assert.deepEqual(await db.read.selectFrom('amphora_health').selectAll().where('busy', '=', true).executeTakeFirst(), {
    amphora_id: 'a',
    last_seen_ms: 1_800_000_000_000,
    busy: true,
    haproxy: null,
  });
});

contract('sums and counts are numbers, changed rows are counted, and RETURNING answers rows of the model', async (db) => {
  const lb = await insertLoadbalancer(db, { vip_sg_ids: ['x'] });
  await db.tx((tx) =>
    tx
      .insertInto('listener_statistics')
      .values([statistics('a', 2), statistics('b', 3)])
      .execute(),
  );
  const sums = await db.read
    .selectFrom('listener_statistics')
    .select((eb) => [eb.fn.sum<number>('bytes_in').as('total'), eb.fn.countAll<number>().as('n')])
    .executeTakeFirst();
  assert.deepEqual(sums, { total: 5, n: 2 });
  const { numUpdatedRows } = await db.tx((tx) => tx.updateTable('listener_statistics').set({ bytes_out: 1 }).executeTakeFirstOrThrow());
  assert.equal(numUpdatedRows, 2n);
  const returned = await db.tx((tx) => tx.updateTable('loadbalancer').set({ admin_state_up: true }).returningAll().executeTakeFirst());
  assert.deepEqual(returned, { ...lb, admin_state_up: true });
});

const statistics = (amphora_id: string, bytes_in: number) => ({
  listener_id: 'l',
  amphora_id,
  bytes_in,
  bytes_out: 0,
  active_connections: 0,
  total_connections: 0,
  request_errors: 0,
});

contract('a transaction whose work throws leaves nothing behind', async (db) => {
  const failure = new Error('on purpose');
  const work = db.tx(async (tx) => {
    await tx.insertInto('setting').values({ name: 'a', value: '1' }).execute();
    throw failure;
  });
  await assert.rejects(work, failure);
  assert.equal(await countSettings(db.read), 0);
});

contract('after a failed statement a transaction can do nothing and is not committed', async (db) => {
  const work = db.tx(async (tx) => {
    await tx.insertInto('setting').values({ name: 'a', value: '1' }).execute();
    await tx
      .insertInto('setting')
      .values({ name: 'a', value: '2' })
      .execute()
      .catch(() => undefined);
    await assert.rejects(countSettings(tx), /the transaction has failed/u);
  });
  await assert.rejects(work, /the transaction has failed/u);
  assert.equal(await countSettings(db.read), 0);
});

contract('readers do not see what is not committed, and see it at once when it is', async (db) => {
  const wrote = gate();
  const mayCommit = gate();
  const work = db.tx(async (tx) => {
    await tx.insertInto('setting').values({ name: 'a', value: '1' }).execute();
    assert.equal(await countSettings(tx), 1);
    wrote.resolve();
    await mayCommit.promise;
  });
  await wrote.promise;
  const during = countSettings(db.read);
  // In memory the reader waits for the end of the transaction; elsewhere it answers during it.
  const early = await Promise.race([during, new Promise<string>((resolve) => setTimeout(resolve, 200, 'waits'))]);
  assert.ok(early === 0 || early === 'waits', String(early));
  mayCommit.resolve();
  await work;
  await during;
  assert.equal(await countSettings(db.read), 1);
});

contract('fifty increments at once lose nothing', async (db) => {
  await db.tx((tx) => tx.insertInto('setting').values({ name: 'n', value: '0' }).execute());
  const increment = () =>
    db.tx(async (tx) => {
      const query = tx.selectFrom('setting').select('value').where('name', '=', 'n');
      const { value } = await forUpdate(query).executeTakeFirstOrThrow();
      await tx
        .updateTable('setting')
        .set({ value: String(Number(value) + 1) })
        .where('name', '=', 'n')
        .execute();
    });
  await Promise.all(Array.from({ length: 50 }, increment));
  assert.equal((await db.read.selectFrom('setting').select('value').executeTakeFirstOrThrow()).value, '50');
});

contract('a transaction that was in the way of another runs again', async (db) => {
  let attempts = 0;
  const work = () =>
    db.tx(async (tx) => {
      attempts += 1;
      await tx
        .insertInto('setting')
        .values({ name: `try ${attempts}`, value: '' })
        .execute();
      if (attempts < 3) throw new TransactionConflict('made up');
      return attempts;
    });
  assert.equal(await work(), 3);
  assert.deepEqual(await db.read.selectFrom('setting').select('name').execute(), [{ name: 'try 3' }]);
});

contract('a second row with the same key is a UniqueViolation that names table and columns', async (db) => {
  const lb = await insertLoadbalancer(db);
  const pool = sampleRow('pool', { loadbalancer_id: lb.id });
  const member = sampleRow('member', { pool_id: pool.id, address: '10.0.0.1', protocol_port: 80 });
  await db.tx(async (tx) => {
    await tx.insertInto('pool').values(pool).execute();
    await tx.insertInto('member').values(member).execute();
  });
  const same = sampleRow('member', { pool_id: pool.id, address: '10.0.0.1', protocol_port: 80 });
  await assert.rejects(
    db.tx((tx) => tx.insertInto('member').values(same).execute()),
    (error) => {
      assert.ok(error instanceof UniqueViolation);
      assert.deepEqual([error.table, error.columns], ['member', ['pool_id', 'address', 'protocol_port']]);
      assert.doesNotMatch(String(error.cause), /10\.0\.0\.1/u);
      return true;
    },
  );
  await assert.rejects(insertLoadbalancer(db, { id: lb.id }), (error) => error instanceof UniqueViolation && error.columns[0] === 'id');
});

contract('a row that refers to a missing one is a ForeignKeyViolation, also when that is noticed at the end', async (db) => {
  const pool = sampleRow('pool', { loadbalancer_id: 'missing' });
  await assert.rejects(
    db.tx((tx) => tx.insertInto('pool').values(pool).execute()),
    ForeignKeyViolation,
  );
  const lb = await insertLoadbalancer(db);
  const listener = sampleRow('listener', { loadbalancer_id: lb.id, default_pool_id: 'missing' });
  await assert.rejects(
    db.tx((tx) => tx.insertInto('listener').values(listener).execute()),
    ForeignKeyViolation,
  );
  assert.deepEqual(await db.read.selectFrom('listener').select('id').execute(), []);
});

contract('what belongs to a row goes with it: children, labels, statistics', async (db) => {
  const lb = await insertLoadbalancer(db);
  const pool = sampleRow('pool', { loadbalancer_id: lb.id });
  const listener = sampleRow('listener', { loadbalancer_id: lb.id, default_pool_id: pool.id });
  const member = sampleRow('member', { pool_id: pool.id });
  await db.tx(async (tx) => {
    // The listener may come before the pool that it refers to.
    await tx.insertInto('listener').values(listener).execute();
    await tx.insertInto('pool').values(pool).execute();
    await tx.insertInto('member').values(member).execute();
    await tx
      .insertInto('tag')
      .values([lb, pool, listener, member].map(({ id }) => ({ resource_id: id, tag: 't' })))
      .execute();
    await tx
      .insertInto('listener_statistics')
      .values({ ...statistics('a', 1), listener_id: listener.id })
      .execute();
  });
  await db.tx((tx) => tx.deleteFrom('loadbalancer').where('id', '=', lb.id).execute());
  for (const table of ['listener', 'pool', 'member', 'tag', 'listener_statistics'] as const) {
    assert.deepEqual(await db.read.selectFrom(table).selectAll().execute(), [], table);
  }
});

contract('several queries are answered in order, from one state, and none from no queries', async (db) => {
  const lb = await insertLoadbalancer(db, { vip_sg_ids: ['a'] });
  const ids = db.read.selectFrom('loadbalancer').select('id');
  const all = db.read.selectFrom('loadbalancer').selectAll().where('id', '=', lb.id);
  const none = db.read.selectFrom('pool').selectAll();
  assert.deepEqual(await readMany(db.read, [ids, none, all]), [[{ id: lb.id }], [], [lb]]);
  assert.deepEqual(await readMany(db.read, []), []);
});

contract('several queries never see half of a transaction', async (db) => {
  const write = (value: string) =>
    db.tx(async (tx) => {
      for (const name of ['a', 'b']) {
        await tx
          .insertInto('setting')
          .values({ name, value })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
          .execute();
      }
    });
  await write('0');
  let done = false;
  const writer = (async () => {
    for (let i = 1; i <= 40; i += 1) await write(String(i));
    done = true;
  })();
  const of = (name: string) => db.read.selectFrom('setting').select('value').where('name', '=', name);
  while (!done) {
    const [[a], [b]] = await readMany(db.read, [of('a'), of('b')]);
    assert.deepEqual(a, b);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writer;
});

contract('a tree has everything that belongs to the load balancer, in order of creation, and nothing else', async (db) => {
  const lb = await insertLoadbalancer(db, { name: 'one' });
  const other = await insertLoadbalancer(db, { name: 'other' });
  const at = (seconds: number) => ({ created_at: `2026-01-01T00:00:0${seconds}` });
  const pools = [1, 2].map((n) => sampleRow('pool', { id: `pool-${3 - n}`, loadbalancer_id: lb.id, ...at(n) }));
  const foreign = sampleRow('pool', { loadbalancer_id: other.id });
  const members = [2, 1, 3].map((n) => sampleRow('member', { pool_id: pools[0]!.id, address: `10.0.0.${n}`, ...at(n) }));
  const monitor = sampleRow('healthmonitor', { pool_id: pools[1]!.id });
  const listener = sampleRow('listener', { loadbalancer_id: lb.id, insert_headers: { 'X-Forwarded-For': 'true' } });
  const first = sampleRow('l7policy', { listener_id: listener.id, position: 2, ...at(1) });
  const second = sampleRow('l7policy', { listener_id: listener.id, position: 1, redirect_pool_id: pools[1]!.id, ...at(2) });
  const rules = [2, 1].map((n) => sampleRow('l7rule', { l7policy_id: first.id, invert: true, ...at(n) }));
  const amphorae = [
    sampleRow('amphora', { loadbalancer_id: lb.id, status: 'ALLOCATED' }),
    sampleRow('amphora', { loadbalancer_id: lb.id, status: 'DELETED' }),
  ];
  await db.tx(async (tx) => {
    await tx
      .insertInto('pool')
      .values([...pools, foreign])
      .execute();
    await tx
      .insertInto('member')
      .values([...members, sampleRow('member', { pool_id: foreign.id })])
      .execute();
    await tx.insertInto('healthmonitor').values(monitor).execute();
    await tx.insertInto('listener').values(listener).execute();
    await tx.insertInto('l7policy').values([first, second]).execute();
    await tx.insertInto('l7rule').values(rules).execute();
    await tx.insertInto('amphora').values(amphorae).execute();
    await tx.insertInto('reconciliation').values(work(lb.id, 7)).execute();
  });
  const [two, one, three] = members;
  const tree = {
    loadbalancer: lb,
    listeners: [
      {
        ...listener,
        l7policies: [
          { ...second, rules: [] },
          { ...first, rules: [rules[1], rules[0]] },
        ],
      },
    ],
    pools: [
      { ...pools[0], members: [one, two, three], healthmonitor: null },
      { ...pools[1], members: [], healthmonitor: monitor },
    ],
    amphorae: [amphorae[0]],
    generation: 7,
  };
  assert.deepEqual(await loadTree(db.read, lb.id), tree);
  assert.deepEqual(await db.tx((tx) => loadTree(tx, lb.id)), tree);
  assert.equal((await loadTree(db.read, other.id))?.loadbalancer.name, 'other');
  assert.equal(await loadTree(db.read, 'missing'), null);
});

const work = (loadbalancer_id: string, generation: number) => ({
  loadbalancer_id,
  generation,
  applied_generation: 0,
  lease_owner: null,
  lease_until_ms: 0,
  fence: 0,
  attempts: 0,
  started_ms: null,
  not_before_ms: 0,
  reason: null,
});

contract('a time in milliseconds may stand where only small numbers stand around it', async (db) => {
  const lb = await insertLoadbalancer(db);
  const late = 1_900_000_000_000;
  await db.tx((tx) => tx.insertInto('reconciliation').values(work(lb.id, 1)).execute());
  const not_before_ms = sql<number>`case when generation > ${5} then 0 else ${late} end`;
  await db.tx((tx) => tx.updateTable('reconciliation').set({ not_before_ms }).execute());
  const row = await db.read
    .selectFrom('reconciliation')
    .select(['not_before_ms', sql<number>`${db.nowMs()} + ${1000}`.as('later')])
    .executeTakeFirstOrThrow();
  assert.equal(row.not_before_ms, late);
  assert.ok(Math.abs(row.later - 1000 - Date.now()) < 60_000);
});

contract('text is ordered by its bytes', async (db) => {
  await db.tx((tx) =>
    tx
      .insertInto('setting')
      .values(['b', 'B', 'a_', 'a', 'é'].map((name) => ({ name, value: '' })))
      .execute(),
  );
  const rows = await db.read.selectFrom('setting').select('name').orderBy('name').execute();
  assert.deepEqual(
    rows.map((row) => row.name),
    ['B', 'a', 'a_', 'b', 'é'],
  );
});

contract('a hint reaches its listeners when it is committed, and not when it is rolled back', async (db) => {
  const heard: string[] = [];
  const { promise, resolve } = gate();
  const stop = await db.listen('work', (payload) => {
    heard.push(payload);
    if (payload === 'last') resolve();
  });
  await db.listen('other', () => heard.push('other'));
  await assert.rejects(
    db.tx(async (tx) => {
      await db.notify('work', 'never', tx);
      throw new Error('no');
    }),
  );
  await db.tx((tx) => db.notify('work', 'committed', tx));
  await db.notify('work', 'last');
  await promise;
  assert.deepEqual(heard, ['committed', 'last']);
  stop();
});

contract('a write outside a transaction, a transaction in another, and a read beside an open one are refused', async (db) => {
  await assert.rejects(db.read.insertInto('setting').values({ name: 'a', value: '' }).execute());
  await assert.rejects(
    db.tx(() => db.tx(async () => 1)),
    /inside a transaction/u,
  );
  await assert.rejects(
    db.tx(async () => countSettings(db.read)),
    /inside a transaction/u,
  );
  let kept: Tx | undefined;
  await db.tx(async (tx) => void (kept = tx));
  await assert.rejects(countSettings(kept!), /the transaction has ended/u);
  assert.equal(await countSettings(db.read), 0);
});

test("SQLite's time is the given clock's", async (t) => {
  const clock = new FakeClock();
  const db = openDatabase({ url: 'sqlite::memory:', clock });
  t.after(() => db.close());
  const { rows } = await sql<{ now: number }>`select ${db.nowMs()} as now`.execute(db.read);
  assert.equal(rows[0]?.now, clock.now());
});

test('a database that cannot be reached is DatabaseUnavailable, for reads, transactions and the health check', async (t) => {
  for (const url of [
    'sqlite:///nonexistent/folder/file.db',
    'postgresql://nobody@/nothing?host=/nonexistent',
    'postgresql://nobody:secret@127.0.0.1:1/nothing',
  ]) {
    const db = openDatabase({ url });
    t.after(() => db.close());
    await assert.rejects(countSettings(db.read), DatabaseUnavailable);
    await assert.rejects(db.tx(countSettings), DatabaseUnavailable);
    await assert.rejects(db.healthCheck(), (error) => error instanceof DatabaseUnavailable && !error.message.includes('secret'));
  }
});

test('a URL that is not understood is refused with a sentence that does not show it', () => {
  const secret = 'hunter2';
  for (const url of [
    `mysql+pymysql://root:${secret}@localhost/octavia`,
    'sqlite:relative/path',
    `postgresql://root:${secret}@[::1/x`,
    'nothing',
  ]) {
    assert.throws(
      () => openDatabase({ url }),
      (error) => error instanceof Error && error.message.endsWith('.') && !error.message.includes(secret),
      url,
    );
  }
});
