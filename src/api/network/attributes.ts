/** Reading what a client asks of a network resource: a table of attributes each, and Neutron's words for what is wrong. */
import type { Caller } from '../../cloud/identity.ts';
import { canonicalAddress, parseCidr } from '../../cloud/local/network/addresses.ts';
import { invalidInput, NetworkFault } from '../../cloud/local/network/faults.ts';
import { isUuid } from '../../lib/ids.ts';
import { isObject } from '../identity/fields.ts';
import type { JsonObject } from '../identity/fields.ts';

/** How an attribute is read, and by whom and when it may be given. */
export type Attribute<T> = {
  readonly read: (value: unknown, name: string) => T;
  readonly in: 'POST' | 'PUT' | 'both';
  readonly adminOnly?: boolean;
};

/** The attributes of a resource. */
export type Attributes = Readonly<Record<string, Attribute<unknown>>>;

/** What was given of the attributes. */
export type Given<A extends Attributes> = { readonly [K in keyof A]?: ReturnType<A[K]['read']> };

/** The attributes in a body. Throws `NetworkFault` 400 for one that is unknown, misplaced or malformed, 403 for one that only administrators may give. */
export function readAttributes<A extends Attributes>(attributes: A, body: JsonObject, method: 'POST' | 'PUT', caller: Caller): Given<A> {
  const { tenant_id, ...rest } = body;
  const given = tenant_id === undefined ? rest : { project_id: tenant_id, ...rest };
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(attributes, name));
  if (unknown.length > 0) throw badRequest(`Unrecognized attribute(s) '${unknown.join(', ').slice(0, 200)}'`);
  const entries = Object.entries(given).map(([name, value]) => {
    const attribute = attributes[name] as Attribute<unknown>;
    if (attribute.in !== 'both' && attribute.in !== method) throw badRequest(`Attribute '${name}' not allowed in ${method}`);
    if (attribute.adminOnly === true && !caller.is_admin) throw forbidden(`the attribute ${name} is for administrators`);
    return [name, attribute.read(value, name)] as const;
  });
  return Object.fromEntries(entries) as Given<A>;
}

/** The 400 for a request whose form is wrong. */
export function badRequest(message: string): NetworkFault {
  return new NetworkFault(400, 'HTTPBadRequest', message);
}

/** The 403 for what policy does not allow. */
export function forbidden(what: string): NetworkFault {
  return new NetworkFault(403, 'PolicyNotAuthorized', `Access is disallowed by policy: ${what}.`);
}

/** A text of up to 255 characters; null is ''. */
export function text(value: unknown, name: string): string {
  const given = value ?? '';
  if (typeof given !== 'string' || given.length > 255 || given.includes('\0') || !given.isWellFormed()) {
    throw invalidInput(`'${name}' is not a text of up to 255 characters`);
  }
  return given;
}

/** A boolean, also as a text or a number, as Neutron takes it. */
export function boolean(value: unknown, name: string): boolean {
  if (value === true || value === 1 || value === '1' || (typeof value === 'string' && value.toLowerCase() === 'true')) return true;
  if (value === false || value === 0 || value === '0' || (typeof value === 'string' && value.toLowerCase() === 'false')) return false;
  throw invalidInput(`'${name}' is not a boolean`);
}

/** An id. */
export function uuid(value: unknown, name: string): string {
  if (typeof value === 'string' && isUuid(value)) return value.toLowerCase();
  throw invalidInput(`'${name}' is not a valid UUID`);
}

/** An id, or null. */
export function uuidOrNull(value: unknown, name: string): string | null {
  return value === null ? null : uuid(value, name);
}

/** A project's id: Keystone's ids are no UUIDs. */
export function projectId(value: unknown, name: string): string {
  if (typeof value === 'string' && /^[\w-]{1,64}$/u.test(value)) return value;
  throw invalidInput(`'${name}' is not the id of a project`);
}

/** One of a few words. */
export function oneOf<T extends string>(words: readonly T[]): (value: unknown, name: string) => T {
  return (value, name) => {
    const found = words.find((word) => word === value);
    if (found === undefined) throw invalidInput(`'${name}' is not one of ${words.join(', ')}`);
    return found;
  };
}

/** A whole number within limits, also as a text. */
export function integer(least: number, most: number): (value: unknown, name: string) => number {
  return (value, name) => {
    const number = typeof value === 'string' && /^-?\d{1,9}$/u.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most) return number;
    throw invalidInput(`'${name}' is not a whole number from ${least} to ${most}`);
  };
}

/** An attribute that has no meaning here: only what says nothing is taken. */
export function absent(value: unknown, name: string): null {
  const isNothing = value === null || value === '' || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
  if (isNothing) return null;
  throw invalidInput(`'${name}' cannot be set here`);
}

/** An address in its one written form. */
export function address(value: unknown, name: string): string {
  const canonical = typeof value === 'string' ? canonicalAddress(value) : null;
  if (canonical === null) throw invalidInput(`'${name}' is not a valid IP address`);
  return canonical;
}

/** An address, or null. */
export function addressOrNull(value: unknown, name: string): string | null {
  return value === null ? null : address(value, name);
}

/** An address or a subnet. */
export function addressOrCidr(value: unknown, name: string): string {
  return typeof value === 'string' && value.includes('/') ? cidr(value, name) : address(value, name);
}

/** A subnet as it was written. */
export function cidr(value: unknown, name: string): string {
  if (typeof value === 'string' && parseCidr(value) !== null) return value;
  throw invalidInput(`'${name}' is not a valid IP subnet`);
}

/** A list of up to `most` items; null is empty. */
export function listOf<T>(read: (value: unknown, name: string) => T, most: number): (value: unknown, name: string) => readonly T[] {
  return (value, name) => {
    const items = value ?? [];
    if (!Array.isArray(items) || items.length > most) throw invalidInput(`'${name}' is not a list of up to ${most} items`);
    return items.map((item) => read(item, name));
  };
}

/** Labels: texts of 1 to 255 characters, each once. */
export function tags(value: unknown, name: string): readonly string[] {
  const labels = listOf(text, 50)(value, name);
  if (labels.includes('')) throw invalidInput(`'${name}' has an empty tag`);
  return [...new Set(labels)];
}

/** The members of an object, the required ones surely there. */
export type Members<A extends Attributes, R extends keyof A> = Given<A> & { readonly [K in R]: ReturnType<A[K]['read']> };

/** An object with exactly the members that it may have. */
export function objectOf<A extends Attributes, R extends keyof A & string>(
  attributes: A,
  required: readonly R[],
): (value: unknown, name: string) => Members<A, R> {
  return (value, name) => {
    if (!isObject(value)) throw invalidInput(`'${name}' is not an object`);
    const members = Object.entries(value);
    const stranger = members.find(([key]) => !Object.hasOwn(attributes, key));
    if (stranger !== undefined) throw invalidInput(`'${name}' has the unknown member '${stranger[0].slice(0, 64)}'`);
    const lacking = required.find((key) => value[key] === undefined);
    if (lacking !== undefined) throw invalidInput(`'${name}' lacks '${lacking}'`);
    const read = members.map(([key, member]) => [key, (attributes[key] as Attribute<unknown>).read(member, key)]);
    return Object.fromEntries(read) as Members<A, R>;
  };
}
