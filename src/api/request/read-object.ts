/** Reading the body of one resource. */
import { Fault } from '../../model/index.ts';
import type { Call } from '../call.ts';
import { type JsonObject, type Reader, readBody } from './validate.ts';

/** The fault for a body without what it is about. */
export class NothingSupplied extends Fault {
  constructor(root: string) {
    super(400, `Validation failure: No ${root} object supplied.`);
    this.name = 'NothingSupplied';
  }
}

/** The object under `root` of the request's body, read and converted. Throws `Fault` 400 when there is none. */
export function readObject(call: Call, names: { readonly root: string; readonly argument: string }, read: Reader): JsonObject {
  return readRoot(call, names, read) as JsonObject;
}

/** The list under `root`. */
export function readList(call: Call, names: { readonly root: string; readonly argument: string }, read: Reader): readonly JsonObject[] {
  return readRoot(call, names, read) as readonly JsonObject[];
}

function readRoot(call: Call, { root, argument }: { readonly root: string; readonly argument: string }, read: Reader): unknown {
  const body = call.body();
  if (body === undefined) throw new Fault(400, `Missing argument: "${argument}"`);
  const value = readBody(body, argument, root, read);
  if (value === undefined || value === null) throw new NothingSupplied(root);
  return value;
}
