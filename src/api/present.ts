/** Showing a row that was just written, from within its transaction. */
import { idsIn } from '../db/json-rows.ts';
import { readMany } from '../db/read-many.ts';
import { replaceTags } from '../db/rows.ts';
import { Fault } from '../model/index.ts';
import type { Call } from './call.ts';
import type { Reader } from './deps.ts';
import { hasTagTwice, tagsOf } from './request/fill.ts';
import { groupRelated, presenterOf, type Resource, type Row } from './resource.ts';
import type { JsonObject } from './request/validate.ts';

/** The body of an answer that shows this row. */
export async function presentStored(
  call: Call,
  reader: Reader,
  resource: Resource,
  row: { readonly id: string },
): Promise<Record<string, unknown>> {
  const relations = await readMany(reader, resource.relations(reader, idsIn(call.deps.db.dialect, [row.id])));
  return { [resource.root]: presenterOf(resource)(row as unknown as Row, groupRelated(resource, relations)) };
}

/**
 * Replaces the tags of a resource when the request speaks of them. Null leaves them alone, as in the reference; of an L7 policy or rule
 * (`nullClears`) it removes them. Throws `Fault` 409 for a tag that is given twice.
 */
export async function updateTags(tx: Reader, id: string, body: JsonObject, nullClears = false): Promise<void> {
  if (body['tags'] === null && !nullClears) return;
  const tags = tagsOf(body);
  if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
  if (tags !== undefined) await replaceTags(tx, id, tags);
}
