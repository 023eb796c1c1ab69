/** Counters of listeners, summed over the amphorae that serve them. */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** The counters of one listener, or of several together. Bytes and requests grow; `active_connections` is now. */
export type Statistics = {
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly active_connections: number;
  readonly total_connections: number;
  readonly request_errors: number;
};

/**
 * The sum over some listeners. Connections that are open count only at amphorae in service, and at providers without
 * amphorae (whose rows carry the listener's own id).
 */
export async function sumStatistics(
  reader: Kysely<Tables>,
  of: { readonly listener_id: string } | { readonly loadbalancer_id: string },
): Promise<Statistics> {
  const isLive = sql<boolean>`(amphora.status = 'ALLOCATED' or s.amphora_id = s.listener_id)`;
  const sum = (column: keyof Statistics) => sql<number>`coalesce(sum(s.${sql.ref(column)}), 0)`.as(column);
  let query = reader
    .selectFrom('listener_statistics as s')
    .leftJoin('amphora', 'amphora.id', 's.amphora_id')
    .select([
      sum('bytes_in'),
      sum('bytes_out'),
      sum('total_connections'),
      sum('request_errors'),
      sql<number>`coalesce(sum(case when ${isLive} then s.active_connections else 0 end), 0)`.as('active_connections'),
    ]);
  query =
    'listener_id' in of
      ? query.where('s.listener_id', '=', of.listener_id)
      : query.where('s.listener_id', 'in', (eb) =>
          eb.selectFrom('listener').select('listener.id').where('loadbalancer_id', '=', of.loadbalancer_id),
        );
  const row = await query.executeTakeFirstOrThrow();
  return {
    active_connections: Number(row.active_connections),
    bytes_in: Number(row.bytes_in),
    bytes_out: Number(row.bytes_out),
    request_errors: Number(row.request_errors),
    total_connections: Number(row.total_connections),
  };
}

/** The counters of one amphora that is not deleted, by listener. */
export const amphoraStatistics = (reader: Kysely<Tables>, amphora_id: string) =>
  reader
    .selectFrom('listener_statistics as s')
    .innerJoin('amphora as a', 'a.id', 's.amphora_id')
    .select(['s.listener_id', 's.bytes_in', 's.bytes_out', 's.active_connections', 's.total_connections', 's.request_errors'])
    .select(['a.id', 'a.loadbalancer_id'])
    .where('a.id', '=', amphora_id)
    .where('a.status', '!=', 'DELETED')
    .orderBy('s.listener_id')
    .execute();

/** What an amphora told last of its HAProxy, as JSON text; null when it did not, as upstream's does not. */
export async function findHaproxyReport(reader: Kysely<Tables>, amphora_id: string): Promise<string | null> {
  const row = await reader.selectFrom('amphora_health').select('haproxy').where('amphora_id', '=', amphora_id).executeTakeFirst();
  return row?.haproxy ?? null;
}

/** An amphora that is not deleted. */
export const findLiveAmphora = (reader: Kysely<Tables>, id: string): Promise<Tables['amphora'] | undefined> =>
  reader.selectFrom('amphora').selectAll().where('id', '=', id).where('status', '!=', 'DELETED').executeTakeFirst();
