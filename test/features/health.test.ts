import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Worker } from 'node:worker_threads';
import type { Database } from '../../src/db/database.ts';
import { type HealthManager, type HealthManagerOptions, startHealthManager } from '../../src/health/health-manager.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { recordingLogger, silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { testDialect, withDatabase } from '../support/database.ts';
import { beatOf, plant, statusesOf, testKey, until, withSender } from './health-fixture.ts';

/** A running manager on a free loopback port; it stops before the database is closed. */
async function withManager(t: TestContext, db: Database, options: Partial<HealthManagerOptions> = {}): Promise<HealthManager> {
  const manager = await startHealthManager({
    db,
    bind_ip: '127.0.0.1',
    bind_port: 0,
    heartbeat_keys: [new Secret(testKey)],
    heartbeat_interval: 10,
    heartbeat_timeout: 60,
    health_check_interval: 3,
    log: silentLogger,
    clock: new FakeClock(),
    ...options,
  });
  t.after(() => manager.stop());
  return manager;
}

/** Closes the manager first: hooks run in the order in which they were added. */
async function withBoth(t: TestContext, options: Partial<HealthManagerOptions> = {}): Promise<{ db: Database; manager: HealthManager }> {
  let manager: HealthManager | undefined;
  t.after(() => manager?.stop());
  const db = await withDatabase(t, options.clock === undefined ? {} : { clock: options.clock });
  manager = await withManager(t, db, options);
  return { db, manager };
}

const allOnline = ['ONLINE', 'ONLINE', 'ONLINE', 'ONLINE', 'ONLINE'];

describe('health: statuses from heartbeats', () => {
  it('brings a whole load balancer ONLINE, and a dead member to ERROR within 0.3 s, and leaves provisioning statuses alone', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const send = withSender(t, manager.address);
    await send(beatOf(planted));
    await until(
      () => statusesOf(db, planted),
      (seen) => seen.join() === allOnline.join(),
    );
    const took: number[] = [];
    for (const [index, word] of ['DOWN', 'UP', 'DOWN', 'UP', 'DOWN'].entries()) {
      const begun = performance.now();
      await send(beatOf(planted, { seq: 2 + index, members: [word, 'UP'] }));
      const expected = word === 'UP' ? allOnline.join() : 'DEGRADED,ONLINE,DEGRADED,ERROR,ONLINE';
      await until(
        () => statusesOf(db, planted),
        (seen) => seen.join() === expected,
      );
      took.push(performance.now() - begun);
    }
    // The fastest: a busy machine may delay any one of them.
    assert.ok(Math.min(...took) < 300, `it took ${took} ms`);
    const row = await db.read
      .selectFrom('loadbalancer')
      .select(['provisioning_status', 'updated_at'])
      .where('id', '=', planted.loadbalancer)
      .executeTakeFirstOrThrow();
    assert.deepEqual(row, { provisioning_status: 'ACTIVE', updated_at: null });
  });

  it('takes heartbeats on IPv6', async (t) => {
    const { db, manager } = await withBoth(t, { bind_ip: '::1' });
    const planted = await plant(db);
    await withSender(t, manager.address)(beatOf(planted));
    await until(
      () => statusesOf(db, planted),
      (seen) => seen[0] === 'ONLINE',
    );
  });

  it('does not write to a load balancer that is DELETED, nor fails on parts that are gone', async (t) => {
    const { db, manager } = await withBoth(t);
    const gone = await plant(db, { loadbalancer: { provisioning_status: 'DELETED' } });
    const living = await plant(db);
    await db.tx((tx) => tx.deleteFrom('member').where('id', '=', living.members[0]!).execute());
    const send = withSender(t, manager.address);
    await send(beatOf(gone));
    await send(beatOf(living));
    assert.deepEqual(
      await until(
        () => statusesOf(db, living),
        (seen) => seen[0] === 'ONLINE',
      ),
      ['ONLINE', 'ONLINE', 'ONLINE', 'none', 'ONLINE'],
    );
    assert.equal((await statusesOf(db, gone))[0], 'OFFLINE');
  });

  it('sees at once what the API changed: a listener that was disabled is OFFLINE with the next heartbeat', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const send = withSender(t, manager.address);
    await send(beatOf(planted));
    await until(
      () => statusesOf(db, planted),
      (seen) => seen[0] === 'ONLINE',
    );
    await db.tx(async (tx) => {
      await tx.updateTable('listener').set({ admin_state_up: false }).where('id', '=', planted.listener).execute();
      await tx
        .updateTable('reconciliation')
        .set({ generation: 2, applied_generation: 2 })
        .where('loadbalancer_id', '=', planted.loadbalancer)
        .execute();
    });
    await send(beatOf(planted, { seq: 2, listeners: {} }));
    await until(
      () => statusesOf(db, planted),
      (seen) => seen[1] === 'OFFLINE',
    );
  });
});

