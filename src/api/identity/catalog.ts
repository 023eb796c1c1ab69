/** The service catalog: where a client finds load balancing, networks and identity on this machine. */
import { createHash } from 'node:crypto';
import type { Endpoint, Service } from '../../cloud/local/identity/services.ts';

/** A service that the catalog names; `path` follows the base address. */
export type CatalogService = { readonly type: string; readonly name: string; readonly path: string };

/** A service with its endpoints, as a token carries it. */
export type CatalogEntry = {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly endpoints: readonly {
    readonly id: string;
    readonly interface: string;
    readonly region: string;
    readonly region_id: string;
    readonly url: string;
  }[];
};

/** What one machine offers. Roots are bare: clients append `/v2.0` themselves, and would double it. */
export const defaultServices: readonly CatalogService[] = [
  { type: 'identity', name: 'keystone', path: '/identity/v3' },
  { type: 'load-balancer', name: 'octavia', path: '' },
  { type: 'network', name: 'neutron', path: '/network' },
];

/** For deployments whose key manager is mounted too. */
export const keyManagerService: CatalogService = { type: 'key-manager', name: 'barbican', path: '/key-manager' };

const interfaces = ['public', 'internal', 'admin'];

/** The catalog at a base address. Ids depend on names only, so they stay the same from start to start. */
export function catalogAt(base_url: string, region: string, services: readonly CatalogService[]): readonly CatalogEntry[] {
  return services.map(({ type, name, path }) => ({
    id: stableId(`service ${type}`),
    type,
    name,
    endpoints: interfaces.map((each) => ({
      id: stableId(`endpoint ${type} ${each}`),
      interface: each,
      region,
      region_id: region,
      url: `${base_url}${path}`,
    })),
  }));
}

/** What administrators added, as a token for a project carries it: enabled services and endpoints, with the project in the address. */
export function addedCatalog(
  services: readonly Service[],
  endpoints: readonly Endpoint[],
  project_id: string | null,
): readonly CatalogEntry[] {
  return services
    .filter((service) => service.enabled)
    .map(({ id, type, name }) => ({
      id,
      type,
      name,
      endpoints: endpoints.flatMap((endpoint) => {
        const url = endpoint.url.replaceAll(/[%$]\((?:project|tenant)_id\)s/gu, () => project_id ?? '');
        const hasProject = project_id !== null || url === endpoint.url;
        if (endpoint.service_id !== id || !endpoint.enabled || !hasProject) return [];
        const region = endpoint.region_id ?? '';
        return [{ id: endpoint.id, interface: endpoint.interface, region, region_id: region, url }];
      }),
    }));
}

function stableId(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
