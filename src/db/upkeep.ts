/** What housekeeping asks of the database besides purging: certificates due, work that nobody has, rows by id. */
import { type Database, forUpdate } from './database.ts';
import { isAmong } from './json-rows.ts';
import { bumpGeneration, insertReconciliation } from './reconciliations.ts';

/**
 * Marks amphorae whose certificates end before the given time (`YYYY-MM-DDTHH:MM:SS` UTC), the soonest first, and gives
 * their load balancers work; a worker renews and clears the mark. Answers what this call marked: of several callers one wins.
 */
export function claimDueCertificates(
  db: Database,
  ends_before: string,
  limit: number,
): Promise<readonly { readonly amphora_id: string; readonly loadbalancer_id: string }[]> {
  return db.tx(async (tx) => {
    const due = await tx
      .selectFrom('amphora')
      .innerJoin('loadbalancer as lb', 'lb.id', 'amphora.loadbalancer_id')
      .select(['amphora.id', 'lb.id as lb_id'])
      .where('amphora.cert_expiration', '<', ends_before)
      .where('amphora.cert_busy', '=', false)
      .where('amphora.status', 'not in', ['DELETED', 'PENDING_DELETE'])
      .where('lb.provisioning_status', 'not in', ['DELETED', 'PENDING_DELETE'])
      .orderBy('amphora.cert_expiration')
      .limit(limit)
      .execute();
    const claimed: { amphora_id: string; loadbalancer_id: string }[] = [];
    for (const { id, lb_id } of due) {
      const marked = await tx
        .updateTable('amphora')
        .set({ cert_busy: true })
        .where('id', '=', id)
        .where('cert_busy', '=', false)
        .executeTakeFirst();
      if (marked.numUpdatedRows === 0n) continue;
      await bumpGeneration(tx, lb_id);
      claimed.push({ amphora_id: id, loadbalancer_id: lb_id });
    }
    return claimed;
  });
}

const pending = ['PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE'] as const;

/**
 * Gives work to load balancers that are PENDING_* while the queue says that there is nothing to do. That must never be,
 * for both are written in one transaction; if it ever is (a row edited by hand, a lost table), it heals here.
 *
 * @param ignored providers that never report back, whose load balancers stay PENDING_* as they should
 */
export async function restartForgotten(db: Database, ignored: readonly string[]): Promise<readonly string[]> {
  const forgotten = await db.read
    .selectFrom('loadbalancer as lb')
    .leftJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
    .select(['lb.id', 'lb.provider', 'work.generation'])
    .where('lb.provisioning_status', 'in', pending)
    .where((eb) => eb.or([eb('work.generation', 'is', null), eb('work.generation', '<=', eb.ref('work.applied_generation'))]))
    .limit(500)
    .execute();
  const restarted: string[] = [];
  for (const { id, provider } of forgotten) {
    if (provider !== null && ignored.includes(provider)) continue;
    if (await restart(db, id)) restarted.push(id);
  }
  return restarted;
}

/** One load balancer; looked at again under its lock, which whoever changes it takes too. */
function restart(db: Database, id: string): Promise<boolean> {
  return db.tx(async (tx) => {
    const row = await forUpdate(
      tx.selectFrom('loadbalancer').select('id').where('id', '=', id).where('provisioning_status', 'in', pending),
    ).executeTakeFirst();
    if (row === undefined) return false;
    const work = await tx
      .selectFrom('reconciliation')
      .select(['generation', 'applied_generation'])
      .where('loadbalancer_id', '=', id)
      .executeTakeFirst();
    if (work === undefined) await insertReconciliation(tx, id);
    else if (work.generation > work.applied_generation) return false;
    else await bumpGeneration(tx, id);
    return true;
  });
}