describe('health: statistics', () => {
  it('adds what was counted since the last heartbeat and replaces the number of connections', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const send = withSender(t, manager.address);
    await send(beatOf(planted, { seq: 1, stats: { rx: 10, tx: 100, conns: 7, totconns: 3, ereq: 1 } }));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 1,
    );
    await send(beatOf(planted, { seq: 2, stats: { rx: 5, tx: 50, conns: 2, totconns: 1 } }));
    await send(beatOf(planted, { seq: 3, stats: { rx: 1, tx: 1, conns: 4 } }));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 3,
    );
    const row = await db.read.selectFrom('listener_statistics').selectAll().executeTakeFirstOrThrow();
    const key = { listener_id: planted.listener, amphora_id: planted.amphora };
    assert.deepEqual(row, { ...key, bytes_in: 16, bytes_out: 151, active_connections: 4, total_connections: 4, request_errors: 1 });
  });

  it('takes totals of old agents as they are', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const send = withSender(t, manager.address);
    await send(beatOf(planted, { ver: 2, stats: { rx: 10, tx: 100 } }));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 1,
    );
    await send(beatOf(planted, { ver: 2, stats: { rx: 15, tx: 150 } }));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 2,
    );
    const row = await db.read.selectFrom('listener_statistics').select(['bytes_in', 'bytes_out']).executeTakeFirstOrThrow();
    assert.deepEqual(row, { bytes_in: 15, bytes_out: 150 });
  });

  it('keeps none of listeners that do not exist', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const stats = { tx: 1, rx: 1, conns: 1, totconns: 1, ereq: 1 };
    await withSender(t, manager.address)(beatOf(planted, { listeners: { 'no-such-listener': { status: 'OPEN', stats } } }));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 1,
    );
    assert.deepEqual(await db.read.selectFrom('listener_statistics').selectAll().execute(), []);
  });
});

describe('health: what is refused', () => {
  it('counts forged, malformed and repeated datagrams by reason and changes nothing by them', async (t) => {
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const send = withSender(t, manager.address);
    await send(beatOf(planted), 'another key');
    await send(Buffer.from('x'));
    await send(beatOf(planted, { seq: 5, boot_id: 'boot' }));
    await until(
      () => statusesOf(db, planted),
      (seen) => seen[0] === 'ONLINE',
    );
    await send(beatOf(planted, { seq: 5, boot_id: 'boot', members: ['DOWN', 'DOWN'] }));
    await send(beatOf(planted, { seq: 4, boot_id: 'boot', members: ['DOWN', 'DOWN'] }));
    const { received, taken, forged, malformed, replayed } = await until(
      () => manager.counters(),
      (seen) => seen.received === 5,
    );
    assert.deepEqual({ taken, forged, malformed, replayed }, { taken: 1, forged: 1, malformed: 1, replayed: 2 });
    assert.equal(received, 5);
    assert.deepEqual(await statusesOf(db, planted), allOnline);
  });

  it('accepts an old and a new key while one replaces the other', async (t) => {
    const { db, manager } = await withBoth(t);
    const [first, second] = [await plant(db), await plant(db)];
    const send = withSender(t, manager.address);
    manager.setKeys([new Secret('new'), new Secret(testKey)]);
    await send(beatOf(first), 'new');
    await send(beatOf(second), testKey);
    await until(
      () => manager.counters().processed,
      (seen) => seen === 2,
    );
    manager.setKeys([new Secret('new')]);
    await send(beatOf(second), testKey);
    await until(
      () => manager.counters().forged,
      (seen) => seen === 1,
    );
  });

  it('reports amphorae that nobody knows, and logs them once', async (t) => {
    const reported: string[] = [];
    const { log, lines } = recordingLogger();
    const { db, manager } = await withBoth(t, { onUnknown: (id) => reported.push(id), log });
    const deleted = await plant(db, { amphora: { status: 'DELETED' } });
    const send = withSender(t, manager.address);
    await send(beatOf({ ...deleted, amphora: 'stranger' }));
    await send(beatOf(deleted));
    await until(
      () => manager.counters().unknown,
      (seen) => seen === 2,
    );
    assert.deepEqual(new Set(reported), new Set(['stranger', deleted.amphora]));
    assert.equal(lines.filter((line) => String(line['msg']).includes('do not exist')).length, 1);
    assert.deepEqual(await db.read.selectFrom('amphora_health').selectAll().execute(), []);
  });

  it('drops what it could not work off within a heartbeat interval', async (t) => {
    const { db, manager } = await withBoth(t, { heartbeat_interval: 0.02 });
    const planted = await plant(db);
    await withSender(t, manager.address)(beatOf(planted));
    // Gathering alone takes longer than the interval.
    await until(
      () => manager.counters().late,
      (seen) => seen === 1,
    );
    assert.equal((await statusesOf(db, planted))[0], 'OFFLINE');
  });

  it('says in one sentence why it cannot listen', async (t) => {
    const { db, manager } = await withBoth(t);
    await assert.rejects(withManager(t, db, { bind_port: manager.address.port }), /UDP 127\.0\.0\.1 port \d+ is taken/u);
  });
});

