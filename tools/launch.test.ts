import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../launch.mjs', import.meta.url));
const lock = JSON.stringify({ packages: { '': {}, 'node_modules/a': { version: '1.0.0' } } });

/** A project in a path with spaces, with a pinned Node that is this one, an entry, and the stamp of a finished install. */
function project(t: TestContext, entry: string, isStamped = true): string {
  const folder = mkdtempSync(join(tmpdir(), 'launch '));
  t.after(() => rmSync(folder, { recursive: true }));
  const root = join(folder, 'a deep path', 'd'.repeat(120));
  const bin = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(process.execPath, join(bin, 'node'));
  copyFileSync(launcher, join(root, 'launch.mjs'));
  writeFileSync(join(root, 'package-lock.json'), lock);
  writeFileSync(join(root, 'entry.mjs'), entry);
  const stamp = `${createHash('sha256').update(lock).digest('hex')} ${process.arch}\n`;
  if (isStamped) writeFileSync(join(root, 'node_modules', '.octavia-stamp'), stamp);
  return root;
}

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Nodes before 22.15 cannot become another program: the launcher then keeps a child. */
const withoutExecve = ['--import', 'data:text/javascript,delete process.execve'];

function launch(
  root: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; node?: readonly string[]; onOutput?: (pid: number) => void } = {},
): Promise<Ended> {
  const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, OCTAVIA_INSTALL: 'never', ...options.env };
  const child = spawn(process.execPath, [...(options.node ?? []), join(root, 'launch.mjs'), ...args], { cwd: '/', env });
  let [stdout, stderr] = ['', ''];
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    if (child.pid !== undefined) options.onOutput?.(child.pid);
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

for (const [how, node] of [
  ['by becoming it', []],
  ['as its parent', withoutExecve],
] as const) {
  test(`the pinned Node runs the entry ${how}, with its arguments and exit code`, async (t) => {
    const root = project(t, 'console.log(JSON.stringify(process.argv.slice(2))); process.exit(7);');
    const { code, stdout } = await launch(root, ['--dev', 'entry.mjs', 'a b', '--dev', '$HOME'], { node });
    assert.deepEqual(JSON.parse(stdout), ['a b', '--dev', '$HOME']);
    assert.equal(code, 7);
  });

  test(`a signal reaches the entry started ${how}`, async (t) => {
    const root = project(t, "process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1000); console.log('ready');");
    const { code } = await launch(root, ['entry.mjs'], { node, onOutput: (pid) => process.kill(pid, 'SIGTERM') });
    assert.equal(code, 5);
  });
}

test('packages that are not those of the lock file are one sentence where installing is forbidden', async (t) => {
  const { code, stderr } = await launch(project(t, '', false), ['entry.mjs']);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^The npm packages are not those of package-lock\.json and OCTAVIA_INSTALL=never forbids installing them; run npm ci\.\n$/,
  );
});

test('packages that somebody else installed from the same lock file are taken as they are', async (t) => {
  const root = project(t, "console.log('ran');", false);
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), lock);
  const version = await launch(root, ['entry.mjs']);
  assert.equal(version.stdout, 'ran\n');
});

test('a pinned Node whose download failed is one sentence', async (t) => {
  const root = project(t, '');
  rmSync(join(root, 'node_modules', `node-linux-${process.arch}`), { recursive: true });
  const { code, stderr } = await launch(root, ['entry.mjs']);
  assert.equal(code, 1);
  assert.match(stderr, /^The pinned Node \(npm package node-linux-\w+\) is missing: .*\n$/);
});

test('a missing program of the data plane stops a start, and only warns a test', async (t) => {
  const root = project(t, "console.log('ran');");
  // The folders of the system are searched as well: a program that no system has stands for a missing one.
  const source = readFileSync(launcher, 'utf8').replace("haproxy: 'haproxy'", "haproxy: 'no-such-program'");
  writeFileSync(join(root, 'launch.mjs'), source);
  const start = await launch(root, ['--data-plane', 'entry.mjs']);
  const tests = await launch(root, ['--dev', '--data-plane', 'entry.mjs']);
  assert.match(start.stderr, /Missing programs of the local cloud: no-such-program; OCTAVIA_INSTALL=never forbids installing them\./);
  if (process.getuid?.() === 0) assert.equal(start.code, 1);
  assert.equal(tests.stdout, 'ran\n');
});

test('an entry that does not exist is one sentence', async (t) => {
  const { code, stderr } = await launch(project(t, ''), ['src/main/none.ts']);
  assert.equal(code, 1);
  assert.match(stderr, /^There is no .*src\/main\/none\.ts\.\n$/);
});
