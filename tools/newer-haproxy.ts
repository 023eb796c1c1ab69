/**
 * `node tools/newer-haproxy.ts [MIRROR]`: brings the HAProxy of Debian's next release (trixie: 3.0) beside the system's own, for
 * tests. Prints its folder; does nothing when it is there. Takes half a minute and 20 MB; needs root and debootstrap.
 *
 * The program runs with the C library that came with it. Its wrapper gives its own path as the program's name, so that
 * HAProxy, which executes itself anew at a reload, comes back through the wrapper.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { newerHaproxyFolder } from './suite/haproxies.ts';

const release = 'trixie';
const folder = newerHaproxyFolder();

if (!existsSync(`${folder}/bin/haproxy`)) bring();
console.log(folder);

function bring(): void {
  const work = mkdtempSync(join(tmpdir(), 'haproxy-'));
  try {
    const root = `${work}/root`;
    const mirror = process.argv[2] ?? 'http://deb.debian.org/debian';
    // The first stage only: it fetches and checks all packages, and runs none of them.
    run('debootstrap', '--foreign', '--variant=minbase', '--include=haproxy', release, root, mirror);
    const archives = `${root}/var/cache/apt/archives`;
    for (const name of readdirSync(archives))
      if (/^(?:haproxy|lib[^_]*)_/u.test(name)) run('dpkg-deb', '-x', `${archives}/${name}`, `${work}/files`);
    install(`${work}/files`, `${work}/made`);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, '..'), { recursive: true });
    run('cp', '-a', `${work}/made`, `${folder}.new`);
    renameSync(`${folder}.new`, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Takes the program and the libraries that it needs; their paths are those of `folder`, where they will lie. */
function install(files: string, made: string): void {
  for (const part of ['bin', 'lib']) mkdirSync(`${made}/${part}`, { recursive: true });
  const libraries = findFolders(files, 'usr/lib', 'lib');
  const loader = libraries.flatMap((each) =>
    readdirSync(each).flatMap((name) => (name.startsWith('ld-linux-') ? [join(each, name)] : [])),
  )[0];
  if (loader === undefined) throw new Error('there is no loader among the packages');
  copyFileSync(`${files}/usr/sbin/haproxy`, `${made}/lib/haproxy`);
  const list = run(loader, '--library-path', libraries.join(':'), '--list', `${made}/lib/haproxy`);
  for (const [, path] of list.matchAll(/=> (\S+) \(/gu)) if (path !== undefined) copyFileSync(path, `${made}/lib/${basename(path)}`);
  copyFileSync(loader, `${made}/lib/${basename(loader)}`);
  chmodSync(`${made}/lib/${basename(loader)}`, 0o755);
  const command = `exec '${folder}/lib/${basename(loader)}' --argv0 '${folder}/bin/haproxy' --library-path '${folder}/lib' '${folder}/lib/haproxy' "$@"`;
  writeFileSync(`${made}/bin/haproxy`, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
}

/** Folders of shared libraries: those of the one architecture. */
function findFolders(files: string, ...parents: readonly string[]): string[] {
  return parents.flatMap((parent) =>
    existsSync(`${files}/${parent}`)
      ? readdirSync(`${files}/${parent}`).flatMap((name) => (name.endsWith('-linux-gnu') ? [`${files}/${parent}/${name}`] : []))
      : [],
  );
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
