/** `/v2.0/network-ip-availabilities`: how many addresses each network has, and how many are taken. */
import type { FastifyInstance } from 'fastify';
import { sizeOf } from '../../cloud/local/network/addresses.ts';
import { usableRanges } from '../../cloud/local/network/allocation.ts';
import { missing } from '../../cloud/local/network/faults.ts';
import { maySee } from '../../cloud/local/network-service.ts';
import type { LocalNetwork, LocalSubnet } from '../../cloud/local/network/records.ts';
import type { JsonObject } from '../identity/fields.ts';
import { queryOf } from '../identity/http.ts';
import { callerOf, scopeOf } from './context.ts';
import type { NetworkContext } from './context.ts';
import { selectPage } from './list.ts';

/** Adds the list and one network of it; who sees a network sees its numbers. */
export function addIpAvailability(scope: FastifyInstance, context: NetworkContext): void {
  const { network } = context;
  const path = '/network-ip-availabilities';
  scope.get(path, async (request) => {
    const caller = await callerOf(context, request);
    const visible = (await network.listNetworks()).filter((each) => maySee(each, scopeOf(caller)));
    const query = new Map([...queryOf(request)].filter(([key]) => key !== 'ip_version'));
    const version = queryOf(request).get('ip_version')?.at(-1);
    const shown = await Promise.all(visible.map((each) => availabilityOf(context, each, version)));
    return { network_ip_availabilities: selectPage(shown, query).items };
  });
  scope.get(`${path}/:id`, async (request) => {
    const caller = await callerOf(context, request);
    const { id = '' } = request.params as { readonly id?: string };
    const found = await network.findNetwork(id, scopeOf(caller));
    if (found === null) throw missing.network(id.slice(0, 64));
    return { network_ip_availability: await availabilityOf(context, found, undefined) };
  });
}

async function availabilityOf({ network }: NetworkContext, of: LocalNetwork, version: string | undefined): Promise<JsonObject> {
  const subnets = (await network.listSubnets(of.id)).filter((each) => version === undefined || String(each.ip_version) === version);
  const shown = await Promise.all(subnets.map((subnet) => subnetAvailability(network, subnet)));
  const sum = (key: 'total_ips' | 'used_ips'): number => shown.reduce((total, each) => total + each[key], 0);
  return {
    id: of.id,
    network_id: of.id,
    network_name: of.name,
    project_id: of.project_id,
    tenant_id: of.project_id,
    total_ips: sum('total_ips'),
    used_ips: sum('used_ips'),
    subnet_ip_availability: shown,
  };
}

async function subnetAvailability(network: NetworkContext['network'], subnet: LocalSubnet) {
  const total_ips = Number(sizeOf(usableRanges(subnet)));
  const { id: subnet_id, name: subnet_name, cidr, ip_version } = subnet;
  return { subnet_id, subnet_name, cidr, ip_version, total_ips, used_ips: total_ips - (await network.countFreeAddresses(subnet.id)) };
}
