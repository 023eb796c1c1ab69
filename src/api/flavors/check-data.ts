/** What a profile says, checked against what its provider understands, in the words of the reference (JSON Schema as Python prints it). */
import { Fault } from '../../model/index.ts';
import type { Capability, Metadata } from '../../providers/provider.ts';
import { pythonRepr } from '../request/python-text.ts';
import type { JsonObject } from '../request/validate.ts';

/** Reads the JSON text of a profile. Throws `Fault` 400. */
export function parseData(option: string, text: string | null): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (error) {
    throw invalidOption(option, text, error);
  }
}

/** The fault for a value that an option cannot have. */
export const invalidOption = (option: string, value: string | null, cause?: unknown): Fault =>
  new Fault(400, `${value ?? 'None'} is not a valid option for ${option}`, { cause });

/** Throws `Fault` 501 for what the provider does not understand, 400 for what the cloud behind it does not have. */
export async function checkData(provider: string, metadata: Metadata | undefined, data: unknown): Promise<void> {
  if (metadata === undefined) throw new Fault(501, `Provider '${provider}' does not support a requested action: this kind of profile`);
  const misunderstood = metadata.isOpen ? null : misunderstanding(metadata.capabilities, data);
  if (misunderstood !== null) throw new Fault(501, `Provider '${provider}' does not support a requested option: ${misunderstood}`);
  const refusal = await metadata.findRefusal(data);
  if (refusal !== null) throw new Fault(400, `Validation failure: ${refusal}`);
}

/** What is wrong with the data; null: nothing. Unknown names come first, then the properties in the provider's order. */
export function misunderstanding(capabilities: readonly Capability[], data: unknown): string | null {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return `${pythonRepr(data)} is not of type 'object'`;
  const known = new Set(capabilities.map((each) => each.name));
  const unknown = Object.keys(data)
    .filter((name) => !known.has(name))
    .toSorted();
  if (unknown.length > 0)
    return `Additional properties are not allowed (${unknown.map(pythonRepr).join(', ')} ${unknown.length > 1 ? 'were' : 'was'} unexpected)`;
  for (const { name, type, words } of capabilities) {
    if (!Object.hasOwn(data, name)) continue;
    const value = (data as JsonObject)[name];
    if (!isOf(type, value)) return `${name} ${pythonRepr(value)} is not of type '${type}'`;
    if (words?.includes(value as string) === false) return `${name} ${pythonRepr(value)} is not one of ${pythonRepr(words)}`;
  }
  return null;
}

const isOf = (type: Capability['type'], value: unknown): boolean => (type === 'array' ? Array.isArray(value) : typeof value === type);
