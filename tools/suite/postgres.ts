/** A PostgreSQL server for one run of the tests: its own folder, only a socket, nothing synced to the disk. */
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';

/** A running server. */
export type PostgresServer = { readonly url: string; stop(): Promise<void> };

/** The folder of the newest server programs on this machine; undefined when there are none. */
export function findPostgres(): string | undefined {
  const debian = globSync('/usr/lib/postgresql/*/bin').toSorted((a, b) => Number(b.split('/')[4]) - Number(a.split('/')[4]));
  return [...debian, ...(process.env['PATH'] ?? '').split(delimiter)].find(
    (folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  );
}

/** PostgreSQL refuses to run as root: then it runs as nobody. */
const identity = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** Makes and starts a server below `folder`, which nobody must be able to enter. Throws when it does not start within 30 seconds. */
export async function startPostgres(bin: string, folder: string): Promise<PostgresServer> {
  const home = join(folder, 'pg');
  mkdirSync(home, { mode: 0o700 });
  if (identity.uid !== undefined) chownSync(home, identity.uid, identity.gid);
  const settings = {
    ...identity,
    cwd: home,
    encoding: 'utf8' as const,
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin', HOME: home },
  };
  const made = spawnSync(
    join(bin, 'initdb'),
    ['-D', join(home, 'd'), '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'],
    settings,
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr.trim() || String(made.error)}`);
  const options = {
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '200',
    listen_addresses: '',
    unix_socket_directories: home,
  };
  const args = ['-D', join(home, 'd'), ...Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const server = spawn(join(bin, 'postgres'), args, { ...settings, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4000)));
  const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    // SIGINT is a fast shutdown: sessions are ended.
    server.kill('SIGINT');
    const forced = setTimeout(() => server.kill('SIGQUIT'), 5000);
    await ended;
    clearTimeout(forced);
    rmSync(home, { recursive: true, force: true });
  };
  const deadline = Date.now() + 30_000;
  while (!existsSync(join(home, '.s.PGSQL.5432')) || !log.includes('ready to accept connections')) {
    if (server.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`postgres did not start: ${log.trim()}`);
    }
    await after(20);
  }
  return { url: `postgresql://postgres@/postgres?host=${encodeURIComponent(home)}`, stop };
}
