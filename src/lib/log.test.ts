import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingLogger, textLine } from './log.ts';
import { Secret } from './secret.ts';

test('a line for people has the time, the level, the message and the fields', () => {
  const line = JSON.stringify({ level: 30, time: Date.UTC(2026, 0, 1, 12, 0, 1, 250), pool_id: 'p1', count: 2, msg: 'pool is active' });
  assert.equal(textLine(line), '12:00:01.250 info  pool is active  pool_id=p1  count=2\n');
});

test('a field cannot forge a line of the log', () => {
  const line = JSON.stringify({ level: 30, time: 0, name: 'x\n12:00:00.000 FATAL boo', msg: 'made' });
  assert.equal(textLine(line).split('\n').length, 2);
});

test('secrets are masked in fields, and children add theirs', () => {
  const { log, lines } = recordingLogger();
  log.child({ request_id: 'req-1' }).warn({ password: new Secret('hunter2') }, 'token refused');
  assert.equal(lines[0]?.['password'], '***');
  assert.equal(lines[0]?.['request_id'], 'req-1');
  assert.equal(lines[0]?.['msg'], 'token refused');
});
