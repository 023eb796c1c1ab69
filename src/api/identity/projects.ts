/** `/v3/projects`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Project } from '../../cloud/local/identity/records.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, booleanAt, jsonBody, listAt, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart, withHead } from './http.ts';

const MAX_NAME = 64;
const MAX_DESCRIPTION = 1024;

/** A project as the API shows it. */
export function projectBody(context: IdentityContext, request: FastifyRequest, project: Project): object {
  const links = { self: linkTo(context, request, `/projects/${project.id}`) };
  return { ...project, parent_id: project.domain_id, is_domain: false, options: {}, links };
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
  addTagRoutes(scope, context);
}

function addTagRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { projects } = context.identity;
  const get = async (request: FastifyRequest): Promise<Project> => {
    const id = pathPart(request, 'id');
    return (await projects.find(id)) ?? missing('project', id);
  };
  const change = async (request: FastifyRequest, tagsOf: (tags: readonly string[]) => readonly unknown[]): Promise<readonly string[]> => {
    requireAdmin(await callerOf(context, request), 'update_project_tags');
    const project = await get(request);
    return (await projects.update(project.id, projectChange({ tags: tagsOf(project.tags) }))).tags;
  };
  const named = (request: FastifyRequest): string => (request.params as { readonly tag?: string }).tag ?? '';
  const path = '/projects/:id/tags';
  scope.get(path, async (request) => {
    const caller = await callerOf(context, request);
    const project = await get(request);
    if (caller.project_id !== project.id) requireAdmin(caller, 'list_project_tags');
    return { tags: project.tags, links: { next: null, self: request.url, previous: null } };
  });
  scope.put(path, async (request) => {
    const tags = listAt(jsonBody(request.body), 'tags', 80) ?? [];
    return { tags: await change(request, () => tags), links: { next: null, self: request.url, previous: null } };
  });
  scope.delete(path, async (request, reply) => {
    await change(request, () => []);
    return noContent(reply);
  });
  scope.put(`${path}/:tag`, async (request, reply) => {
    await change(request, (tags) => [...tags, named(request)]);
    return reply.code(201).send();
  });
  scope.get(`${path}/:tag`, withHead, async (request, reply) => {
    await callerOf(context, request);
    if (!(await get(request)).tags.includes(named(request))) missing('project tag', named(request).slice(0, 64));
    return noContent(reply);
  });
  scope.delete(`${path}/:tag`, async (request, reply) => {
    await change(request, (tags) => tags.filter((tag) => tag !== named(request)));
    return noContent(reply);
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
