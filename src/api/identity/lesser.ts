/** Parts of Keystone's API that this identity has none of: lists that are empty, and a clear refusal instead of a riddle. */
import type { FastifyInstance } from 'fastify';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { pathPart } from './http.ts';

/** Path, key of the list, and what to do instead. */
const absent: readonly (readonly [path: string, plural: string, instead: string])[] = [
  ['/groups', 'groups', 'Groups are not supported by this identity service: give roles to users.'],
  ['/credentials', 'credentials', 'Credentials of other services are not kept here: use application credentials.'],
  ['/policies', 'policies', 'Rules of policy are not kept here: they are files of each service.'],
  ['/limits', 'limits', 'Limits are not kept here: use the quotas of each service.'],
  ['/registered_limits', 'registered_limits', 'Limits are not kept here: use the quotas of each service.'],
  ['/OS-TRUST/trusts', 'trusts', 'Trusts are not supported by this identity service: use application credentials.'],
  ['/OS-FEDERATION/identity_providers', 'identity_providers', 'Users of other identity providers are not supported here.'],
  ['/OS-FEDERATION/mappings', 'mappings', 'Users of other identity providers are not supported here.'],
];

/** Adds the routes. */
export function addLesserRoutes(scope: FastifyInstance, context: IdentityContext): void {
  for (const [path, plural, instead] of absent) {
    scope.get(path, async (request) => {
      await callerOf(context, request);
      return collection(context, request, plural, path, []);
    });
    scope.get(`${path}/:id`, async (request) => {
      await callerOf(context, request);
      throw new Fault(404, `Could not find ${plural.replace(/s$/u, '').replaceAll('_', ' ')}: ${pathPart(request, 'id')}.`);
    });
    scope.post(path, async (request) => {
      requireAdmin(await callerOf(context, request), `create in ${plural}`);
      throw new Fault(403, instead);
    });
  }
  scope.get('/limits/model', async (request) => {
    await callerOf(context, request);
    return { model: { name: 'flat', description: 'Limits are enforced by each service.' } };
  });
  scope.get('/users/:user/credentials/OS-EC2', async (request) => {
    const user = pathPart(request, 'user');
    requireAdmin(await callerOf(context, request), 'ec2_list_credentials', user);
    return collection(context, request, 'credentials', `/users/${user}/credentials/OS-EC2`, []);
  });
}
