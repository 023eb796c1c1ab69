import assert from 'node:assert/strict';
import { test } from 'node:test';
import { element, integer, objectId, readElements, sequence, time } from './der.ts';

test('elements are written as X.690 has them', () => {
  assert.equal(integer(Buffer.of(0, 0, 5)).toString('hex'), '020105');
  assert.equal(integer(Buffer.of(0x80)).toString('hex'), '02020080');
  assert.equal(integer(Buffer.of(0)).toString('hex'), '020100');
  assert.equal(objectId('1.2.840.113549.1.1.11').toString('hex'), '06092a864886f70d01010b');
  assert.equal(element(4, Buffer.alloc(127)).subarray(0, 2).toString('hex'), '047f');
  assert.equal(element(4, Buffer.alloc(128)).subarray(0, 3).toString('hex'), '048180');
  assert.equal(element(4, Buffer.alloc(300)).subarray(0, 4).toString('hex'), '0482012c');
  assert.equal(time(new Date('2049-12-31T23:59:59Z')).subarray(2).toString(), '491231235959Z');
  assert.equal(time(new Date('2050-01-01T00:00:00Z')).subarray(2).toString(), '20500101000000Z');
});

test('what was written is read back', () => {
  for (const length of [0, 1, 127, 128, 255, 256, 70_000]) {
    const body = Buffer.alloc(length, 7);
    const [outer, ...rest] = readElements(sequence(element(4, body), integer(Buffer.of(1))));
    assert.equal(rest.length, 0);
    const inner = readElements(outer?.body ?? Buffer.alloc(0));
    assert.deepEqual(
      inner.map((each) => each.tag),
      [4, 2],
    );
    assert.ok(inner[0]?.body.equals(body));
  }
});

test('what is cut short is refused', () => {
  const whole = sequence(element(4, Buffer.alloc(300)));
  for (const length of [1, 2, 3, 5, 100, whole.length - 1]) assert.throws(() => readElements(whole.subarray(0, length)), RangeError);
});

test('lengths that DER does not have are refused', () => {
  for (const hex of ['3080020100000000', '3087000000000000ff', '30'])
    assert.throws(() => readElements(Buffer.from(hex, 'hex')), RangeError);
});
