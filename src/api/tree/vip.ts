/**
 * Where a VIP goes: what a create request names (port, network, subnet, address) checked against the network service and
 * completed (api-ref "Create a Load Balancer": the VIP parameters).
 */
import type { Network, NetworkCatalog, Port, Subnet } from '../../cloud/network.ts';
import { Fault, type LoadBalancer } from '../../model/index.ts';
import { canonicalAddress, cidrContains } from '../../model/rules/addresses.ts';
import { refusal } from '../../model/rules/listener.ts';
import type { Call } from '../call.ts';
import type { ApiOptions } from '../deps.ts';
import type { JsonObject } from '../request/validate.ts';

/** The columns of a VIP before its port exists. */
export type VipPlan = Pick<
  LoadBalancer,
  | 'vip_address'
  | 'vip_port_id'
  | 'vip_subnet_id'
  | 'vip_network_id'
  | 'vip_qos_policy_id'
  | 'vip_sg_ids'
  | 'additional_vips'
  | 'vip_port_owned'
>;

type Search = {
  readonly catalog: NetworkCatalog;
  readonly project_id: string | null;
  readonly topology: LoadBalancer['topology'];
};

/** Completes and checks the VIP of a request, but not yet whether it may be on this network. Throws `Fault` 400. */
export async function planVip(call: Call, body: JsonObject, topology: LoadBalancer['topology']): Promise<VipPlan> {
  const { catalog, options } = call.deps;
  const search: Search = {
    catalog,
    topology,
    project_id: options.allow_invisible_resource_usage || call.caller.is_admin ? null : call.caller.project_id,
  };
  const asked = {
    vip_port_id: optional(body, 'vip_port_id'),
    vip_network_id: optional(body, 'vip_network_id'),
    vip_subnet_id: optional(body, 'vip_subnet_id'),
    vip_address: optional(body, 'vip_address'),
  };
  checkAsked(asked, options);
  const place = await resolve(search, asked);
  await checkOthers(search, body);
  const additional_vips = await resolveAdditional(search, body, place);
  return {
    ...place,
    vip_qos_policy_id: optional(body, 'vip_qos_policy_id') ?? place.qos_policy_id,
    vip_sg_ids: (body['vip_sg_ids'] as string[] | null | undefined) ?? [],
    additional_vips,
    vip_port_owned: asked.vip_port_id === null,
  };
}

type Asked = { readonly [Name in 'vip_port_id' | 'vip_network_id' | 'vip_subnet_id' | 'vip_address']: string | null };
type Place = Asked & { readonly qos_policy_id: string | null };

const optional = (body: JsonObject, name: string): string | null => (body[name] as string | null | undefined) ?? null;

/** The fault for something that a request names and that does not exist for the caller. */
const missing = (title: string, id: string): Fault => new Fault(400, `${title} ${id} not found.`);

function checkAsked(asked: Asked, options: ApiOptions): void {
  for (const name of ['vip_port_id', 'vip_network_id', 'vip_subnet_id'] as const)
    if (asked[name] !== null && !options[`allow_${name}`]) throw refusal(`use of ${name} is disallowed by configuration.`);
  if (asked.vip_port_id === null && asked.vip_network_id === null && asked.vip_subnet_id === null)
    throw refusal('VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.');
}

async function resolve(search: Search, asked: Asked): Promise<Place> {
  if (asked.vip_port_id !== null) return byPort(search, asked, asked.vip_port_id);
  if (asked.vip_network_id !== null) return byNetwork(search, asked, asked.vip_network_id);
  const subnet = await getSubnet(search, asked.vip_subnet_id as string);
  return { ...asked, vip_network_id: subnet.network_id, qos_policy_id: null };
}

async function getSubnet({ catalog, project_id }: Search, id: string): Promise<Subnet> {
  const subnet = await catalog.findSubnet(id, project_id);
  if (subnet === null) throw missing('Subnet', id);
  return subnet;
}

async function byPort(search: Search, asked: Asked, vip_port_id: string): Promise<Place> {
  const port = await search.catalog.findPort(vip_port_id, search.project_id);
  if (port === null) throw missing('Port', vip_port_id);
  // One that carries another load balancer is a conflict, which the rows tell.
  if (port.device_id !== '' && !port.device_id.startsWith('lb-')) throw refusal('Port is already used by a device.');
  if (asked.vip_subnet_id !== null) await getSubnet(search, asked.vip_subnet_id);
  const { subnet_id, ip_address } = addressOnPort(asked, port);
  return {
    vip_port_id,
    vip_network_id: port.network_id,
    vip_subnet_id: subnet_id,
    vip_address: ip_address,
    qos_policy_id: port.qos_policy_id,
  };
}

