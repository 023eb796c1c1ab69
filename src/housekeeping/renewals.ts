/** Notices that a secret behind a reference has become another one, and has a worker bring it to the amphorae. */
import { type Secrets, UnusableSecret } from '../cloud/secrets.ts';
import type { Database } from '../db/database.ts';
import { askForPasses, listSecretUsers } from '../db/upkeep.ts';
import type { Logger } from '../lib/log.ts';
import type { Job } from './periodic.ts';

/** What the watch works with. */
export type RenewalOptions = {
  readonly db: Database;
  readonly secrets: Secrets;
  readonly log: Logger;
  readonly wake: (loadbalancer_id: string) => void;
};

/** What stands for a secret that cannot be used: amphorae go on with what they have, so that is no change to bring them. */
const unusable = Symbol('unusable');

/**
 * A round compares the versions of all secrets in use with those of the round before. The first only notes them: whatever
 * changed while no housekeeping ran is found by the checks for drift.
 */
export function watchingSecrets({ db, secrets, log, wake }: RenewalOptions): Job['run'] {
  let known = new Map<string, string>();
  return async () => {
    const seen = new Map<string, string>();
    const changed = new Set<string>();
    for (const { loadbalancer_id, project_id, refs } of await listSecretUsers(db)) {
      for (const ref of refs) {
        const key = `${project_id} ${ref}`;
        const version = seen.get(key) ?? (await versionOf(secrets, ref, project_id));
        const before = known.get(key);
        if (version === unusable) {
          if (before !== undefined) seen.set(key, before);
          continue;
        }
        seen.set(key, version);
        if (before !== undefined && before !== version) changed.add(loadbalancer_id);
      }
    }
    known = seen;
    const asked = changed.size === 0 ? [] : await askForPasses(db, [...changed]);
    for (const loadbalancer_id of asked) {
      log.info({ loadbalancer_id }, 'a secret of a load balancer was renewed and is brought to its amphorae');
      wake(loadbalancer_id);
    }
    return {};
  };
}

async function versionOf(secrets: Secrets, ref: string, project_id: string | null): Promise<string | typeof unusable> {
  try {
    return await secrets.readVersion(ref, { by: 'controller', project_id });
  } catch (error) {
    if (error instanceof UnusableSecret) return unusable;
    throw error;
  }
}
