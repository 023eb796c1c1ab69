/** The build-rate limit: how many amphorae may be building at once, over all controllers ([haproxy_amphora] build_rate_limit). */
import type { Kysely } from 'kysely';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Tx = Kysely<Tables>;

/** A request to build one amphora; a lower `priority` goes first (20 failover, 40 create), then the older. */
export type BuildRequest = {
  readonly amphora_id: string;
  readonly loadbalancer_id: string;
  readonly priority: number;
  readonly now_ms: number;
  /** -1: no limit. */
  readonly limit: number;
};

/** Name of the settings row whose lock makes the count exact. */
const gate = 'build_rate';

/** True: the amphora may be built now (again true for one that has its slot). False: it is queued; ask again. */
export async function takeBuildSlot(tx: Tx, request: BuildRequest): Promise<boolean> {
  if (request.limit < 0) return true;
  await tx
    .insertInto('setting')
    .values({ name: gate, value: '' })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: '' }))
    .execute();
  const { amphora_id, loadbalancer_id, priority, now_ms } = request;
  await tx
    .insertInto('build_slot')
    .values({ amphora_id, loadbalancer_id, priority, created_ms: now_ms, building: false })
    .onConflict((conflict) => conflict.column('amphora_id').doNothing())
    .execute();
  const slots = await tx.selectFrom('build_slot').selectAll().orderBy('priority').orderBy('created_ms').orderBy('amphora_id').execute();
  if (slots.some((slot) => slot.amphora_id === amphora_id && slot.building)) return true;
  const free = request.limit - slots.filter((slot) => slot.building).length;
  const queue = slots.filter((slot) => !slot.building).map((slot) => slot.amphora_id);
  if (queue.indexOf(amphora_id) >= free) return false;
  await tx.updateTable('build_slot').set({ building: true }).where('amphora_id', '=', amphora_id).execute();
  return true;
}

/** Gives the slot back; none there is no error. */
export async function freeBuildSlot(tx: Tx, amphora_id: string): Promise<void> {
  await writeMany(tx, [tx.deleteFrom('build_slot').where('amphora_id', '=', amphora_id)]);
}
