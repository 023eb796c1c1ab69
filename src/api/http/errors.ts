/** Errors as answers. Two forms, as the API has always had them: faults of a resource, and refusals before one was found. */
import { Fault, Retry } from '../../model/index.ts';
import { UniqueViolation } from '../../db/errors.ts';

/** An answer that tells of an error. */
export type ErrorAnswer = { readonly status: number; readonly body: unknown; readonly headers: Readonly<Record<string, string>> };

/** The body of a fault (api-ref "Faults"). */
export const faultBody = (status: number, faultstring: string): unknown => ({
  faultcode: status < 500 ? 'Client' : 'Server',
  faultstring,
  debuginfo: null,
});

/** A refusal by the server itself: no such path, method, type or size. */
export function refusalAnswer(
  status: number,
  title: string,
  description: string | null = '',
  headers: Readonly<Record<string, string>> = {},
): ErrorAnswer {
  return { status, body: { code: status, title, description }, headers };
}

/** A refusal in the form of the server's own (`refusalAnswer`), whoever finds the reason. */
export class Refusal extends Fault {
  readonly title: string;

  constructor(status: number, title: string, description: string, options: { readonly cause?: unknown } = {}) {
    super(status, description, options);
    this.name = 'Refusal';
    this.title = title;
  }
}

/** The answer to whatever a handler threw; null: a bug, to be logged and answered with 500. */
export function answerOf(error: unknown, authenticate_uri: string): ErrorAnswer | null {
  if (error instanceof Refusal) return refusalAnswer(error.status, error.title, error.message);
  if (error instanceof Fault) {
    const headers: Record<string, string> =
      error.retry_after_seconds === undefined ? {} : { 'retry-after': String(error.retry_after_seconds) };
    if (error.status !== 401) return { status: error.status, body: faultBody(error.status, error.message), headers };
    return {
      status: 401,
      body: { error: { code: 401, title: 'Unauthorized', message: error.message } },
      headers: { 'www-authenticate': `Keystone uri="${authenticate_uri}"` },
    };
  }
  if (error instanceof UniqueViolation)
    return { status: 409, body: faultBody(409, 'Already an entity with that specified id.'), headers: {} };
  // The database or a cloud does not answer: the only 5xx that a client should try again. Where it is, is not for clients: it is logged.
  if (error instanceof Retry)
    return {
      status: 503,
      body: faultBody(503, 'The service is busy or a part of it cannot be reached. Please try again.'),
      headers: { 'retry-after': '5' },
    };
  return null;
}
