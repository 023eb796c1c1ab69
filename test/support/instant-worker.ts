/** A worker that carries out everything at once and without a data plane: what is PENDING becomes ACTIVE or goes. */
import type { Database } from '../../src/db/database.ts';
import { markActive, markDeleted } from '../../src/db/lifecycle.ts';
import { loadTree } from '../../src/db/tree.ts';

/** A running instant worker. */
export type InstantWorker = {
  /** Finishes all work that there is now. */
  drain(): Promise<void>;
  stop(): Promise<void>;
};

/**
 * Starts it; with `hints` it works by itself, else only when told to `drain`. A load balancer that the API still holds (its
 * port is being made) is left alone, and so are those of the no-op providers.
 */
export async function startInstantWorker(db: Database, options: { readonly hints: boolean }): Promise<InstantWorker> {
  let running: Promise<void> = Promise.resolve();
  const finish = (id: string): Promise<void> => {
    running = running.then(() => finishOne(db, id));
    return running;
  };
  const stop = options.hints ? await db.listen('reconcile', (id) => void finish(id)) : () => Promise.resolve();
  return {
    async drain() {
      const due = await db.read
        .selectFrom('reconciliation')
        .select('loadbalancer_id')
        .whereRef('generation', '>', 'applied_generation')
        .where('lease_owner', 'is', null)
        .execute();
      for (const { loadbalancer_id } of due) await finish(loadbalancer_id);
      await running;
    },
    async stop() {
      await stop();
      await running;
    },
  };
}

/** Providers that never report back. */
const silent: readonly string[] = ['noop_driver', 'noop_driver-alt'];

async function finishOne(db: Database, id: string): Promise<void> {
  await db.tx(async (tx) => {
    const row = await tx.selectFrom('loadbalancer').select(['provisioning_status', 'provider']).where('id', '=', id).executeTakeFirst();
    const work = await tx.selectFrom('reconciliation').selectAll().where('loadbalancer_id', '=', id).executeTakeFirst();
    if (row === undefined || work === undefined || work.lease_owner !== null || work.generation === work.applied_generation) return;
    if (silent.includes(row.provider ?? '')) return;
    const now = new Date().toISOString().slice(0, 19);
    if (row.provisioning_status === 'PENDING_DELETE') await markDeleted(tx, id, now);
    else await markActive(tx, (await loadTree(tx, id))!, now);
    await tx.updateTable('reconciliation').set({ applied_generation: work.generation }).where('loadbalancer_id', '=', id).execute();
  });
}
