/** Files of logs: those that are followed, and those that are kept. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Follower } from './followed.ts';
import { StoredLog } from './stored.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'logs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

void test('new lines are taken once, also by the next agent, and a file may begin anew', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'x.log');
  const seen: string[] = [];
  const follow = () => new Follower([{ path, take: (line) => seen.push(line) }], join(folder, 'places.json'));
  const first = follow();
  await first.look();
  appendFileSync(path, 'one\ntwo\nbeg');
  await Promise.all([first.look(), first.look()]);
  assert.deepEqual(seen, ['one', 'two']);
  appendFileSync(path, 'un\n');
  await follow().look();
  assert.deepEqual(seen, ['one', 'two', 'begun']);
  writeFileSync(path, 'new\n');
  await follow().look();
  assert.deepEqual(seen.slice(3), ['new']);
});

void test('a file that was read is kept short, and a line without end is taken in pieces', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'x.log');
  let bytes = 0;
  const follower = new Follower([{ path, take: (line) => (bytes += line.length) }], join(folder, 'places.json'));
  writeFileSync(path, 'x'.repeat(300 * 1024));
  for (let looks = 0; looks < 6; looks += 1) await follower.look();
  assert.equal(bytes, 256 * 1024);
  appendFileSync(path, '\n');
  for (let looks = 0; looks < 2; looks += 1) await follower.look();
  assert.equal(bytes, 300 * 1024);
  assert.equal(statSync(path).size, 0);
  appendFileSync(path, 'on\n');
  await follower.look();
  assert.equal(bytes, 300 * 1024 + 2);
});

void test('kept lines take two files of the limit at most, and go on after a restart', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'log', 'kept.log');
  const write = async (text: string): Promise<void> => {
    const log = new StoredLog(path, 10);
    log.append({ bytes: Buffer.from(text), count: 1 });
    await log.close();
    assert.equal(log.dropped, 0);
  };
  await write('12345\n');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await write('abc\n');
  assert.equal(readFileSync(path, 'utf8'), '12345\nabc\n');
  await write('x\n');
  await write('yyyyyyyyy\n');
  assert.deepEqual([readFileSync(`${path}.1`, 'utf8'), readFileSync(path, 'utf8')], ['x\n', 'yyyyyyyyy\n']);
});

void test('what the disk does not take is counted', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'log'), 'a file where the folder should be');
  const log = new StoredLog(join(folder, 'log', 'kept.log'));
  log.append({ bytes: Buffer.from('a\nb\n'), count: 2 });
  log.append({ bytes: Buffer.alloc(2 * 1024 * 1024, 'x'), count: 7 });
  await log.close();
  assert.equal(log.dropped, 9);
  assert.ok(!existsSync(join(folder, 'log', 'kept.log')));
});
