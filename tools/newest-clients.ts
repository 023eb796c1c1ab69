/**
 * `node tools/newest-clients.ts`: brings the newest clients that test/clients tries, beside the ones of the system: from PyPI
 * python-openstackclient with its plug-ins, openstacksdk, Ansible's engine and its openstack.cloud modules (needs python3 with
 * venv); gophercloud, built into a program (needs go). Versions and digests are in test/clients/support; does nothing when
 * these are there. Takes half a minute and 140 MB.
 *
 * Ends with 0 when a registry cannot be reached or an interpreter is not here, as that says nothing about this project: the
 * scripts then skip, and say why. A wrong digest or a program that does not compile ends with 1.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'octavia-test');
const support = fileURLToPath(new URL('../test/clients/support', import.meta.url));

/** In Python: takes Ansible's modules for OpenStack out of a wheel. */
const unpack = `
import sys, zipfile
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as packed:
    packed.extractall(folder, [name for name in packed.namelist() if name.startswith('ansible_collections/openstack/cloud/')])
`;

/** What is brought: a folder of the cache, the files of test/clients/support that decide what it holds, and how it is made. */
type Part = { readonly name: string; readonly pins: readonly string[]; readonly make: (folder: string) => Promise<void> };

const parts: readonly Part[] = [
  { name: 'newest-clients', pins: ['newest/clients.txt', 'newest/collection.txt'], make: makePython },
  { name: 'gophercloud', pins: ['gophercloud/go.sum', 'gophercloud/go.mod', 'gophercloud/main.go'], make: makeGo },
];

/** Words of Node, pip and go for what is not there, or does not answer. */
const absences = [
  /ENOENT|No module named (?:venv|pip)|ensurepip is not/iu,
  /ConnectionError|connection broken|ConnectTimeout|ReadTimeout|dial tcp|i\/o timeout/iu,
  // A mirror need not have everything.
  /No matching distribution found|HTTP error (?:4\d\d|5\d\d)|: (?:4\d\d|5\d\d) |go\.mod requires go/iu,
];

process.exitCode = Math.max(...(await Promise.all(parts.map(bring))));

async function bring(part: Part): Promise<number> {
  const folder = join(cache, part.name);
  const work = `${folder}.${process.pid}`;
  const pins = part.pins.map((path) => readFileSync(join(support, path), 'utf8')).join('');
  if (existsSync(`${folder}/pins`) && readFileSync(`${folder}/pins`, 'utf8') === pins) return told(folder);
  rmSync(folder, { recursive: true, force: true });
  try {
    mkdirSync(work, { recursive: true });
    await part.make(work);
    writeFileSync(`${work}/pins`, pins);
    // Another run may have brought it meanwhile: a folder that is not empty is not replaced.
    if (!existsSync(folder)) renameSync(work, folder);
    return told(folder);
  } catch (error) {
    const said = String(error instanceof Error && 'stderr' in error ? error.stderr : error).trim();
    const isAway = isAbsence(said);
    console.log(`${part.name} could not be brought: ${isAway ? said.split('\n').at(-1) : said}`);
    return isAway ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function told(folder: string): number {
  console.log(folder);
  return 0;
}

function isAbsence(said: string): boolean {
  return absences.some((words) => words.test(said));
}

/** An environment of its own, which runs where it is moved to as nobody uses its scripts: they alone name their folder. */
async function makePython(folder: string): Promise<void> {
  await run('python3', ['-m', 'venv', folder]);
  const pip = (...args: readonly string[]): Promise<unknown> =>
    run(`${folder}/bin/python`, ['-m', 'pip', '--disable-pip-version-check', '--no-input', '--retries', '2', ...args]);
  // Compiling would take as long as all else; Python does it for what is used, in the folder's own cache.
  const exactly = ['--quiet', '--no-deps', '--require-hashes', '--only-binary', ':all:'];
  await pip('install', ...exactly, '--no-compile', '-r', join(support, 'newest/clients.txt'));
  // The collection runs with older Pythons than the package says, which also holds newer engines' plug-ins.
  await pip('download', ...exactly, '--python-version', '3.13', '-d', folder, '-r', join(support, 'newest/collection.txt'));
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl')) ?? '';
  await run(`${folder}/bin/python`, ['-c', unpack, join(folder, wheel), join(folder, 'collections')]);
  rmSync(join(folder, wheel));
}

async function makeGo(folder: string): Promise<void> {
  await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', join(folder, 'client'), '.'], { cwd: join(support, 'gophercloud') });
}
