/** The HAProxy programs that tests run with: the system's own, and a newer one when `tools/newer-haproxy.ts` has brought it. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A program for tests. */
export type TestHaproxy = {
  /** `HAProxy 2.6`, or what it should be when it is not there. */
  readonly name: string;
  /** The environment's PATH with which `haproxy` is this one. */
  readonly path: string;
  /** Why it cannot be used; false: it can. */
  readonly skip: string | false;
};

/** Where the newer one lies. */
export function newerHaproxyFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'octavia-test', 'haproxy-3.0');
}

/** Both. */
export function testHaproxies(): readonly TestHaproxy[] {
  const path = process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin';
  const newer = `${newerHaproxyFolder()}/bin`;
  const isThere = existsSync(`${newer}/haproxy`);
  return [
    describe(path, 'the HAProxy of this system'),
    isThere
      ? describe(`${newer}:${path}`, 'HAProxy 3.0')
      : { name: 'HAProxy 3.0', path, skip: 'the newer HAProxy is not here: `node tools/newer-haproxy.ts` brings it' },
  ];
}

function describe(path: string, name: string): TestHaproxy {
  const { status, stdout } = spawnSync('haproxy', ['-v'], { encoding: 'utf8', env: { ...process.env, PATH: path } });
  const version = /version (\d+\.\d+)/u.exec(stdout ?? '')?.[1];
  return status === 0 && version !== undefined
    ? { name: `HAProxy ${version}`, path, skip: false }
    : { name, path, skip: 'haproxy is not installed' };
}
