/**
 * Reading request bodies: types, bounds and unknown names, in the order and the words of the reference (WSME).
 *
 * A shape is made once from a resource's field table. Values are converted as the reference does (numeric text becomes a
 * number, `yes` a boolean); `null` passes everywhere and is given its meaning later, by the resource.
 */
import { isIP } from 'node:net';
import type { TSchema } from 'typebox';
import { type Field, type Fields, Fault } from '../../model/index.ts';
import { maskCidr } from '../../model/rules/addresses.ts';
import { attributeSchema, described, isDescribed, type JsonSchema, publicSchema, schemaOf } from './describe.ts';
import { pythonRepr, pythonStr } from './python-text.ts';

/** A JSON object as it came. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads one value that is not null; throws `Refused`, `Unreadable`, `UnknownNames` or a `Fault` from further inside. */
export type Reader = (value: unknown) => unknown;

/** What an object of a request may hold, in the order in which it is checked. */
export type Shape = ReadonlyMap<string, Attribute>;

/** One attribute of a shape; `field` and `of` say what it is of, for the API's description. */
export type Attribute = { readonly read: Reader; readonly mandatory: boolean; readonly field?: Field; readonly of?: 'post' | 'put' };

/** The value is of the right type but not allowed: the message names the attribute. */
class Refused extends Error {
  /** What the message shows instead of what came. */
  readonly shown: unknown;

  constructor(message: string, shown?: unknown) {
    super(message);
    this.shown = shown;
  }
}

/** The value is of another type: the message shows the whole body. */
class Unreadable extends Error {}

/** Names that the shape does not have; `path` grows on the way out. */
class UnknownNames extends Error {
  readonly names: readonly string[];
  readonly path: string[];

  constructor(names: readonly string[], path: string[] = []) {
    super('unknown attribute');
    this.names = names;
    this.path = path;
  }
}

/**
 * Reads the JSON body `{root: {…}}` of a request. Answers the converted object, or undefined when `root` is absent.
 *
 * @param argument the name under which the reference's messages know the body
 */
export function readBody(body: unknown, argument: string, root: string, shape: Reader): unknown {
  try {
    const whole = objectReader(new Map([[root, { read: shape, mandatory: false }]]));
    if (body === null) throw new Unreadable('Value not an object: None');
    return (whole(body) as JsonObject)[root];
  } catch (error) {
    if (error instanceof UnknownNames)
      throw new Fault(
        400,
        `Unknown attribute${error.names.length > 1 ? 's' : ''} for argument ${[argument, ...error.path].join('.')}: ${error.names.join(', ')}`,
        {
          cause: error,
        },
      );
    if (error instanceof Unreadable || error instanceof Refused) throw invalid(argument, body, error.message, error);
    throw error;
  }
}

/** The fault for a value that is not allowed, in the reference's words. */
export function invalid(attribute: string, value: unknown, message: string, cause?: unknown): Fault {
  return new Fault(400, `Invalid input for field/attribute ${attribute}. Value: '${pythonStr(value)}'. ${message}`, { cause });
}

/** Reads an object of a shape. */
export function objectReader(shape: Shape): Reader {
  const schema = (): JsonSchema => ({
    type: 'object',
    properties: Object.fromEntries([...shape].map(([name, attribute]) => [name, attributeSchema(name, attribute)])),
    required: [...shape].flatMap(([name, { mandatory }]) => (mandatory ? [name] : [])),
    additionalProperties: false,
  });
  return described((value) => {
    if (!isObject(value)) throw new Unreadable(`Value not an object: ${pythonStr(value)}`);
    const unknown = Object.keys(value).filter((name) => !shape.has(name));
    if (unknown.length > 0) throw new UnknownNames(unknown);
    const result: Record<string, unknown> = {};
    for (const [name, attribute] of shape) {
      if (Object.hasOwn(value, name)) result[name] = readAttribute(name, attribute.read, value[name]);
      else if (attribute.mandatory) throw invalid(name, null, 'Mandatory field missing.');
    }
    return result;
  }, schema);
}

function readAttribute(name: string, read: Reader, value: unknown): unknown {
  if (value === null) return null;
  try {
    return read(value);
  } catch (error) {
    if (error instanceof UnknownNames) error.path.unshift(name);
    if (error instanceof Refused) throw invalid(name, error.shown ?? value, error.message, error);
    throw error;
  }
}

