/** How a pass ends in the rows, beside a load balancer that it does not concern. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { Database } from '../../src/db/database.ts';
import { markActive, markDeleted, markFailed, markRefused } from '../../src/db/lifecycle.ts';
import { condemnAmphorae } from '../../src/db/reconciliations.ts';
import { loadTree } from '../../src/db/tree.ts';
import type { ProvisioningStatus } from '../../src/model/index.ts';
import { withDatabase } from '../support/database.ts';
import {
  sampleAmphora,
  sampleListenerRow,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePool,
  samplePolicy,
  sampleRule,
} from '../support/sample-trees.ts';

const statuses = ['ACTIVE', 'ERROR', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE'] as const;
const later = '2026-02-02T02:02:02';

/** Marks load balancer `a`, as a pass does that has read it before. */
const activate = (db: Database): Promise<void> => db.tx(async (tx) => markActive(tx, (await loadTree(tx, 'a'))!, later));

/** Two load balancers, `a` and `b`, with a listener, a pool, a member, a monitor, an L7 policy and a rule of each status, and one of each that is refused. */
async function twins(t: TestContext): Promise<Database> {
  const db = await withDatabase(t);
  await db.tx(async (tx) => {
    for (const lb of ['a', 'b']) {
      await tx
        .insertInto('loadbalancer')
        .values(sampleLoadBalancer({ id: lb, provisioning_status: 'PENDING_UPDATE' }))
        .execute();
      for (const [index, status] of [...statuses, 'refused' as const].entries()) {
        const is =
          status === 'refused'
            ? ({ provisioning_status: 'ERROR', refused: true, fault: 'why' } as const)
            : ({ provisioning_status: status } as const);
        const id = `${lb} ${status}`;
        const { members: _members, healthmonitor: _monitor, ...pool } = samplePool({ ...is, id: `pool ${id}`, loadbalancer_id: lb });
        await tx.insertInto('pool').values(pool).execute();
        await tx
          .insertInto('listener')
          .values(
            sampleListenerRow({ ...is, id: `listener ${id}`, loadbalancer_id: lb, protocol_port: 80 + index, default_pool_id: pool.id }),
          )
          .execute();
        await tx
          .insertInto('member')
          .values(sampleMember(1, { ...is, id: `member ${id}`, pool_id: pool.id, operating_status: 'ERROR' }))
          .execute();
        const { rules: _rules, ...policy } = samplePolicy(1, {
          ...is,
          id: `policy ${id}`,
          listener_id: `listener ${lb} ACTIVE`,
          operating_status: 'OFFLINE',
          admin_state_up: status !== 'ERROR',
        });
        await tx.insertInto('l7policy').values(policy).execute();
        const rule = sampleRule(1, { ...is, id: `rule ${id}`, l7policy_id: `policy ${lb} ACTIVE`, operating_status: 'OFFLINE' });
        await tx.insertInto('l7rule').values(rule).execute();
        await tx
          .insertInto('healthmonitor')
          .values(
            sampleMonitor({
              ...is,
              id: `monitor ${id}`,
              pool_id: pool.id,
              operating_status: 'OFFLINE',
              admin_state_up: status !== 'ERROR',
            }),
          )
          .execute();
      }
    }
  });
  return db;
}

const tables = ['listener', 'pool', 'member', 'healthmonitor', 'l7policy', 'l7rule'] as const;
type Part = (typeof tables)[number];

/** Status by id of one table, of the load balancer whose letter stands second in the id. */
async function stateOf(db: Database, table: Part, lb: string): Promise<Record<string, ProvisioningStatus>> {
  const rows = await db.read.selectFrom(table).select(['id', 'provisioning_status']).orderBy('id').execute();
  const its = rows.filter((row) => row.id.split(' ')[1] === lb);
  return Object.fromEntries(its.map((row) => [row.id.split(' ').slice(2).join(' '), row.provisioning_status]));
}

const untouched = {
  ACTIVE: 'ACTIVE',
  ERROR: 'ERROR',
  PENDING_CREATE: 'PENDING_CREATE',
  PENDING_DELETE: 'PENDING_DELETE',
  PENDING_UPDATE: 'PENDING_UPDATE',
  refused: 'ERROR',
};

async function expect(db: Database, a: Record<string, string>): Promise<void> {
  for (const table of tables) {
    assert.deepEqual(await stateOf(db, table, 'a'), a, table);
    assert.deepEqual(await stateOf(db, table, 'b'), untouched, `${table} of the other`);
  }
}

