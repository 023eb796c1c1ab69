import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandError, run } from './run.ts';

test('the output of a program is answered, and its input is given', async () => {
  assert.equal(await run('cat', [], { input: 'hello' }), 'hello');
});

test('arguments reach the program as they are: no shell reads them', async () => {
  assert.equal(await run('printf', ['%s', '$(id); `id` > /dev/null']), '$(id); `id` > /dev/null');
});

test('a failure carries the code and what the program said', async () => {
  await assert.rejects(run('cat', ['/nonexistent/file']), (error: unknown) => {
    assert.ok(error instanceof CommandError);
    assert.equal(error.code, 1);
    assert.match(error.message, /^cat \/nonexistent\/file ended with code 1: .*No such file/u);
    return true;
  });
});

test('a missing program and a late one are failures with a reason', async () => {
  await assert.rejects(run('no-such-program', []), { reason: 'ENOENT', code: null });
  await assert.rejects(run('sleep', ['30'], { timeout_ms: 50 }), { reason: 'SIGKILL' });
});
