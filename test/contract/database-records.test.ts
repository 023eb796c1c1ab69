/** The record store of the embedded services and the settings, on the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordConflict, type RecordKind, type RecordStore, type StoredRecord } from '../../src/cloud/local/record-store.ts';
import type { Database } from '../../src/db/database.ts';
import { createRecords } from '../../src/db/records.ts';
import { findSetting, putSetting, putSettingIfAbsent } from '../../src/db/settings.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { withDatabase } from '../support/database.ts';
import { createMemoryRecordStore } from '../support/record-store.ts';

const onDatabase = (db: Database): RecordStore =>
  createRecords<RecordKind>(db, {
    clock: new FakeClock(),
    conflict: (kind, message, options) => new RecordConflict(kind, message, options),
  });

/** Runs a test against the store on the database and against the one that other tests use in its place. */
function contract(name: string, body: (store: RecordStore) => Promise<void>): void {
  test(`${name} (database)`, async (t) => body(onDatabase(await withDatabase(t))));
  test(`${name} (memory)`, async () => body(createMemoryRecordStore()));
}

const subnet = (id: string, values: Partial<StoredRecord> = {}): StoredRecord => ({
  kind: 'network.subnet',
  id,
  project_id: null,
  name: null,
  unique_key: null,
  body: { id, list: [1, null, 'ü'] },
  ...values,
});

contract('a record comes back as it went in, and is found by kind and id only', async (store) => {
  await store.write([{ action: 'insert', record: subnet('a') }]);
  assert.deepEqual(await store.get('network.subnet', 'a'), { id: 'a', list: [1, null, 'ü'] });
  assert.equal(await store.get('network.port', 'a'), null);
  assert.equal(await store.get('network.subnet', 'b'), null);
});

contract('records are listed in the order in which they were made, by what they can be found by', async (store) => {
  const ids = ['z', 'b', 'y', 'a'];
  await store.write(
    ids.map((id) => ({
      action: 'insert',
      record: subnet(id, { name: id < 'c' ? 'low' : 'high', project_id: 'p', unique_key: `key ${id}` }),
    })),
  );
  await store.write([{ action: 'insert', record: { ...subnet('other'), kind: 'network.port' } }]);
  const list = async (filter?: Parameters<RecordStore['list']>[1]) =>
    (await store.list<{ id: string }>('network.subnet', filter)).map(({ id }) => id);
  assert.deepEqual(await list(), ids);
  assert.deepEqual(await list({ name: 'low' }), ['b', 'a']);
  assert.deepEqual(await list({ project_id: 'p', unique_key: 'key y' }), ['y']);
  assert.deepEqual(await list({ project_id: 'q' }), []);
});

contract('an update replaces the body and what the record is found by; a delete of nothing is no error', async (store) => {
  await store.write([{ action: 'insert', record: subnet('a', { name: 'old' }) }]);
  await store.write([
    { action: 'update', record: subnet('a', { name: 'new', body: { id: 'a', n: 2 } }) },
    { action: 'delete', kind: 'network.subnet', id: 'missing' },
  ]);
  assert.deepEqual(await store.list('network.subnet', { name: 'new' }), [{ id: 'a', n: 2 }]);
  assert.deepEqual(await store.list('network.subnet', { name: 'old' }), []);
});

contract(
  'the same id, the same unique key, or an update of nothing is a RecordConflict, and nothing of the list is done',
  async (store) => {
    await store.write([{ action: 'insert', record: subnet('a', { unique_key: 'k' }) }]);
    const refused = [
      { action: 'insert', record: subnet('a') },
      { action: 'insert', record: subnet('c', { unique_key: 'k' }) },
      { action: 'update', record: subnet('missing') },
    ] as const;
    for (const change of refused) {
      const write = store.write([{ action: 'insert', record: subnet('b') }, change]);
      await assert.rejects(write, (error) => error instanceof RecordConflict && error.kind === 'network.subnet');
      assert.equal(await store.get('network.subnet', 'b'), null);
    }
    await store.write([{ action: 'insert', record: { ...subnet('a', { unique_key: 'k' }), kind: 'network.port' } }]);
  },
);

contract('of many who claim one unique key at once, one gets it', async (store) => {
  const claims = Array.from({ length: 10 }, (_, i) => store.write([{ action: 'insert', record: subnet(`s${i}`, { unique_key: 'one' }) }]));
  const results = await Promise.allSettled(claims);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.ok(results.every((result) => result.status === 'fulfilled' || result.reason instanceof RecordConflict));
});

test('a setting keeps its first value for all who put it only if it is absent', async (t) => {
  const db = await withDatabase(t);
  assert.equal(await findSetting(db.read, 'state_id'), null);
  const values = await Promise.all(['a', 'b', 'c', 'd'].map((value) => db.tx((tx) => putSettingIfAbsent(tx, 'state_id', value))));
  assert.equal(new Set(values).size, 1);
  await db.tx((tx) => putSetting(tx, 'state_id', 'new'));
  assert.equal(await findSetting(db.read, 'state_id'), 'new');
});