const lbOf = (db: Database, id: string) =>
  db.read.selectFrom('loadbalancer').select(['provisioning_status', 'fault', 'updated_at']).where('id', '=', id).executeTakeFirstOrThrow();

test('in place: what was to be deleted is gone, what was pending is ACTIVE, what was refused stays', async (t) => {
  const db = await twins(t);
  await activate(db);
  await expect(db, { ACTIVE: 'ACTIVE', ERROR: 'ACTIVE', PENDING_CREATE: 'ACTIVE', PENDING_UPDATE: 'ACTIVE', refused: 'ERROR' });
  assert.deepEqual(await lbOf(db, 'a'), { provisioning_status: 'ACTIVE', fault: null, updated_at: later });
  assert.deepEqual((await lbOf(db, 'b')).provisioning_status, 'PENDING_UPDATE');
  const active = await db.read.selectFrom('listener').select('updated_at').where('id', '=', 'listener a ACTIVE').executeTakeFirst();
  assert.equal(active?.updated_at, null, 'what did not change was not touched');
  const refused = await db.read.selectFrom('listener').select('updated_at').where('id', '=', 'listener a refused').executeTakeFirst();
  assert.equal(refused?.updated_at, null, 'nor was what is refused as before');
  const monitors = await db.read.selectFrom('healthmonitor').select(['id', 'operating_status']).orderBy('id').execute();
  for (const { id, operating_status } of monitors) {
    assert.equal(operating_status, id.startsWith('monitor a') && !id.endsWith(' ERROR') ? 'ONLINE' : 'OFFLINE', id);
  }
  for (const table of ['l7policy', 'l7rule'] as const) {
    const rows = await db.read.selectFrom(table).select(['id', 'admin_state_up', 'operating_status']).execute();
    assert.equal(rows.filter((row) => row.operating_status === 'ONLINE').length, table === 'l7policy' ? 4 : 5);
    for (const { id, admin_state_up, operating_status } of rows)
      assert.equal(operating_status, id.includes(' a ') && admin_state_up ? 'ONLINE' : 'OFFLINE', id);
  }
});

test('in place: what is still refused although it was to be changed goes back to ERROR with its reason', async (t) => {
  const db = await twins(t);
  const pending = { provisioning_status: 'PENDING_UPDATE', fault: 'it is odd' } as const;
  await db.tx((tx) => tx.updateTable('listener').set(pending).where('id', '=', 'listener a refused').execute());
  await activate(db);
  const listener = db.read.selectFrom('listener').select(['provisioning_status', 'fault', 'refused', 'updated_at']);
  assert.deepEqual(await listener.where('id', '=', 'listener a refused').executeTakeFirst(), {
    provisioning_status: 'ERROR',
    fault: 'it is odd',
    refused: true,
    updated_at: later,
  });
});

test('in place: members whose monitor goes have nothing to be ONLINE by, the others keep their state', async (t) => {
  const db = await twins(t);
  // The pool stays, only its monitor goes.
  await db.tx((tx) => tx.updateTable('pool').set({ provisioning_status: 'ACTIVE' }).where('id', '=', 'pool a PENDING_DELETE').execute());
  await db.tx((tx) =>
    tx.updateTable('member').set({ provisioning_status: 'ACTIVE' }).where('id', '=', 'member a PENDING_DELETE').execute(),
  );
  await activate(db);
  const rows = await db.read.selectFrom('member').select(['id', 'operating_status']).execute();
  for (const row of rows) assert.equal(row.operating_status, row.id === 'member a PENDING_DELETE' ? 'NO_MONITOR' : 'ERROR', row.id);
});

test('in place: a pool that goes takes its members and monitor along, and listeners forget it', async (t) => {
  const db = await twins(t);
  await db.tx((tx) =>
    tx.updateTable('listener').set({ provisioning_status: 'ACTIVE' }).where('id', '=', 'listener a PENDING_DELETE').execute(),
  );
  await db.tx((tx) =>
    tx.updateTable('member').set({ provisioning_status: 'ACTIVE' }).where('id', '=', 'member a PENDING_DELETE').execute(),
  );
  await db.tx((tx) => tx.insertInto('tag').values({ resource_id: 'member a PENDING_DELETE', tag: 'x' }).execute());
  await activate(db);
  assert.equal('PENDING_DELETE' in (await stateOf(db, 'member', 'a')), false);
  const listener = await db.read
    .selectFrom('listener')
    .select('default_pool_id')
    .where('id', '=', 'listener a PENDING_DELETE')
    .executeTakeFirst();
  assert.equal(listener?.default_pool_id, null);
  assert.deepEqual(await db.read.selectFrom('tag').selectAll().execute(), []);
});

