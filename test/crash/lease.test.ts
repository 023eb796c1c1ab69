/** The lease by itself: who may claim, who may write, and what a release leaves behind. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Database } from '../../src/db/database.ts';
import {
  askForConfiguration,
  bumpGeneration,
  claim,
  complete,
  condemnAmphora,
  holdLease,
  insertReconciliation,
  LeaseLost,
  type Lease,
  listDue,
  postpone,
  releaseApiLease,
  releaseLeasesOf,
  removeFailedAmphora,
} from '../../src/db/reconciliations.ts';
import { sql } from 'kysely';
import { withDatabase } from '../support/database.ts';
import { sampleAmphora, sampleLoadBalancer } from '../support/sample-trees.ts';

const id = sampleLoadBalancer().id;
const at = (ms: number) => sql<number>`cast(${ms} as bigint)`;

async function prepared(db: Database): Promise<void> {
  await db.tx(async (tx) => {
    await tx.insertInto('loadbalancer').values(sampleLoadBalancer()).execute();
    await insertReconciliation(tx, id);
  });
}

const claimAt = (db: Database, ms: number, owner = 'a'): Promise<Lease | null> => db.tx((tx) => claim(tx, at(ms), id, owner, 1000));

const must = async (lease: Promise<Lease | null>): Promise<Lease> => {
  const taken = await lease;
  assert.ok(taken, 'the claim was refused');
  return taken;
};

test('one worker has the lease, until it runs out', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const first = await must(claimAt(db, 5000));
  assert.equal(await claimAt(db, 5500, 'b'), null);
  assert.equal(await claimAt(db, 6000, 'b'), null);
  const second = await must(claimAt(db, 6001, 'b'));
  assert.equal(second.fence, first.fence + 1);
  await assert.rejects(
    db.tx((tx) => holdLease(tx, at(6002), first, 1000)),
    LeaseLost,
  );
  await assert.rejects(
    db.tx((tx) => complete(tx, first, 1)),
    LeaseLost,
  );
  await assert.rejects(
    db.tx((tx) => postpone(tx, first, { not_before_ms: 0, attempts: 0, reason: '' })),
    LeaseLost,
  );
  await db.tx((tx) => holdLease(tx, at(6900), second, 1000));
  assert.equal(await claimAt(db, 7100, 'c'), null, 'a write extends the lease');
});

test('the same owner under an older fence is refused too', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const first = await must(claimAt(db, 0));
  await must(claimAt(db, 2000));
  await assert.rejects(
    db.tx((tx) => holdLease(tx, at(2001), first, 1000)),
    LeaseLost,
  );
});

test('what is applied is not due, and a change makes it due again with its failures forgotten', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  assert.deepEqual(await listDue(db.read, at(0), 10), [id]);
  const lease = await must(claimAt(db, 0));
  assert.deepEqual(await listDue(db.read, at(10), 10), []);
  assert.equal(await db.tx((tx) => complete(tx, lease, 1)), true);
  assert.deepEqual(await listDue(db.read, at(5000), 10), []);
  assert.equal(await claimAt(db, 5000), null);
  await db.tx((tx) => bumpGeneration(tx, id));
  assert.deepEqual(await listDue(db.read, at(5000), 10), [id]);
  const again = await must(claimAt(db, 5000));
  assert.deepEqual([again.generation, again.attempts, again.started_ms], [2, 0, 5000]);
});

test('a postponed pass is due at its time, keeps its attempts and its beginning', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const lease = await must(claimAt(db, 100));
  await db.tx((tx) => postpone(tx, lease, { not_before_ms: 3000, attempts: 4, reason: 'r'.repeat(5000) }));
  assert.deepEqual(await listDue(db.read, at(2999), 10), []);
  assert.equal(await claimAt(db, 2999), null);
  assert.deepEqual(await listDue(db.read, at(3000), 10), [id]);
  const next = await must(claimAt(db, 3000));
  assert.deepEqual([next.attempts, next.started_ms], [4, 100]);
});

test('a change that comes during a pass makes it due at once, whatever the pass waits for', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const lease = await must(claimAt(db, 0));
  await db.tx((tx) => bumpGeneration(tx, id));
  assert.equal(await db.tx((tx) => complete(tx, lease, 1)), false, 'the generation moved');
  assert.equal(await claimAt(db, 1, 'b'), null, 'the lease is still held');
  await db.tx((tx) => postpone(tx, lease, { not_before_ms: 90_000, attempts: 0, reason: '' }));
  assert.ok(await claimAt(db, 2, 'b'));
});

test('the API holds a new load balancer until it has the port, and only its own fence lets go', async (t) => {
  const db = await withDatabase(t);
  await db.tx(async (tx) => {
    await tx.insertInto('loadbalancer').values(sampleLoadBalancer()).execute();
    await insertReconciliation(tx, id, { owner: 'api', lease_ms: 1000, now: at(0) });
  });
  assert.equal(await claimAt(db, 500), null);
  assert.equal(await db.tx((tx) => releaseApiLease(tx, id, 99)), false);
  assert.equal(await claimAt(db, 500), null);
  assert.equal(await db.tx((tx) => releaseApiLease(tx, id, 1)), true);
  assert.ok(await claimAt(db, 500));
});

test('releases and writes of one load balancer leave the others alone', async (t) => {
  const db = await withDatabase(t);
  const other = sampleLoadBalancer({ id: 'other' });
  await db.tx(async (tx) => {
    for (const lb of [sampleLoadBalancer(), other]) {
      await tx.insertInto('loadbalancer').values(lb).execute();
      await insertReconciliation(tx, lb.id, { owner: 'api', lease_ms: 1000, now: at(0) });
    }
    await releaseApiLease(tx, id, 1);
  });
  const mine = await must(claimAt(db, 10));
  assert.equal(await db.tx((tx) => claim(tx, at(10), other.id, 'a', 1000)), null, 'the API still holds the other');
  await db.tx((tx) => releaseApiLease(tx, other.id, 1));
  const its = await must(db.tx((tx) => claim(tx, at(10), other.id, 'a', 1000)));
  assert.equal(its.fence, mine.fence);
  await db.tx((tx) => postpone(tx, mine, { not_before_ms: 7, attempts: 3, reason: 'mine' }));
  const rows = await db.read.selectFrom('reconciliation').select(['loadbalancer_id', 'attempts', 'reason']).orderBy('attempts').execute();
  assert.deepEqual(rows, [
    { loadbalancer_id: 'other', attempts: 0, reason: null },
    { loadbalancer_id: id, attempts: 3, reason: 'mine' },
  ]);
});

test('an amphora is condemned once, and only while its load balancer may change', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const amphora = sampleAmphora(1, { loadbalancer_id: id, status: 'ALLOCATED' });
  await db.tx((tx) =>
    tx
      .insertInto('amphora')
      .values([
        amphora,
        sampleAmphora(2, { loadbalancer_id: id, status: 'DELETED' }),
        sampleAmphora(3, { loadbalancer_id: id, status: 'ALLOCATED' }),
      ])
      .execute(),
  );
  const statuses = async () => {
    const lb = await db.read.selectFrom('loadbalancer').select('provisioning_status').executeTakeFirst();
    const it = await db.read.selectFrom('amphora').select('status').where('id', '=', amphora.id).executeTakeFirst();
    const work = await db.read.selectFrom('reconciliation').select('generation').executeTakeFirst();
    return [lb?.provisioning_status, it?.status, work?.generation];
  };
  await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'PENDING_UPDATE' }).execute());
  assert.equal(await db.tx((tx) => condemnAmphora(tx, amphora.id)), false);
  assert.deepEqual(await statuses(), ['PENDING_UPDATE', 'ALLOCATED', 1]);
  await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).execute());
  assert.equal(await db.tx((tx) => condemnAmphora(tx, amphora.id)), true);
  assert.deepEqual(await statuses(), ['PENDING_UPDATE', 'PENDING_DELETE', 2]);
  const others = await db.read.selectFrom('amphora').select('status').where('id', '!=', amphora.id).orderBy('id').execute();
  assert.deepEqual(
    others.map((row) => row.status),
    ['DELETED', 'ALLOCATED'],
  );
  await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).execute());
  assert.equal(await db.tx((tx) => condemnAmphora(tx, amphora.id)), false, 'it is being replaced already');
});

test('a failed amphora is asked to go whatever its load balancer does, and one of nobody goes at once', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const rows = [
    sampleAmphora(1, { loadbalancer_id: id, status: 'ERROR' }),
    sampleAmphora(2, { loadbalancer_id: id, status: 'ALLOCATED' }),
    sampleAmphora(3, { loadbalancer_id: id, status: 'ERROR' }),
    sampleAmphora(4, { loadbalancer_id: null, status: 'ERROR' }),
  ];
  const other = { id: rows[0]!.id, name: 'other' };
  await db.tx(async (tx) => {
    await tx.insertInto('amphora').values(rows).execute();
    await tx.insertInto('loadbalancer').values(sampleLoadBalancer(other)).execute();
  });
  const remove = (index: number): Promise<boolean> => db.tx((tx) => removeFailedAmphora(tx, rows[index]!.id, '2026-01-02T00:00:00'));
  const state = async () => {
    const lbs = await db.read.selectFrom('loadbalancer').select(['id', 'provisioning_status']).execute();
    const amphorae = await db.read.selectFrom('amphora').select('status').orderBy('id').execute();
    const work = await db.read.selectFrom('reconciliation').select('generation').executeTakeFirst();
    const status = new Map(lbs.map((lb) => [lb.id, lb.provisioning_status]));
    return [status.get(id), status.get(other.id), amphorae.map((row) => row.status).join(' '), work?.generation];
  };
  assert.equal(await remove(1), false, 'it serves');
  assert.deepEqual(await state(), ['ACTIVE', 'ACTIVE', 'ERROR ALLOCATED ERROR ERROR', 1]);
  assert.equal(await remove(0), true);
  assert.deepEqual(await state(), ['PENDING_UPDATE', 'ACTIVE', 'PENDING_DELETE ALLOCATED ERROR ERROR', 2]);
  assert.equal(await remove(0), false, 'it is going already');
  await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'PENDING_DELETE' }).where('id', '=', id).execute());
  assert.equal(await remove(2), true);
  assert.deepEqual(await state(), ['PENDING_DELETE', 'ACTIVE', 'PENDING_DELETE ALLOCATED PENDING_DELETE ERROR', 3]);
  assert.equal(await remove(3), true);
  assert.deepEqual(await state(), ['PENDING_DELETE', 'ACTIVE', 'PENDING_DELETE ALLOCATED PENDING_DELETE DELETED', 3]);
});

test('one amphora is marked to be configured, and nothing changes for its load balancer but that there is work', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const rows = [sampleAmphora(1, { loadbalancer_id: id }), sampleAmphora(2, { loadbalancer_id: id })];
  await db.tx((tx) => tx.insertInto('amphora').values(rows).execute());
  await db.tx((tx) => askForConfiguration(tx, rows[0]!.id, id));
  const due = await db.read.selectFrom('amphora').select('config_due').orderBy('id').execute();
  assert.deepEqual(due, [{ config_due: true }, { config_due: false }]);
  const lb = await db.read.selectFrom('loadbalancer').select('provisioning_status').executeTakeFirst();
  const work = await db.read.selectFrom('reconciliation').select('generation').executeTakeFirst();
  assert.deepEqual([lb?.provisioning_status, work?.generation], ['ACTIVE', 2]);
});

test('leases of owners that cannot come back are released, those of others are not', async (t) => {
  const db = await withDatabase(t);
  await prepared(db);
  const lease = await must(claimAt(db, 0, 'host/1/x'));
  assert.equal(await db.tx((tx) => releaseLeasesOf(tx, (owner) => owner.startsWith('elsewhere/'))), 0);
  assert.equal(await claimAt(db, 10, 'b'), null);
  assert.equal(await db.tx((tx) => releaseLeasesOf(tx, (owner) => owner === 'host/1/x')), 1);
  await assert.rejects(
    db.tx((tx) => holdLease(tx, at(11), lease, 1000)),
    LeaseLost,
  );
  assert.ok(await claimAt(db, 12, 'b'));
});
