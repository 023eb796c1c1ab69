/** `/v3/auth/…`: logging in, looking at a token, giving it back, and what it can be used for. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ValidToken } from '../../cloud/local/identity/validity.ts';
import { Fault } from '../../model/faults.ts';
import { readAuthRequest } from './auth-request.ts';
import { callerOf, catalogFor, collection } from './context.ts';
import type { CatalogEntry } from './catalog.ts';
import type { IdentityContext } from './context.ts';
import { jsonBody } from './fields.ts';
import { header, noContent, queryOf, tokenOf, withHead } from './http.ts';
import { domainBody } from './domains.ts';
import { projectBody, usableProjects } from './projects.ts';
import { tokenBody } from './token-body.ts';

/** Adds the routes below `/v3/auth`. */
export function addTokenRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { identity } = context;
  const shownCatalog = async (request: FastifyRequest, { project }: ValidToken): Promise<readonly CatalogEntry[] | null> =>
    queryOf(request).has('nocatalog') ? null : catalogFor(context, request, project?.id ?? null);

  scope.post('/auth/tokens', async (request, reply) => {
    const { token, valid } = await identity.tokens.issue(readAuthRequest(jsonBody(request.body)), request.ip);
    reply.code(201).header('x-subject-token', token).header('vary', 'X-Auth-Token');
    return tokenBody(valid, await shownCatalog(request, valid));
  });
  scope.get('/auth/tokens', withHead, async (request, reply) => {
    const subject = await subjectOf(context, request);
    reply.header('x-subject-token', header(request, 'x-subject-token') ?? '').header('vary', 'X-Auth-Token');
    return tokenBody(subject, await shownCatalog(request, subject));
  });
  scope.delete('/auth/tokens', async (request, reply) => {
    await identity.tokens.revoke(await subjectOf(context, request));
    return noContent(reply);
  });
  scope.get('/auth/catalog', async (request) => {
    const { project_id } = await callerOf(context, request);
    const links = { next: null, previous: null, self: `${request.url}` };
    return { catalog: await catalogFor(context, request, project_id), links };
  });
  addScopeRoutes(scope, context);
}

function addScopeRoutes(scope: FastifyInstance, context: IdentityContext): void {
  scope.get('/auth/projects', async (request) => {
    const caller = await callerOf(context, request);
    const projects = (await usableProjects(context, caller.user_id ?? '')).filter((project) => project.enabled);
    return collection(
      context,
      request,
      'projects',
      '/auth/projects',
      projects.map((project) => projectBody(context, request, project)),
    );
  });
  scope.get('/auth/domains', async (request) => {
    const caller = await callerOf(context, request);
    const granted = await context.identity.roles.assignments(caller.user_id ?? '');
    const ids = granted.flatMap((each) => (each.scope.type === 'domain' ? [each.scope.id] : []));
    const domains = (await context.identity.domains.list()).filter((domain) => ids.includes(domain.id));
    return collection(
      context,
      request,
      'domains',
      '/auth/domains',
      domains.map((domain) => domainBody(context, request, domain)),
    );
  });
  scope.get('/auth/system', async (request) => {
    const caller = await callerOf(context, request);
    const granted = await context.identity.roles.assignments(caller.user_id ?? '');
    return { system: granted.some((each) => each.scope.type === 'system') ? [{ all: true }] : [], links: { self: request.url } };
  });
}

/** The token named by `X-Subject-Token`: one's own, or anybody's for administrators and services. Throws `Fault` 404 when it is not valid. */
async function subjectOf(context: IdentityContext, request: FastifyRequest): Promise<ValidToken> {
  const asking = tokenOf(request);
  const subject = header(request, 'x-subject-token');
  const expired_too = ['1', 'true', 'True'].includes(queryOf(request).get('allow_expired')?.[0] ?? '');
  const caller = await callerOf(context, request);
  if (subject === undefined) throw new Fault(400, 'Expecting to find X-Subject-Token in the request headers.');
  try {
    const valid = await context.identity.tokens.check(subject, { expired_too });
    const allowed = subject === asking || valid.user.id === caller.user_id || caller.is_admin || caller.roles.includes('service');
    if (valid.application_credential?.access_rules !== undefined && !judgesByRules(request)) throw new Fault(404, 'Could not find token.');
    if (allowed) return valid;
  } catch (error) {
    if (!(error instanceof Fault && error.status === 401)) throw error;
    throw new Fault(404, 'Could not find token.', { cause: error });
  }
  throw new Fault(403, 'You are not authorized to perform the requested action: identity:validate_token.');
}

/** Does the service that asks say that it judges by access rules (version 1.0)? To others such a token would look like one for anything. */
function judgesByRules(request: FastifyRequest): boolean {
  return Number(header(request, 'openstack-identity-access-rules') ?? 0) >= 1;
}