test('a load balancer that nobody asked to change is not marked as changed', async (t) => {
  const db = await twins(t);
  await db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status: 'ACTIVE' }).where('id', '=', 'a').execute());
  await activate(db);
  assert.equal((await lbOf(db, 'a')).updated_at, null);
});

test('gone: nothing but the row is left, and of the other everything', async (t) => {
  const db = await twins(t);
  await db.tx((tx) => markDeleted(tx, 'a', later));
  await expect(db, {});
  assert.deepEqual(await lbOf(db, 'a'), { provisioning_status: 'DELETED', fault: null, updated_at: later });
  assert.equal((await lbOf(db, 'b')).provisioning_status, 'PENDING_UPDATE');
});

test('failed: what was pending is in ERROR with the reason, what is to be deleted waits for the next try', async (t) => {
  const db = await twins(t);
  assert.equal(await db.tx((tx) => markFailed(tx, 'a', 'x'.repeat(3000), later)), false);
  await expect(db, { ...untouched, PENDING_CREATE: 'ERROR', PENDING_UPDATE: 'ERROR' });
  const { provisioning_status, fault } = await lbOf(db, 'a');
  assert.deepEqual([provisioning_status, fault?.length], ['ERROR', 2000]);
  assert.equal((await lbOf(db, 'b')).fault, null);
  const refused = await db.read.selectFrom('member').select('fault').where('id', '=', 'member a refused').executeTakeFirst();
  assert.equal(refused?.fault, 'why');
});

test('failed: a deletion says so, and one that serves stays ACTIVE', async (t) => {
  const db = await twins(t);
  const set = (provisioning_status: ProvisioningStatus) =>
    db.tx((tx) => tx.updateTable('loadbalancer').set({ provisioning_status }).where('id', '=', 'a').execute());
  await set('PENDING_DELETE');
  assert.equal(await db.tx((tx) => markFailed(tx, 'a', 'no', later)), true);
  await set('ACTIVE');
  assert.equal(await db.tx((tx) => markFailed(tx, 'a', 'no', later)), false);
  assert.equal((await lbOf(db, 'a')).provisioning_status, 'ACTIVE');
});

test('refused: the one part, once', async (t) => {
  const db = await twins(t);
  const owner = { type: 'member', id: 'member a PENDING_CREATE' } as const;
  assert.equal(await db.tx((tx) => markRefused(tx, owner, 'bad', later)), true);
  assert.equal(await db.tx((tx) => markRefused(tx, owner, 'worse', later)), false);
  assert.equal(await db.tx((tx) => markRefused(tx, { type: 'loadbalancer', id: 'a' }, 'bad', later)), false);
  const rows = await db.read
    .selectFrom('member')
    .select(['id', 'fault', 'provisioning_status'])
    .where('refused', '=', true)
    .orderBy('id')
    .execute();
  assert.deepEqual(
    rows.map((row) => [row.id, row.fault]),
    [
      ['member a PENDING_CREATE', 'bad'],
      ['member a refused', 'why'],
      ['member b refused', 'why'],
    ],
  );
  assert.equal(rows[0]?.provisioning_status, 'ERROR');
});

test('all amphorae of one load balancer are condemned, but none that is gone', async (t) => {
  const db = await twins(t);
  const row = (number: number, loadbalancer_id: string, status: 'ALLOCATED' | 'DELETED' | 'BOOTING' | 'ERROR') =>
    sampleAmphora(number, { id: `amphora ${number}`, loadbalancer_id, status });
  await db.tx((tx) =>
    tx
      .insertInto('amphora')
      .values([row(1, 'a', 'ALLOCATED'), row(2, 'a', 'DELETED'), row(3, 'a', 'BOOTING'), row(4, 'b', 'ALLOCATED')])
      .execute(),
  );
  await db.tx((tx) => condemnAmphorae(tx, 'a'));
  const rows = await db.read.selectFrom('amphora').select('status').orderBy('id').execute();
  assert.deepEqual(
    rows.map((each) => each.status),
    ['PENDING_DELETE', 'DELETED', 'PENDING_DELETE', 'ALLOCATED'],
  );
});
