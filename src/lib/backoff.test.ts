import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay, retrying } from './backoff.ts';
import { FakeClock } from './clock.ts';

test('waits double up to the limit, and jitter takes away at most half', () => {
  const backoff = { base_ms: 100, max_ms: 1000 };
  assert.deepEqual(
    [1, 2, 3, 4, 5, 5000].map((failures) => backoffDelay(failures, backoff, 0)),
    [50, 100, 200, 400, 500, 500],
  );
  assert.equal(backoffDelay(3, backoff, 0.5), 300);
  assert.ok(backoffDelay(9, backoff, 0.999_999) <= 1000);
});

test('retrying answers the first success', async () => {
  const clock = new FakeClock(0);
  const times: number[] = [];
  const result = retrying(
    (attempt) => {
      times.push(clock.now());
      if (attempt < 3) throw new Error('not yet');
      return attempt;
    },
    { attempts: 5, base_ms: 10, max_ms: 1000, clock, random: () => 0 },
  );
  await clock.advance(100);
  assert.equal(await result, 3);
  assert.deepEqual(times, [0, 5, 15]);
});

test('retrying throws the last error when the attempts are used up, and at once when it is not worthwhile', async () => {
  let calls = 0;
  const fail = (): never => {
    calls += 1;
    throw new Error(`failure ${calls}`);
  };
  await assert.rejects(retrying(fail, { attempts: 3, base_ms: 0, max_ms: 0 }), /failure 3/);
  await assert.rejects(retrying(fail, { attempts: 3, base_ms: 0, max_ms: 0, isWorthwhile: () => false }), /failure 4/);
});

test('aborting ends the waiting with its reason', async () => {
  const stop = new AbortController();
  const result = retrying(() => Promise.reject(new Error('down')), { attempts: 9, base_ms: 1e6, max_ms: 1e6, signal: stop.signal });
  stop.abort(new Error('shutting down'));
  await assert.rejects(result, /shutting down/);
});
