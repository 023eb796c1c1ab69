import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { prepareRuntime } from './runtime.ts';
import type { RuntimeSources } from './runtime.ts';

async function folder(t: TestContext): Promise<{ readonly state: string; readonly sources: RuntimeSources }> {
  const state = await mkdtemp(join(tmpdir(), 'octavia-test-'));
  t.after(() => rm(state, { recursive: true }));
  const sources = { nodeBinary: join(state, 'bin'), agentBundle: join(state, 'agent.cjs'), initScript: join(state, 'init.sh') };
  await writeFile(sources.nodeBinary, 'node', { mode: 0o755 });
  await writeFile(sources.agentBundle, 'agent 1');
  await writeFile(sources.initScript, '#!/bin/sh\n');
  return { state, sources };
}

test('the copy has all three programs, those to be run executable', async (t) => {
  const { state, sources } = await folder(t);
  const runtime = await prepareRuntime(state, sources);
  assert.equal(await readFile(join(runtime.folder, runtime.agent), 'utf8'), 'agent 1');
  for (const name of [runtime.node, runtime.init]) assert.equal((await stat(join(runtime.folder, name))).mode & 0o111, 0o111);
});

test('the same programs are copied once, others beside them, and versions that nobody runs are removed', async (t) => {
  const { state, sources } = await folder(t);
  const first = await prepareRuntime(state, sources);
  const before = await stat(join(first.folder, first.agent));
  assert.deepEqual(await prepareRuntime(state, sources), first);
  assert.equal((await stat(join(first.folder, first.agent))).ino, before.ino);
  await writeFile(sources.agentBundle, 'agent 2');
  const second = await prepareRuntime(state, sources);
  assert.notEqual(second.folder, first.folder);
  assert.equal((await readdir(join(state, 'runtime'))).length, 1);
});

test('two that prepare at once end with one whole copy', async (t) => {
  const { state, sources } = await folder(t);
  const made = await Promise.all(Array.from({ length: 5 }, () => prepareRuntime(state, sources)));
  assert.equal(new Set(made.map((runtime) => runtime.folder)).size, 1);
  assert.equal((await readdir(join(state, 'runtime'))).length, 1);
});

test('a missing program is an error, and nothing half-made is left', async (t) => {
  const { state, sources } = await folder(t);
  await assert.rejects(prepareRuntime(state, { ...sources, nodeBinary: join(state, 'none') }), { code: 'ENOENT' });
  assert.deepEqual(await readdir(join(state, 'runtime')).catch(() => []), []);
});
