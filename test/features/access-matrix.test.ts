/** Who may do what on every endpoint, by the published policies; `npm run access-matrix` prints it all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoints } from '../access/endpoints.ts';
import { subjects } from '../access/expected.ts';
import { measure, tableOf } from '../access/matrix.ts';

test('every role may do on every endpoint what the published policies say, in its own project and in others', async (t) => {
  const matrix = await measure(t);
  const wrong = matrix.cells.filter((cell) => !cell.isRight);
  assert.equal(wrong.length, 0, tableOf({ cells: wrong, absent: [] }));
  assert.ok(matrix.cells.length > 1000, `${matrix.cells.length} cells`);
  assert.equal(Object.keys(subjects).length, 13);
  assert.ok(endpoints.length - matrix.absent.length > 40);
});
