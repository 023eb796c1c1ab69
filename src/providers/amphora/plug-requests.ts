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

/** The VIPs of a load balancer on the amphora's VRRP port. Throws `Retry` when a subnet is not found. */
export function vipRequest(lb: LoadBalancer, port: Port, observed: Observed): VipPlug {
  const subnet = subnetOf(observed, lb.vip_subnet_id);
  const own = port.fixed_ips.find((ip) => ip.subnet_id === subnet.id) ?? port.fixed_ips[0];
  if (lb.vip_address === null || !own) throw new Retry('The VIP has no address yet.');
  return {
    vip: lb.vip_address,
    subnet_cidr: subnet.cidr,
    gateway: subnet.gateway_ip,
    mac_address: port.mac_address,
    mtu: mtuOf(observed, port.network_id),
    vrrp_ip: own.ip_address,
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
