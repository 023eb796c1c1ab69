/** What readers of requests accept, as JSON Schema: the API's description is made from the very readers that judge requests. */
import type { TSchema } from 'typebox';
import type { Attribute, Reader } from './validate.ts';

/** A JSON Schema (2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

const known = new WeakMap<Reader, () => JsonSchema>();

/** Remembers what a reader accepts. */
export function described(reader: Reader, schema: () => JsonSchema): Reader {
  known.set(reader, schema);
  return reader;
}

/** What a reader accepts; one that nobody described takes anything. */
export const schemaOf = (reader: Reader): JsonSchema => known.get(reader)?.() ?? {};

/** Does a reader say what it accepts? */
export const isDescribed = (reader: Reader): boolean => known.has(reader);

/** The schema with null added. */
export function nullable(schema: JsonSchema): JsonSchema {
  const { type, enum: words } = schema as { type?: string | string[]; enum?: unknown[] };
  if (type === undefined) return Object.keys(schema).length === 0 ? schema : { anyOf: [schema, { type: 'null' }] };
  const types = [type].flat();
  if (types.includes('null')) return schema;
  return { ...schema, type: [...types, 'null'], ...(words !== undefined && { enum: [...words, null] }) };
}

const plainKeywords = ['type', 'enum', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern'] as const;

/** How formats of the model are said with keywords that everybody knows. */
const formats: Readonly<Record<string, JsonSchema>> = {
  uuid: { format: 'uuid' },
  ip: { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
  cidr: { pattern: String.raw`^[0-9A-Fa-f:.]+(/\d{1,3})?$` },
  'octavia-time': { pattern: String.raw`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$` },
};

type Schema = TSchema & {
  readonly anyOf?: readonly Schema[];
  readonly format?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Schema>>;
};

/** A schema of the model for readers outside. */
export function publicSchema(given: TSchema): JsonSchema {
  const schema = given as Schema;
  if (schema.anyOf !== undefined) {
    const inner = publicSchema(schema.anyOf.find((each) => (each as { type?: string }).type !== 'null') ?? schema);
    return schema.anyOf.some((each) => (each as { type?: string }).type === 'null') ? nullable(inner) : inner;
  }
  const { format, items, properties, required, patternProperties } = schema;
  const plain = Object.fromEntries(
    plainKeywords.flatMap((name) => {
      const value = (schema as Record<string, unknown>)[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return {
    ...plain,
    ...(format !== undefined && formats[format]),
    ...(items !== undefined && { items: publicSchema(items) }),
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, publicSchema(each)])),
      ...(required !== undefined && { required }),
    }),
    ...(patternProperties !== undefined && {
      additionalProperties: publicSchema(Object.values(patternProperties)[0] ?? { type: 'string' }),
    }),
  };
}

/** What a request may say of one attribute: null stands for the default, where there is one. */
export function attributeSchema(name: string, { read: reader, mandatory: isMandatory, field, of }: Attribute): JsonSchema {
  const read = schemaOf(reader);
  if (field === undefined) return isMandatory ? read : nullable(read);
  // A reader of objects knows more than the field, which is what an answer has; of anything else the field knows more.
  const schema = isOfObjects(read) ? read : publicSchema(field.schema);
  if (isMandatory) return schema;
  const { fallback, fallback_option } = field;
  const [group, option] = fallback_option?.split('.') ?? [];
  const byDefault = fallback_option === undefined ? JSON.stringify(fallback ?? null) : `the option ${option} of [${group}]`;
  const meaning = name === 'admin_state_up' ? 'false' : byDefault;
  const hasDefault = fallback_option !== undefined || fallback !== undefined;
  if (of === 'put') {
    const keeps = 'Absence keeps what is';
    return hasDefault ? { ...nullable(schema), description: `${keeps}; null sets ${meaning}.` } : { ...schema, description: `${keeps}.` };
  }
  if (fallback_option !== undefined) return { ...nullable(schema), description: `Default: ${meaning}.` };
  return fallback === undefined || fallback === null ? nullable(schema) : { ...nullable(schema), default: fallback };
}

function isOfObjects(schema: JsonSchema): boolean {
  return schema['properties'] !== undefined || (schema['items'] as JsonSchema | undefined)?.['properties'] !== undefined;
}
