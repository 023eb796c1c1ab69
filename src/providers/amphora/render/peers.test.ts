import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerName } from './peers.ts';

test('peers have the names that upstream gives them', () => {
  assert.equal(peerName('0000000a-0000-4000-8000-000000000000'), '4hig2YHDs-Bg9mkxV0jmiqGaWV0');
  assert.equal(peerName('0000000a-0000-4000-8000-000000000001'), '0fz4727X2Q2x5CrshVOPwvxUK6E');
});

test('a peer name never begins with a dash, which HAProxy would take for an option', () => {
  for (let number = 0; number < 500; number += 1) assert.match(peerName(String(number)), /^[A-Za-z0-9_][A-Za-z0-9_-]*$/u);
});
