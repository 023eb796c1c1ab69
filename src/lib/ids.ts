/** Identifiers. */
import { randomUUID } from 'node:crypto';

/** A new random id in the form that OpenStack uses: a lower-case UUID version 4 with hyphens. */
export function newId(): string {
  return randomUUID();
}

/** True for a UUID with hyphens, in either case. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu.test(text);
}
