import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentile, rounded, tableText } from './figures.ts';

test('a percentile is the nearest rank, whatever the order of the values', () => {
  const values = [5, 1, 4, 2, 3];
  assert.equal(percentile(values, 0.5), 3);
  assert.equal(percentile(values, 0.99), 5);
  assert.equal(percentile(values, 0), 1);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test('figures keep three digits, four above a thousand', () => {
  assert.deepEqual([0.012345, 1.2345, 123.45, 1234.5, 0].map(rounded), [0.0123, 1.23, 123, 1235, 0]);
});

test('a table aligns numbers to the right and leaves what a row lacks empty', () => {
  const text = tableText([
    { what: 'one', ms: 5 },
    { what: 'another', ms: 120, aim: '≤ 100' },
  ]);
  assert.deepEqual(text.split('\n'), ['  what      ms  aim', '  -------  ---  -----', '  one        5', '  another  120  ≤ 100']);
});
