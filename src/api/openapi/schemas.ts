/** From the resources of the API to the schemas of its requests and answers. */
import type { Field } from '../../model/index.ts';
import type { JsonSchema } from '../request/describe.ts';
import { nullable, publicSchema, schemaOf } from '../request/describe.ts';
import { bodies } from '../request/shapes.ts';
import { objectReader, shapeOf } from '../request/validate.ts';
import { isNullable, isShownAsNull, type Resource } from '../resource.ts';
import { wordsFor } from './words.ts';

/** The name of a resource's schema: `Load Balancer` → `LoadBalancer`. */
export const schemaName = (resource: Resource): string => resource.title.replaceAll(/[^A-Za-z0-9]/gu, '');

/** A reference to a schema of the document. */
export const refTo = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

/** What an answer shows of a resource. */
export function answerSchema(resource: Resource): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [name, field] of Object.entries(resource.fields as Record<string, Field>)) {
    if (field.hidden === true && field.shown_when_set !== true) continue;
    properties[name] = {
      ...shownSchema(resource, name, field),
      ...(field.post === undefined && field.put === undefined && { readOnly: true }),
    };
    if (!mayLack(field)) required.push(name);
  }
  if (properties['project_id'] !== undefined) {
    properties['tenant_id'] = { ...properties['project_id'], deprecated: true };
    required.push('tenant_id');
  }
  return withWords(resource.policy, { type: 'object', properties, required });
}

/** Computed values that may not exist are left out, and so is what is shown only when it is set. */
const mayLack = (field: Field): boolean => field.shown_when_set === true || (field.computed === true && isNullable(field.schema));

function shownSchema(resource: Resource, name: string, field: Field): JsonSchema {
  const schema = publicSchema(field.schema);
  // An absent name is shown as empty text.
  if ((name === 'name' || name === 'description') && isNullable(field.schema)) return { ...schema, type: 'string' };
  const fixed = field.post !== undefined && field.put === undefined ? { 'x-immutable': true } : {};
  return { ...(isShownAsNull(resource.shown[name]) ? nullable(schema) : schema), ...fixed };
}

/** What a create or an update of a resource may carry, as the reader of such requests says. */
export function requestSchema(resource: Resource, of: 'post' | 'put'): JsonSchema {
  const readers = (bodies as Readonly<Record<string, unknown>>)[resource.policy] as Readonly<Record<string, never>> | undefined;
  const reader = readers?.[of] ?? objectReader(shapeOf(resource.fields, of));
  return withWords(resource.policy, schemaOf(reader));
}

/** The parts of a resource that other resources are shown by inside it. */
const partNames: Readonly<Record<string, string>> = {
  listeners: 'listener',
  pools: 'pool',
  default_pool: 'pool',
  redirect_pool: 'pool',
  members: 'member',
  healthmonitor: 'healthmonitor',
  l7policies: 'l7policy',
  rules: 'l7rule',
};

/** The schema with a sentence for every property that has one; what was said already comes after it. */
export function withWords(resource: string, schema: JsonSchema): JsonSchema {
  const { properties, items } = schema as { properties?: Readonly<Record<string, JsonSchema>>; items?: JsonSchema };
  return {
    ...schema,
    ...(properties !== undefined && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, each]) => {
          const sentences = [wordsFor(resource, name), each['description']].filter((text) => text !== undefined);
          const inner = withWords(partNames[name] ?? resource, each);
          return [name, sentences.length === 0 ? inner : { ...inner, description: sentences.join(' ') }];
        }),
      ),
    }),
    ...(items !== undefined && { items: withWords(resource, items) }),
  };
}
