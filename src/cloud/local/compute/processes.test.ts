import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { COMPUTE_MARK, STATE_MARK } from '../fabric/names.ts';
import { findMarked } from './processes.ts';

test('a process is found by its marks at every moment, also while it becomes another program', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'octavia-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = join(folder, 'again');
  // It does nothing but execute itself, so many looks meet it in the middle of that.
  writeFileSync(script, '#!/bin/sh\nexec "$0"\n');
  chmodSync(script, 0o755);
  const state_id = 'again-and-again';
  const env = { [STATE_MARK]: state_id, [COMPUTE_MARK]: 'one' };
  const child = spawn(script, { env, stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  for (let look = 0; look < 300; look += 1)
    assert.deepEqual(
      findMarked(state_id).map(({ pid, compute_id, is_init }) => ({ pid, compute_id, is_init })),
      [{ pid: child.pid, compute_id: 'one', is_init: false }],
      `look ${look}`,
    );
});
