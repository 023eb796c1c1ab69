/** What the embedded identity answers when it refuses, in Keystone's words. */
import { Fault } from '../../../model/faults.ts';
import { RecordConflict } from '../record-store.ts';

/** 401 for whatever is wrong with a login or a token: the reason would tell an attacker what to try next. */
export function unauthorized(cause?: unknown): Fault {
  return new Fault(401, 'The request you have made requires authentication.', cause === undefined ? {} : { cause });
}

/** Throws the 404 for a thing of a type. */
export function notFound(type: string, id: string): never {
  throw new Fault(404, `Could not find ${type}: ${id}.`);
}

/** Carries out a write; a conflict becomes the 409 that names the type and the name, a record that went away the 404. */
export async function refuseDuplicate(type: string, name: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
    const message = `Conflict occurred attempting to store ${type} - Duplicate entry found with name ${name}.`;
    throw new Fault(409, message, { cause: error });
  }
}
