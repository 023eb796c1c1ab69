import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeFileAtomic } from './atomic-file.ts';

test('a file is replaced whole, with the rights asked for, and no temporary file stays', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'atomic-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'haproxy.cfg');
  await writeFileAtomic(path, 'one', { mode: 0o644 });
  await writeFileAtomic(path, Buffer.from('two'));
  assert.equal(await readFile(path, 'utf8'), 'two');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(folder), ['haproxy.cfg']);
});

test('a failed write leaves nothing behind', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'atomic-'));
  t.after(() => rm(folder, { recursive: true }));
  await assert.rejects(writeFileAtomic(join(folder, 'missing', 'x'), 'text'), { code: 'ENOENT' });
  await assert.rejects(writeFileAtomic(folder, 'text'), /EISDIR|EEXIST|ENOTEMPTY|EBUSY/);
  assert.deepEqual(await readdir(folder), []);
});
