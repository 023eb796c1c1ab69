/** Network namespaces for tests: who may make them, what of ours is on this machine, and members in namespaces of their own. */
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { readHierarchies } from '../../src/cloud/local/compute/cgroups.ts';
import { missingRights } from '../../src/cloud/local/compute/rights.ts';
import { run } from '../../src/lib/run.ts';

/** Why tests in network namespaces cannot run here; false when they can. Made for the `skip` option of a test. */
export function namespacesUnavailable(): string | false {
  return missingRights(process.env['PATH'] ?? '') ?? false;
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
