/** `/v3/users/{user}/application_credentials`. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ApplicationCredential, Role } from '../../cloud/local/identity/records.ts';
import type { ValidToken } from '../../cloud/local/identity/validity.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { keepRules } from './access-rules.ts';
import { anyTextAt, booleanAt, isObject, jsonBody, listAt, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart, tokenOf } from './http.ts';
import { instant } from './token-body.ts';

/** Adds the routes; users see and make their own, administrators see and remove those of others. */
export function addCredentialRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { credentials, roles } = context.identity;
  const path = '/users/:user/application_credentials';
  const get = async (request: FastifyRequest): Promise<ApplicationCredential> => {
    const id = pathPart(request, 'id');
    const found = await credentials.find(id);
    if (found === null || found.user_id !== pathPart(request, 'user'))
      throw new Fault(404, `Could not find Application Credential: ${id}.`);
    return found;
  };
  scope.get(path, async (request) => {
    const user = pathPart(request, 'user');
    requireAdmin(await callerOf(context, request), 'list_application_credentials', user);
    const all = await roles.list();
    const shown = (await credentials.list(user)).map((each) => credentialBody(context, request, each, all));
    return collection(context, request, 'application_credentials', `/users/${user}/application_credentials`, matching(shown, request));
  });
  scope.get(`${path}/:id`, async (request) => {
    requireAdmin(await callerOf(context, request), 'get_application_credential', pathPart(request, 'user'));
    return { application_credential: credentialBody(context, request, await get(request), await roles.list()) };
  });
  scope.post(path, async (request, reply) => {
    const token = await personalToken(context, request);
    const body = objectAt(jsonBody(request.body), 'application_credential');
    const spec = readCredential(body, token);
    const access_rules = await keepRules(context, token.user.id, body);
    const { credential, secret } = await credentials.create({ ...spec, ...(access_rules.length > 0 && { access_rules }) });
    reply.code(201);
    return { application_credential: { ...credentialBody(context, request, credential, await roles.list()), secret } };
  });
  scope.delete(`${path}/:id`, async (request, reply) => {
    const caller = await callerOf(context, request);
    if (!caller.is_admin || caller.user_id === pathPart(request, 'user')) await personalToken(context, request);
    await credentials.remove((await get(request)).id);
    return noContent(reply);
  });
}

/** The request's token, when it is the user's own and may make and remove application credentials. Throws `Fault` 401 or 403. */
async function personalToken(context: IdentityContext, request: FastifyRequest): Promise<ValidToken> {
  await callerOf(context, request);
  const token = await context.identity.tokens.check(tokenOf(request));
  if (token.user.id !== pathPart(request, 'user')) {
    throw new Fault(403, 'You are not authorized to perform the requested action: identity:create_application_credential.');
  }
  if (token.application_credential?.unrestricted === false) {
    throw new Fault(
      403,
      'You are not authorized to perform the requested action: a restricted application credential cannot manage others.',
    );
  }
  return token;
}

function readCredential(body: JsonObject, token: ValidToken): Parameters<IdentityContext['identity']['credentials']['create']>[0] {
  if (token.project === null) throw new Fault(400, 'Invalid application credential: a token for a project is needed.');
  const secret = textAt(body, 'secret', { nullable: true, max: 1024 });
  return {
    name: requiredTextAt(body, 'name'),
    description: anyTextAt(body, 'description', 1024),
    user_id: token.user.id,
    project_id: token.project.id,
    role_ids: readRoles(listAt(body, 'roles'), token.roles),
    expires_ms: readExpiry(textAt(body, 'expires_at', { nullable: true })),
    unrestricted: booleanAt(body, 'unrestricted') ?? false,
    ...(secret === undefined ? {} : { secret }),
  };
}

/** Those of the token's roles that are asked for; all when none is. Throws `Fault` 400 for a role that the token does not have. */
function readRoles(asked: readonly unknown[] | undefined, held: readonly Role[]): readonly string[] {
  if (asked === undefined || asked.length === 0) return held.map((role) => role.id);
  const ids = asked.map((each) => {
    const found = isObject(each)
      ? held.find((role) => role.id === each['id'] || (each['id'] === undefined && role.name === each['name']))
      : undefined;
    if (found === undefined) throw new Fault(400, 'Invalid application credential: Could not find role assignment with one of the roles.');
    return found.id;
  });
  return [...new Set(ids)];
}

function readExpiry(text: string | undefined): number | null {
  if (text === undefined) return null;
  const shape = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?<zone>Z|[+-]\d\d:?\d\d)?$/u.exec(text);
  // Without a zone it is UTC, by the API's words; the parser here would take it for local time.
  const ms = shape === null ? Number.NaN : Date.parse(shape.groups?.['zone'] === undefined ? `${text}Z` : text);
  if (Number.isNaN(ms)) throw new Fault(400, "Invalid input for field 'expires_at': it is not a date and time.");
  if (ms <= Date.now()) throw new Fault(400, "Invalid input for field 'expires_at': it is in the past.");
  return ms;
}

function credentialBody(
  context: IdentityContext,
  request: FastifyRequest,
  credential: ApplicationCredential,
  all: readonly Role[],
): object {
  const { id, name, description, user_id, project_id, unrestricted, expires_ms } = credential;
  const roles = all
    .filter((role) => credential.role_ids.includes(role.id))
    .map((role) => ({ id: role.id, name: role.name, domain_id: null }));
  const links = { self: linkTo(context, request, `/users/${user_id}/application_credentials/${id}`) };
  const expires_at = expires_ms === null ? null : instant(expires_ms).replace('Z', '');
  const rules = credential.access_rules === undefined ? {} : { access_rules: credential.access_rules };
  return { id, name, description, user_id, project_id, roles, expires_at, unrestricted, ...rules, system: null, links };
}
