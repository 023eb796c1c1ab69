/** `/v3/users/{user}/access_rules`: the rules that users made with their application credentials. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { KeptRule } from '../../cloud/local/identity/access-rules.ts';
import type { AccessRule } from '../../cloud/access-rules.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { isObject, listAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart } from './http.ts';

/** Adds the routes; users see and remove their own, administrators those of others. */
export function addAccessRuleRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { accessRules } = context.identity;
  const path = '/users/:user/access_rules';
  const userFor = async (request: FastifyRequest, action: string): Promise<string> => {
    const user = pathPart(request, 'user');
    requireAdmin(await callerOf(context, request), action, user);
    return user;
  };
  scope.get(path, async (request) => {
    const user = await userFor(request, 'list_access_rules');
    const shown = (await accessRules.list(user)).map((each) => ruleBody(context, request, each));
    return collection(context, request, 'access_rules', `/users/${user}/access_rules`, matching(shown, request));
  });
  scope.get(`${path}/:id`, async (request) => {
    const user = await userFor(request, 'get_access_rule');
    return { access_rule: ruleBody(context, request, await accessRules.get(user, pathPart(request, 'id'))) };
  });
  scope.delete(`${path}/:id`, async (request, reply) => {
    await accessRules.remove(await userFor(request, 'delete_access_rule'), pathPart(request, 'id'));
    return noContent(reply);
  });
}

function ruleBody(context: IdentityContext, request: FastifyRequest, { id, user_id, service, method, path }: KeptRule): object {
  return { id, service, method, path, links: { self: linkTo(context, request, `/users/${user_id}/access_rules/${id}`) } };
}

/** The rules of a new credential, those that the user has not had before being made. Throws `Fault` 400, and 404 for an unknown `id`. */
export async function keepRules(
  context: IdentityContext,
  user_id: string,
  body: JsonObject,
): Promise<readonly (AccessRule & { readonly id: string })[]> {
  const { accessRules } = context.identity;
  // All are read before one is made.
  const asked = (listAt(body, 'access_rules') ?? []).map(readRule);
  const kept: KeptRule[] = [];
  for (const rule of asked) kept.push(await ('id' in rule ? accessRules.get(user_id, rule.id) : accessRules.keep(user_id, rule)));
  return kept.map(({ id, service, method, path }) => ({ id, service, method, path }));
}

/** A rule by its words, or one that is there by its id. The limits are those of Keystone's schema. */
function readRule(value: unknown): AccessRule | { readonly id: string } {
  if (!isObject(value)) throw invalid('it is no object');
  const { id, service, method, path, ...others } = value;
  if (Object.keys(others).length > 0) throw invalid('a rule has service, method and path, or id');
  if (typeof id === 'string' && service === undefined && method === undefined && path === undefined) return { id };
  if (typeof service !== 'string' || service === '' || service.length > 255) throw invalid('a service type is needed');
  if (typeof method !== 'string' || !/^(?:POST|GET|HEAD|PATCH|PUT|DELETE)$/u.test(method)) throw invalid('the method is none of HTTP');
  if (typeof path !== 'string' || !path.startsWith('/') || path.length > 225) throw invalid('the path must begin with a slash');
  return { service, method, path };
}

const invalid = (why: string): Fault => new Fault(400, `Invalid input for field 'access_rules': ${why}.`);
