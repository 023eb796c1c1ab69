/** Mounts the embedded key manager as a subset of Barbican's API v1. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { noteForm } from '../http/forms.ts';
import { answerUnknown, baseUrl, prepareFacade, type Shown, titleOf, type UnknownOptions } from '../identity/http.ts';
import { addContainerRoutes } from './containers.ts';
import { callerOf, type SecretsContext, type SecretsFacadeOptions, speaksConsumers } from './context.ts';
import { addGuardRoutes } from './guards.ts';
import { addLesserRoutes } from './lesser.ts';
import { addSecretRoutes } from './secrets.ts';

/** Registers the facade below its prefix, encapsulated: its own bodies, errors and not-found answers. */
export function registerSecrets(app: FastifyInstance, options: SecretsFacadeOptions): void {
  const context: SecretsContext = { base_url: null, prefix: '/key-manager', ...options };
  app.register(
    (scope, _options, done) => {
      prepareFacade(scope, { errorBody, log: options.log });
      // Below the root others answer for what is not there, and for the root itself.
      if (context.prefix !== '') addRoot(scope, context);
      scope.register(
        (v1, _more, ready) => {
          answerUnknown(v1, unknownOf(context));
          v1.get('/', (request) => Promise.resolve({ version: versionBody(context, request) }));
          addSecretRoutes(v1, context);
          addContainerRoutes(v1, context);
          addGuardRoutes(v1, context);
          addLesserRoutes(v1, context);
          ready();
        },
        { prefix: '/v1' },
      );
      done();
    },
    { prefix: context.prefix },
  );
}

const unknownOf = (context: SecretsContext): UnknownOptions => ({
  missing: 'The resource could not be found.',
  errorBody,
  before: (request) => callerOf(context, request),
});

function addRoot(scope: FastifyInstance, context: SecretsContext): void {
  noteForm(scope, errorBody);
  answerUnknown(scope, unknownOf(context));
  scope.get('/', (request, reply) => {
    const version = versionBody(context, request);
    return reply.code(300).send({ versions: speaksConsumers(request) ? [version] : { values: [version] } });
  });
}

/** Barbican's form of an error; 401 comes from Keystone's middleware and looks like Keystone's. */
function errorBody({ status, message }: Shown): object {
  if (status === 401) return { error: { code: status, message, title: titleOf(status) } };
  return { code: status, title: titleOf(status), description: message };
}

function versionBody(context: SecretsContext, request: FastifyRequest): object {
  const links = [
    { rel: 'self', href: `${baseUrl(request, context.base_url)}${context.prefix}/v1/` },
    { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' },
  ];
  if (speaksConsumers(request)) return { id: 'v1', status: 'CURRENT', min_version: '1.0', max_version: '1.1', links };
  const media = [{ base: 'application/json', type: 'application/vnd.openstack.key-manager-v1+json' }];
  return { id: 'v1', status: 'stable', updated: '2021-02-10T00:00:00Z', links, 'media-types': media };
}
