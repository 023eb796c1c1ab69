/** What is the same for every resource: rows by id, inserts, updates, and the tags beside them. */
import { type Insertable, type Kysely, type RawBuilder, type SelectQueryBuilder, sql, type Updateable } from 'kysely';
import { forUpdate } from './database.ts';
import type { Tables } from './tables.ts';
import { writeMany } from './write-many.ts';

type Reader = Kysely<Tables>;

/** Ids of rows as `idsIn` gives them. */
export type IdList = RawBuilder<string>;

/** Tables whose rows have an id, a project and a life cycle. */
export type ResourceTable = 'loadbalancer' | 'listener' | 'pool' | 'member' | 'healthmonitor' | 'l7policy' | 'l7rule';

/** SQLite takes 32,766 parameters and PostgreSQL 65,535: rows inserted in one statement stay below. */
const MAX_PARAMETERS = 30_000;

/** The query of one row by its id, DELETED ones left out. */
export function rowQuery<T extends ResourceTable>(reader: Reader, table: T, id: string) {
  return (reader.selectFrom(table as 'listener').selectAll() as unknown as SelectOf<T>)
    .where('id' as never, '=', id as never)
    .where('provisioning_status' as never, '!=', 'DELETED' as never);
}

type SelectOf<T extends ResourceTable> = SelectQueryBuilder<Tables, T, Tables[T]>;

/** One row by its id; undefined when there is none or it is DELETED. */
export async function findRow<T extends ResourceTable>(reader: Reader, table: T, id: string): Promise<Tables[T] | undefined> {
  return (await rowQuery(reader, table, id).executeTakeFirst()) as Tables[T] | undefined;
}

/** One row by its id, locked until the transaction ends. */
export async function lockRow<T extends ResourceTable>(tx: Reader, table: T, id: string): Promise<Tables[T] | undefined> {
  return (await forUpdate(
    rowQuery(tx, table, id) as never as { forUpdate(): never; executeTakeFirst(): Promise<unknown> },
  ).executeTakeFirst()) as Tables[T] | undefined;
}

/** Inserts rows, in as few statements as the databases' limits allow. The transaction throws `UniqueViolation`. */
export async function insertRows<T extends ResourceTable>(tx: Reader, table: T, rows: readonly Tables[T][]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).length;
  const chunk = Math.max(1, Math.floor(MAX_PARAMETERS / Math.max(1, columns)));
  const chunks = chunksOf(rows, chunk) as unknown as Insertable<Tables[T]>[][];
  await writeMany(
    tx,
    chunks.map((each) => tx.insertInto(table).values(each)),
  );
}

/** Changes columns of rows by their ids; unknown ids are no error. */
export async function updateRows<T extends ResourceTable>(
  tx: Reader,
  table: T,
  ids: readonly string[],
  change: Partial<Tables[T]>,
): Promise<void> {
  const values = change as unknown as Updateable<Tables['listener']>;
  await writeMany(
    tx,
    chunksOf(ids, MAX_PARAMETERS / 2).map((each) =>
      tx
        .updateTable(table as 'listener')
        .set(values)
        .where('id', 'in', each),
    ),
  );
}

/** Replaces the tags of a resource. */
export async function replaceTags(tx: Reader, id: string, tags: readonly string[]): Promise<void> {
  await writeMany(tx, [tx.deleteFrom('tag').where('resource_id', '=', id)]);
  await insertTags(tx, [{ id, tags }]);
}

/** Writes the tags of new resources; a tag given twice counts once. */
export async function insertTags(
  tx: Reader,
  resources: readonly { readonly id: string; readonly tags: readonly string[] }[],
): Promise<void> {
  const rows = resources.flatMap(({ id, tags }) => [...new Set(tags)].map((tag) => ({ resource_id: id, tag })));
  await writeMany(
    tx,
    chunksOf(rows, MAX_PARAMETERS / 2).map((each) => tx.insertInto('tag').values(each)),
  );
}

function chunksOf<T>(list: readonly T[], length: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / length) }, (_, index) => list.slice(index * length, (index + 1) * length));
}

/** The query of the tags of some resources, in alphabetical order, capitals beside their small letters. */
export const tagsQuery = (reader: Reader, ids: IdList) =>
  reader
    .selectFrom('tag')
    .select(['resource_id', 'tag'])
    .where('resource_id', 'in', ids)
    .orderBy(sql`lower(tag)`)
    .orderBy('tag');

/**
 * How many rows of a project there are that count against its quota. Only load balancers stay as DELETED rows: without looking at the
 * status the others are counted in the index alone (SQLite: 5 ms instead of 160 ms for 100,000 members).
 */
export async function countOfProject(tx: Reader, table: ResourceTable, project_id: string): Promise<number> {
  const rows = tx
    .selectFrom(table as 'listener')
    .select(sql<number>`count(*)`.as('count'))
    .where('project_id', '=', project_id);
  const row = await (table === 'loadbalancer' ? rows.where('provisioning_status', '!=', 'DELETED') : rows).executeTakeFirstOrThrow();
  return Number(row.count);
}
