/** `/v2.0/routers`: there is one, the machine itself, as it is; it cannot be made, changed or removed. */
import { missing } from '../../cloud/local/network/faults.ts';
import type { LocalNetworkService } from '../../cloud/local/network-service.ts';
import { forbidden } from './attributes.ts';
import type { Collection, Owned } from './collection.ts';
import type { NetworkContext } from './context.ts';

/** The id of the router that this machine is: the same everywhere, as each deployment has its own. */
export const hostRouterId = '00000000-0000-4000-8000-000000000001';

type Router = Owned & { readonly name: string };

/** The router between the external network and those that the host has a leg in. */
export function routersOf({ network }: NetworkContext): Collection<Router> {
  const host: Router = { id: hostRouterId, project_id: null, name: 'host' };
  const refuse = (): never => {
    throw forbidden('this machine is the only router: it leads to and from the networks that it has a leg in');
  };
  return {
    path: '/routers',
    singular: 'router',
    plural: 'routers',
    missing: missing.router,
    list: () => Promise.resolve([host]),
    find: (id) => Promise.resolve(id === hostRouterId ? host : null),
    show: async (items) => {
      const external_gateway_info = await gatewayOf(network);
      return items.map((item) => ({
        ...item,
        tenant_id: item.project_id,
        description: 'This machine: between the external network and those that it has a leg in',
        admin_state_up: true,
        status: 'ACTIVE',
        external_gateway_info,
        routes: [],
        ha: false,
        distributed: false,
        flavor_id: null,
        availability_zones: ['local'],
        availability_zone_hints: [],
        tags: [],
        created_at: '2026-01-01T00:00:00Z',
        updated_at: '2026-01-01T00:00:00Z',
        revision_number: 1,
      }));
    },
    create: refuse,
    update: refuse,
    remove: refuse,
  };
}

async function gatewayOf(network: LocalNetworkService): Promise<object | null> {
  const external = (await network.listNetworks()).find((each) => each.is_external === true);
  return external === undefined ? null : { network_id: external.id, enable_snat: false, external_fixed_ips: [] };
}
