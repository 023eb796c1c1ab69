/** `/v3/projects` and `/v3/domains`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Domain, Project } from '../../cloud/local/identity/records.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, booleanAt, jsonBody, listAt, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart } from './http.ts';

const MAX_NAME = 64;
const MAX_DESCRIPTION = 1024;

/** A project as the API shows it. */
export function projectBody(context: IdentityContext, request: FastifyRequest, project: Project): object {
  const links = { self: linkTo(context, request, `/projects/${project.id}`) };
  return { ...project, parent_id: project.domain_id, is_domain: false, options: {}, links };
}

/** A domain as the API shows it. */
export function domainBody(context: IdentityContext, request: FastifyRequest, domain: Domain): object {
  return { ...domain, tags: [], options: {}, links: { self: linkTo(context, request, `/domains/${domain.id}`) } };
}

/** The projects on which a user has a role. */
export async function usableProjects(context: IdentityContext, user_id: string): Promise<readonly Project[]> {
  const granted = await context.identity.roles.assignments(user_id);
  const ids = new Set(granted.flatMap((each) => (each.scope.type === 'project' ? [each.scope.id] : [])));
  return (await context.identity.projects.list()).filter((project) => ids.has(project.id));
}

/** Adds the routes; reading shows everything to administrators, and to others the projects they can use. */
export function addProjectRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { projects } = context.identity;
  scope.get('/projects', async (request) => {
    const caller = await callerOf(context, request);
    const visible = caller.is_admin ? await projects.list() : await usableProjects(context, caller.user_id ?? '');
    const shown = visible.map((project) => projectBody(context, request, project));
    return collection(context, request, 'projects', '/projects', matching(shown, request));
  });
  scope.get('/projects/:id', async (request) => {
    const caller = await callerOf(context, request);
    const id = pathPart(request, 'id');
    const usable =
      caller.is_admin || caller.project_id === id || (await usableProjects(context, caller.user_id ?? '')).some((each) => each.id === id);
    if (!usable) requireAdmin(caller, 'get_project');
    return { project: projectBody(context, request, (await projects.find(id)) ?? missing('project', id)) };
  });
  scope.post('/projects', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'create_project');
    const body = objectAt(jsonBody(request.body), 'project');
    if (body['is_domain'] === true) throw new Fault(400, 'Projects that act as a domain are not supported.');
    const name = requiredTextAt(body, 'name', MAX_NAME);
    const domain_id = textAt(body, 'domain_id', { nullable: true }) ?? textAt(body, 'parent_id', { nullable: true }) ?? 'default';
    const project = await projects.create({ description: '', enabled: true, tags: [], ...projectChange(body), name, domain_id });
    reply.code(201);
    return { project: projectBody(context, request, project) };
  });
  scope.patch('/projects/:id', async (request) => {
    requireAdmin(await callerOf(context, request), 'update_project');
    const change = projectChange(objectAt(jsonBody(request.body), 'project'));
    return { project: projectBody(context, request, await projects.update(pathPart(request, 'id'), change)) };
  });
  scope.delete('/projects/:id', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'delete_project');
    await projects.remove(pathPart(request, 'id'));
    return noContent(reply);
  });
}

/** Adds the routes; there is one domain, and everybody with a token may know its name. */
export function addDomainRoutes(scope: FastifyInstance, context: IdentityContext): void {
  scope.get('/domains', async (request) => {
    await callerOf(context, request);
    const shown = (await context.identity.domains.list()).map((domain) => domainBody(context, request, domain));
    return collection(context, request, 'domains', '/domains', matching(shown, request));
  });
  scope.get('/domains/:id', async (request) => {
    await callerOf(context, request);
    const id = pathPart(request, 'id');
    return { domain: domainBody(context, request, (await context.identity.domains.find(id)) ?? missing('domain', id)) };
  });
}

function projectChange(body: JsonObject): Partial<Pick<Project, 'name' | 'description' | 'enabled' | 'tags'>> {
  const name = textAt(body, 'name', { max: MAX_NAME });
  const enabled = booleanAt(body, 'enabled');
  const tags = listAt(body, 'tags', 80)?.map((tag) => requiredTextAt({ tag }, 'tag'));
  return {
    ...(name === undefined ? {} : { name }),
    ...(body['description'] === undefined ? {} : { description: anyTextAt(body, 'description', MAX_DESCRIPTION) }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(tags === undefined ? {} : { tags: [...new Set(tags)] }),
  };
}

function missing(type: string, id: string): never {
  throw new Fault(404, `Could not find ${type}: ${id}.`);
}