/** Reads a list of what `element` reads. */
export function listReader(element: Reader): Reader {
  const read: Reader = (value) => {
    if (!Array.isArray(value)) throw new Unreadable(`Value not a valid list: ${pythonStr(value)}`);
    if (value.includes(null)) throw new Refused('Value should be a list without null');
    return value.map((each) => element(each));
  };
  return described(read, () => ({ type: 'array', items: schemaOf(element) }));
}

/** Which fields a create or an update may carry, with readers made from their schemas; `extra` adds or replaces some. */
export function shapeOf(fields: Fields, of: 'post' | 'put', extra: Readonly<Record<string, Reader>> = {}): Shape {
  const shape = new Map<string, Attribute>();
  for (const [name, field] of Object.entries(fields) as [string, Field][]) {
    if (field[of] === undefined) continue;
    const read = extra[name] ?? readerOf(field.schema);
    shape.set(name, { read, mandatory: of === 'post' && field.post === 'mandatory', field, of });
    if (name === 'project_id') shape.set('tenant_id', { read, mandatory: false });
  }
  for (const [name, read] of Object.entries(extra)) if (!shape.has(name)) shape.set(name, { read, mandatory: false });
  return shape;
}

type Schema = TSchema & {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly (string | number)[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
};

/** The largest integer that the reference's columns hold. */
const MAX_INTEGER = 2_147_483_647;

/** The reader of a schema of the model. */
export function readerOf(given: TSchema): Reader {
  const read = plainReaderOf(given);
  return isDescribed(read) ? read : described(read, () => publicSchema(given));
}

function plainReaderOf(given: TSchema): Reader {
  const schema = given as Schema;
  if (schema.anyOf !== undefined) return readerOf(schema.anyOf.find((each) => each.type !== 'null') ?? schema);
  if (schema.enum !== undefined && schema.type === 'string') return wordReader(schema.enum);
  if (schema.type === 'string') return textReader(schema);
  if (schema.type === 'integer') return codeReader(integerReader(schema.minimum, schema.maximum), schema.enum);
  if (schema.type === 'number') return numberReader(schema.enum as readonly number[] | undefined);
  if (schema.type === 'boolean') return readBoolean;
  if (schema.type === 'array') return listReader(readerOf(schema.items as Schema));
  if (schema.type === 'object' && schema.properties !== undefined) return propertiesReader(schema);
  return textMapReader(readerOf(Object.values(schema.patternProperties ?? {})[0] ?? { type: 'string' }));
}

function propertiesReader(schema: Schema): Reader {
  const shape = Object.entries(schema.properties ?? {}).map(
    ([name, each]) => [name, { read: readerOf(each), mandatory: isMandatory(schema, name, each) }] as const,
  );
  return objectReader(new Map(shape));
}

/** Properties that may be null need not be given: the model's objects always carry them once they are stored. */
const isMandatory = (schema: Schema, name: string, property: Schema): boolean =>
  (schema.required ?? []).includes(name) && property.anyOf === undefined;

function wordReader(words: readonly (string | number)[]): Reader {
  return (value) => {
    if (!words.includes(value as string)) throw new Refused(`Value should be one of: ${words.join(', ')}`);
    return value;
  };
}

const formats: Readonly<Record<string, (text: string) => string>> = {
  uuid: (text) => {
    const hex = text
      .replace(/^urn:/u, '')
      .replace(/^uuid:/u, '')
      .replaceAll(/[{}-]/gu, '');
    if (!/^[0-9a-f]{32}$/iu.test(hex)) throw new Refused('Value should be UUID format');
    return hex.toLowerCase().replace(/^(.{8})(.{4})(.{4})(.{4})/u, '$1-$2-$3-$4-');
  },
  ip: (text) => {
    if (isIP(text) === 0 || text.includes('%')) throw new Refused('Value should be IPv4 or IPv6 format');
    return text;
  },
  cidr: (text) => {
    const masked = maskCidr(text);
    if (masked === null) throw new Refused('Value should be IPv4 or IPv6 CIDR format');
    return masked;
  },
};

const formatNames: Readonly<Record<string, string>> = { uuid: 'UUID format', ip: 'IPv4 or IPv6 format', cidr: 'IPv4 or IPv6 CIDR format' };

function textReader(schema: Schema): Reader {
  const format = schema.format === undefined ? undefined : formats[schema.format];
  const pattern = schema.pattern === undefined ? undefined : new RegExp(schema.pattern, 'u');
  return (value) => {
    if (typeof value !== 'string') throw new Refused(`Value should be ${(schema.format && formatNames[schema.format]) ?? 'string'}`);
    if (format !== undefined) return format(value);
    const characters = schema.minLength === undefined && value.length <= (schema.maxLength ?? Infinity) ? 0 : [...value].length;
    if (characters < (schema.minLength ?? 0)) throw new Refused(`Value should have a minimum character requirement of ${schema.minLength}`);
    if (characters > (schema.maxLength ?? Infinity))
      throw new Refused(`Value should have a maximum character requirement of ${schema.maxLength}`);
    if (pattern?.test(value) === false) throw new Refused(`Value should match the pattern ${schema.pattern}`);
    // PostgreSQL stores neither, and SQLite gives back something else.
    if (value.includes('\u0000') || !value.isWellFormed()) throw new Refused('Value should contain neither NUL nor half a surrogate pair');
    return value;
  };
}

/** Reads an integer as the reference does: numeric text counts, a fraction is cut off, true is 1. */
export function integerReader(minimum?: number, maximum?: number): Reader {
  const read: Reader = (value) => {
    const number = toInteger(value);
    if (minimum !== undefined && number < minimum) throw new Refused(`Value should be greater or equal to ${minimum}`, number);
    const most = maximum ?? MAX_INTEGER;
    if (number > most) throw new Refused(`Value should be lower or equal to ${most}`, number);
    return number;
  };
  return described(read, () => ({ type: 'integer', ...(minimum !== undefined && { minimum }), maximum: maximum ?? MAX_INTEGER }));
}

/** Numbers of which only some are allowed. */
const codeReader = (read: Reader, allowed: readonly (string | number)[] | undefined): Reader =>
  allowed === undefined
    ? read
    : checkedReader(read, (value) => (allowed.includes(value) ? null : `Value should be one of: ${allowed.join(', ')}`));

function toInteger(value: unknown): number {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'string' && /^\s*[+-]?\d+(?:_\d+)*\s*$/u.test(value)) return Number(value.replaceAll('_', ''));
  if (typeof value === 'string') throw new Unreadable(`invalid literal for int() with base 10: ${pythonRepr(value)}`);
  throw new Unreadable(`Value not an integer: ${pythonStr(value)}`);
}

