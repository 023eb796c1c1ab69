import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { matrixOf } from './matrix.ts';
import { runFile } from './run-file.ts';
import type { FileResult } from './run-file.ts';
import { findTestFiles, usesDatabase } from './select.ts';
import { Summary } from './summary.ts';

/** A folder with the given files, removed after the test. */
function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'suite-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

function runSource(t: TestContext, name: string, source: string, timeout_ms = 20_000): Promise<FileResult> {
  const root = folderWith(t, { [name]: source });
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  return runFile(name, { root, folder: root, env, timeout_ms, signal: new AbortController().signal });
}

const head = "import { describe, it, test } from 'node:test';\n";

test('passes, failures and skips of nested tests are counted with their names and reasons', async (t) => {
  const source = `${head}describe('a', () => { it('good', () => {}); it('bad', () => { throw new Error('boom'); }); });
test('later', (t) => t.skip('needs root'));`;
  const { tests } = await runSource(t, 'x.test.ts', source);
  assert.deepEqual(
    tests.map(({ name, outcome }) => [name, outcome]),
    [
      ['a › good', 'passed'],
      ['a › bad', 'failed'],
      ['later', 'skipped'],
    ],
  );
  assert.match(tests[1]?.reason ?? '', /boom/);
  assert.equal(tests[2]?.reason, 'needs root');
});

test('a file that crashes, has no tests, hangs, or leaves something open is a failure', async (t) => {
  const outcomes = await Promise.all([
    runSource(t, 'x.test.ts', "throw new Error('at load');"),
    runSource(t, 'x.test.ts', "console.log('nothing');"),
    runSource(t, 'x.test.ts', `${head}test('stuck', () => new Promise((resolve) => setTimeout(resolve, 60000)));`, 1500),
    runSource(t, 'x.test.ts', `${head}test('fine', () => {}); setInterval(() => {}, 1000);`, 1500),
  ]);
  const failures = outcomes.map(({ tests }) => tests.find(({ outcome }) => outcome === 'failed')?.reason ?? 'none');
  assert.match(failures[0] ?? '', /at load/);
  assert.equal(failures[1], 'has no tests');
  assert.match(failures[2] ?? '', /did not end in time/);
  assert.match(failures[3] ?? '', /still open/);
});

test('a script passes with 0, is skipped with 77 and fails otherwise', async (t) => {
  const outcome = async (script: string): Promise<unknown> => (await runSource(t, 'x.sh', script)).tests[0];
  assert.deepEqual(await outcome('exit 0'), { name: 'x.sh', outcome: 'passed', reason: '' });
  assert.deepEqual(await outcome('echo no client; exit 77'), { name: 'x.sh', outcome: 'skipped', reason: 'no client' });
  assert.equal(((await outcome('echo broken; exit 3')) as { outcome: string }).outcome, 'failed');
});

test('files that reach the database support, also through other support, are found', (t) => {
  const root = folderWith(t, {
    'test/support/database.ts': 'export {};',
    'test/support/cloud.ts': "import './other.ts';\nexport { x } from './database.ts';",
    'test/features/direct.test.ts': "import { x } from '../support/database.ts';",
    'test/features/through.test.ts': "import { y } from '../support/cloud.ts';",
    'test/features/none.test.ts': "import { y } from '../../src/db/open.ts';",
    'src/db/beside.test.ts': "import { x } from '../../test/support/database.ts';",
    'test/bench/slow.test.ts': '',
  });
  const files = findTestFiles(root, []);
  assert.ok(!files.includes('test/bench/slow.test.ts'));
  assert.deepEqual(
    files.filter((path) => usesDatabase(root, path)),
    ['src/db/beside.test.ts', 'test/features/direct.test.ts', 'test/features/through.test.ts'],
  );
});

test('where skips must be known another skip is a failure, and no test at all is one too', () => {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const result = { path: 'a.test.ts', seconds: 1, output: '' };
  const skipped = { name: 'x', outcome: 'skipped', reason: 'no root' } as const;
  const passed = { name: 'y', outcome: 'passed', reason: '' } as const;
  const known = [{ pattern: 'no root', reason: 'laptops' }];

  const good = new Summary({ known, isStrict: true, print });
  good.add('sqlite', { ...result, tests: [skipped, passed] });
  assert.equal(good.finish(), true);
  assert.equal(lines.at(-1), '\n1 passed, 0 failed, 1 skipped');

  const strict = new Summary({ known: [], isStrict: true, print });
  strict.add('sqlite', { ...result, tests: [skipped, passed] });
  assert.equal(strict.finish(), false);

  assert.equal(new Summary({ known: [], isStrict: false, print }).finish(), false);
});

test('features of the data plane are listed by HAProxy and kind of address, with the reasons of skips', () => {
  const result = (name: string, outcome: 'passed' | 'failed' | 'skipped', reason = '') => ({ name, outcome, reason });
  const lines = matrixOf([
    result('HAProxy 2.6 › C1 · bytes · IPv4', 'passed'),
    result('HAProxy 2.6 › C1 · bytes · IPv6', 'failed', 'it broke'),
    result('HAProxy 3.0 › C1 · bytes · IPv4', 'skipped', 'it is not here'),
    result('nft › C1 · flows · IPv4', 'passed'),
    result('another test', 'passed'),
  ]);
  assert.deepEqual(lines, [
    'Feature   HAProxy 2.6 IPv4  HAProxy 2.6 IPv6  HAProxy 3.0 IPv4  nft IPv4',
    'C1 bytes  yes               FAIL              skip [1]          -',
    'C1 flows  -                 -                 -                 yes',
    '[1] it is not here',
  ]);
  assert.deepEqual(matrixOf([result('another test', 'passed')]), []);
});
