/** `/v2.0/floatingips`. */
import type { Caller } from '../../cloud/identity.ts';
import { invalidInput, missing, NetworkFault } from '../../cloud/local/network/faults.ts';
import {
  associate,
  changeFloatingIp,
  createFloatingIp,
  deleteFloatingIp,
  findFloatingIp,
  listFloatingIps,
  refuseTarget,
} from '../../cloud/local/network/floating-ips.ts';
import type { FloatingIp } from '../../cloud/local/network/records.ts';
import { isUuid } from '../../lib/ids.ts';
import type { JsonObject } from '../identity/fields.ts';
import { absent, addressOrNull, projectId, readAttributes, tags, text, uuid, uuidOrNull } from './attributes.ts';
import type { Collection } from './collection.ts';
import { ownerOf, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';
import { scopeFilter } from './ports.ts';
import { hostRouterId } from './routers.ts';

const attributes = {
  project_id: { read: projectId, in: 'POST' },
  floating_network_id: { read: uuid, in: 'POST' },
  floating_ip_address: { read: addressOrNull, in: 'POST' },
  subnet_id: { read: uuidOrNull, in: 'POST' },
  tags: { read: tags, in: 'POST' },
  port_id: { read: uuidOrNull, in: 'both' },
  fixed_ip_address: { read: addressOrNull, in: 'both' },
  description: { read: text, in: 'both' },
  // There is no name service, and what a port may do is limited at the port: clients send these as they are by default.
  dns_name: { read: absent, in: 'POST' },
  dns_domain: { read: absent, in: 'POST' },
  qos_policy_id: { read: absent, in: 'both' },
} as const;

/** Floating IPs of the caller's project. */
export function floatingIpsOf(context: NetworkContext): Collection<FloatingIp> {
  const { network } = context;
  const { store } = network.topology;
  const visible = async (id: string, caller: Caller): Promise<FloatingIp | null> => {
    const found = isUuid(id) ? await findFloatingIp(store, id) : null;
    const scope = scopeOf(caller);
    return found !== null && (scope === null || found.project_id === scope) ? found : null;
  };
  return {
    path: '/floatingips',
    singular: 'floatingip',
    plural: 'floatingips',
    missing: missing.floating_ip,
    list: (caller) => listFloatingIps(store, scopeFilter(scopeOf(caller))),
    find: visible,
    show: (items) => Promise.all(items.map((item) => show(context, item))),
    async create(body, caller) {
      const given = readAttributes(attributes, body, 'POST', caller);
      const { floating_network_id, port_id = null, description = '', tags: labels = [] } = given;
      if (floating_network_id === undefined) throw invalidInput('a floating IP needs a floating_network_id');
      if ((await network.findNetwork(floating_network_id, scopeOf(caller))) === null) throw missing.network(floating_network_id);
      if (port_id !== null) {
        await requirePort(context, port_id, caller);
        await refuseTarget(network.addressing, { port_id, ...fixedOf(given.fixed_ip_address) });
      }
      const address = given.floating_ip_address ?? undefined;
      const subnet_id = given.subnet_id ?? undefined;
      const made = await createFloatingIp(network.addressing, {
        project_id: ownerOf(caller, given.project_id),
        floating_network_id,
        description,
        ...(address === undefined ? {} : { floating_ip_address: address }),
        ...(subnet_id === undefined ? {} : { subnet_id }),
      });
      try {
        const tagged = labels.length === 0 ? made : await changeFloatingIp(network.addressing, made.id, { tags: labels });
        return port_id === null ? tagged : await moved(context, tagged, { port_id, ...fixedOf(given.fixed_ip_address) });
      } catch (error) {
        await deleteFloatingIp(network.addressing, made.id);
        throw error;
      }
    },
    async update(item, body, caller) {
      const { port_id, fixed_ip_address, description } = readAttributes(attributes, body, 'PUT', caller);
      const other = description === undefined ? {} : { description };
      if (port_id === undefined && fixed_ip_address === undefined) return changeFloatingIp(network.addressing, item.id, other);
      const target = port_id === undefined ? item.port_id : port_id;
      if (target === null) return moved(context, item, null, other);
      await requirePort(context, target, caller);
      return moved(context, item, { port_id: target, ...fixedOf(fixed_ip_address) }, other);
    },
    async remove(item) {
      await deleteFloatingIp(network.addressing, item.id);
      if (item.port_id !== null) await network.addressing.onTrafficChanged();
    },
    setTags: (item, labels) => changeFloatingIp(network.addressing, item.id, { tags: labels }),
  };
}

/** Lets a floating IP stand for something else, and takes that back when the machine cannot translate it. */
async function moved(
  { network }: NetworkContext,
  before: FloatingIp,
  target: Parameters<typeof associate>[2],
  other: Parameters<typeof associate>[3] = {},
): Promise<FloatingIp> {
  const after = await associate(network.addressing, before.id, target, other);
  try {
    await network.addressing.onTrafficChanged();
  } catch (error) {
    const { port_id, fixed_ip_address } = before;
    await changeFloatingIp(network.addressing, before.id, { port_id, fixed_ip_address });
    const message = `Floating IP ${before.id} cannot be associated: this machine does not translate addresses (nft refused).`;
    throw new NetworkFault(409, 'FloatingIpUnavailable', message, { cause: error });
  }
  return after;
}

async function requirePort({ network }: NetworkContext, id: string, caller: Caller): Promise<void> {
  if ((await network.findPort(id, scopeOf(caller))) === null) throw missing.port(id);
}

function fixedOf(address: string | null | undefined): { readonly fixed_ip_address?: string } {
  return address === null || address === undefined ? {} : { fixed_ip_address: address };
}

async function show({ network }: NetworkContext, item: FloatingIp): Promise<JsonObject> {
  const { subnet_id: _subnet, ...floating } = item;
  const port = item.port_id === null ? null : await network.findPort(item.port_id, null);
  const details =
    port === null
      ? null
      : {
          name: port.name,
          network_id: port.network_id,
          mac_address: port.mac_address,
          admin_state_up: port.admin_state_up,
          status: port.device_id === '' ? 'DOWN' : 'ACTIVE',
          device_id: port.device_id,
          device_owner: port.device_owner,
        };
  return {
    ...floating,
    tenant_id: item.project_id,
    router_id: item.port_id === null ? null : hostRouterId,
    status: item.port_id === null ? 'DOWN' : 'ACTIVE',
    port_details: details,
    port_forwardings: [],
    dns_name: '',
    dns_domain: '',
    qos_policy_id: null,
  };
}
