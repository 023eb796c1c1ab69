import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Database } from '../../src/db/database.ts';
import { Hearing } from '../../src/health/hearing.ts';
import { startHealthManager } from '../../src/health/health-manager.ts';
import { StaleWatch, type WatchOptions } from '../../src/health/stale.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { recordingLogger, silentLogger } from '../../src/lib/log.ts';
import { Secret } from '../../src/lib/secret.ts';
import { withDatabase } from '../support/database.ts';
import { beatOf, plant, type Planted, testKey, until, withSender } from './health-fixture.ts';

const timeout_ms = 60_000;
/** Longer than the time-out: silent. */
const silent = { heard_ago_ms: 61_000 };
/** Heard so lately that it stays so for the whole test. */
const fresh = { heard_ago_ms: -3_600_000 };

/** A watch that has been hearing for long. */
function watchOver(db: Database, options: Partial<WatchOptions> = {}): StaleWatch {
  const clock = options.clock ?? new FakeClock();
  return new StaleWatch({
    db,
    clock,
    log: silentLogger,
    hearing: new Hearing(timeout_ms, clock.now() - timeout_ms),
    heartbeat_timeout_ms: timeout_ms,
    failover_threads: 10,
    failover_threshold: null,
    heardHere: () => undefined,
    wake: () => undefined,
    ...options,
  });
}

const statusOf = async (db: Database, planted: Planted): Promise<string> => {
  const amphora = await db.read.selectFrom('amphora').select('status').where('id', '=', planted.amphora).executeTakeFirstOrThrow();
  const lb = await db.read
    .selectFrom('loadbalancer')
    .select('provisioning_status')
    .where('id', '=', planted.loadbalancer)
    .executeTakeFirstOrThrow();
  return `${amphora.status} ${lb.provisioning_status}`;
};
const untouched = 'ALLOCATED ACTIVE';
const replaced = 'PENDING_DELETE PENDING_UPDATE';

async function plantSeveral(db: Database, count: number, wishes: Parameters<typeof plant>[1]): Promise<Planted[]> {
  const all: Planted[] = [];
  for (let i = 0; i < count; i += 1) all.push(await plant(db, wishes));
  return all;
}

describe('health: a silent amphora', () => {
  it('is replaced: it is to go, its load balancer is PENDING_UPDATE and a worker is woken', async (t) => {
    const db = await withDatabase(t);
    const [gone, living] = [await plant(db, silent), await plant(db, fresh)];
    const woken: string[] = [];
    const look = await watchOver(db, { wake: (id) => woken.push(id) }).look();
    assert.deepEqual(look, { silent: 1, condemned: 1, revived: 0, held: false });
    assert.equal(await statusOf(db, gone), replaced);
    assert.equal(await statusOf(db, living), untouched);
    assert.deepEqual(woken, [gone.loadbalancer]);
    const work = await db.read
      .selectFrom('reconciliation')
      .select('generation')
      .where('loadbalancer_id', '=', gone.loadbalancer)
      .executeTakeFirstOrThrow();
    assert.equal(work.generation, 2);
  });

  it('is replaced once, also when several health managers look at the same time', async (t) => {
    const db = await withDatabase(t);
    const all = await plantSeveral(db, 3, silent);
    const looks = await Promise.all([watchOver(db).look(), watchOver(db).look(), watchOver(db).look()]);
    assert.equal(
      looks.reduce((sum, look) => sum + look.condemned, 0),
      3,
    );
    for (const { loadbalancer } of all) {
      const work = await db.read
        .selectFrom('reconciliation')
        .select('generation')
        .where('loadbalancer_id', '=', loadbalancer)
        .executeTakeFirstOrThrow();
      assert.equal(work.generation, 2);
    }
  });

  it('is left alone while its load balancer is being changed, and taken up afterwards', async (t) => {
    const db = await withDatabase(t);
    const planted = await plant(db, { ...silent, loadbalancer: { provisioning_status: 'PENDING_UPDATE' } });
    const watch = watchOver(db);
    assert.equal((await watch.look()).condemned, 0);
    await db.tx((tx) =>
      tx.updateTable('loadbalancer').set({ provisioning_status: 'ERROR' }).where('id', '=', planted.loadbalancer).execute(),
    );
    assert.equal((await watch.look()).condemned, 1);
  });

  it('is not one that was never heard, is going already, or was heard here after what is stored', async (t) => {
    const db = await withDatabase(t);
    await plant(db, { amphora: { status: 'BOOTING' } });
    await plant(db, {});
    await plant(db, { ...silent, amphora: { status: 'PENDING_DELETE' } });
    const heard = await plant(db, silent);
    const clock = new FakeClock();
    const watch = watchOver(db, { clock, heardHere: (id) => (id === heard.amphora ? clock.now() - 59_000 : undefined) });
    assert.deepEqual(await watch.look(), { silent: 0, condemned: 0, revived: 0, held: false });
  });

  it('comes back into service when it was given up and is heard again', async (t) => {
    const db = await withDatabase(t);
    const planted = await plant(db, { ...fresh, amphora: { status: 'FAILOVER_STOPPED' } });
    assert.equal((await watchOver(db).look()).revived, 1);
    assert.equal(await statusOf(db, planted), untouched);
  });
});

