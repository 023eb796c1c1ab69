/** The arguments of a list request (api-ref "Filtering and Column Selection", "Sorting", "Pagination"), read into a query. */
import type { ListQuery, SortKey, TagFilter } from '../../db/list.ts';
import { type Field, Fault } from '../../model/index.ts';
import type { ApiOptions } from '../deps.ts';
import { isTrue, type QueryArgs } from '../http/query.ts';
import { isNullable, kindOf, type Resource, type ValueKind } from '../resource.ts';

const RESERVED = new Set(['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'fields', 'page_reverse']);
const PROJECT_ARGS = new Set(['project_id', 'tenant_id']);
const TAG_ARGS = new Set(['tags', 'tags-any', 'not-tags', 'not-tags-any']);

/** Filters on columns and on rows of other tables; null: a value that no row can have, so the list is empty. */
export type Filters = Pick<ListQuery, 'filters' | 'among'> | null;

/** Reads the filters. Throws `Fault` 400 for an unknown or repeated argument. */
export function readFilters(resource: Resource, query: QueryArgs, options: ApiOptions): Filters {
  const filters: ListQuery['filters'][number][] = [];
  const among: ListQuery['among'][number][] = [];
  if (!options.allow_filtering) return { filters, among };
  let isPossible = true;
  for (const name of query.names) {
    if (RESERVED.has(name) || TAG_ARGS.has(name) || (PROJECT_ARGS.has(name) && 'project_id' in resource.fields)) continue;
    const values = query.all(name);
    const other = Object.hasOwn(resource.amongFilters ?? {}, name) ? resource.amongFilters?.[name] : undefined;
    const value = other === undefined ? readFilter(resource, name, values) : undefined;
    if (values.length > 1) throw badArgument();
    if (other !== undefined) among.push({ ...other, value: values[0] ?? '' });
    else if (value === undefined) isPossible = false;
    else filters.push({ column: name, value });
  }
  return isPossible ? { filters, among } : null;
}

const badArgument = (): Fault => new Fault(400, 'One or more arguments are either duplicate or invalid');

/** A field of the table itself: names such as `constructor` come from requests. */
const ownField = (resource: Resource, name: string): Field | undefined =>
  Object.hasOwn(resource.fields, name) ? (resource.fields as Record<string, Field>)[name] : undefined;

/** Names that a list may be filtered by, without the tag filters and those on other tables. */
export const filterNames = (resource: Resource): string[] =>
  Object.keys(resource.fields).filter((name) => filterKind(resource, name) !== 'json' && name !== 'project_id');

function filterKind(resource: Resource, name: string): ValueKind {
  const field = ownField(resource, name);
  const isColumn = field !== undefined && field.computed !== true && (field.hidden !== true || resource.alsoFilters.includes(name));
  return isColumn ? kindOf(field.schema) : 'json';
}

/** The value of a filter as the column stores it; undefined when no row can have it. */
function readFilter(resource: Resource, name: string, [text = '']: readonly string[]): string | number | boolean | undefined {
  const kind = filterKind(resource, name);
  if (kind === 'json') throw badArgument();
  if (kind === 'boolean') return isTrue(text);
  if (kind === 'text') return text;
  const number = Number(text);
  const fits =
    text.trim() !== '' && Number.isFinite(number) && Math.abs(number) < 2 ** 53 && (kind === 'number' || Number.isInteger(number));
  return fits ? number : undefined;
}

/** Reads the four tag filters; null without any. */
export function readTags(query: QueryArgs, options: ApiOptions): TagFilter | null {
  if (!options.allow_filtering) return null;
  const words = (name: string): string[] => query.all(name).flatMap((value) => value.split(',').filter((word) => word !== ''));
  const tags = { all: words('tags'), any: words('tags-any'), notAll: words('not-tags'), notAny: words('not-tags-any') };
  return Object.values(tags).some((list) => list.length > 0) ? tags : null;
}

/** Reads the sort keys; creation time and id come last, so that the order is total. Throws `Fault` 400. */
export function readSort(resource: Resource, query: QueryArgs, options: ApiOptions, idColumn: string): SortKey[] {
  const asked = options.allow_sorting ? askedOrder(query) : [];
  const tail = ['created_at', idColumn].filter((name) => name in resource.fields && !asked.some(([column]) => column === name));
  return [...asked, ...tail.map((name) => [name, 'asc'] as const)].map(([name, direction]) => sortKey(resource, name, direction));
}

function askedOrder(query: QueryArgs): (readonly [string, string])[] {
  const list = (name: string): string[] =>
    query
      .all(name)
      .flatMap((value) => value.split(','))
      .map((each) => each.trim());
  const combined = list('sort').filter((each) => each !== '');
  if (combined.length > 0)
    return combined.map((each) => {
      const [name = '', direction = ''] = each.split(':');
      return [name, direction === '' ? 'asc' : direction] as const;
    });
  const directions = list('sort_dir');
  return list('sort_key')
    .filter((each) => each !== '')
    .map((name, index) => [name, directions[index] || 'asc'] as const);
}

function sortKey(resource: Resource, name: string, direction: string): SortKey {
  const column = name === 'tenant_id' ? 'project_id' : name;
  const field = ownField(resource, column);
  const isColumn = field !== undefined && field.computed !== true && (field.hidden !== true || resource.alsoFilters.includes(column));
  if (!isColumn || kindOf(field.schema) === 'json') throw new Fault(400, `Supplied sort key '${name}' is not valid.`);
  if (direction !== 'asc' && direction !== 'desc') throw new Fault(400, `Supplied sort direction '${direction}' is not valid.`);
  const isText = kindOf(field.schema) === 'text';
  return { column, descending: direction === 'desc', empty: isNullable(field.schema) ? (isText ? '' : 0) : null };
}

/** Reads how many rows a page has; null: all. Throws `Fault` 400. */
export function readLimit(query: QueryArgs, options: ApiOptions): number | null {
  const most = options.pagination_max_limit;
  const text = options.allow_pagination ? query.last('limit') : undefined;
  if (query.all('limit').length > 1) throw badArgument();
  if (text === undefined) return most;
  if (text === 'infinite') return null;
  if (!/^\s*[+-]?\d+\s*$/u.test(text)) throw new Fault(400, `Supplied pagination limit '${text}' is not valid.`);
  const limit = Number(text);
  if (limit < 1) return null;
  return most === null ? Math.min(limit, Number.MAX_SAFE_INTEGER) : Math.min(limit, most);
}

/** Which fields are asked for; null: all. */
export function readFields(query: QueryArgs, options: ApiOptions): ReadonlySet<string> | null {
  return options.allow_field_selection && query.names.includes('fields') ? new Set(query.all('fields')) : null;
}
