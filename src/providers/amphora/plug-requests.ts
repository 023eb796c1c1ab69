/** Bodies of the agent's plug requests, from ports and subnets. */
import type { Port, Subnet } from '../../cloud/network.ts';
import { type LoadBalancer, Retry } from '../../model/index.ts';
import type { PlugNetworkRequest } from '../../wire/agent-api.ts';
import type { VipPlug } from './agent-client.ts';
import type { Observed } from './observed.ts';

/** Throws `Retry` when the subnet cannot be found at present. */
function subnetOf(observed: Observed, subnet_id: string | null): Subnet {
  const subnet = subnet_id === null ? undefined : observed.subnets.get(subnet_id);
  if (!subnet) throw new Retry(`Subnet ${subnet_id} is not found.`);
  return subnet;
}

const mtuOf = (observed: Observed, network_id: string): number => observed.networks.get(network_id)?.mtu ?? 1500;

/**
 * The address of its own that an amphora has beside the VIPs: of the port's addresses the one on the primary VIP's subnet. The agent's API
 * knows one; those on the subnets of additional VIPs only keep their places.
 */
export const ownAddress = ({ vip_subnet_id }: LoadBalancer, { fixed_ips }: Port): string | undefined =>
  (fixed_ips.find((ip) => ip.subnet_id === vip_subnet_id) ?? fixed_ips[0])?.ip_address;

/** The VIPs of a load balancer on the amphora's VRRP port. Throws `Retry` when a subnet is not found. */
export function vipRequest(lb: LoadBalancer, port: Port, observed: Observed): VipPlug {
  const subnet = subnetOf(observed, lb.vip_subnet_id);
  const vrrp_ip = ownAddress(lb, port);
  if (lb.vip_address === null || vrrp_ip === undefined) throw new Retry('The VIP has no address yet.');
  return {
    vip: lb.vip_address,
    subnet_cidr: subnet.cidr,
    gateway: subnet.gateway_ip,
    mac_address: port.mac_address,
    mtu: mtuOf(observed, port.network_id),
    vrrp_ip,
    host_routes: subnet.host_routes,
    additional_vips: lb.additional_vips.flatMap((vip) => {
      if (vip.ip_address === null) return [];
      const { cidr, gateway_ip, host_routes } = subnetOf(observed, vip.subnet_id);
      return [{ ip_address: vip.ip_address, subnet_cidr: cidr, gateway: gateway_ip, host_routes }];
    }),
  };
}

/** An interface towards members. Throws `Retry` when a subnet is not found. */
export function networkRequest(port: Port, observed: Observed): PlugNetworkRequest {
  return {
    mac_address: port.mac_address,
    mtu: mtuOf(observed, port.network_id),
    fixed_ips: port.fixed_ips.map((ip) => {
      const { cidr, gateway_ip, host_routes } = subnetOf(observed, ip.subnet_id);
      return { ip_address: ip.ip_address, subnet_cidr: cidr, gateway: gateway_ip, host_routes };
    }),
  };
}
