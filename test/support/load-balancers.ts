/** What tests do with load balancers through the API: make, change, wait, delete. */
import type { ApiClient } from './octavia.ts';
import { until } from './octavia.ts';

/** What tests look at of any resource. */
export type Resource = {
  readonly id: string;
  readonly name: string;
  readonly provisioning_status: string;
  readonly operating_status: string;
};

/** A load balancer as the API shows it; after a create of a whole tree, listeners and pools come with all their fields. */
export type ShownLoadBalancer = Resource & {
  readonly vip_address: string;
  readonly vip_port_id: string;
  readonly vip_network_id: string;
  readonly listeners: readonly Resource[];
  readonly pools: readonly (Resource & { readonly members: readonly Resource[]; readonly healthmonitor?: Resource })[];
};

/** A member as the API shows it. */
export type ShownMember = Resource & { readonly address: string; readonly protocol_port: number; readonly weight: number };

/** A subnet as the network facade shows it. */
export type ShownSubnet = { readonly id: string; readonly network_id: string; readonly cidr: string; readonly gateway_ip: string };

const base = '/v2/lbaas';

/** A subnet by its name; undefined when there is none. */
export async function findSubnet(client: ApiClient, name: string): Promise<ShownSubnet | undefined> {
  return (await client.call<{ subnets: ShownSubnet[] }>('GET', `/network/v2.0/subnets?name=${name}`)).subnets[0];
}

/** A load balancer by its id. */
export async function showLoadBalancer(client: ApiClient, id: string): Promise<ShownLoadBalancer> {
  return (await client.call<{ loadbalancer: ShownLoadBalancer }>('GET', `${base}/loadbalancers/${id}`)).loadbalancer;
}

/** Waits until a load balancer is ACTIVE. Throws when it is in ERROR, or after the time. */
export async function waitActive(client: ApiClient, id: string, timeout_ms = 30_000): Promise<ShownLoadBalancer> {
  return until(
    async () => {
      const shown = await showLoadBalancer(client, id);
      if (shown.provisioning_status === 'ERROR') throw new Error(`the load balancer ${shown.name} is in ERROR`);
      return shown.provisioning_status === 'ACTIVE' && shown;
    },
    `load balancer ${id} is ACTIVE`,
    timeout_ms,
  );
}

/** Makes a load balancer, with all that `body` has in it, and waits until it is ACTIVE; answers the tree of the 201. */
export async function makeLoadBalancer(client: ApiClient, body: object): Promise<ShownLoadBalancer> {
  const made = (await client.call<{ loadbalancer: ShownLoadBalancer }>('POST', `${base}/loadbalancers`, { loadbalancer: body }))
    .loadbalancer;
  await waitActive(client, made.id);
  return made;
}

/** One change of something in a load balancer, and waits until that is ACTIVE again; answers the one resource of the body. */
export async function change<T = Resource>(
  client: ApiClient,
  loadbalancer_id: string,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Promise<T> {
  const answer = await client.call<Record<string, T> | null>(method, `${base}${path}`, body);
  await waitActive(client, loadbalancer_id);
  return Object.values(answer ?? {})[0] as T;
}

/** Deletes a load balancer with all in it and waits until the API does not know it any more. */
export async function removeLoadBalancer(client: ApiClient, id: string): Promise<void> {
  await client.call('DELETE', `${base}/loadbalancers/${id}?cascade=true`);
  await until(async () => (await client.send('GET', `${base}/loadbalancers/${id}`)).status === 404, `load balancer ${id} is gone`, 30_000);
}

/** The members of a pool by their names. */
export async function membersOf(client: ApiClient, pool_id: string): Promise<ReadonlyMap<string, ShownMember>> {
  const { members } = await client.call<{ members: ShownMember[] }>('GET', `${base}/pools/${pool_id}/members`);
  return new Map(members.map((member) => [member.name, member]));
}

/** Waits until a member has an operating status; answers the milliseconds that took. */
export async function waitMember(client: ApiClient, pool_id: string, name: string, status: string, timeout_ms = 15_000): Promise<number> {
  const begun = performance.now();
  await until(
    async () => (await membersOf(client, pool_id)).get(name)?.operating_status === status,
    `member ${name} is ${status}`,
    timeout_ms,
  );
  return performance.now() - begun;
}

/** The operating statuses of a load balancer, its listeners and pools, in this order. */
export async function operatingStatuses(client: ApiClient, id: string): Promise<readonly string[]> {
  const { statuses } = await client.call<{ statuses: { loadbalancer: StatusTree } }>('GET', `${base}/loadbalancers/${id}/status`);
  const { operating_status, listeners } = statuses.loadbalancer;
  const pools = listeners.flatMap((listener) => listener.pools);
  return [operating_status, ...listeners.map((each) => each.operating_status), ...pools.map((each) => each.operating_status)];
}

type StatusTree = {
  readonly operating_status: string;
  readonly listeners: readonly { readonly operating_status: string; readonly pools: readonly { readonly operating_status: string }[] }[];
};
