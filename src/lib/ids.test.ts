import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUuid, newId } from './ids.ts';

test('a new id is a UUID, and another one each time', () => {
  assert.ok(isUuid(newId()));
  assert.notEqual(newId(), newId());
  assert.ok(!isUuid(`${newId()}x`));
  assert.ok(!isUuid('../../etc/passwd'));
});
