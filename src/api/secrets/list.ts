/** Lists as Barbican answers them: filters, sorting, and pages by offset. Pure. */
import { Fault } from '../../model/faults.ts';

/** The values that each query parameter was given. */
export type Query = ReadonlyMap<string, readonly string[]>;

/** A page of a list. */
export type Page<T> = { readonly items: readonly T[]; readonly total: number; readonly offset: number; readonly limit: number };

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;

/** The last value of a parameter; empty ones count as absent. */
export const textIn = (query: Query, name: string): string | undefined => query.get(name)?.at(-1) || undefined;

/** The page that a query asks for; what cannot be a number counts as absent, as in Barbican. */
export function pageOf<T>(items: readonly T[], query: Query): Page<T> {
  const offset = Math.max(0, wholeNumber(textIn(query, 'offset')) ?? 0);
  const limit = Math.min(MAX_LIMIT, Math.max(1, wholeNumber(textIn(query, 'limit')) ?? DEFAULT_LIMIT));
  return { items: items.slice(offset, offset + limit), total: items.length, offset, limit };
}

/** The answer for a page: `links` makes an address from a query. */
export function pageBody<T>(name: string, page: Page<T>, show: (item: T) => object, link: (query: string) => string): object {
  const { items, total, offset, limit } = page;
  const at = (start: number): string => link(`?limit=${limit}&offset=${start}`);
  return {
    [name]: items.map(show),
    ...(items.length > 0 && offset > 0 ? { previous: at(Math.max(0, offset - limit)) } : {}),
    ...(items.length > 0 && total > offset + limit ? { next: at(offset + limit) } : {}),
    total,
  };
}

const comparisons: Readonly<Record<string, (one: number, other: number) => boolean>> = {
  gt: (one, other) => one > other,
  gte: (one, other) => one >= other,
  lt: (one, other) => one < other,
  lte: (one, other) => one <= other,
  '': (one, other) => one === other,
};

/** Does a time fit `gt:2026-01-01T00:00:00,lte:…`? Throws `Fault` 400 when that cannot be read. */
export function fitsTime(time: string | null, filter: string): boolean {
  return filter.split(',').every((part) => {
    const [, name = '', text = ''] = /^(?:(gte?|lte?):)?(.*)$/su.exec(part) ?? [];
    const wanted = timeOf(text);
    if (wanted === null) throw badQuery();
    return time !== null && (comparisons[name]?.(Date.parse(`${time}Z`), wanted) ?? false);
  });
}

/** Milliseconds of a time in ISO 8601, UTC unless it says otherwise; null: it is none. */
export function timeOf(text: string): number | null {
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/u.test(text)) return null;
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/u.test(text) && text.length > 10;
  const ms = Date.parse(hasZone ? text : `${text}${text.length === 10 ? 'T00:00:00' : ''}Z`);
  return Number.isNaN(ms) || ms > Date.UTC(9999, 0) ? null : ms;
}

/** Sorted by `key:direction,…`. Throws `Fault` 400 for keys that are not among these. */
export function sorted<T extends object>(items: readonly T[], sort: string, keys: readonly string[]): readonly T[] {
  const wanted = sort.split(',').map((part) => {
    const [key = '', direction = 'asc', ...rest] = part.split(':');
    if (!keys.includes(key) || (direction !== 'asc' && direction !== 'desc') || rest.length > 0) throw badQuery();
    return { key: key as keyof T, sign: direction === 'asc' ? 1 : -1 };
  });
  return items.toSorted((one, other) => {
    for (const { key, sign } of wanted) {
      const order = compare(one[key], other[key]);
      if (order !== 0) return sign * order;
    }
    return 0;
  });
}

function compare(one: unknown, other: unknown): number {
  if (one === other) return 0;
  if (typeof one === 'number' && typeof other === 'number') return one - other;
  const [left, right] = [String(one ?? ''), String(other ?? '')];
  return left < right ? -1 : Number(left > right);
}

const badQuery = (): Fault => new Fault(400, 'URI provided invalid query string parameters.');

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^[+-]?\d{1,15}$/u.test(text.trim()) ? Number(text) : null;
}
