/** What the facades of the embedded services share: bodies, base addresses, tokens, and errors that speak the service's dialect. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { newId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import { Fault, Retry } from '../../model/faults.ts';

/** For routes whose `HEAD` is part of the API; the application has it off for others. */
export const withHead = { exposeHeadRoute: true } as const;

/** A refusal as its facade shows it. */
export type Shown = { readonly status: number; readonly message: string; readonly cause: unknown };

/** As octavia's own limit: oslo.middleware's `max_request_body_size`. */
const BODY_LIMIT_BYTES = 114_688;

/** How a facade words its errors, and where it writes those that are bugs (default: the application's log). */
export type FacadeOptions = { readonly errorBody: (shown: Shown) => object; readonly log?: Logger | undefined };

/**
 * Makes bodies buffers whatever their content type, and gives errors and answers the form of the service. Call it inside
 * an encapsulated plugin, before the routes are added.
 */
export function prepareFacade(scope: FastifyInstance, { errorBody, log }: FacadeOptions): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: BODY_LIMIT_BYTES }, (_request, body, done) => done(null, body));
  scope.addHook('onSend', (_request, reply, _payload, done) => {
    if (!reply.hasHeader('x-openstack-request-id')) reply.header('x-openstack-request-id', `req-${newId()}`);
    done();
  });
  scope.setErrorHandler((error, request, reply) => {
    const shown = shownOf(error);
    if (shown.status >= 500 && shown.status !== 503) (log ?? request.log).error({ err: error, request_id: request.id }, 'request failed');
    if (error instanceof Fault && error.retry_after_seconds !== undefined) reply.header('retry-after', String(error.retry_after_seconds));
    if (error instanceof Retry) {
      (log ?? request.log).warn({ err: error, request_id: request.id }, 'a request could not be served');
      reply.header('retry-after', '5');
    }
    if (shown.status === 401) reply.header('www-authenticate', 'Keystone');
    return reply.code(shown.status).send(errorBody(shown));
  });
}

/** Answers 405 with `Allow` where a path exists with other methods, 404 elsewhere. Call it before the routes are added. */
export function answerUnknown(scope: FastifyInstance, { missing, errorBody, before }: UnknownOptions): void {
  const noted: { readonly pattern: RegExp; readonly method: string }[] = [];
  scope.addHook('onRoute', ({ method, url }) => {
    // Parameters are one segment each.
    const pattern = new RegExp(`^${url.replaceAll(/:\w+/gu, '[^/]+').replaceAll('.', String.raw`\.`)}/?$`, 'u');
    for (const each of [method].flat()) noted.push({ pattern, method: each });
  });
  scope.setNotFoundHandler(async (request, reply) => {
    await before?.(request);
    const path = request.url.split('?', 1)[0] ?? '';
    const allowed = new Set(noted.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method));
    if (allowed.size === 0 || allowed.has(request.method))
      return reply.code(404).send(errorBody({ status: 404, message: missing, cause: undefined }));
    const message = 'The method is not allowed for the requested URL.';
    return reply
      .code(405)
      .header('allow', [...allowed].toSorted().join(', '))
      .send(errorBody({ status: 405, message, cause: undefined }));
  });
}

/** What is said of a path that does not exist, and what comes before any answer. */
export type UnknownOptions = {
  readonly missing: string;
  readonly errorBody: FacadeOptions['errorBody'];
  readonly before?: (request: FastifyRequest) => Promise<unknown>;
};

/** What to tell a client about an error: a bug's text stays inside. */
export function shownOf(error: unknown): Shown {
  if (error instanceof Fault) return { status: error.status, message: error.message, cause: error };
  // Where the database or the cloud is, is not for clients.
  if (error instanceof Retry)
    return { status: 503, message: 'The service is busy or a part of it cannot be reached. Please try again.', cause: error };
  const status = (error as { readonly statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) return { status, message: (error as Error).message, cause: error };
  return { status: 500, message: 'An unexpected error prevented the server from fulfilling your request.', cause: error };
}

/** The address that the client reached us at, without a slash at the end: the configured one, or what its Host header says. */
export function baseUrl(request: FastifyRequest, configured: string | null): string {
  if (configured !== null) return configured.replace(/\/+$/u, '');
  const host = request.host;
  // What the header says goes into links: only what can be a host and a port is taken.
  const named = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/u.test(host)
    ? host
    : `127.0.0.1:${request.socket.localPort ?? 9876}`;
  return `${request.protocol}://${named}`;
}

/** A header's value when it was sent once. */
export function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

/** The token that a request carries. */
export function tokenOf(request: FastifyRequest): string | undefined {
  return header(request, 'x-auth-token');
}

/** An id in the path. Throws `Fault` 404 for what cannot be one, so that no look-up meets odd characters. */
export function pathPart(request: FastifyRequest, name: string): string {
  const id = (request.params as Readonly<Record<string, string | undefined>>)[name] ?? '';
  if (!/^[\w.:-]{1,64}$/u.test(id)) throw new Fault(404, 'Could not find the requested resource.');
  return id;
}

/** The values that each query parameter was given, in order. Read from the address itself: an application may have switched its parser off. */
export function queryOf(request: FastifyRequest): ReadonlyMap<string, readonly string[]> {
  const at = request.url.indexOf('?');
  const query = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(at < 0 ? '' : request.url.slice(at + 1)))
    query.set(name, [...(query.get(name) ?? []), value]);
  return query;
}

/** Answers 204 without a body. */
export function noContent(reply: FastifyReply): FastifyReply {
  return reply.code(204).send();
}

/** The phrase of a status, as Keystone's `title`. */
export function titleOf(status: number): string {
  return titles[status] ?? (status >= 500 ? 'Internal Server Error' : 'Bad Request');
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** The path of a request as access rules may name it: whole, and below the facade's address, which is what the catalog shows. */
export function accessPaths(request: FastifyRequest, prefix: string): readonly string[] {
  const path = request.url.split('?', 1)[0] ?? '';
  return prefix !== '' && path.startsWith(`${prefix}/`) ? [path, path.slice(prefix.length)] : [path];
}
