import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import * as fc from 'fast-check';
import { decodeHeartbeat, encodeHeartbeat, MAX_DATAGRAM_BYTES, MAX_JSON_BYTES } from './heartbeat.ts';
import type { Heartbeat } from './heartbeat.ts';

const key = 'a heartbeat key with ü';

const counts = fc.record({ tx: fc.maxSafeNat(), rx: fc.maxSafeNat(), conns: fc.nat(), totconns: fc.nat(), ereq: fc.nat() });
const reload = fc.record({ at: fc.string(), reason: fc.string(), took_ms: fc.nat() });
const haproxy = fc.record({
  maxconn_limit: fc.nat(),
  lost_log_lines: fc.nat(),
  by_commands: fc.nat(),
  reloads: fc.nat(),
  starts: fc.nat(),
  crashes: fc.nat(),
  repairs: fc.nat(),
  last_reloads: fc.array(reload, { maxLength: 5 }),
});
const heartbeats = fc.record({
  ver: fc.constantFrom(2 as const, 3 as const),
  id: fc.uuid(),
  seq: fc.nat(),
  boot_id: fc.uuid(),
  haproxy,
  listeners: fc.dictionary(fc.uuid(), fc.record({ status: fc.constantFrom('OPEN' as const, 'FULL' as const), stats: counts })),
  pools: fc.dictionary(
    fc.oneof(fc.uuid(), fc.constant('__proto__'), fc.string()),
    fc.record({ status: fc.constantFrom('UP' as const, 'DOWN' as const), members: fc.dictionary(fc.uuid(), fc.string()) }),
  ),
});

function datagramOf(json: string, digest: 'hex' | 'raw' = 'hex'): Buffer {
  const compressed = deflateSync(json, { level: 9 });
  const hmac = createHmac('sha256', key).update(compressed);
  return Buffer.concat([compressed, digest === 'raw' ? hmac.digest() : Buffer.from(hmac.digest('hex'), 'ascii')]);
}

void test('what is encoded is decoded, with any of the valid keys', () => {
  fc.assert(
    fc.property(heartbeats, fc.string(), (message, other) => {
      const datagram = encodeHeartbeat(message, key);
      const decoded = decodeHeartbeat(datagram, [other, key]);
      assert.ok(decoded.ok);
      assert.equal(JSON.stringify(decoded.message), JSON.stringify(message));
    }),
    { numRuns: 100 },
  );
});

void test('one changed bit makes a heartbeat forged', () => {
  fc.assert(
    fc.property(heartbeats, fc.nat(), fc.nat(7), (message, at, bit) => {
      const datagram = encodeHeartbeat(message, key);
      const index = at % datagram.length;
      datagram[index] = (datagram[index] ?? 0) ^ (1 << bit);
      assert.deepEqual(decodeHeartbeat(datagram, [key]), { ok: false, reason: 'forged' });
    }),
    { numRuns: 100 },
  );
});

void test('no datagram at all makes the decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(decodeHeartbeat(bytes, [key]).ok, false);
    }),
  );
});

void test('signed nonsense is malformed and never throws', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const decoded = decodeHeartbeat(datagramOf(json), [key]);
      assert.ok(decoded.ok || decoded.reason === 'malformed');
    }),
  );
  const wrong = Buffer.concat([
    Buffer.from('no zlib stream'),
    Buffer.from(createHmac('sha256', key).update('no zlib stream').digest('hex')),
  ]);
  assert.deepEqual(decodeHeartbeat(wrong, [key]), { ok: false, reason: 'malformed' });
  assert.deepEqual(decodeHeartbeat(datagramOf('{"id":"a","seq":-1,"ver":3}'), [key]), { ok: false, reason: 'malformed' });
  assert.deepEqual(decodeHeartbeat(datagramOf('{"id":"a","seq":1,"ver":4}'), [key]), { ok: false, reason: 'malformed' });
});

void test('the old form with a raw digest is taken', () => {
  const decoded = decodeHeartbeat(datagramOf('{"id":"a","seq":1,"ver":3,"listeners":{},"pools":{}}', 'raw'), [key]);
  assert.deepEqual(decoded, { ok: true, message: { ver: 3, id: 'a', seq: 1, listeners: {}, pools: {} } });
});

void test('version 1, with pools inside of listeners, comes out in the shape of today', () => {
  const stats = { tx: 1, rx: 2, conns: 3, totconns: 4, ereq: 5 };
  const json = JSON.stringify({
    id: 'a',
    seq: 7,
    listeners: { l: { status: 'OPEN', stats, pools: { p: { status: 'UP', members: { m: 'DOWN' } } } } },
  });
  const expected: Heartbeat = {
    ver: 1,
    id: 'a',
    seq: 7,
    listeners: { l: { status: 'OPEN', stats } },
    pools: { 'p:l': { status: 'UP', members: { m: 'DOWN' } } },
  };
  assert.deepEqual(decodeHeartbeat(datagramOf(json), [key]), { ok: true, message: expected });
});

void test('a stream that inflates without end is refused, and so is a datagram that cannot be one', () => {
  const bomb = datagramOf(' '.repeat(MAX_JSON_BYTES + 1));
  assert.ok(bomb.length < 5000);
  assert.deepEqual(decodeHeartbeat(bomb, [key]), { ok: false, reason: 'too-large' });
  assert.deepEqual(decodeHeartbeat(Buffer.alloc(MAX_DATAGRAM_BYTES + 1), [key]), { ok: false, reason: 'too-large' });
});

void test('a heartbeat that does not fit into a datagram is not sent', () => {
  const members = Object.fromEntries(
    Array.from({ length: 8000 }, (_, n) => [createHmac('md5', 'x').update(String(n)).digest('hex'), 'UP']),
  );
  const message = { ver: 3 as const, id: 'a', seq: 1, listeners: {}, pools: { p: { status: 'UP' as const, members } } };
  assert.throws(() => encodeHeartbeat(message, key), RangeError);
});
