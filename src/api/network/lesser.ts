/** What clients look at besides networks and ports: extensions, quotas, and kinds of resource that this machine has none of. */
import type { FastifyInstance } from 'fastify';
import { NetworkFault } from '../../cloud/local/network/faults.ts';
import { callerOf, requireOwner } from './context.ts';
import type { NetworkContext } from './context.ts';

/** Kinds that are always empty: path and key. */
const emptyKinds: readonly (readonly [path: string, plural: string])[] = [
  ['/subnetpools', 'subnetpools'],
  ['/address-scopes', 'address_scopes'],
  ['/address-groups', 'address_groups'],
  ['/agents', 'agents'],
  ['/rbac-policies', 'rbac_policies'],
  ['/trunks', 'trunks'],
  ['/segments', 'segments'],
  ['/flavors', 'flavors'],
  ['/service_profiles', 'service_profiles'],
  ['/service-providers', 'service_providers'],
  ['/metering/metering-labels', 'metering_labels'],
  ['/metering/metering-label-rules', 'metering_label_rules'],
  ['/local_ips', 'local_ips'],
  ['/log/logs', 'logs'],
  ['/log/loggable-resources', 'loggable_resources'],
  ['/default-security-group-rules', 'default_security_group_rules'],
];

/** What of Neutron's extensions is true here: clients ask before they use one. */
const extensions: Readonly<Record<string, string>> = {
  'allowed-address-pairs': 'Allowed Address Pairs',
  'net-mtu': 'Network MTU',
  pagination: 'Pagination support',
  'port-security': 'Port Security',
  'project-id': 'project_id field enabled',
  qos: 'Quality of Service',
  quotas: 'Quota management support',
  'security-group': 'security-group',
  sorting: 'Sorting support',
  'standard-attr-description': 'standard-attr-description',
  'standard-attr-revisions': 'Resource revision numbers',
  'standard-attr-tag': 'Tag support for resources with standard attribute',
  'standard-attr-timestamp': 'Resource timestamps',
};

const quotaKinds = [
  'network',
  'subnet',
  'port',
  'security_group',
  'security_group_rule',
  'floatingip',
  'router',
  'subnetpool',
  'rbac_policy',
];

/** Adds the lists that are always empty, or always the same; `taken` are paths that another service has there. */
export function addEmptyKinds(scope: FastifyInstance, context: NetworkContext, taken: readonly string[] = []): void {
  scope.get('/availability_zones', async (request) => {
    await callerOf(context, request);
    const zone = { name: 'local', state: 'available' };
    return { availability_zones: ['network', 'router'].map((resource) => ({ ...zone, resource })) };
  });
  for (const [path, plural] of emptyKinds.filter(([each]) => !taken.includes(each))) {
    scope.get(path, async (request) => {
      await callerOf(context, request);
      return { [plural]: [] };
    });
  }
}

/** Adds `/extensions`. */
export function addExtensions(scope: FastifyInstance, context: NetworkContext): void {
  const shown = Object.entries(extensions).map(([alias, name]) => ({
    alias,
    name,
    description: name,
    links: [],
    updated: '2016-01-01T00:00:00-00:00',
  }));
  scope.get('/extensions', async (request) => {
    await callerOf(context, request);
    return { extensions: shown };
  });
  scope.get('/extensions/:alias', async (request) => {
    await callerOf(context, request);
    const { alias = '' } = request.params as { readonly alias?: string };
    const extension = shown.find((each) => each.alias === alias);
    if (extension === undefined)
      throw new NetworkFault(404, 'ExtensionNotFound', `Extension with alias ${alias.slice(0, 64)} does not exist`);
    return { extension };
  });
}

/** Adds `/quotas/{project}`: nothing is limited. Left out where the load-balancer API has the same path. */
export function addQuotas(scope: FastifyInstance, context: NetworkContext): void {
  const unlimited = <T>(value: T): Readonly<Record<string, T>> => Object.fromEntries(quotaKinds.map((kind) => [kind, value]));
  scope.get('/quotas', async (request) => {
    await callerOf(context, request);
    return { quotas: [] };
  });
  for (const path of ['/quotas/:project', '/quotas/:project/default']) {
    scope.get(path, async (request) => {
      const { project = '' } = request.params as { readonly project?: string };
      requireOwner(await callerOf(context, request), { project_id: project });
      return { quota: unlimited(-1) };
    });
  }
}
