/** The stock clients (openstacksdk in one process, the `openstack` command, one without a catalog) against the embedded identity and network. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { writeClientFiles } from '../../src/cloud/local/client-files.ts';
import { FakeClock } from '../../src/lib/clock.ts';
import { passwords, withEmbeddedServices } from '../support/embedded-services.ts';

const run = promisify(execFile);
const timeout = 60_000;
const python = findPython();
const skip = python === null ? 'the stock clients are not installed (Debian: python3-openstackclient)' : false;

type Client = { readonly base: string; readonly execute: (file: string, args: readonly string[]) => Promise<string> };

/** A listening application and a folder with its clouds.yaml, in which clients run with nothing of this machine's OpenStack settings. */
async function withClient(t: TestContext, options: { readonly noauth?: boolean } = {}): Promise<Client> {
  // The clients look at the time of expiry by their own clock.
  const { app } = await withEmbeddedServices(t, { ...options, clock: new FakeClock(Date.now()) });
  const base = await app.listen({ host: '127.0.0.1', port: 0 });
  const folder = await mkdtemp(join(tmpdir(), 'octavia-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'clouds.yaml'), writeClientFiles({ base_url: base, passwords }).clouds_yaml, { mode: 0o600 });
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, OS_CLIENT_CONFIG_FILE: join(folder, 'clouds.yaml'), LC_ALL: 'C.UTF-8' };
  return { base, execute: async (file, args) => (await run(file, [...args], { cwd: folder, env, timeout, encoding: 'utf8' })).stdout };
}

test(
  'openstacksdk finds its way: tokens, catalog, networks, ports, groups, application credentials, administration',
  { skip },
  async (t) => {
    const { execute } = await withClient(t);
    const seen: unknown = JSON.parse(await execute(python ?? '', [join(import.meta.dirname, 'identity-network.py')]));
    assert.deepEqual(seen, {
      project: 'demo',
      token: true,
      catalog: ['identity', 'load-balancer', 'network'],
      networks: ['private', 'public'],
      subnets: ['private-subnet', 'private-subnet-v6'],
      rules: 3,
      found: true,
      addresses: 1,
      updated: 'two',
      tagged: [['a', 'b']],
      left: 0,
      floating: 0,
      ci: ['private', 'public'],
      'ci writes': false,
      'ci after': false,
      assignments: 1,
      other: 'p',
      projects: ['admin', 'demo', 'service'],
      services: [true],
    });
  },
);

test('the openstack command issues a token, lists the catalog and makes a port', { skip }, async (t) => {
  const { execute } = await withClient(t);
  const openstack = (...args: readonly string[]): Promise<string> => execute('openstack', ['--os-cloud', 'octavia', ...args]);
  assert.match(await openstack('token', 'issue', '-f', 'value', '-c', 'id'), /^[\w.-]{100,}\n$/u);
  assert.match(await openstack('catalog', 'list', '-f', 'json'), /load-balancer/u);
  assert.equal(await openstack('project', 'list', '-f', 'value', '-c', 'Name'), 'demo\n');
  const made = await openstack(
    'port',
    'create',
    '--network',
    'private',
    '--fixed-ip',
    'subnet=private-subnet,ip-address=198.18.1.77',
    'p',
    '-f',
    'json',
  );
  assert.equal(JSON.parse(made).fixed_ips[0].ip_address, '198.18.1.77');
  assert.equal(await openstack('port', 'list', '--network', 'private', '-f', 'value', '-c', 'Name'), 'p\n');
  await openstack('port', 'delete', 'p');
  assert.equal(await openstack('application', 'credential', 'create', '--role', 'member', 'ci', '-f', 'value', '-c', 'roles'), 'member\n');
});

test('without authentication the command finds networks at the load-balancer API’s own address', { skip }, async (t) => {
  const { base, execute } = await withClient(t, { noauth: true });
  const args = ['--os-auth-type', 'none', '--os-endpoint', base, 'network', 'list', '-f', 'value', '-c', 'Name'];
  assert.deepEqual((await execute('openstack', args)).trim().split('\n').toSorted(), ['lb-mgmt-net', 'private', 'public']);
});

/** The interpreter that the `openstack` command runs with, and so has its libraries; null: the clients are not installed. */
function findPython(): string | null {
  const folders = (process.env['PATH'] ?? '').split(':');
  const command = folders.map((folder) => join(folder, 'openstack')).find((path) => existsSync(path));
  const interpreter =
    command === undefined ? undefined : /^#! ?(?<path>\/\S*python\S*)/u.exec(readFileSync(command, 'utf8'))?.groups?.['path'];
  if (interpreter === undefined) return null;
  return spawnSync(interpreter, ['-c', 'import openstack'], { timeout }).status === 0 ? interpreter : null;
}
