/** Mounts the embedded network service as a subset of Neutron's Networking API v2.0. */
import type { FastifyInstance } from 'fastify';
import { NetworkFault } from '../../cloud/local/network/faults.ts';
import { noteForm } from '../http/forms.ts';
import { answerUnknown, baseUrl, prepareFacade, titleOf } from '../identity/http.ts';
import type { Shown } from '../identity/http.ts';
import { addCollection } from './collection.ts';
import type { NetworkContext, NetworkFacadeOptions } from './context.ts';
import { floatingIpsOf } from './floating-ips.ts';
import { addIpAvailability } from './ip-availability.ts';
import { addEmptyKinds, addExtensions, addQuotas } from './lesser.ts';
import { networksOf, subnetsOf } from './networks.ts';
import { portsOf } from './ports.ts';
import { addQosRules, qosPoliciesOf } from './qos.ts';
import { routersOf } from './routers.ts';
import { rulesOfGroups, securityGroupsOf } from './security-groups.ts';

/**
 * Registers the network facade below a prefix of its own (default `/network`), encapsulated: its own bodies, errors and
 * not-found answers. With the prefix '' it shares the root with the load-balancer API, as `registerNetworkResources` does.
 */
export function registerNetwork(app: FastifyInstance, options: NetworkFacadeOptions & { readonly prefix?: string }): void {
  const { prefix = '/network' } = options;
  if (prefix === '') {
    // openstacksdk reads the versions of the load-balancer API there, and follows them to `/v2`.
    for (const path of ['/v2.0', '/v2']) registerNetworkResources(app, options, path);
    return;
  }
  const context: NetworkContext = { ...options, root: `${prefix}/v2.0` };
  app.register(
    (scope, _options, done) => {
      prepareFacade(scope, { errorBody, log: options.log });
      noteForm(scope, errorBody);
      answerUnknown(scope, { missing: 'The resource could not be found.', errorBody });
      scope.get('/', (request) => {
        const href = `${baseUrl(request, context.base_url ?? null)}${context.root}/`;
        return Promise.resolve({ versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href }] }] });
      });
      scope.register(
        (v2, _none, ready) => {
          v2.get('/', () => Promise.resolve({ resources: [] }));
          addQuotas(v2, context);
          addResources(v2, context);
          ready();
        },
        { prefix: '/v2.0' },
      );
      done();
    },
    { prefix },
  );
}

/**
 * Registers the resources alone below a path that others use too, such as `/v2.0` of the load-balancer API: for clients
 * without a catalog (`auth_type: none`), who send everything to one address. Without quotas, which both APIs have there,
 * and without a not-found answer of its own.
 */
export function registerNetworkResources(app: FastifyInstance, options: NetworkFacadeOptions, path: string): void {
  const context: NetworkContext = { ...options, root: path };
  app.register(
    (scope, _options, done) => {
      prepareFacade(scope, { errorBody, log: options.log });
      // Flavors are the load balancers' there, as quotas are.
      addResources(scope, context, ['/flavors']);
      done();
    },
    { prefix: path },
  );
}

function addResources(scope: FastifyInstance, context: NetworkContext, taken: readonly string[] = []): void {
  addExtensions(scope, context);
  addCollection(scope, context, networksOf(context));
  addCollection(scope, context, subnetsOf(context));
  addCollection(scope, context, portsOf(context));
  addCollection(scope, context, securityGroupsOf(context));
  addCollection(scope, context, rulesOfGroups(context));
  addCollection(scope, context, qosPoliciesOf(context));
  addQosRules(scope, context);
  addCollection(scope, context, floatingIpsOf(context));
  addCollection(scope, context, routersOf(context));
  addIpAvailability(scope, context);
  addEmptyKinds(scope, context, taken);
}

/** Neutron's form of an error; 401 comes from Keystone's middleware and looks like Keystone's. */
function errorBody({ status, message, cause }: Shown): object {
  if (status === 401) return { error: { code: status, message, title: titleOf(status) } };
  const type = cause instanceof NetworkFault ? cause.type : `HTTP${titleOf(status).replaceAll(' ', '')}`;
  return { NeutronError: { type, message, detail: '' } };
}
