/** The HTTP server of the load-balancer API. */
import { METHODS as httpMethods } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, type HTTPMethods } from 'fastify';
import { requireAccess } from '../cloud/access-rules.ts';
import type { Caller } from '../cloud/identity.ts';
import { newId } from '../lib/ids.ts';
import { Fault } from '../model/index.ts';
import { Secret } from '../lib/secret.ts';
import { answerDocument } from './http/api-document.ts';
import { addAudit, noteCaller } from './audit/hook.ts';
import { acceptsJson } from './http/accept.ts';
import { readJson } from './http/body.ts';
import { answerBrokenRequest, answerOddities } from './http/broken.ts';
import type { Answer } from './call.ts';
import type { ApiDeps } from './deps.ts';
import { findForm } from './http/forms.ts';
import { answerOf, type ErrorAnswer, faultBody, refusalAnswer } from './http/errors.ts';
import { healthAnswer } from './http/healthcheck.ts';
import { discardRest } from './http/rest.ts';
import { checkSender, corsHeaders } from './http/origin.ts';
import { parseQuery } from './http/query.ts';
import { checkPaging } from './request/list-args.ts';
import { createRouters, findRoute } from './routes.ts';
import { withRights } from './policy/enforce.ts';
import { versionList } from './http/versions.ts';

/** Every method that Node's parser lets through; CONNECT never becomes a request. */
const METHODS = httpMethods.filter((method) => method !== 'CONNECT') as HTTPMethods[];

/** Tokens of a large Keystone fill more than Node's 16 KiB. */
const MAX_HEADER_BYTES = 65_536;

/** Beyond this Node itself gives up, with less to say: whoever is a little over the limit is answered as everybody is. */
const MAX_PARSED_HEADER_BYTES = 4 * MAX_HEADER_BYTES;

/** Builds the API. Nothing listens yet: call `listen` on what comes back. */
export function createApi(deps: ApiDeps): FastifyInstance {
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    bodyLimit: deps.options.max_request_body_size,
    requestIdHeader: false,
    genReqId: () => `req-${newId()}`,
    http: { maxHeaderSize: MAX_PARSED_HEADER_BYTES, requireHostHeader: false },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARSED_HEADER_BYTES, querystringParser: () => ({}) },
    frameworkErrors: (error, request, reply) => void sendError(deps, error, request as FastifyRequest, reply as unknown as FastifyReply),
    clientErrorHandler: (error, socket) => void answerBrokenRequest(app, error, socket),
  });
  answerOddities(app);
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => sendError(deps, error, request, reply));
  app.setNotFoundHandler((request, reply) => send(request, reply, refusalAnswer(404, 'Not Found', null)));
  app.addHook('onRequest', async (request, reply) => {
    // The reference answers OPTIONS before it counts requests.
    const isCounted = request.method !== 'OPTIONS' || request.url === '/';
    reply.headers({ ...(isCounted && { 'x-openstack-request-id': request.id }), ...corsHeaders(request, deps.options) });
    checkHeaders(request);
    checkSender(request, deps.options);
  });
  closeConnections(app);
  if (deps.audit) addAudit(app, deps.audit, deps.log, () => deps.clock.now());
  for (const plugin of deps.plugins ?? []) plugin(app);
  addRoutes(app, deps);
  return app;
}

/** Throws `Fault` 431 when address and headers together are longer than allowed, 400 without a Host (RFC 9112 §3.2). */
function checkHeaders({ raw }: FastifyRequest): void {
  if (raw.httpVersion === '1.1' && raw.headers.host === undefined) throw new Fault(400, 'The Host header is missing.');
  let bytes = raw.url?.length ?? 0;
  for (const text of raw.rawHeaders) bytes += text.length;
  if (bytes > MAX_HEADER_BYTES) throw new Fault(431, 'Request Header Fields Too Large');
}

/** How long requests may still run once the server is told to close. */
const DRAIN_MS = 10_000;

/** A closing server answers what it has begun and keeps no connection: Fastify alone would wait for kept-alive ones. */
function closeConnections(app: FastifyInstance): void {
  let isClosing = false;
  app.addHook('preClose', async () => {
    isClosing = true;
    setTimeout(() => app.server.closeAllConnections(), DRAIN_MS).unref();
  });
  app.addHook('onSend', async (request, reply) => {
    if (isClosing) reply.header('connection', 'close');
    // An answer before the body was read (413): a connection that is closed meanwhile is all that many clients would see.
    await discardRest(request.raw);
  });
}

function addRoutes(app: FastifyInstance, deps: ApiDeps): void {
  const routers = createRouters();
  for (const url of ['/v2', '/v2.0', '/v2/*', '/v2.0/*'])
    app.route({
      method: METHODS,
      url,
      handler: (request, reply) => (request.method === 'OPTIONS' ? reply.send() : answerCall(deps, routers, request, reply)),
    });
  app.route({
    method: METHODS,
    url: '/',
    handler: (request, reply) => send(request, reply, { status: 200, body: versionList(baseUrl(deps, request)) }),
  });
  app.route({ method: METHODS, url: '/openapi.json', handler: async (request, reply) => answerDocument(request, reply) });
  app.route({ method: METHODS, url: '/healthcheck', handler: async (request, reply) => healthAnswer(deps, request, reply) });
}

