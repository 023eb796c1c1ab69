/** Answers of the agent's REST API. */
import type { AgentError, AgentFrameworkError } from '../wire/agent-api.ts';

/** What a handler answers. */
export type Answer = { readonly status: number; readonly body: object | string; readonly etag?: string };

/** A request as handlers see it; `params` are the parts of the path that its pattern names. */
export type Call = {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The address that the client connected to. */
  readonly local_address: string;
  /** The load balancer's generation; undefined when the client sends none. */
  readonly generation: number | undefined;
};

/** An error answer; thrown by handlers. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: AgentError | AgentFrameworkError;

  constructor(status: number, body: AgentError | AgentFrameworkError, options: { cause?: unknown } = {}) {
    super('message' in body ? `${body.message}${body.details === undefined ? '' : `: ${body.details}`}` : body.error, options);
    this.name = 'Refusal';
    this.status = status;
    this.body = body;
  }
}

/** An error in the form of upstream's handlers. */
export function refuse(status: number, message: string, details?: string, cause?: unknown): Refusal {
  return new Refusal(status, details === undefined ? { message } : { message, details }, cause === undefined ? {} : { cause });
}

/** An error in the form of upstream's framework. */
export function refuseByFramework(status: number, error: string): Refusal {
  return new Refusal(status, { error, http_code: status });
}

/** What most requests that change something are answered with. */
export function accepted(status: 200 | 202, details?: string): Answer {
  return { status, body: details === undefined ? { message: 'OK' } : { message: 'OK', details } };
}

/** The body as a JSON object. Throws a refusal with 400. */
export function jsonBody(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw refuse(400, 'Invalid request', 'the body is no JSON', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(400, 'Invalid request', 'the body is no JSON object');
  return value as Record<string, unknown>;
}