function numberReader(allowed: readonly number[] | undefined): Reader {
  return (value) => {
    const number =
      typeof value === 'string' && value.trim() !== '' ? Number(value) : Number(typeof value === 'object' ? Number.NaN : value);
    if (Number.isNaN(number) || value === '') throw new Unreadable(`could not convert string to float: ${pythonRepr(value)}`);
    if (allowed?.includes(number) === false)
      throw new Refused(`Value should be one of: ${allowed.map((each) => each.toFixed(1)).join(', ')}`);
    return number;
  };
}

const TRUE_WORDS = new Set(['true', 't', 'yes', 'y', 'on', '1']);
const FALSE_WORDS = new Set(['false', 'f', 'no', 'n', 'off', '0']);

/** Reads a boolean: JSON's own, a number, or one of the reference's words, lower case only. */
export const readBoolean: Reader = described(
  (value) => {
    if (typeof value === 'boolean') return value;
    // Larger ones are written with an exponent, and so no integers to the reference.
    if (Number.isInteger(value) && Math.abs(value as number) < 1e21) return value !== 0;
    if (typeof value === 'string' && TRUE_WORDS.has(value)) return true;
    if (typeof value === 'string' && FALSE_WORDS.has(value)) return false;
    throw new Unreadable(`Value not an unambiguous boolean: ${pythonStr(value)}`);
  },
  () => ({ type: 'boolean' }),
);

/** Reads an object of texts; a value may be null. */
function textMapReader(readText: Reader): Reader {
  return (value) => {
    if (!isObject(value)) throw new Unreadable(`Value not a valid dict: ${pythonStr(value)}`);
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, each === null ? null : readText(each)]));
  };
}

/** A reader that lets a rule of the resource refuse: `check` answers the rest of the message, or null. */
export function checkedReader(read: Reader, check: (value: never) => string | null): Reader {
  const checked: Reader = (value) => {
    const result = read(value);
    const refusal = check(result as never);
    if (refusal !== null) throw new Refused(refusal);
    return result;
  };
  return described(checked, () => schemaOf(read));
}

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);