async function answerCall(
  deps: ApiDeps,
  routers: ReturnType<typeof createRouters>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const [path = '', search = ''] = splitUrl(request.raw.url ?? '/');
  const caller = await callerOf(deps, request);
  if (!acceptsJson(request.headers.accept))
    return send(request, reply, refusalAnswer(406, 'Not Acceptable', 'Only content type application/json is accepted.'));
  const match = findRoute(routers, request.method, path);
  if (match.found === 'nothing') return send(request, reply, refusalAnswer(404, 'Not Found'));
  if (match.found === 'other methods') return send(request, reply, refusalAnswer(405, 'Method Not Allowed', '', { allow: match.allow }));
  const query = parseQuery(search);
  if (request.method === 'GET') checkPaging(query, deps.options);
  const unknown = query.names.find((name) => match.args?.includes(name) === false);
  if (unknown !== undefined) throw new Fault(400, `Unknown argument: "${unknown}"`);
  const answer = await match.handler({
    deps,
    caller,
    token: secretToken(request),
    method: request.method,
    path,
    params: match.params,
    query,
    base_url: baseUrl(deps, request),
    pending: [],
    body: () => readJson(request.body as Uint8Array | undefined, request.headers['content-type']),
  });
  return send(request, reply, answer);
}

const secretToken = ({ headers }: FastifyRequest): Secret | null => {
  const token = headers['x-auth-token'];
  return typeof token === 'string' ? new Secret(token) : null;
};

/** Who calls, with the rights that the policy gives. Throws `Fault` 401 or 503. */
async function callerOf(deps: ApiDeps, request: FastifyRequest): Promise<Caller> {
  const { 'x-auth-token': token, 'x-service-token': serviceToken } = request.headers as Record<string, string | undefined>;
  const caller = await deps.identity.authenticate(token, serviceToken);
  if (deps.audit) noteCaller(request, caller);
  requireAccess(caller, { service: 'load-balancer', method: request.method, paths: [splitUrl(request.raw.url ?? '/')[0] ?? ''] });
  return deps.options.noauth ? caller : withRights(caller, deps.policy?.());
}

function splitUrl(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}

const baseUrl = (deps: ApiDeps, request: FastifyRequest): string =>
  deps.options.api_base_uri?.replace(/\/+$/u, '') ?? `${request.protocol}://${request.headers.host ?? 'localhost'}`;

/** Sends a JSON answer; bytes, because Fastify would add a charset to text. */
function send(request: FastifyRequest, reply: FastifyReply, answer: Answer | ErrorAnswer): FastifyReply {
  if ('headers' in answer) reply.headers({ 'x-openstack-request-id': request.id, ...answer.headers });
  reply.code(answer.status);
  if (answer.body === undefined) return reply.send();
  return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify(answer.body)));
}

function sendError(deps: ApiDeps, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const answer =
    answerOf(error, deps.options.www_authenticate_uri ?? `${baseUrl(deps, request)}/identity`) ?? frameworkAnswer(error, request);
  if (answer !== null) {
    if (answer.status >= 500 && answer.status !== 501)
      deps.log.warn({ request_id: request.id, err: error }, 'a request could not be served');
    return send(request, reply, inFormOf(request, answer));
  }
  deps.log.error(
    { request_id: request.id, err: error, method: request.method, path: splitUrl(request.raw.url ?? '/')[0] },
    'a request failed',
  );
  return send(request, reply, { status: 500, body: faultBody(500, `Internal error. Request id: ${request.id}`) });
}

/** A refusal by the server itself in the form of the service that was meant; services answer their own errors. */
function inFormOf(request: FastifyRequest, answer: ErrorAnswer): ErrorAnswer {
  const form = findForm(request.server, request.raw.url ?? '');
  if (form === null) return answer;
  const { faultstring, description, title } = answer.body as Readonly<Record<string, string | undefined>>;
  return { ...answer, body: form({ status: answer.status, message: faultstring ?? description ?? title ?? '', cause: undefined }) };
}

/** What Fastify refuses by itself. */
function frameworkAnswer(error: unknown, request: FastifyRequest): ErrorAnswer | null {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refusalAnswer(413, 'Request Entity Too Large', 'Request is too large.');
  if (code?.startsWith('FST_ERR_CTP_INVALID_MEDIA_TYPE'))
    return { status: 415, body: faultBody(415, `Unknown mimetype: ${request.headers['content-type'] ?? ''}`), headers: {} };
  if (code === 'FST_ERR_BAD_URL') return refusalAnswer(400, 'Bad Request', 'The path of the URL is not valid percent encoding of UTF-8.');
  // The client went away in the middle of its body: nobody reads this.
  if (code === 'ECONNRESET') return refusalAnswer(400, 'Bad Request', 'The request is not complete.');
  if (code?.startsWith('FST_') && statusCode !== undefined && statusCode < 500)
    return { status: statusCode, body: faultBody(statusCode, (error as Error).message), headers: {} };
  return null;
}
