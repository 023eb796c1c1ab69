/** Statements of a transaction that are not waited for: order, errors, and what must have found a row. */
import assert from 'node:assert/strict';
import type { Reader, Tx } from '../../src/db/database.ts';
import { UniqueViolation } from '../../src/db/errors.ts';
import { askLast, insist, writeMany } from '../../src/db/write-many.ts';
import { contract } from '../support/database.ts';

const put = (tx: Tx, name: string, value: string) => tx.insertInto('setting').values({ name, value });
const change = (tx: Tx, name: string, value: string) => tx.updateTable('setting').set({ value }).where('name', '=', name);
const settings = (reader: Reader) => reader.selectFrom('setting').selectAll().orderBy('name');

class Missed extends Error {}
const missed = (): Error => new Missed('there is no such row');

contract('changes for later are seen by the next question, in their order, and are committed', async (db) => {
  const seen = await db.tx(async (tx) => {
    await writeMany(tx, [put(tx, 'a', '1'), change(tx, 'a', '2')]);
    await writeMany(tx, [change(tx, 'a', '3')]);
    const rows = await settings(tx).execute();
    await writeMany(tx, [put(tx, 'b', '4'), change(tx, 'a', '5')]);
    return rows;
  });
  assert.deepEqual(seen, [{ name: 'a', value: '3' }]);
  assert.deepEqual(await settings(db.read).execute(), [
    { name: 'a', value: '5' },
    { name: 'b', value: '4' },
  ]);
});

contract('a transaction of nothing but changes for later is committed whole or not at all', async (db) => {
  await db.tx((tx) => writeMany(tx, [put(tx, 'a', '1'), put(tx, 'b', '2')]));
  await assert.rejects(
    db.tx((tx) => writeMany(tx, [put(tx, 'c', '3'), put(tx, 'a', '4'), put(tx, 'd', '5')])),
    (error) => error instanceof UniqueViolation && error.table === 'setting',
  );
  assert.deepEqual(
    (await settings(db.read).execute()).map((row) => row.name),
    ['a', 'b'],
  );
});

contract('the error of a change for later comes out of the next question, and nothing may be asked after it', async (db) => {
  await db.tx((tx) => put(tx, 'a', '1').execute());
  const work = db.tx(async (tx) => {
    await writeMany(tx, [put(tx, 'a', '2')]);
    await assert.rejects(settings(tx).execute(), UniqueViolation);
    await assert.rejects(settings(tx).execute(), /failed/u);
    await assert.rejects(writeMany(tx, [put(tx, 'b', '3')]), /failed/u);
  });
  await assert.rejects(work, /failed/u);
  assert.deepEqual(await settings(db.read).execute(), [{ name: 'a', value: '1' }]);
});

contract('work that throws takes its changes for later along', async (db) => {
  const why = new Error('no');
  const before = async (tx: Tx) => {
    await writeMany(tx, [put(tx, 'a', '1')]);
    throw why;
  };
  const behind = async (tx: Tx) => {
    await put(tx, 'b', '1').execute();
    return before(tx);
  };
  await assert.rejects(db.tx(before), why);
  await assert.rejects(db.tx(behind), why);
  assert.deepEqual(await settings(db.read).execute(), []);
});

contract('a change that must find a row undoes the transaction with its error when there is none', async (db) => {
  await db.tx((tx) => put(tx, 'a', '1').execute());
  const alone = (tx: Tx) => insist(tx, change(tx, 'nothing', 'x'), missed);
  const amidst = async (tx: Tx) => {
    await writeMany(tx, [put(tx, 'b', '2')]);
    await insist(tx, change(tx, 'a', '3'), () => new Error('this one finds it'));
    await insist(tx, change(tx, 'nothing', 'x'), missed);
    await writeMany(tx, [put(tx, 'c', '4')]);
  };
  const beforeQuestion = async (tx: Tx) => {
    await alone(tx);
    await settings(tx).execute();
  };
  const beforeLast = async (tx: Tx) => {
    await alone(tx);
    await askLast(tx, change(tx, 'a', '5').returningAll());
  };
  for (const work of [alone, amidst, beforeQuestion, beforeLast]) await assert.rejects(db.tx(work), Missed);
  assert.deepEqual(await settings(db.read).execute(), [{ name: 'a', value: '1' }]);
});

contract('a change that finds its row lets the transaction go on', async (db) => {
  await db.tx((tx) => put(tx, 'a', '1').execute());
  await db.tx(async (tx) => {
    await insist(tx, change(tx, 'a', '2'), missed);
    await writeMany(tx, [put(tx, 'b', '3')]);
  });
  assert.deepEqual(
    (await settings(db.read).execute()).map((row) => row.value),
    ['2', '3'],
  );
});

contract('what the last question answers is committed, with what went before, and ends the transaction', async (db) => {
  const rows = await db.tx(async (tx) => {
    await writeMany(tx, [put(tx, 'a', '1')]);
    const answer = await askLast(tx, change(tx, 'a', '2').returning(['name', 'value']));
    assert.deepEqual(await settings(tx).execute().catch(String), 'Error: the transaction has ended');
    return answer;
  });
  assert.deepEqual(rows, [{ name: 'a', value: '2' }]);
  assert.deepEqual(await settings(db.read).execute(), rows);
});

contract('a last question that fails leaves nothing behind', async (db) => {
  const work = db.tx(async (tx) => {
    await writeMany(tx, [put(tx, 'a', '1')]);
    return askLast(tx, put(tx, 'a', '2').returningAll());
  });
  await assert.rejects(work, UniqueViolation);
  assert.deepEqual(await settings(db.read).execute(), []);
  await db.tx((tx) => put(tx, 'a', '3').execute());
});
