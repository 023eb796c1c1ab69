/** From a request's body to the columns of a row: what was left out gets its default, `null` brings the default back. */
import type { Field, Fields } from '../../model/index.ts';
import type { ApiOptions } from '../deps.ts';
import type { JsonObject } from './validate.ts';

/** The columns of a new row that a create request decides about. */
export function newColumns(fields: Fields, body: JsonObject, options: ApiOptions): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields) as [string, Field][]) {
    if (field.post === undefined || field.computed === true) continue;
    columns[name] = Object.hasOwn(body, name) ? valueOf(name, field, body[name], options) : defaultOf(field, options);
  }
  return columns;
}

/** The columns that an update request changes. */
export function changedColumns(fields: Fields, body: JsonObject, options: ApiOptions): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields) as [string, Field][]) {
    if (field.put === undefined || field.computed === true || !Object.hasOwn(body, name)) continue;
    columns[name] = valueOf(name, field, body[name], options);
  }
  return columns;
}

function valueOf(name: string, field: Field, value: unknown, options: ApiOptions): unknown {
  if (value !== null) return value;
  // The reference's one exception: an administrative state of null is "down".
  return name === 'admin_state_up' ? false : defaultOf(field, options);
}

function defaultOf(field: Field, options: ApiOptions): unknown {
  if (field.fallback_option === undefined) return field.fallback ?? null;
  return options[field.fallback_option.slice(field.fallback_option.indexOf('.') + 1) as keyof ApiOptions];
}

/** The tags that a request carries; undefined when it does not speak of them. */
export const tagsOf = (body: JsonObject): readonly string[] | undefined =>
  Object.hasOwn(body, 'tags') ? ((body['tags'] as string[] | null) ?? []) : undefined;

/** The tags of a new resource in the order in which answers show them (see `tagsQuery`). */
export const orderedTags = (body: JsonObject): readonly string[] =>
  (tagsOf(body) ?? []).toSorted((one, other) => order(one.toLowerCase(), other.toLowerCase()) || order(one, other));

const order = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

/** Does the request name a tag twice? The reference refuses that on a create. */
export const hasTagTwice = (body: JsonObject): boolean => {
  const tags = tagsOf(body) ?? [];
  return new Set(tags).size < tags.length;
};
