import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseRanges, takenRanges, uniqueLocalRange } from './ranges.ts';

test('a machine that uses nothing of the pool gets its first networks', () => {
  assert.deepEqual(chooseRanges([], 2), ['198.18.0.0/24', '198.18.1.0/24']);
});

test('networks that are routed or owned are passed over, whatever their size', () => {
  const taken = takenRanges(
    [{ dst: 'default' }, { dst: '198.18.0.0/23' }, { dst: '198.18.3.7' }],
    [
      {
        addr_info: [
          { family: 'inet', local: '198.18.4.1', prefixlen: 24 },
          { family: 'inet6', local: 'fe80::1', prefixlen: 64 },
        ],
      },
    ],
  );
  assert.deepEqual(chooseRanges(taken, 2), ['198.18.2.0/24', '198.18.5.0/24']);
});

test('the default route claims nothing', () => {
  assert.deepEqual(takenRanges([{ dst: 'default' }, { dst: '0.0.0.0/0' }, {}], []), []);
});

test('a pool that is used up is an error that says so', () => {
  assert.throws(() => chooseRanges(['198.18.0.0/15'], 1), /only 0 of 1 free \/24 networks are left in 198\.18\.0\.0\/15/u);
  assert.throws(() => chooseRanges([], 2, { pool: '10.9.0.0/24' }), /only 1 of 2/u);
});

test('the end of the pool is used and not passed', () => {
  assert.deepEqual(chooseRanges(['10.9.0.0/24'], 1, { pool: '10.9.0.0/23' }), ['10.9.1.0/24']);
  assert.deepEqual(chooseRanges([], 1, { pool: '255.255.255.0/24' }), ['255.255.255.0/24']);
});

test('an IPv6 range is a unique local /64', () => {
  assert.equal(uniqueLocalRange(Uint8Array.of(0xab, 0x01, 0x02, 0x00, 0x03), 1), 'fdab:102:3:1::/64');
});