function addressOnPort(asked: Asked, port: Port): Port['fixed_ips'][number] {
  if (asked.vip_subnet_id !== null) {
    const found = port.fixed_ips.find((ip) => ip.subnet_id === asked.vip_subnet_id && isAddress(ip.ip_address, asked.vip_address));
    if (found === undefined) throw refusal('No VIP address found on the specified VIP port within the specified subnet.');
    return found;
  }
  if (asked.vip_address !== null) {
    const found = port.fixed_ips.find((ip) => isAddress(ip.ip_address, asked.vip_address));
    if (found === undefined) throw refusal('Specified VIP address not found on the specified VIP port.');
    return found;
  }
  const [only, ...others] = port.fixed_ips;
  if (only === undefined || others.length > 0)
    throw refusal("VIP port's subnet could not be determined. Please specify either a VIP subnet or address.");
  return only;
}

const isAddress = (ip_address: string, asked: string | null): boolean =>
  asked === null || canonicalAddress(ip_address) === canonicalAddress(asked);

async function byNetwork(search: Search, asked: Asked, vip_network_id: string): Promise<Place> {
  const network = await search.catalog.findNetwork(vip_network_id, search.project_id);
  if (network === null) throw missing('Network', vip_network_id);
  const vip_subnet_id = asked.vip_subnet_id ?? (await chooseSubnet(search, network, asked.vip_address));
  if (
    asked.vip_subnet_id !== null &&
    (await getSubnet(search, asked.vip_subnet_id)).network_id !== vip_network_id &&
    !network.subnets.includes(asked.vip_subnet_id)
  )
    throw refusal('Supplied VIP subnet is not part of the supplied VIP network.');
  return { ...asked, vip_network_id, vip_subnet_id, qos_policy_id: null };
}

async function chooseSubnet({ catalog, topology }: Search, network: Network, address: string | null): Promise<string> {
  const found = await Promise.all(network.subnets.map((id) => catalog.findSubnet(id, null)));
  const subnets = found.filter((subnet) => subnet !== null);
  if (address !== null) {
    const subnet = subnets.find((each) => cidrContains(each.cidr, address));
    if (subnet === undefined) throw refusal(`Supplied network does not contain a subnet for VIP address specified.`);
    return subnet.id;
  }
  // One address for the VIP and one for each amphora.
  const needed = topology === 'ACTIVE_STANDBY' ? 3 : 2;
  const free = await Promise.all(subnets.map((subnet) => catalog.countFreeAddresses(subnet.id)));
  const roomy = subnets.filter((_, index) => (free[index] ?? 0) >= needed);
  const chosen = roomy.find((subnet) => subnet.ip_version === 4) ?? roomy[0];
  if (chosen === undefined) throw refusal('Subnet(s) in the supplied network do not contain enough available IPs for a VIP.');
  return chosen.id;
}

/** QoS policy and security groups must be visible to the caller. */
async function checkOthers({ catalog, project_id }: Search, body: JsonObject): Promise<void> {
  const policy = optional(body, 'vip_qos_policy_id');
  if (policy !== null && (await catalog.findQosPolicy(policy, project_id)) === null) throw missing('qos_policy', policy);
  for (const id of (body['vip_sg_ids'] as string[] | null | undefined) ?? [])
    if ((await catalog.findSecurityGroup(id, project_id)) === null) throw missing('Security Group', id);
}

/** May a VIP be on this network? `ofZone`: those of the availability zone, in place of the configured ones. Throws `Fault` 400. */
export function checkNetworkAllowed(network_id: string | null, options: ApiOptions, ofZone: readonly string[] = []): void {
  if (network_id === null) return;
  const valid = ofZone.length > 0 ? ofZone : options.valid_vip_networks;
  if (valid?.includes(network_id) === false || options.denylist_vip_networks.includes(network_id))
    throw refusal(`Supplied VIP network_id is not allowed by the configuration of this deployment.`);
}

async function resolveAdditional(search: Search, body: JsonObject, place: Place): Promise<LoadBalancer['additional_vips']> {
  if (body['additional_vips'] === null) throw refusal('additional_vips must be a list.');
  const asked = (body['additional_vips'] as { subnet_id: string; ip_address?: string | null }[] | undefined) ?? [];
  const seen = new Set([place.vip_subnet_id]);
  const resolved: LoadBalancer['additional_vips'] = [];
  for (const { subnet_id, ip_address } of asked) {
    if (subnet_id === null) throw refusal('An additional VIP needs a subnet_id.');
    if (seen.has(subnet_id)) throw refusal('Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.');
    seen.add(subnet_id);
    const subnet = await getSubnet(search, subnet_id);
    if (subnet.network_id !== place.vip_network_id) throw refusal('All VIP subnets must belong to the same network.');
    resolved.push({ subnet_id, ip_address: ip_address ?? null, port_id: place.vip_port_id, network_id: place.vip_network_id });
  }
  return resolved;
}
