/** Controllers from bundles: when the launcher makes them, what it does when it cannot, and what is in the real ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const checkout = fileURLToPath(new URL('..', import.meta.url));

/** Writes which bundle of which source it is. */
const bundler = `
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const source = readFileSync(new URL('../src/main/all.ts', import.meta.url), 'utf8');
writeFileSync(folder + '/main-all.mjs', 'console.log("bundle " + process.argv[2] + " of " + ' + JSON.stringify(source) + ')');
`;

/** A project whose controller tells where it ran from. */
function project(t: TestContext, bundle = bundler): string {
  const root = mkdtempSync(join(tmpdir(), 'bundle '));
  t.after(() => rmSync(root, { recursive: true }));
  for (const folder of [`node_modules/node-linux-${process.arch}/bin`, 'src/main', 'tools'])
    mkdirSync(join(root, folder), { recursive: true });
  symlinkSync(process.execPath, join(root, `node_modules/node-linux-${process.arch}/bin/node`));
  copyFileSync(join(checkout, 'launch.mjs'), join(root, 'launch.mjs'));
  writeFileSync(join(root, 'package-lock.json'), '{}');
  const stamp = `${createHash('sha256').update('{}').digest('hex')} ${process.arch}\n`;
  writeFileSync(join(root, 'node_modules', '.octavia-stamp'), stamp);
  writeFileSync(join(root, 'src/main/all.ts'), 'console.log("source")');
  writeFileSync(join(root, 'tools/bundle.ts'), bundle);
  return root;
}

const start = (root: string, env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [join(root, 'launch.mjs'), 'src/main/all.ts', 'now'], {
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', OCTAVIA_INSTALL: 'never', ...env },
  });

const bundlesIn = (root: string): string[] => readdirSync(join(root, 'node_modules/.cache/octavia-bundles'));

test('a controller runs from its bundle, which is made once and anew when a source has changed', (t) => {
  const root = project(t);
  assert.equal(start(root).stdout, 'bundle now of console.log("source")\n');
  const made = bundlesIn(root);
  assert.equal(start(root).stdout, 'bundle now of console.log("source")\n');
  assert.deepEqual(bundlesIn(root), made);
  writeFileSync(join(root, 'src/main/all.ts'), 'console.log("another")');
  assert.equal(start(root).stdout, 'bundle now of console.log("another")\n');
  assert.equal(bundlesIn(root).length, 2);
});

test('of bundles of older sources the last few stay, for the programs that run from them', (t) => {
  const root = project(t);
  for (let n = 0; n < 6; n += 1) {
    writeFileSync(join(root, 'src/main/all.ts'), `console.log(${n})`);
    assert.equal(start(root).stdout, `bundle now of console.log(${n})\n`);
  }
  assert.equal(bundlesIn(root).length, 4);
});

test('a controller that cannot be bundled runs from its source, and says so', (t) => {
  const root = project(t, 'throw new Error("no bundler");');
  const { stdout, stderr } = start(root);
  assert.equal(stdout, 'source\n');
  assert.match(stderr, /^The controllers run from their sources, in more memory, as they could not be bundled: .+\n$/u);
});

test('OCTAVIA_BUNDLE=never runs the source', (t) => {
  const root = project(t);
  assert.equal(start(root, { OCTAVIA_BUNDLE: 'never' }).stdout, 'source\n');
  assert.equal(existsSync(join(root, 'node_modules/.cache/octavia-bundles')), false);
});

test('the bundles hold every controller and thread, and name no source that would be loaded', async (t) => {
  const folder = mkdtempSync(join(checkout, 'node_modules/.bundle-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const made = spawnSync(process.execPath, [join(checkout, 'tools/bundle.ts'), folder], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const files = readdirSync(folder);
  for (const name of ['all', 'api', 'worker', 'health-manager', 'housekeeping']) assert.ok(files.includes(`main-${name}.mjs`), name);
  // Long lines are cut, texts too.
  const text = files
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('')
    .replaceAll('\\\n', '');
  const threads = [...text.matchAll(/new Worker\d*\(new URL\("([^"]+)"/gu)].map((match) => match[1] as string);
  assert.deepEqual(threads.toSorted(), ['./cloud-tls-locked-thread.mjs', './db-sqlite-thread.mjs', './health-receiver-thread.mjs']);
  // A package in CommonJS that is loaded later has no names but `default` in a bundle.
  for (const [, names, chunk] of text.matchAll(/\{([^{}]*)\}\s*=\s*await import\("\.\/([^"]+)"\)/gu))
    if (readFileSync(join(folder, chunk ?? ''), 'utf8').includes('export default require_'))
      assert.match(names ?? '', /^\s*default:\s*\w+\s*$/u, chunk);
  const beside = [...text.matchAll(/new URL\("([^"]+)",\s*import\.meta\.url\)/gu)].map((match) => match[1] as string);
  assert.ok(beside.length > threads.length);
  for (const place of beside) assert.ok(existsSync(new URL(place, pathToFileURL(join(folder, 'x')))), place);
});
