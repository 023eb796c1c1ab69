/** Lists of any resource: equality filters, tags, sorting and paging by marker, as one query each. */
import { type ExpressionBuilder, type ExpressionWrapper, type Kysely, type SelectQueryBuilder, type SqlBool, sql } from 'kysely';
import type { Tables } from './tables.ts';

/** Tables of resources that can be listed. */
export type ListedTable =
  | 'loadbalancer'
  | 'listener'
  | 'pool'
  | 'member'
  | 'healthmonitor'
  | 'l7policy'
  | 'l7rule'
  | 'amphora'
  | 'quota'
  | 'flavor'
  | 'flavor_profile'
  | 'availability_zone'
  | 'availability_zone_profile';

/** A condition on a column; `null` matches NULL. The names are trusted: they come from the model, never from a request. */
export type ColumnFilter = {
  readonly column: string;
  readonly value: string | number | boolean | null;
  /** Text that is equal whatever its case, and without regard to spaces at its end. */
  readonly loose?: true;
};

/** One sort key; NULL sorts as `empty`, which is null for a column without NULL. */
export type SortKey = {
  readonly column: string;
  readonly descending: boolean;
  readonly empty: string | number | null;
  /** Text that is ordered whatever its case. */
  readonly loose?: true;
};

/** Which tags the rows must and must not have. */
export type TagFilter = {
  readonly all: readonly string[];
  readonly any: readonly string[];
  /** Rows having all of these are left out. */
  readonly notAll: readonly string[];
  readonly notAny: readonly string[];
};

/** What to list. */
export type ListQuery = {
  readonly filters: readonly ColumnFilter[];
  /** Rows with `id` (or the column `on`) among the results of these queries only. */
  readonly among: readonly {
    readonly table: 'listener' | 'healthmonitor' | 'pool' | 'loadbalancer';
    readonly column: string;
    readonly where: string;
    readonly value: string;
    readonly on?: string;
  }[];
  /** Rows in a state that nobody should see any more are left out when this column is given. */
  readonly hideDeleted: 'provisioning_status' | 'status' | null;
  readonly tags: TagFilter | null;
  readonly sort: readonly SortKey[];
  /** Rows after (or before) the row whose sort values these are. */
  readonly from: { readonly values: readonly (string | number | boolean | null)[]; readonly backwards: boolean } | null;
  /** Null: all. */
  readonly limit: number | null;
};

type Builder = ExpressionBuilder<Tables, keyof Tables>;
type Condition = ExpressionWrapper<Tables, keyof Tables, SqlBool>;

/**
 * The query of a list. A page read backwards comes in reversed order: the caller turns it round.
 */
export function listQuery(
  k: Kysely<Tables>,
  table: ListedTable,
  query: ListQuery,
): SelectQueryBuilder<Tables, keyof Tables, Record<string, unknown>> {
  const backwards = query.from?.backwards ?? false;
  let select = (k.selectFrom(table).selectAll() as unknown as SelectQueryBuilder<Tables, keyof Tables, Record<string, unknown>>).where(
    (eb) => eb.and(conditions(eb as Builder, table, query)),
  );
  for (const key of query.sort) select = select.orderBy(sortValue(table, key), key.descending === backwards ? 'asc' : 'desc');
  return query.limit === null ? select : select.limit(query.limit);
}

function conditions(eb: Builder, table: ListedTable, query: ListQuery): Condition[] {
  const list: Condition[] = query.filters.map(({ column, value, loose }) => {
    const stored = sql.ref(`${table}.${column}`);
    return loose === true ? compare(eb, looseText(stored), '=', looseText(value)) : compare(eb, stored, value === null ? 'is' : '=', value);
  });
  if (query.hideDeleted !== null) list.push(compare(eb, sql.ref(`${table}.${query.hideDeleted}`), '!=', 'DELETED'));
  for (const { table: other, column, where, value, on = 'id' } of query.among)
    list.push(
      eb(
        sql.ref(`${table}.${on}`) as never,
        'in',
        sql`(select ${sql.ref(column)} from ${sql.table(other)} where ${sql.ref(where)} = ${value})` as never,
      ),
    );
  if (query.tags !== null) list.push(...tagConditions(eb, table, query.tags));
  if (query.from !== null) list.push(afterMarker(eb, table, query.sort, query.from));
  return list;
}

const looseText = (value: unknown) => sql`lower(rtrim(${value}))`;

const compare = (eb: Builder, left: unknown, operator: '=' | '!=' | 'is' | '<' | '>', right: unknown): Condition =>
  eb(left as never, operator as never, right as never) as unknown as Condition;

function tagConditions(eb: Builder, table: ListedTable, tags: TagFilter): Condition[] {
  const having = (wanted: readonly string[]): Condition[] =>
    wanted.map((tag) =>
      compare(
        eb,
        sql.ref(`${table}.id`),
        'in' as never,
        sql`(select resource_id from tag where ${looseText(sql.ref('tag'))} = ${looseText(tag)})`,
      ),
    );
  const list = having(tags.all);
  if (tags.any.length > 0) list.push(eb.or(having(tags.any)) as Condition);
  if (tags.notAll.length > 0) list.push(eb.not(eb.and(having(tags.notAll))) as Condition);
  if (tags.notAny.length > 0) list.push(eb.not(eb.or(having(tags.notAny))) as Condition);
  return list;
}

function sortValue(table: ListedTable, { column, empty, loose }: SortKey) {
  const stored = sql.ref(`${table}.${column}`);
  const value = empty === null ? stored : sql`coalesce(${stored}, ${sql.lit(empty)})`;
  return loose === true ? sql`lower(${value})` : value;
}

/** (a > x) or (a = x and b > y) or … : rows after the marker in the order of the sort keys. */
function afterMarker(eb: Builder, table: ListedTable, sort: readonly SortKey[], from: NonNullable<ListQuery['from']>): Condition {
  const value = (index: number): unknown => {
    const known = from.values[index] ?? sort[index]?.empty;
    return sort[index]?.loose === true ? sql`lower(${known})` : known;
  };
  const alternatives = sort.map((key, index) =>
    eb.and([
      ...sort.slice(0, index).map((earlier, at) => compare(eb, sortValue(table, earlier), '=', value(at))),
      compare(eb, sortValue(table, key), key.descending === from.backwards ? '>' : '<', value(index)),
    ]),
  );
  return eb.or(alternatives) as Condition;
}
