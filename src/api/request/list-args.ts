/** The arguments of a list request (api-ref "Filtering and Column Selection", "Sorting", "Pagination"), read into a query. */
import type { TSchema } from 'typebox';
import type { ListQuery, SortKey, TagFilter } from '../../db/list.ts';
import { type Field, Fault } from '../../model/index.ts';
import type { ApiOptions } from '../deps.ts';
import { Refusal } from '../http/errors.ts';
import { isTrue, type QueryArgs } from '../http/query.ts';
import { isNullable, kindOf, type Resource, type ValueKind } from '../resource.ts';
import { pythonRepr } from './python-text.ts';

const ONCE = ['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'project_id'];
const RESERVED = new Set(['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'page_reverse', 'fields']);
const TAG_ARGS = new Set(['tags', 'tags-any', 'not-tags', 'not-tags-any']);

/** Names that the reference takes for a column besides its field's: openstacksdk lists the listeners of a load balancer by this one. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([['load_balancer_id', 'loadbalancer_id']]);

/** Filters on columns and on rows of other tables; null: a value that no row can have, so the list is empty. */
export type Filters = Pick<ListQuery, 'filters' | 'among'> | null;

/** Reads the filters. Throws `Fault` 400 for an unknown or repeated argument. */
export function readFilters(resource: Resource, query: QueryArgs, options: ApiOptions): Filters {
  const filters: ListQuery['filters'][number][] = [];
  const among: ListQuery['among'][number][] = [];
  if (!options.allow_filtering) return { filters, among };
  if (ONCE.some((name) => query.all(name).length > 1)) throw badArgument();
  let isPossible = true;
  for (const asked of query.names) {
    const name = OTHER_NAMES.get(asked) ?? asked;
    if (RESERVED.has(name) || TAG_ARGS.has(name) || (name === 'project_id' && name in resource.fields)) continue;
    const values = query.all(asked);
    if (values.length > 1 && isSilent(resource, name)) {
      // No list is equal to a truth value but that of a word that is none, or to another list.
      if (filterKind(resource, name) === 'json') isPossible = false;
      else filters.push({ column: name, value: false });
      continue;
    }
    const other = Object.hasOwn(resource.amongFilters ?? {}, name) ? resource.amongFilters?.[name] : undefined;
    const value = other === undefined ? readFilter(resource, name, values) : undefined;
    if (values.length > 1) throw badArgument();
    if (other !== undefined) among.push({ ...other, value: values[0] ?? '' });
    else if (value === undefined) isPossible = false;
    else filters.push({ column: name, value, ...(isFreeText(resource, name) && { loose: true }) });
  }
  return isPossible ? { filters, among } : null;
}

/** Columns for which the reference takes a filter that is repeated. */
const isSilent = (resource: Resource, name: string): boolean =>
  filterField(resource, name) !== undefined && !RELATIONS.has(name) && ['boolean', 'json'].includes(filterKind(resource, name));

/** Text that people write; the reference's database compares it in any case, and finds ids and words so, too. */
function isFreeText(resource: Resource, name: string): boolean {
  const field = filterField(resource, name);
  return field !== undefined && kindOf(field.schema) === 'text' && !isWord(field.schema) && !isId(field.schema);
}

const isId = (schema: TSchema): boolean => hasFormat(schema, 'uuid') || hasFormat(schema, 'octavia-time');

function hasFormat(schema: TSchema, wanted: string): boolean {
  const { format, anyOf } = schema as { format?: string; anyOf?: TSchema[] };
  return format === wanted || (anyOf ?? []).some((each) => hasFormat(each, wanted));
}

/** A text in the case in which its column has it: words and the T of times in capitals, ids in small letters, what people write in any. */
function inStoredCase(schema: TSchema, text: string): string {
  if (isWord(schema)) return text.trimEnd().toUpperCase();
  if (hasFormat(schema, 'octavia-time')) return text.toUpperCase();
  return hasFormat(schema, 'uuid') ? text.toLowerCase() : text;
}

const badArgument = (): Fault => new Fault(400, 'One or more arguments are either duplicate or invalid');

/** A field of the table itself: names such as `constructor` come from requests. */
const ownField = (resource: Resource, name: string): Field | undefined =>
  Object.hasOwn(resource.fields, name) ? (resource.fields as Record<string, Field>)[name] : undefined;

/** Names that a list may be filtered by, without the tag filters and those on other tables. */
export const filterNames = (resource: Resource): string[] =>
  Object.keys(resource.fields).filter((name) => filterKind(resource, name) !== 'json' && name !== 'project_id');

function filterKind(resource: Resource, name: string): ValueKind {
  const field = filterField(resource, name);
  return field === undefined ? 'json' : kindOf(field.schema);
}

/** The field of a column that may be filtered by. */
function filterField(resource: Resource, name: string): Field | undefined {
  const field = ownField(resource, name);
  const isColumn = field !== undefined && field.computed !== true && (field.hidden !== true || resource.alsoFilters.includes(name));
  return isColumn ? field : undefined;
}

/** Lists that the reference keeps in tables of their own, and refuses to compare. */
const RELATIONS = new Set(['additional_vips', 'allowed_cidrs', 'session_persistence', 'sni_container_refs']);

/** Is it a column of words in capitals? Those are found in any case, as in the reference. */
function isWord(schema: TSchema): boolean {
  const { enum: words, anyOf } = schema as { enum?: string[]; anyOf?: TSchema[] };
  return words === undefined ? (anyOf ?? []).some(isWord) : words.every((word) => word === word.toUpperCase());
}

/** The value of a filter as the column stores it; undefined when no row can have it. */
function readFilter(resource: Resource, name: string, [text = '']: readonly string[]): string | number | boolean | undefined {
  const field = filterField(resource, name);
  if (field === undefined || RELATIONS.has(name)) throw badArgument();
  const kind = kindOf(field.schema);
  // No text is equal to a list.
  if (kind === 'json') return undefined;
  if (kind === 'boolean') return isTrue(text);
  if (kind === 'text') return inStoredCase(field.schema, text);
  // As the reference's database reads text as a number: as far as it is one.
  const number = Number(/^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iu.exec(text)?.[0] ?? 0);
  const fits = Math.abs(number) < 2 ** 53 && (kind === 'number' || Number.isInteger(number));
  return fits ? number : undefined;
}

/** Reads the four tag filters; null without any. */
export function readTags(query: QueryArgs, options: ApiOptions): TagFilter | null {
  if (!options.allow_filtering) return null;
  const words = (name: string): string[] => query.all(name).flatMap((value) => value.split(','));
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
  const combined = query.last('sort') ?? '';
  if (combined !== '')
    return combined.split(',').map((each) => {
      const [name = '', direction = 'asc', ...more] = each.split(':');
      if (more.length > 0) throw badSortKey(pythonRepr(each.split(':')));
      return [name, readDirection(direction)] as const;
    });
  const keys = query.last('sort_key') ?? '';
  const directions = (query.last('sort_dir') || 'asc').split(',');
  return keys === '' ? [] : keys.split(',').map((name, index) => [name, readDirection(directions[index] ?? 'asc')] as const);
}

function readDirection(text: string): string {
  const direction = text.toLowerCase();
  if (direction !== 'asc' && direction !== 'desc')
    throw new Refusal(400, 'Bad Request', `Supplied sort direction '${direction}' is not valid.`);
  return direction;
}

const badSortKey = (name: string): Fault => new Fault(400, `Supplied sort key '${name}' is not valid.`);

/** Checks what the reference checks of every GET, whether it lists something or not. Throws `Fault` 400. */
export function checkPaging(query: QueryArgs, options: ApiOptions): void {
  readLimit(query, options);
  if (options.allow_sorting) askedOrder(query);
}

function sortKey(resource: Resource, name: string, direction: string): SortKey {
  const field = ownField(resource, name);
  const isColumn = field !== undefined && field.computed !== true && (field.hidden !== true || resource.alsoFilters.includes(name));
  if (!isColumn || kindOf(field.schema) === 'json' || name === 'loadbalancer_id') throw badSortKey(name);
  const isText = kindOf(field.schema) === 'text';
  const loose = isText && !isWord(field.schema) && !isId(field.schema);
  return {
    column: name,
    descending: direction === 'desc',
    empty: isNullable(field.schema) ? (isText ? '' : 0) : null,
    ...(loose && { loose: true }),
  };
}

/** Reads how many rows a page has; null: all. Throws `Fault` 400. */
export function readLimit(query: QueryArgs, options: ApiOptions): number | null {
  const most = options.pagination_max_limit;
  const text = options.allow_pagination ? query.last('limit') : undefined;
  if (query.all('limit').length > 1) throw badArgument();
  if (text === undefined) return most;
  if (text === 'infinite') return null;
  if (!/^\s*[+-]?\d+(?:_\d+)*\s*$/u.test(text)) throw new Refusal(400, 'Bad Request', `Supplied pagination limit '${text}' is not valid.`);
  const limit = Number(text.replaceAll('_', ''));
  if (limit < 1) return null;
  return most === null ? Math.min(limit, Number.MAX_SAFE_INTEGER) : Math.min(limit, most);
}

/** Which fields are asked for; null: all. */
export function readFields(query: QueryArgs, options: ApiOptions): ReadonlySet<string> | null {
  return options.allow_field_selection && query.names.includes('fields') ? new Set(query.all('fields')) : null;
}
