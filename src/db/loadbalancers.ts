/** Queries of load balancers. */
import type { Kysely } from 'kysely';
import type { LoadBalancer, ProvisioningStatus } from '../model/index.ts';
import { type IdList, rowQuery, tagsQuery, updateRows } from './rows.ts';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Reader = Kysely<Tables>;

/** The query of one load balancer. */
export const loadbalancerQuery = (reader: Reader, id: string) => rowQuery(reader, 'loadbalancer', id);

/** The queries of what an answer shows beside the columns: listeners, pools, tags. */
export const loadbalancerRelations = (reader: Reader, ids: IdList) =>
  [childQuery(reader, 'listener', ids), childQuery(reader, 'pool', ids), tagsQuery(reader, ids)] as const;

const childQuery = (reader: Reader, table: 'listener' | 'pool', ids: IdList) =>
  reader.selectFrom(table).select(['id', 'loadbalancer_id']).where('loadbalancer_id', 'in', ids).orderBy('created_at').orderBy('id');

/** Does a load balancer that is not deleted have this port? */
export async function isPortTaken(tx: Reader, vip_port_id: string | null): Promise<boolean> {
  const query = tx
    .selectFrom('loadbalancer')
    .select('id')
    .where('vip_port_id', '=', vip_port_id)
    .where('provisioning_status', '!=', 'DELETED');
  return (await query.executeTakeFirst()) !== undefined;
}

/** Sets the status of a load balancer and when it changed. */
export const markLoadBalancer = (tx: Reader, id: string, provisioning_status: ProvisioningStatus, updated_at: string): Promise<void> =>
  updateRows(tx, 'loadbalancer', [id], { provisioning_status, updated_at } as Partial<LoadBalancer>);

/** Forgets a load balancer that never came to be, with everything of it: the API undoes a create whose port was refused. */
export async function eraseLoadBalancer(tx: Reader, id: string): Promise<void> {
  const pools = tx.selectFrom('pool').select('id').where('loadbalancer_id', '=', id);
  const listeners = tx.selectFrom('listener').select('id').where('loadbalancer_id', '=', id);
  const members = tx.selectFrom('member').select('id').where('pool_id', 'in', pools);
  const monitors = tx.selectFrom('healthmonitor').select('id').where('pool_id', 'in', pools);
  await writeMany(tx, [
    ...[members, monitors, pools, listeners].map((ids) => tx.deleteFrom('tag').where('resource_id', 'in', ids)),
    tx.deleteFrom('tag').where('resource_id', '=', id),
    tx.deleteFrom('member').where('pool_id', 'in', pools),
    tx.deleteFrom('healthmonitor').where('pool_id', 'in', pools),
    tx.deleteFrom('listener').where('loadbalancer_id', '=', id),
    tx.deleteFrom('pool').where('loadbalancer_id', '=', id),
    tx.deleteFrom('reconciliation').where('loadbalancer_id', '=', id),
    tx.deleteFrom('loadbalancer').where('id', '=', id),
  ]);
}
