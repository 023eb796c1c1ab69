/** The stock clients of OpenStack against the embedded services. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { writeClientFiles } from '../../src/cloud/local/client-files.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { passwords, withEmbeddedServices } from './embedded-services.ts';

const run = promisify(execFile);
const timeout = 60_000;

/** A client's programs, run in a folder with its clouds.yaml. */
export type StockClient = { readonly base: string; readonly execute: (file: string, args: readonly string[]) => Promise<string> };

/** A listening application and a folder with its clouds.yaml, in which clients run with nothing of this machine's OpenStack settings. */
export async function withClient(
  t: TestContext,
  options: { readonly noauth?: boolean; readonly keyManager?: boolean } = {},
): Promise<StockClient> {
  // The clients look at the time of expiry by their own clock.
  const { app } = await withEmbeddedServices(t, { ...options, clock: new FakeClock(Date.now()) });
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  const folder = await mkdtemp(join(tmpdir(), 'octavia-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'clouds.yaml'), writeClientFiles({ base_url: base, passwords }).clouds_yaml, { mode: 0o600 });
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, OS_CLIENT_CONFIG_FILE: join(folder, 'clouds.yaml'), LC_ALL: 'C.UTF-8' };
  return { base, execute: async (file, args) => (await run(file, [...args], { cwd: folder, env, timeout, encoding: 'utf8' })).stdout };
}

/** The interpreter that the `openstack` command runs with, and so has its libraries; null: it has no such module, or is not installed. */
export function findPython(module: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(':');
  const command = folders.map((folder) => join(folder, 'openstack')).find((path) => existsSync(path));
  const interpreter =
    command === undefined ? undefined : /^#! ?(?<path>\/\S*python\S*)/u.exec(readFileSync(command, 'utf8'))?.groups?.['path'];
  if (interpreter === undefined) return null;
  return spawnSync(interpreter, ['-c', `import ${module}`], { timeout }).status === 0 ? interpreter : null;
}
