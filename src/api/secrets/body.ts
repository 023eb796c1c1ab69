/** Bodies of the key manager: JSON whose texts are stripped, with Barbican's wording where a member does not fit. */
import type { FastifyRequest } from 'fastify';
import { Fault } from '../../model/faults.ts';
import { header } from '../identity/http.ts';
import { pythonRepr } from '../request/python-text.ts';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What a member may be. */
export type Member = {
  readonly type: 'string' | 'integer' | 'boolean' | 'array' | 'object';
  readonly nullable?: boolean;
  readonly required?: boolean;
  readonly max?: number;
  readonly min?: number;
  readonly choices?: readonly string[];
};

/** The members of an object by name; others are ignored. */
export type Shape = Readonly<Record<string, Member>>;

/** A refusal of a member. */
export const invalid = (schema: string, reason: string, property: string): Fault =>
  new Fault(400, `Provided object does not match schema '${schema}': ${reason}. Invalid property: '${property}'`);

/** Reads the body as JSON and checks it. Throws `Fault` 400 or 415. */
export function readBody(request: FastifyRequest, schema: string, shape: Shape): JsonObject {
  requireType(request, ['application/json']);
  let body: unknown;
  try {
    body = stripped(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body as Uint8Array | undefined)), 0);
  } catch {
    throw new Fault(400, 'Malformed JSON');
  }
  if (!isObject(body)) throw invalid(schema, `${shown(body)} is not of type 'object'`, '');
  for (const [name, member] of Object.entries(shape)) checkMember(schema, name, member, body);
  return body;
}

/** Throws `Fault` 415 unless the body is of one of these types. */
export function requireType(request: FastifyRequest, types: readonly string[]): string {
  const type = (header(request, 'content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!types.includes(type)) throw new Fault(415, `Unexpected content type. Expected content types are: ${pythonRepr(types)}`);
  return type;
}

/** Is it a JSON object? */
export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

function checkMember(schema: string, name: string, member: Member, body: JsonObject): void {
  const value = Object.hasOwn(body, name) ? body[name] : undefined;
  if (value === undefined) {
    if (member.required === true) throw invalid(schema, `'${name}' is a required property`, '');
    return;
  }
  if (value === null && member.nullable === true) return;
  if (!hasType(value, member.type)) {
    const types = [member.type, ...(member.nullable === true ? ['null'] : [])].map((type) => `'${type}'`);
    throw invalid(schema, `${shown(value)} is not of type ${types.join(', ')}`, name);
  }
  if (typeof value === 'string') checkText(schema, name, member, value);
  if (typeof value === 'number') {
    if (member.min !== undefined && value < member.min) throw invalid(schema, `${value} is less than the minimum of ${member.min}`, name);
    if (member.max !== undefined && value > member.max)
      throw invalid(schema, `${value} is greater than the maximum of ${member.max}`, name);
  }
}

function checkText(schema: string, name: string, member: Member, value: string): void {
  // PostgreSQL takes no NUL in a text.
  if (value.includes('\u0000')) throw invalid(schema, `'${name}' has a character that is not allowed`, name);
  if (member.choices !== undefined && !member.choices.includes(value))
    throw invalid(schema, `${shown(value)} is not one of ${pythonRepr(member.choices)}`, name);
  if (member.max !== undefined && [...value].length > member.max) throw invalid(schema, `${shown(value)} is too long`, name);
  if (member.min !== undefined && value.length < member.min) throw invalid(schema, `${shown(value)} is too short`, name);
}

function hasType(value: unknown, type: Member['type']): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  return type === 'integer' ? Number.isInteger(value) : typeof value === type;
}

/** Never more than a glance: the value may be a payload in the wrong place. */
const shown = (value: unknown): string => {
  const text = pythonRepr(value);
  return text.length > 40 ? `${text.slice(0, 20)}...` : text;
};

function stripped(value: unknown, depth: number): unknown {
  if (depth > 32) throw new RangeError('nested too deeply');
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map((each) => stripped(each, depth + 1));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, stripped(each, depth + 1)]));
}
