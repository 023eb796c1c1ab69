/** Speaking HTTP with a service of OpenStack: JSON, time-outs, TLS, and a word for every kind of failure. */
import { readFileSync } from 'node:fs';
import type { Agent } from 'undici';

/** The service did not answer, or said that it cannot now: asking again later may help. */
export class Unreachable extends Error {
  /** May just this request be at fault? Then others need not be kept waiting. */
  readonly isOfRequest: boolean;

  constructor(message: string, options: { cause?: unknown; isOfRequest?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Unreachable';
    this.isOfRequest = options.isOfRequest ?? false;
  }
}

/** A request. */
export type HttpRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
};

/** An answer; the body is undefined when it is no JSON, `bytes` what it is made of. */
export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: unknown;
  readonly bytes: Buffer;
};

/** Sends requests. */
export interface Http {
  /** Throws `Unreachable` for a broken or slow connection and for the statuses 429 and 5xx. */
  request(request: HttpRequest): Promise<HttpAnswer>;
  close(): Promise<void>;
}

/** How to connect. */
export type HttpOptions = {
  /** File of authorities to trust; null: those of the system. */
  readonly cafile: string | null;
  /** Do not check certificates. */
  readonly insecure: boolean;
  readonly connect_timeout_ms: number;
  /** The longest that a whole request may take. */
  readonly timeout_ms: number;
};

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

/** A client with connections of its own. Throws when the file of authorities cannot be read. */
export function createHttp(options: HttpOptions): Http {
  const ca = options.cafile === null ? undefined : readFileSync(options.cafile, 'utf8');
  let agent: Promise<Agent> | null = null;
  // Loaded only where it is used: most of its cost is the import.
  const connect = async (): Promise<Agent> => {
    const { default: undici } = await import('undici');
    return new undici.Agent({
      connect: { timeout: options.connect_timeout_ms, rejectUnauthorized: !options.insecure, ...(ca !== undefined && { ca }) },
      headersTimeout: options.timeout_ms,
      bodyTimeout: options.timeout_ms,
      connections: 32,
      maxResponseSize: MAX_ANSWER_BYTES,
    });
  };
  return {
    async request({ method, url, headers, body }) {
      agent ??= connect();
      const dispatcher = await agent;
      let answer: HttpAnswer;
      try {
        const sent = await dispatcher.request({
          origin: new URL(url).origin,
          path: new URL(url).pathname + new URL(url).search,
          method,
          headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
          ...(body !== undefined && { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(options.timeout_ms),
        });
        const bytes = Buffer.from(await sent.body.arrayBuffer());
        answer = { status: sent.statusCode, headers: plainHeaders(sent.headers), body: parseJson(bytes.toString()), bytes };
      } catch (error) {
        throw new Unreachable(`${new URL(url).origin} does not answer (${reasonOf(error)})`, { cause: error });
      }
      if (answer.status === 429 || answer.status >= 500)
        throw new Unreachable(`${new URL(url).origin} answers ${answer.status}`, { isOfRequest: answer.status === 500 });
      return answer;
    },
    async close() {
      await (await agent)?.destroy();
    },
  };
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  if (name === 'TimeoutError') return 'too slow';
  return typeof code === 'string' ? code : (message ?? String(error));
}
