import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingCapabilities, missingPackages, missingRights } from './rights.ts';

test('capabilities in force are read from the status of a process', () => {
  assert.deepEqual(missingCapabilities('CapPrm:\t0000000000000000\nCapEff:\t000001fffeffffff\n'), []);
  assert.deepEqual(missingCapabilities('CapEff:\t0000000000001000\n'), ['CAP_SYS_ADMIN']);
  assert.deepEqual(missingCapabilities('CapEff:\t0000000000000000\n'), ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN']);
});

test('missing programs are named by their packages, each once', () => {
  assert.deepEqual(missingPackages('/nonexistent'), ['iproute2', 'nftables', 'haproxy', 'keepalived', 'util-linux']);
});

test('what is missing is said in one sentence', () => {
  const sentence = missingRights('/nonexistent') ?? '';
  assert.match(sentence, /^[^\n]+\.$/u);
});
