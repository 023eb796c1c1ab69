/** `/v3/domains`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Domain } from '../../cloud/local/identity/records.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, booleanAt, jsonBody, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart } from './http.ts';

const MAX_NAME = 64;

/** A domain as the API shows it. */
export function domainBody(context: IdentityContext, request: FastifyRequest, domain: Domain): object {
  return { ...domain, tags: [], options: {}, links: { self: linkTo(context, request, `/domains/${domain.id}`) } };
}

/** Adds the routes; everybody with a token may know the names. */
export function addDomainRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { domains } = context.identity;
  scope.get('/domains', async (request) => {
    await callerOf(context, request);
    const shown = (await domains.list()).map((domain) => domainBody(context, request, domain));
    return collection(context, request, 'domains', '/domains', matching(shown, request));
  });
  scope.get('/domains/:id', async (request) => {
    await callerOf(context, request);
    const id = pathPart(request, 'id');
    const found = await domains.find(id);
    if (found === null) throw new Fault(404, `Could not find domain: ${id}.`);
    return { domain: domainBody(context, request, found) };
  });
  scope.post('/domains', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'create_domain');
    const body = objectAt(jsonBody(request.body), 'domain');
    const name = requiredTextAt(body, 'name', MAX_NAME);
    const domain = await domains.create({ description: '', enabled: true, ...domainChange(body), name });
    reply.code(201);
    return { domain: domainBody(context, request, domain) };
  });
  scope.patch('/domains/:id', async (request) => {
    requireAdmin(await callerOf(context, request), 'update_domain');
    const change = domainChange(objectAt(jsonBody(request.body), 'domain'));
    return { domain: domainBody(context, request, await domains.update(pathPart(request, 'id'), change)) };
  });
  scope.delete('/domains/:id', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'delete_domain');
    await domains.remove(pathPart(request, 'id'));
    return noContent(reply);
  });
}

function domainChange(body: JsonObject): Partial<Omit<Domain, 'id'>> {
  const name = textAt(body, 'name', { max: MAX_NAME });
  const enabled = booleanAt(body, 'enabled');
  return {
    ...(name === undefined ? {} : { name }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(body['description'] === undefined ? {} : { description: anyTextAt(body, 'description', 1024) }),
  };
}