describe('health: guards against replacing what is only not heard', () => {
  it('replaces nothing for one time-out after the manager was deaf', async (t) => {
    const db = await withDatabase(t);
    const planted = await plant(db, { heard_ago_ms: 3_600_000 });
    const clock = new FakeClock();
    const hearing = new Hearing(timeout_ms, clock.now() - timeout_ms);
    const watch = watchOver(db, { clock, hearing });
    hearing.wasDeaf('database', clock.now());
    assert.equal((await watch.look()).condemned, 0);
    await clock.advance(timeout_ms - 1);
    assert.equal((await watch.look()).condemned, 0);
    await clock.advance(1);
    assert.equal((await watch.look()).condemned, 1);
    assert.equal(await statusOf(db, planted), replaced);
  });

  it('holds when more than half of a zone falls silent together, says once what to do, and goes on afterwards', async (t) => {
    const db = await withDatabase(t);
    const { log, lines } = recordingLogger();
    const watch = watchOver(db, { log });
    const cutOff = await plantSeveral(db, 5, { ...silent, amphora: { cached_zone: 'a' } });
    await plantSeveral(db, 4, { ...fresh, amphora: { cached_zone: 'a' } });
    const [elsewhere] = await plantSeveral(db, 1, { ...silent, amphora: { cached_zone: 'b' } });
    assert.deepEqual(await watch.look(), { silent: 6, condemned: 1, revived: 0, held: true });
    assert.equal(await statusOf(db, elsewhere!), replaced);
    await watch.look();
    const told = lines.filter((line) => line['why'] === 'together');
    assert.equal(told.length, 1);
    assert.match(String(told[0]!['msg']), /amphora failover <id>/u);
    await db.tx((tx) =>
      tx
        .updateTable('amphora_health')
        .set((eb) => ({ last_seen_ms: eb('last_seen_ms', '+', 3_600_000) }))
        .where('amphora_id', '=', cutOff[0]!.amphora)
        .execute(),
    );
    assert.equal((await watch.look()).condemned, 4);
  });

  it('does not hold for up to three', async (t) => {
    const db = await withDatabase(t);
    await plantSeveral(db, 3, silent);
    assert.equal((await watchOver(db).look()).condemned, 3);
  });

  it('holds when as many are silent as failover_threshold says', async (t) => {
    const db = await withDatabase(t);
    await plantSeveral(db, 2, silent);
    await plantSeveral(db, 8, fresh);
    assert.deepEqual(await watchOver(db, { failover_threshold: 2 }).look(), { silent: 2, condemned: 0, revived: 0, held: true });
    assert.equal((await watchOver(db, { failover_threshold: 3 }).look()).condemned, 2);
  });

  it('rebuilds no more than failover_threads at once, those without a partner first', async (t) => {
    const db = await withDatabase(t);
    const paired = await plant(db, { heard_ago_ms: 90_000, loadbalancer: { topology: 'ACTIVE_STANDBY' } });
    const [first, second] = [await plant(db, { heard_ago_ms: 80_000 }), await plant(db, { heard_ago_ms: 70_000 })];
    const watch = watchOver(db, { failover_threads: 2 });
    assert.equal((await watch.look()).condemned, 2);
    assert.deepEqual([await statusOf(db, first), await statusOf(db, second), await statusOf(db, paired)], [replaced, replaced, untouched]);
    assert.equal((await watch.look()).condemned, 0);
    await db.tx((tx) =>
      tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).where('id', '=', first.loadbalancer).execute(),
    );
    assert.equal((await watch.look()).condemned, 1);
    assert.equal(await statusOf(db, paired), replaced);
  });
});

