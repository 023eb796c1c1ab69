/** Who may do what on every endpoint, by the published policies; `npm run access-matrix` prints it all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints } from '../access/endpoints.ts';
import { subjects } from '../access/expected.ts';
import { testDialect } from '../support/database.ts';
import { measure, tableOf } from '../access/matrix.ts';

test('every role may do on every endpoint what the published policies say, in its own project and in others', async (t) => {
  // Rights are the same on either database: there, whoever may and whoever may not are enough.
  const isWhole = testDialect === 'sqlite';
  const matrix = await measure(t, isWhole ? undefined : ['member', 'admin', 'nobody']);
  const wrong = matrix.cells.filter((cell) => !cell.isRight);
  assert.equal(wrong.length, 0, tableOf({ cells: wrong, absent: [] }));
  assert.ok(matrix.cells.length > (isWhole ? 1600 : 300), `${matrix.cells.length} cells`);
  assert.equal(Object.keys(subjects).length, 13);
  assert.ok(endpoints.length - matrix.absent.length > 40);
});
