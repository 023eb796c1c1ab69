import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, systemClock } from './clock.ts';

test('a fake clock wakes sleepers in the order of their due times, at those times', async () => {
  const clock = new FakeClock(1000);
  const seen: string[] = [];
  const sleeper = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    seen.push(`${name}@${clock.now()}`);
  };
  const all = [sleeper('late', 30), sleeper('early', 10), sleeper('same', 10)];
  await clock.advance(100);
  await Promise.all(all);
  assert.deepEqual(seen, ['early@1010', 'same@1010', 'late@1030']);
  assert.equal(clock.now(), 1100);
});

test('a loop of sleeps turns once for each period that is advanced', async () => {
  const clock = new FakeClock(0);
  const stop = new AbortController();
  let turns = 0;
  const loop = (async () => {
    for (;;) {
      await clock.sleep(10, stop.signal);
      turns += 1;
    }
  })();
  await clock.advance(55);
  assert.equal(turns, 5);
  assert.equal(clock.sleeping, 1);
  stop.abort(new Error('enough'));
  await assert.rejects(loop, /enough/);
  assert.equal(clock.sleeping, 0);
});

test('the system clock rejects with the reason of the signal', async () => {
  await assert.rejects(systemClock.sleep(10_000, AbortSignal.abort(new Error('stopped'))), /stopped/);
  await systemClock.sleep(-5);
});
