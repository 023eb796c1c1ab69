import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  canonicalAddress,
  defaultPools,
  firstFree,
  formatAddress,
  formatCidr,
  overlaps,
  parseAddress,
  parseCidr,
  rangeOf,
  sizeOf,
} from './addresses.ts';

test('an address that is written and read again is the same', () => {
  fc.assert(
    fc.property(fc.constantFrom(4 as const, 6 as const), fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (version, number) => {
      const value = version === 4 ? number % (1n << 32n) : number;
      assert.deepEqual(parseAddress(formatAddress({ version, value })), { version, value });
    }),
  );
});

test('each address has one written form', () => {
  assert.equal(canonicalAddress('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
  assert.equal(canonicalAddress('::ffff:10.0.0.1'), '::ffff:a00:1');
  for (const bad of ['', '10.0.0', '10.0.0.01', '0x0a000001', 'fe80::1%eth0', '10.0.0.1/8', ' 10.0.0.1', '1::2::3'])
    assert.equal(canonicalAddress(bad), null, bad);
});

test('bits behind the prefix of a subnet are dropped', () => {
  const cases = [
    ['10.1.2.3/24', '10.1.2.0/24'],
    ['fd00::1/64', 'fd00::/64'],
    ['10.0.0.1/0', '0.0.0.0/0'],
  ] as const;
  for (const [text, expected] of cases) {
    const cidr = parseCidr(text);
    assert.equal(cidr === null ? null : formatCidr(cidr), expected);
  }
  for (const bad of ['10.0.0.0', '10.0.0.0/', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/-1', '10.0.0.0/1e1', '/24', 'x/24'])
    assert.equal(parseCidr(bad), null, bad);
});

test('the default pools are all addresses but network, broadcast and gateway', () => {
  const pools = (text: string, gateway: string | null): readonly object[] => {
    const cidr = parseCidr(text);
    return cidr === null ? [] : defaultPools(cidr, gateway === null ? null : parseAddress(gateway));
  };
  assert.deepEqual(pools('10.0.0.0/24', '10.0.0.1'), [{ start: '10.0.0.2', end: '10.0.0.254' }]);
  assert.deepEqual(pools('10.0.0.0/24', '10.0.0.254'), [{ start: '10.0.0.1', end: '10.0.0.253' }]);
  assert.deepEqual(pools('10.0.0.0/24', null), [{ start: '10.0.0.1', end: '10.0.0.254' }]);
  assert.deepEqual(pools('10.0.0.0/29', '10.0.0.3'), [
    { start: '10.0.0.1', end: '10.0.0.2' },
    { start: '10.0.0.4', end: '10.0.0.6' },
  ]);
  assert.deepEqual(pools('fd00::/64', 'fd00::1'), [{ start: 'fd00::2', end: 'fd00::ffff:ffff:ffff:ffff' }]);
});

test('the first free address is found from the cursor on, then from the beginning, and is never a taken one', () => {
  const ranges = [
    { version: 4, first: 10n, last: 12n },
    { version: 4, first: 20n, last: 21n },
  ] as const;
  assert.equal(sizeOf(ranges), 5n);
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom<bigint[]>(10n, 11n, 12n, 20n, 21n)), fc.bigInt({ min: 0n, max: 30n }), (taken, from) => {
      const found = firstFree(ranges, from, (value) => taken.includes(value));
      const free = [10n, 11n, 12n, 20n, 21n].filter((value) => !taken.includes(value));
      assert.equal(found, free.find((value) => value >= from) ?? free[0] ?? null);
    }),
  );
});

test('ranges overlap when they share an address of one version', () => {
  const range = (start: string, end: string): NonNullable<ReturnType<typeof rangeOf>> => rangeOf({ start, end }) ?? assert.fail();
  assert.equal(overlaps(range('10.0.0.1', '10.0.0.5'), range('10.0.0.5', '10.0.0.9')), true);
  assert.equal(overlaps(range('10.0.0.1', '10.0.0.4'), range('10.0.0.5', '10.0.0.9')), false);
  assert.equal(overlaps(range('0.0.0.1', '0.0.0.9'), range('::1', '::9')), false);
  assert.equal(rangeOf({ start: '10.0.0.5', end: '10.0.0.1' }), null);
});
