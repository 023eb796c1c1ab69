/** How values of the model are stored: which columns are booleans and which hold JSON, found from the tables of fields. */
import type { TSchema } from 'typebox';
import {
  amphoraFields,
  availabilityZoneFields,
  availabilityZoneProfileFields,
  type Fields,
  flavorFields,
  flavorProfileFields,
  healthmonitorFields,
  l7policyFields,
  l7ruleFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../model/index.ts';

/** The fields of each resource by the name of its table. */
export const resourceFields: Readonly<Record<string, Fields>> = {
  loadbalancer: loadbalancerFields,
  listener: listenerFields,
  pool: poolFields,
  member: memberFields,
  healthmonitor: healthmonitorFields,
  l7policy: l7policyFields,
  l7rule: l7ruleFields,
  amphora: amphoraFields,
  flavor: flavorFields,
  flavor_profile: flavorProfileFields,
  availability_zone: availabilityZoneFields,
  availability_zone_profile: availabilityZoneProfileFields,
};

/** The names of a resource's columns: every field that is not computed. */
export const columnsOf = (fields: Fields): string[] => Object.keys(fields).filter((name) => fields[name]?.computed !== true);

/** How the values of a column are stored: as they are, as a boolean, or as JSON text. */
export type Storage = 'plain' | 'boolean' | 'json';

/** How values of a schema are stored. */
export function storageOf(schema: TSchema): Storage {
  const { type, anyOf } = schema as { type?: string; anyOf?: TSchema[] };
  if (type === 'boolean') return 'boolean';
  if (type === 'array' || type === 'object') return 'json';
  return anyOf?.map(storageOf).find((storage) => storage !== 'plain') ?? 'plain';
}

// A result knows the names of its columns but not their tables, so a name must mean the same storage everywhere (a test checks it).
const storages = new Map<string, Storage>([
  ['busy', 'boolean'],
  ['building', 'boolean'],
]);
for (const fields of Object.values(resourceFields)) {
  for (const name of columnsOf(fields)) storages.set(name, storageOf(fields[name]!.schema));
}

/** How the column of this name is stored in every table that has one. */
export const storageOfColumn = (name: string): Storage => storages.get(name) ?? 'plain';

/** A parameter as JSON text if it is an array or an object. Bytes stay bytes. */
export const asText = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array) ? JSON.stringify(value) : value;
