/** Things that must be taken down whatever happens, in the order opposite to that in which they were put up. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type Octavia, type OctaviaOptions, startOctavia } from '../support/octavia.ts';

/** What `startOctavia` wants of a test: somebody who calls back at the end. */
export type Scope = { after(end: () => unknown): void };

/** What is up now, in the order in which it was put up. */
const up: (() => unknown)[] = [];

/** Runs work and then takes down what it put up; an error of the work comes out. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const below = up.length;
  try {
    return await work({ after: (end) => void up.push(end) });
  } finally {
    await takeDown(below);
  }
}

/** Takes down what was put up last, until `left` are left; none for the end of an interrupted run. */
export async function takeDown(left = 0): Promise<void> {
  while (up.length > left) await up.pop()?.();
}

/** Drivers that make nothing, and no tokens: what is measured is the API, the database and the worker. */
export const noopDrivers: Readonly<Record<string, string>> = {
  OS_CONTROLLER_WORKER__COMPUTE_DRIVER: 'compute_noop_driver',
  OS_CONTROLLER_WORKER__NETWORK_DRIVER: 'network_noop_driver',
  OS_CONTROLLER_WORKER__AMPHORA_DRIVER: 'amphora_noop_driver',
  OS_API_SETTINGS__AUTH_STRATEGY: 'noauth',
  OS_HEALTH_MANAGER__BIND_PORT: '0',
};

/** Starts an Octavia whose state lies in the folder of the bench. */
export async function startIn(folder: string, scope: Scope, env: OctaviaOptions['env'] = {}): Promise<Octavia> {
  const state_dir = await mkdtemp(join(folder, 'o-'));
  return startOctavia(scope as Parameters<typeof startOctavia>[0], { state_dir, env });
}
