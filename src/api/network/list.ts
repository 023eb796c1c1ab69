/** Lists as Neutron answers them: filters by any attribute, tags, sorting, pages and a choice of fields. Pure. */
import { NetworkFault } from '../../cloud/local/network/faults.ts';
import { canonicalAddress } from '../../cloud/local/network/addresses.ts';
import type { JsonObject } from '../identity/fields.ts';
import { badRequest } from './attributes.ts';

/** A query: the values of each parameter in order. */
export type Query = ReadonlyMap<string, readonly string[]>;

/** One page: the items, and the queries of the pages beside it. */
export type Page = {
  readonly items: readonly JsonObject[];
  readonly next: URLSearchParams | null;
  readonly previous: URLSearchParams | null;
};

const notFilters = new Set(['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir']);
const booleans: Readonly<Record<string, string>> = { '1': 'true', '0': 'false' };

/** Those items that a query asks for. Throws `NetworkFault` 400 for a malformed limit or sorting, 404 for an unknown marker. */
export function selectPage(items: readonly JsonObject[], query: Query): Page {
  const found = sorted(
    items.filter((item) => matches(item, query)),
    query,
  );
  const limit = limitOf(query);
  const isReverse = query.get('page_reverse')?.at(-1)?.toLowerCase() === 'true';
  const rest = behind(isReverse ? found.toReversed() : found, query.get('marker')?.at(-1));
  const page = limit === null ? rest : rest.slice(0, limit);
  const shown = isReverse ? page.toReversed() : page;
  const hasMore = page.length < rest.length;
  const hasBefore = query.has('marker') && shown.length > 0;
  return {
    items: shown.map((item) => chosen(item, query)),
    next: (isReverse ? hasBefore : hasMore) ? besideQuery(query, shown.at(-1), false) : null,
    previous: (isReverse ? hasMore : hasBefore) ? besideQuery(query, shown[0], true) : null,
  };
}

/** An item with the fields that the query chose; all when it chose none. */
export function chosen(item: JsonObject, query: Query): JsonObject {
  const fields = query.get('fields')?.flatMap((each) => each.split(','));
  if (fields === undefined || fields.every((each) => each === '')) return item;
  return Object.fromEntries(Object.entries(item).filter(([key]) => fields.includes(key)));
}

function matches(item: JsonObject, query: Query): boolean {
  for (const [name, values] of query) {
    if (notFilters.has(name)) continue;
    if (name === 'fixed_ips') {
      if (!hasFixedIps(item[name], values)) return false;
    } else if (name === 'tags' || name === 'tags-any' || name === 'not-tags' || name === 'not-tags-any') {
      if (!hasTags(item['tags'], name, values)) return false;
    } else if (Object.hasOwn(item, name) && !values.some((value) => isEqual(item[name], value))) return false;
    // Parameters that are no attribute are ignored, as Neutron does without filter validation.
  }
  return true;
}

function isEqual(attribute: unknown, value: string): boolean {
  if (Array.isArray(attribute)) return attribute.some((each) => isEqual(each, value));
  if (attribute === null) return value === '' || value === 'None' || value === 'null';
  if (typeof attribute === 'boolean') return String(attribute) === (booleans[value] ?? value.toLowerCase());
  return (typeof attribute === 'string' || typeof attribute === 'number') && String(attribute) === value;
}

/** `fixed_ips=subnet_id=…&fixed_ips=ip_address=…`: values of one kind are alternatives, the kinds must all be met. */
function hasFixedIps(attribute: unknown, values: readonly string[]): boolean {
  const addresses = (Array.isArray(attribute) ? attribute : []) as readonly Readonly<Record<string, string>>[];
  const pairs = values.map((value) => {
    const cut = value.indexOf('=');
    return [value.slice(0, cut), value.slice(cut + 1)] as const;
  });
  const kinds = new Set(pairs.map(([kind]) => kind));
  return [...kinds].every((kind) =>
    pairs.some(([each, wanted]) => {
      if (each !== kind) return false;
      if (kind === 'ip_address_substr') return addresses.some((one) => one['ip_address']?.includes(wanted) === true);
      const canonical = kind === 'ip_address' ? (canonicalAddress(wanted) ?? wanted) : wanted;
      return addresses.some((one) => one[kind] === canonical);
    }),
  );
}

function hasTags(attribute: unknown, name: string, values: readonly string[]): boolean {
  const present = Array.isArray(attribute) ? attribute : [];
  const wanted = values.flatMap((value) => value.split(','));
  const all = wanted.every((tag) => present.includes(tag));
  const any = wanted.some((tag) => present.includes(tag));
  return { tags: all, 'tags-any': any, 'not-tags': !all, 'not-tags-any': !any }[name] ?? true;
}

function sorted(items: readonly JsonObject[], query: Query): readonly JsonObject[] {
  const keys = query.get('sort_key') ?? [];
  const directions = query.get('sort_dir') ?? [];
  if (directions.length > 0 && directions.length !== keys.length) throw badRequest('The number of sort_keys and sort_dirs must be same');
  if (directions.some((each) => each !== 'asc' && each !== 'desc')) throw badRequest("The sort direction must be 'asc' or 'desc'");
  const [first] = items;
  const stranger = first === undefined ? undefined : keys.find((key) => !Object.hasOwn(first, key) || typeof first[key] === 'object');
  if (stranger !== undefined && first?.[stranger] !== null)
    throw badRequest(`'${stranger.slice(0, 64)}' is an invalid attribute for sort key`);
  return items.toSorted((one, other) => {
    for (const [index, key] of keys.entries()) {
      const order = compare(one[key], other[key]);
      if (order !== 0) return directions[index] === 'desc' ? -order : order;
    }
    return 0;
  });
}

function compare(one: unknown, other: unknown): number {
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  const [left, right] = [String(one ?? ''), String(other ?? '')];
  return left < right ? -1 : Number(left > right);
}

function limitOf(query: Query): number | null {
  const given = query.get('limit')?.at(-1);
  if (given === undefined) return null;
  if (!/^\d{1,9}$/u.test(given)) throw badRequest(`Bad limit: '${given.slice(0, 32)}' is not a whole number of at least 0`);
  return given === '0' ? null : Number(given);
}

function behind(items: readonly JsonObject[], marker: string | undefined): readonly JsonObject[] {
  if (marker === undefined) return items;
  const index = items.findIndex((item) => item['id'] === marker);
  if (index < 0) throw new NetworkFault(404, 'MarkerNotFound', `The marker ${marker.slice(0, 64)} could not be found.`);
  return items.slice(index + 1);
}

function besideQuery(query: Query, item: JsonObject | undefined, isReverse: boolean): URLSearchParams | null {
  if (item === undefined) return null;
  const parameters = new URLSearchParams();
  for (const [name, values] of query) {
    if (name !== 'marker' && name !== 'page_reverse') for (const value of values) parameters.append(name, value);
  }
  parameters.set('marker', String(item['id']));
  if (isReverse) parameters.set('page_reverse', 'True');
  return parameters;
}
