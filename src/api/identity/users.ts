/** `/v3/users`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { User } from '../../cloud/local/identity/records.ts';
import type { UserSpec } from '../../cloud/local/identity/users.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, booleanAt, jsonBody, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart } from './http.ts';
import { projectBody, usableProjects } from './projects.ts';

const MAX_PASSWORD = 1024;

/** Adds the routes; users see and, by their password, change themselves, administrators everybody. */
export function addUserRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { users } = context.identity;
  scope.get('/users', async (request) => {
    const caller = await callerOf(context, request);
    const visible = (await users.list()).filter((user) => caller.is_admin || user.id === caller.user_id);
    const shown = visible.map((user) => userBody(context, request, user));
    return collection(context, request, 'users', '/users', matching(shown, request));
  });
  scope.get('/users/:id', async (request) => {
    const id = pathPart(request, 'id');
    requireAdmin(await callerOf(context, request), 'get_user', id);
    return { user: userBody(context, request, (await users.find(id)) ?? missing(id)) };
  });
  scope.post('/users', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'create_user');
    const body = objectAt(jsonBody(request.body), 'user');
    const domain_id = textAt(body, 'domain_id', { nullable: true }) ?? 'default';
    const spec = { description: '', email: null, enabled: true, default_project_id: null, password: null };
    const user = await users.create({ ...spec, ...userChange(body), name: requiredTextAt(body, 'name'), domain_id });
    reply.code(201);
    return { user: userBody(context, request, user) };
  });
  scope.patch('/users/:id', async (request) => {
    requireAdmin(await callerOf(context, request), 'update_user');
    const change = userChange(objectAt(jsonBody(request.body), 'user'));
    return { user: userBody(context, request, await users.update(pathPart(request, 'id'), change)) };
  });
  scope.delete('/users/:id', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'delete_user');
    await users.remove(pathPart(request, 'id'));
    return noContent(reply);
  });
  addPersonalRoutes(scope, context);
}

function addPersonalRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { users, tokens } = context.identity;
  scope.post('/users/:id/password', async (request, reply) => {
    const id = pathPart(request, 'id');
    requireAdmin(await callerOf(context, request), 'change_password', id);
    const body = objectAt(jsonBody(request.body), 'user');
    const password = requiredTextAt(body, 'password', MAX_PASSWORD);
    // The old password is proven by a login, so that guessing it here is slowed down as well.
    const proof = { method: 'password', user: { id }, password: requiredTextAt(body, 'original_password', MAX_PASSWORD) } as const;
    await tokens.issue({ methods: [proof], scope: { type: 'unscoped' } }, request.ip);
    await users.update(id, { password });
    return noContent(reply);
  });
  scope.get('/users/:id/projects', async (request) => {
    const id = pathPart(request, 'id');
    requireAdmin(await callerOf(context, request), 'list_user_projects', id);
    const shown = (await usableProjects(context, id)).map((project) => projectBody(context, request, project));
    return collection(context, request, 'projects', `/users/${id}/projects`, matching(shown, request));
  });
  scope.get('/users/:id/groups', async (request) => {
    const id = pathPart(request, 'id');
    requireAdmin(await callerOf(context, request), 'list_groups_for_user', id);
    return collection(context, request, 'groups', `/users/${id}/groups`, []);
  });
}

/** A user as the API shows it: without the password's hash. */
function userBody(context: IdentityContext, request: FastifyRequest, user: User): object {
  const { id, name, domain_id, description, email, enabled, default_project_id } = user;
  const optional = { ...(email === null ? {} : { email }), ...(default_project_id === null ? {} : { default_project_id }) };
  const links = { self: linkTo(context, request, `/users/${id}`) };
  return { id, name, domain_id, description, enabled, ...optional, password_expires_at: null, options: {}, links };
}

function userChange(body: JsonObject): Partial<Omit<UserSpec, 'domain_id'>> {
  const name = textAt(body, 'name');
  const enabled = booleanAt(body, 'enabled');
  return {
    ...(name === undefined ? {} : { name }),
    ...(enabled === undefined ? {} : { enabled }),
    ...(body['description'] === undefined ? {} : { description: anyTextAt(body, 'description', 1024) }),
    ...(body['email'] === undefined ? {} : { email: textAt(body, 'email', { nullable: true }) ?? null }),
    ...(body['default_project_id'] === undefined
      ? {}
      : { default_project_id: textAt(body, 'default_project_id', { nullable: true }) ?? null }),
    ...(body['password'] === undefined ? {} : { password: textAt(body, 'password', { max: MAX_PASSWORD, nullable: true }) ?? null }),
  };
}

function missing(id: string): never {
  throw new Fault(404, `Could not find user: ${id}.`);
}