describe('health: in spite of others', () => {
  it('goes on receiving on the same port after its thread died', async (t) => {
    const { promise, resolve } = Promise.withResolvers<Worker>();
    process.once('worker', resolve);
    const { db, manager } = await withBoth(t);
    const planted = await plant(db);
    const { port } = manager.address;
    const send = withSender(t, manager.address);
    const thread = await promise;
    await thread.terminate();
    let seq = 0;
    await until(
      async () => {
        await send(beatOf(planted, { seq: (seq += 1) }));
        return (await statusesOf(db, planted))[0];
      },
      (seen) => seen === 'ONLINE',
    );
    assert.equal(manager.address.port, port);
  });

  // SQLite has one writer: there, no row is locked for others.
  if (testDialect === 'postgresql') {
    it('waits for nobody who holds a load balancer, and stores its statuses as soon as it can', async (t) => {
      const { db, manager } = await withBoth(t);
      const [held, free] = [await plant(db), await plant(db)];
      const send = withSender(t, manager.address);
      await db.tx(async (tx) => {
        await tx.selectFrom('loadbalancer').select('id').where('id', '=', held.loadbalancer).forUpdate().execute();
        await send(beatOf(held));
        await send(beatOf(free));
        await until(
          () => manager.counters().processed,
          (seen) => seen === 2,
        );
      });
      await until(
        () => statusesOf(db, held),
        (seen) => seen.join() === allOnline.join(),
        900,
      );
      assert.deepEqual(await statusesOf(db, free), allOnline);
    });
  }
});

describe('health: last seen', () => {
  const lastSeen = async (db: Database, amphora_id: string): Promise<number | undefined> =>
    (await db.read.selectFrom('amphora_health').select('last_seen_ms').where('amphora_id', '=', amphora_id).executeTakeFirst())
      ?.last_seen_ms;

  it('is stored at most every quarter of the time-out', async (t) => {
    const { db, manager } = await withBoth(t);
    const [fresh, old] = [await plant(db, { heard_ago_ms: 10_000 }), await plant(db, { heard_ago_ms: 20_000 })];
    const before = [await lastSeen(db, fresh.amphora), await lastSeen(db, old.amphora)];
    const send = withSender(t, manager.address);
    await send(beatOf(fresh));
    await send(beatOf(old));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 2,
    );
    assert.equal(await lastSeen(db, fresh.amphora), before[0]);
    assert.ok((await lastSeen(db, old.amphora))! > before[1]! + 15_000);
  });

  it('is not renewed by an amphora that does not serve what was asked for: it is mended once, then it counts as silent', async (t) => {
    const woken: string[] = [];
    const { db, manager } = await withBoth(t, { wake: (id) => woken.push(id) });
    const planted = await plant(db, { heard_ago_ms: 30_000 });
    const before = await lastSeen(db, planted.amphora);
    const send = withSender(t, manager.address);
    for (const seq of [1, 2, 3]) {
      await send(beatOf(planted, { seq, listeners: {} }));
      await until(
        () => manager.counters().processed,
        (seen) => seen === seq,
      );
    }
    assert.equal(await lastSeen(db, planted.amphora), before);
    assert.deepEqual(woken, [planted.loadbalancer]);
    const row = await db.read.selectFrom('reconciliation').select('generation').executeTakeFirstOrThrow();
    assert.equal(row.generation, 2);
  });
});
