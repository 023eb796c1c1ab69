/** Reading what a client sent, attribute by attribute; what is wrong becomes a `Fault` 400 that names it. */
import { Fault } from '../../model/faults.ts';

/** A JSON object from outside: any member may be anything. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The JSON object of a request's body. Throws `Fault` 400 when there is none, or it is not one. */
export function jsonBody(body: unknown): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.isBuffer(body) ? body.toString('utf8') : '');
  } catch (error) {
    throw new Fault(400, 'The request body is not valid JSON.', { cause: error });
  }
  if (!isObject(value)) throw new Fault(400, 'The request body is not a JSON object.');
  return value;
}

/** Whether a value is a JSON object, arrays and null not counted. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A member that has to be an object. */
export function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  if (value === undefined) throw new Fault(400, `Expecting to find ${key} in the request body.`);
  if (!isObject(value)) throw new Fault(400, `Invalid input for field '${key}': it is not an object.`);
  return value;
}

/** A text of at least one character, or undefined where the key is absent; `nullable`: null counts as absent. */
export function textAt(
  parent: JsonObject,
  key: string,
  options: { readonly max?: number; readonly nullable?: boolean } = {},
): string | undefined {
  const value = parent[key];
  if (value === undefined || (value === null && options.nullable === true)) return undefined;
  const text = anyTextAt(parent, key, options.max);
  if (text === '') throw new Fault(400, `Invalid input for field '${key}': it is empty.`);
  return text;
}

/** A text that may be empty; absent and null are ''. */
export function anyTextAt(parent: JsonObject, key: string, max = 255): string {
  const value = parent[key] ?? '';
  if (typeof value !== 'string') throw new Fault(400, `Invalid input for field '${key}': it is not of type 'string'.`);
  if (value.length > max) throw new Fault(400, `Invalid input for field '${key}': it is longer than ${max} characters.`);
  // A zero byte cannot be kept by every database, and half a surrogate pair by none.
  if (value.includes('\0') || !value.isWellFormed())
    throw new Fault(400, `Invalid input for field '${key}': it has characters that are not text.`);
  return value;
}

/** A text that has to be there. */
export function requiredTextAt(parent: JsonObject, key: string, max = 255): string {
  const text = textAt(parent, key, { max });
  if (text === undefined) throw new Fault(400, `Expecting to find ${key} in the request body.`);
  return text;
}

/** A boolean, or undefined where the key is absent. */
export function booleanAt(parent: JsonObject, key: string): boolean | undefined {
  const value = parent[key];
  if (value === undefined || typeof value === 'boolean') return value;
  throw new Fault(400, `Invalid input for field '${key}': it is not of type 'boolean'.`);
}

/** A list, or undefined where the key is absent or null. */
export function listAt(parent: JsonObject, key: string, max = 200): readonly unknown[] | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new Fault(400, `Invalid input for field '${key}': it is not of type 'array'.`);
  if (value.length > max) throw new Fault(400, `Invalid input for field '${key}': it has more than ${max} items.`);
  return value;
}
