/** Network namespaces for tests: who may make them, what of ours is on this machine, and members in namespaces of their own. */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHierarchies } from '../../src/cloud/local/compute/cgroups.ts';
import { missingRights } from '../../src/cloud/local/compute/rights.ts';
import { run } from '../../src/lib/run.ts';

/** Why tests in network namespaces cannot run here; false when they can. Made for the `skip` option of a test. */
export function namespacesUnavailable(): string | false {
  return missingRights(process.env['PATH'] ?? '') ?? false;
}

const claimPath = (kind: string, number: number): string => join(tmpdir(), `claim-${kind}-${number}`);

/** A number from 0 to `count` − 1 that no other test of this run has now, for what tests side by side must not share. Throws when all are taken. */
export function claimNumber(kind: string, count: number): { readonly number: number; readonly release: () => void } {
  const first = randomInt(count);
  for (let step = 0; step < count; step += 1) {
    const number = (first + step) % count;
    try {
      mkdirSync(claimPath(kind, number));
      return { number, release: () => releaseNumber(kind, number) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`all ${count} numbers of ${kind} are claimed: ${claimPath(kind, 0)} and so on`);
}

/** Gives a number back. */
export function releaseNumber(kind: string, number: number): void {
  rmSync(claimPath(kind, number), { recursive: true, force: true });
}

/** Everything on this machine that carries a state id, as sorted lines: empty when nothing of it is left. */
export async function tracesOf(state_id: string): Promise<readonly string[]> {
  const [netns, links, tables] = await Promise.all([
    run('ip', ['netns', 'list']),
    run('ip', ['-o', 'link', 'show']),
    run('nft', ['list', 'tables']),
  ]);
  const marked = readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .filter((pid) => environmentOf(pid).includes(`OCTAVIA_STATE_ID=${state_id}`))
    .map((pid) => `process ${pid}`);
  const groups = readHierarchies().flatMap(({ path }) => foldersOf(path).map((name) => `cgroup ${path}/${name}`));
  const lines = [
    ...netns.split('\n').map((line) => `netns ${line}`),
    ...links.split('\n').map((line) => `link ${line}`),
    ...tables.split('\n').map((line) => `nft ${line}`),
    ...groups,
  ];
  return [...lines.filter((line) => line.includes(state_id)), ...marked].toSorted();
}

/** A network namespace of a test with a random name; `remove` it in the end, also when the test fails. */
export type TestNamespace = {
  readonly name: string;
  /** Runs a program in it and answers its standard output. Throws `CommandError`. */
  readonly run: (command: string, ...args: readonly string[]) => Promise<string>;
  readonly remove: () => Promise<void>;
};

/** Makes one. */
export async function createNamespace(): Promise<TestNamespace> {
  const name = `test-${randomBytes(5).toString('hex')}`;
  await run('ip', ['netns', 'add', name]);
  return {
    name,
    run: (command, ...args) => run('nsenter', [`--net=/run/netns/${name}`, '--', command, ...args]),
    remove: async () => {
      await run('ip', ['netns', 'delete', name]);
    },
  };
}

/** A locally administered random hardware address. */
export function randomMac(): string {
  return ['02', ...Array.from(randomBytes(5), (byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

function foldersOf(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
