/** Things that must be taken down whatever happens, in the order opposite to that in which they were put up. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type Octavia, type OctaviaOptions, startOctavia } from '../support/octavia.ts';

/** What `startOctavia` wants of a test: somebody who calls back at the end. */
export type Scope = { after(end: () => unknown): void };

/** Runs work and then takes down what it put up; an error of the work comes out. */
export async function scoped<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await work({ after: (end) => void ends.push(end) } as Scope);
  } finally {
    for (const end of ends.toReversed()) await end();
  }
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
