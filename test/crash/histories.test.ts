import assert from 'node:assert/strict';
import test from 'node:test';
import { testDialect, withDatabase } from '../support/database.ts';
import { playHistory } from './history.ts';
import { addHistory, describeTotal, emptyTotal } from './report.ts';

/** A bounded number here; `npm run crash` plays as many as one likes. PostgreSQL takes its time for each commit. */
const histories = testDialect === 'sqlite' ? 150 : 12;

test('whatever crashes, freezes and competes, every load balancer ends as asked and nothing leaks', async (t) => {
  const db = await withDatabase(t);
  const first = Number(process.env['OCTAVIA_TEST_SEED'] ?? 1000);
  const total = emptyTotal();
  for (let seed = first; seed < first + histories; seed += 1) addHistory(total, await playHistory(db, { seed }));
  t.diagnostic(`seeds ${first}–${first + histories - 1}\n${describeTotal(total)}`);
  assert.deepEqual(
    total.bad.map((result) => ({ seed: result.seed, problems: result.problems })),
    [],
  );
  assert.ok(total.thefts > 0, 'no lease was ever stolen: the histories are too tame');
  assert.ok(total.crashes > histories, 'hardly anything crashed: the histories are too tame');
});