/** ACTIVE load balancers without work, by id, after the given one. */
export async function listSettled(db: Database, after: string, limit: number, ignored: readonly string[]): Promise<readonly string[]> {
  const rows = await db.read
    .selectFrom('loadbalancer as lb')
    .innerJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
    .select(['lb.id', 'lb.provider'])
    .where('lb.provisioning_status', '=', 'ACTIVE')
    .where('lb.id', '>', after)
    .whereRef('work.generation', '=', 'work.applied_generation')
    .where((eb) => (ignored.length === 0 ? eb.lit(true) : eb.or([eb('lb.provider', 'is', null), eb('lb.provider', 'not in', ignored)])))
    .orderBy('lb.id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/** Gives work to those of the load balancers that are ACTIVE or in ERROR and have none; answers which. */
export function askForPasses(db: Database, loadbalancer_ids: readonly string[]): Promise<readonly string[]> {
  return db.tx(async (tx) => {
    const idle = await tx
      .selectFrom('loadbalancer as lb')
      .innerJoin('reconciliation as work', 'work.loadbalancer_id', 'lb.id')
      .select('lb.id')
      .where(isAmong(db.dialect, 'lb.id', loadbalancer_ids))
      .where('lb.provisioning_status', 'in', ['ACTIVE', 'ERROR'])
      .whereRef('work.generation', '=', 'work.applied_generation')
      .orderBy('lb.id')
      .execute();
    for (const { id } of idle) await bumpGeneration(tx, id);
    return idle.map((row) => row.id);
  });
}

/** Which of the amphorae have a row that is not DELETED, and which of the load balancers. */
export async function findLiving(
  db: Database,
  ids: { readonly amphorae: readonly string[]; readonly loadbalancers: readonly string[] },
): Promise<{ readonly amphorae: ReadonlySet<string>; readonly loadbalancers: ReadonlySet<string> }> {
  const amphorae = await db.read
    .selectFrom('amphora')
    .select('id')
    .where(isAmong(db.dialect, 'id', ids.amphorae))
    .where('status', '!=', 'DELETED')
    .execute();
  const loadbalancers = await db.read
    .selectFrom('loadbalancer')
    .select('id')
    .where(isAmong(db.dialect, 'id', ids.loadbalancers))
    .where('provisioning_status', '!=', 'DELETED')
    .execute();
  return { amphorae: new Set(amphorae.map((row) => row.id)), loadbalancers: new Set(loadbalancers.map((row) => row.id)) };
}

/** Amphorae in service with the instances that they should have. */
export async function listInService(
  db: Database,
): Promise<readonly { readonly id: string; readonly compute_id: string; readonly loadbalancer_id: string }[]> {
  const rows = await db.read
    .selectFrom('amphora')
    .select(['id', 'compute_id', 'loadbalancer_id'])
    .where('status', 'in', ['ALLOCATED', 'FAILOVER_STOPPED'])
    .where('compute_id', 'is not', null)
    .where('loadbalancer_id', 'is not', null)
    .execute();
  return rows as { id: string; compute_id: string; loadbalancer_id: string }[];
}

/** Load balancers that refer to secrets, and by which references; those without work alone, the others are looked at anyway. */
export async function listSecretUsers(
  db: Database,
): Promise<readonly { readonly loadbalancer_id: string; readonly project_id: string | null; readonly refs: readonly string[] }[]> {
  const listeners = await db.read
    .selectFrom('listener')
    .innerJoin('loadbalancer as lb', 'lb.id', 'listener.loadbalancer_id')
    .select(['lb.id as lb_id', 'lb.project_id as owner', 'default_tls_container_ref', 'sni_container_refs'])
    .select(['client_ca_tls_container_ref', 'client_crl_container_ref'])
    .where('listener.protocol', 'in', ['TERMINATED_HTTPS', 'PROMETHEUS'])
    .where('lb.provisioning_status', 'in', ['ACTIVE', 'ERROR'])
    .execute();
  const pools = await db.read
    .selectFrom('pool')
    .innerJoin('loadbalancer as lb', 'lb.id', 'pool.loadbalancer_id')
    .select(['lb.id as lb_id', 'lb.project_id as owner', 'tls_container_ref', 'ca_tls_container_ref', 'crl_container_ref'])
    .where('pool.tls_enabled', '=', true)
    .where('lb.provisioning_status', 'in', ['ACTIVE', 'ERROR'])
    .execute();
  return [...listeners, ...pools].flatMap(({ lb_id, owner, ...columns }) => {
    const refs = Object.values(columns)
      .flat()
      .filter((ref): ref is string => typeof ref === 'string' && ref !== '');
    return refs.length === 0 ? [] : [{ loadbalancer_id: lb_id, project_id: owner, refs }];
  });
}
