/** `/v3/roles`, `/v3/role_assignments` and the grants below projects, domains and the system. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Assignment, Role, Scope } from '../../cloud/local/identity/records.ts';
import { impliedBy, isSameScope } from '../../cloud/local/identity/roles.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, jsonBody, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart, queryOf, withHead } from './http.ts';

/** Adds the routes of roles and of lists of assignments. */
export function addRoleRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { roles } = context.identity;
  scope.get('/roles', async (request) => {
    await callerOf(context, request);
    const shown = (await roles.list()).map((role) => roleBody(context, request, role));
    return collection(context, request, 'roles', '/roles', matching(shown, request));
  });
  scope.get('/roles/:id', async (request) => {
    await callerOf(context, request);
    const id = pathPart(request, 'id');
    const role = (await roles.list()).find((each) => each.id === id);
    if (role === undefined) throw new Fault(404, `Could not find role: ${id}.`);
    return { role: roleBody(context, request, role) };
  });
  scope.post('/roles', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'create_role');
    const body = objectAt(jsonBody(request.body), 'role');
    const name = requiredTextAt(body, 'name');
    if (typeof body['domain_id'] === 'string') throw new Fault(403, 'Roles of a domain are not supported: make one for all domains.');
    reply.code(201);
    return { role: roleBody(context, request, await roles.create({ description: '', ...roleChange(body), name })) };
  });
  scope.patch('/roles/:id', async (request) => {
    requireAdmin(await callerOf(context, request), 'update_role');
    const change = roleChange(objectAt(jsonBody(request.body), 'role'));
    return { role: roleBody(context, request, await roles.update(pathPart(request, 'id'), change)) };
  });
  scope.delete('/roles/:id', async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'delete_role');
    await roles.remove(pathPart(request, 'id'));
    return noContent(reply);
  });
  addInferenceRoutes(scope, context);
  scope.get('/role_assignments', async (request) => {
    const caller = await callerOf(context, request);
    const found = await roles.assignments(caller.is_admin ? undefined : (caller.user_id ?? ''));
    const wanted = found.filter((each) => isWanted(each, queryOf(request)));
    const named = queryOf(request).has('include_names') ? await namesIn(context) : null;
    return collection(
      context,
      request,
      'role_assignments',
      '/role_assignments',
      wanted.map((each) => assignmentBody(each, named)),
    );
  });
}

/** Which roles imply which; that cannot be changed. */
function addInferenceRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { roles } = context.identity;
  const short = ({ id, name }: Role): object => ({ id, name, links: {} });
  const inferences = async (): Promise<readonly { readonly prior: Role; readonly implies: readonly Role[] }[]> => {
    const all = await roles.list();
    return all.flatMap((prior) => {
      const names = impliedBy(prior.name);
      // The API tells direct ones; `reader` follows from `member`.
      const direct = names.filter((name) => !names.some((other) => impliedBy(other).includes(name)));
      return direct.length === 0 ? [] : [{ prior, implies: all.filter((role) => direct.includes(role.name)) }];
    });
  };
  scope.get('/role_inferences', async (request) => {
    requireAdmin(await callerOf(context, request), 'list_role_inference_rules');
    const role_inferences = (await inferences()).map(({ prior, implies }) => ({ prior_role: short(prior), implies: implies.map(short) }));
    return { role_inferences, links: { next: null, self: request.url, previous: null } };
  });
  scope.get('/roles/:id/implies', async (request) => {
    requireAdmin(await callerOf(context, request), 'list_implied_roles');
    const id = pathPart(request, 'id');
    const prior = (await roles.list()).find((role) => role.id === id);
    if (prior === undefined) throw new Fault(404, `Could not find role: ${id}.`);
    const implies = (await inferences()).find((each) => each.prior.id === id)?.implies ?? [];
    return { role_inference: { prior_role: short(prior), implies: implies.map(short) }, links: { self: request.url } };
  });
}

