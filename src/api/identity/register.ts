/** Mounts the embedded identity as a subset of Keystone's Identity API v3. */
import type { FastifyInstance } from 'fastify';
import { addAccessRuleRoutes } from './access-rules.ts';
import { addCredentialRoutes } from './application-credentials.ts';
import { defaultServices } from './catalog.ts';
import { linkTo } from './context.ts';
import type { IdentityContext, IdentityFacadeOptions } from './context.ts';
import { noteForm } from '../http/forms.ts';
import { answerUnknown, baseUrl, prepareFacade, titleOf } from './http.ts';
import type { Shown } from './http.ts';
import { addDomainRoutes } from './domains.ts';
import { addLesserRoutes } from './lesser.ts';
import { addProjectRoutes } from './projects.ts';
import { addGrantRoutes, addRoleRoutes } from './roles.ts';
import { addServiceRoutes } from './services.ts';
import { addTokenRoutes } from './tokens.ts';
import { addUserRoutes } from './users.ts';

/**
 * Registers the identity facade below its prefix, encapsulated: its own bodies, errors and not-found answers.
 * Call it before `app.ready()`; it needs no content type parser of the application.
 */
export function registerIdentity(app: FastifyInstance, options: IdentityFacadeOptions): void {
  const context: IdentityContext = { base_url: null, prefix: '/identity', region: 'RegionOne', services: defaultServices, ...options };
  app.register(
    (scope, _options, done) => {
      prepareFacade(scope, { errorBody, log: options.log });
      noteForm(scope, errorBody);
      answerUnknown(scope, { missing: 'Could not find the requested resource.', errorBody });
      scope.get('/', (request, reply) => {
        const version = versionBody(`${baseUrl(request, context.base_url)}${context.prefix}/v3/`);
        return reply.code(300).send({ versions: { values: [version] } });
      });
      scope.register((v3) => addRoutes(v3, context), { prefix: '/v3' });
      done();
    },
    { prefix: context.prefix },
  );
}

async function addRoutes(scope: FastifyInstance, context: IdentityContext): Promise<void> {
  scope.get('/', (request) => Promise.resolve({ version: versionBody(linkTo(context, request, '/')) }));
  addTokenRoutes(scope, context);
  addDomainRoutes(scope, context);
  addProjectRoutes(scope, context);
  addUserRoutes(scope, context);
  addRoleRoutes(scope, context);
  addGrantRoutes(scope, context);
  addCredentialRoutes(scope, context);
  addAccessRuleRoutes(scope, context);
  addServiceRoutes(scope, context);
  addLesserRoutes(scope, context);
}

/** Keystone's form of an error. */
function errorBody({ status, message }: Shown): object {
  return { error: { code: status, message, title: titleOf(status) } };
}

function versionBody(href: string): object {
  return {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  };
}
