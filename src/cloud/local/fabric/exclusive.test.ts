import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { KeyedMutex, withFileLock } from './exclusive.ts';

/** Runs `take` twice at once and answers in what order their parts ran. */
async function order(take: (fn: () => Promise<void>) => Promise<void>): Promise<string> {
  const seen: string[] = [];
  const part = (name: string) => async () => {
    seen.push(`${name}<`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    seen.push(`${name}>`);
  };
  await Promise.all([take(part('a')), take(part('b'))]);
  return seen.join(' ');
}

test('what has the same key runs one after another, also after a failure', async () => {
  const mutex = new KeyedMutex();
  const failing = mutex.run('x', () => Promise.reject(new Error('no')));
  const ordered = order((fn) => mutex.run('x', fn));
  await assert.rejects(failing, /no/u);
  assert.equal(await ordered, 'a< a> b< b>');
  assert.equal(mutex.isBusy('x'), false);
});

test('different keys do not wait for each other', async () => {
  const mutex = new KeyedMutex();
  let number = 0;
  assert.equal(await order((fn) => mutex.run(String((number += 1)), fn)), 'a< b< a> b>');
});

test('a file is locked by one at a time, and free again after a failure', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'octavia-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'lock');
  await assert.rejects(
    withFileLock(path, () => Promise.reject(new Error('no'))),
    /no/u,
  );
  assert.match(await order((fn) => withFileLock(path, fn)), /^(?:a< a> b< b>|b< b> a< a>)$/u);
});