/** Adds `PUT`, `GET`, `HEAD` and `DELETE` of a role of a user on a project, a domain or the system, and their lists. */
export function addGrantRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const targets: readonly (readonly [string, (request: FastifyRequest) => Scope])[] = [
    ['/projects/:target', (request) => ({ type: 'project', id: pathPart(request, 'target') })],
    ['/domains/:target', (request) => ({ type: 'domain', id: pathPart(request, 'target') })],
    ['/system', () => ({ type: 'system' })],
  ];
  for (const [path, targetOf] of targets) addGrantsOn(scope, context, path, targetOf);
}

function addGrantsOn(scope: FastifyInstance, context: IdentityContext, path: string, targetOf: (request: FastifyRequest) => Scope): void {
  const { roles } = context.identity;
  const list = `${path}/users/:user/roles`;
  const given = async (request: FastifyRequest): Promise<readonly Assignment[]> =>
    (await roles.assignments(pathPart(request, 'user'))).filter((each) => isSameScope(each.scope, targetOf(request)));
  scope.get(list, async (request) => {
    requireAdmin(await callerOf(context, request), 'list_grants', pathPart(request, 'user'));
    const ids = (await given(request)).map((each) => each.role_id);
    const shown = (await roles.list()).filter((role) => ids.includes(role.id)).map((role) => roleBody(context, request, role));
    return { roles: shown, links: { next: null, self: request.url, previous: null } };
  });
  scope.put(`${list}/:role`, async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'create_grant');
    await roles.grant(pathPart(request, 'user'), pathPart(request, 'role'), targetOf(request));
    return noContent(reply);
  });
  scope.get(`${list}/:role`, withHead, async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'check_grant', pathPart(request, 'user'));
    const role = pathPart(request, 'role');
    if (!(await given(request)).some((each) => each.role_id === role))
      throw new Fault(404, `Could not find role assignment with role: ${role}.`);
    return noContent(reply);
  });
  scope.delete(`${list}/:role`, async (request, reply) => {
    requireAdmin(await callerOf(context, request), 'revoke_grant');
    await roles.revoke(pathPart(request, 'user'), pathPart(request, 'role'), targetOf(request));
    return noContent(reply);
  });
}

function roleBody(context: IdentityContext, request: FastifyRequest, role: Role): object {
  return { ...role, domain_id: null, options: {}, links: { self: linkTo(context, request, `/roles/${role.id}`) } };
}

function roleChange(body: JsonObject): Partial<Omit<Role, 'id'>> {
  const name = textAt(body, 'name');
  return {
    ...(name === undefined ? {} : { name }),
    ...(body['description'] === undefined ? {} : { description: anyTextAt(body, 'description', 1024) }),
  };
}

function isWanted(assignment: Assignment, query: ReadonlyMap<string, readonly string[]>): boolean {
  const { scope } = assignment;
  const facts: Readonly<Record<string, string>> = {
    'user.id': assignment.user_id,
    'role.id': assignment.role_id,
    'scope.project.id': scope.type === 'project' ? scope.id : '',
    'scope.domain.id': scope.type === 'domain' ? scope.id : '',
    'scope.system': scope.type === 'system' ? 'all' : '',
    // There are no groups, so nothing is assigned to one.
    'group.id': '',
  };
  return Object.entries(facts).every(([key, fact]) => query.get(key)?.includes(fact) ?? true);
}

type Names = ReadonlyMap<string, { readonly id: string; readonly name: string; readonly domain?: object }>;

async function namesIn({ identity }: IdentityContext): Promise<Names> {
  const domains = await identity.domains.list();
  const owned = [...(await identity.projects.list()), ...(await identity.users.list())];
  const plain = [...domains, ...(await identity.roles.list())];
  const domainOf = (id: string): object => ({ id, name: domains.find((each) => each.id === id)?.name ?? id });
  return new Map([
    ...plain.map(({ id, name }) => [id, { id, name }] as const),
    ...owned.map(({ id, name, domain_id }) => [id, { id, name, domain: domainOf(domain_id) }] as const),
  ]);
}

function assignmentBody({ role_id, user_id, scope }: Assignment, names: Names | null): object {
  const shown = (id: string): object => names?.get(id) ?? { id };
  const target = scope.type === 'system' ? { system: { all: true } } : { [scope.type]: shown(scope.id) };
  return { role: shown(role_id), user: shown(user_id), scope: target, links: {} };
}