describe('health: an amphora that somebody saw dead', () => {
  it('is replaced at the next look, without the time-out, without a heartbeat ever, and in spite of doubts', async (t) => {
    const db = await withDatabase(t);
    const clock = new FakeClock();
    const [heard, neverHeard] = [await plant(db, fresh), await plant(db, {})];
    const watch = watchOver(db, { clock, hearing: new Hearing(timeout_ms, clock.now()) });
    watch.reportDead(heard.amphora);
    watch.reportDead(neverHeard.amphora);
    watch.reportDead('no-such-amphora');
    assert.equal((await watch.look()).condemned, 2);
    assert.deepEqual([await statusOf(db, heard), await statusOf(db, neverHeard)], [replaced, replaced]);
    assert.equal((await watch.look()).condemned, 0);
  });

  it('waits for the budget and for its load balancer', async (t) => {
    const db = await withDatabase(t);
    const [first, second] = await plantSeveral(db, 2, fresh);
    const changing = await plant(db, { ...fresh, loadbalancer: { provisioning_status: 'PENDING_UPDATE' } });
    const watch = watchOver(db, { failover_threads: 1 });
    for (const { amphora } of [changing, first!, second!]) watch.reportDead(amphora);
    assert.equal((await watch.look()).condemned, 1);
    assert.equal((await watch.look()).condemned, 0);
    await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).execute());
    assert.equal((await watch.look()).condemned, 1);
  });
});

describe('health: the running manager', () => {
  /** Lets one look happen: the look before has ended when the manager sleeps again. */
  async function nextLook(clock: FakeClock, ms: number): Promise<void> {
    await until(
      () => clock.sleeping,
      (seen) => seen === 1,
    );
    await clock.advance(ms);
    await until(
      () => clock.sleeping,
      (seen) => seen === 1,
    );
  }

  async function withManager(t: TestContext) {
    const clock = new FakeClock();
    let stop = async (): Promise<void> => undefined;
    t.after(() => stop());
    const db = await withDatabase(t, { clock });
    const manager = await startHealthManager({
      db,
      bind_ip: '127.0.0.1',
      bind_port: 0,
      heartbeat_keys: [new Secret(testKey)],
      heartbeat_interval: 10,
      heartbeat_timeout: 60,
      health_check_interval: 3,
      log: silentLogger,
      clock,
    });
    stop = () => manager.stop();
    return { db, clock, manager };
  }

  it('replaces nothing during its first time-out, then who is silent, but not who was heard', async (t) => {
    const { db, clock, manager } = await withManager(t);
    const [gone, living] = [await plant(db, { heard_ago_ms: 3_600_000 }), await plant(db, { heard_ago_ms: 3_600_000 })];
    await nextLook(clock, 3000);
    assert.equal(manager.counters().condemned, 0);
    assert.equal(manager.counters().silent, 2);
    for (let i = 0; i < 18; i += 1) await nextLook(clock, 3000);
    assert.equal(manager.counters().condemned, 0);
    await withSender(t, manager.address)(beatOf(living));
    await until(
      () => manager.counters().processed,
      (seen) => seen === 1,
    );
    await nextLook(clock, 3000);
    assert.equal(manager.counters().condemned, 1);
    assert.deepEqual([await statusOf(db, gone), await statusOf(db, living)], [replaced, untouched]);
  });

  it('replaces nothing for a time-out after the database was away', async (t) => {
    const { db, clock, manager } = await withManager(t);
    for (let i = 0; i < 20; i += 1) await nextLook(clock, 3000);
    await db.tx(async (tx) => {
      // What a lost database looks like from here, on both kinds: every query of the look fails.
      await tx.schema.alterTable('amphora_health').renameTo('amphora_health_away').execute();
    });
    await nextLook(clock, 3000);
    await db.tx(
      async (tx) =>
        void (await tx.schema
          .alterTable('amphora_health_away' as 'amphora_health')
          .renameTo('amphora_health')
          .execute()),
    );
    await plant(db, { heard_ago_ms: 3_600_000 });
    await nextLook(clock, 3000);
    assert.equal(manager.counters().condemned, 0);
    for (let i = 0; i < 20; i += 1) await nextLook(clock, 3000);
    assert.equal(manager.counters().condemned, 1);
  });
});
