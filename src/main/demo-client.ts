/** The few calls of the demo, made as any client of the API makes them. */

/** A member to put into the pool. */
export type DemoMember = { readonly name: string; readonly address: string; readonly port: number };

/** A load balancer as the API shows it, as far as the demo looks at it. */
export type DemoLoadBalancer = {
  readonly id: string;
  readonly vip_address: string;
  readonly provisioning_status: string;
  readonly pools: readonly { readonly id: string }[];
};

/** A client with a token. */
export class DemoClient {
  readonly #base_url: string;
  readonly #token: string;

  private constructor(base_url: string, token: string) {
    this.#base_url = base_url;
    this.#token = token;
  }

  /** Gets a token for the user's own project. Throws when it is refused. */
  static async login(base_url: string, name: string, password: string): Promise<DemoClient> {
    const user = { name, password, domain: { id: 'default' } };
    const auth = { identity: { methods: ['password'], password: { user } }, scope: { project: { name, domain: { id: 'default' } } } };
    const response = await fetch(`${base_url}/identity/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth }),
    });
    const token = response.headers.get('x-subject-token');
    if (token === null) throw new Error(`No token for ${name}: ${response.status} ${await response.text()}`);
    return new DemoClient(base_url, token);
  }

  /** A subnet by its name. */
  async subnet(name: string): Promise<{ readonly id: string; readonly gateway_ip: string }> {
    const { subnets } = await this.#call<{ subnets: { id: string; gateway_ip: string }[] }>('GET', `/network/v2.0/subnets?name=${name}`);
    if (!subnets[0]) throw new Error(`There is no subnet ${name}.`);
    return subnets[0];
  }

  /** A whole tree in one call. */
  async createLoadBalancer(vip_subnet_id: string, members: readonly DemoMember[]): Promise<DemoLoadBalancer> {
    const pool = {
      name: 'demo-pool',
      protocol: 'HTTP',
      lb_algorithm: 'ROUND_ROBIN',
      members: members.map(({ name, address, port }) => ({ name, address, protocol_port: port })),
      healthmonitor: { type: 'HTTP', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 },
    };
    const listeners = [{ name: 'demo-listener', protocol: 'HTTP', protocol_port: 80, default_pool: { name: pool.name } }];
    const body = { loadbalancer: { name: 'demo', vip_subnet_id, listeners, pools: [pool] } };
    return (await this.#call<{ loadbalancer: DemoLoadBalancer }>('POST', '/v2/lbaas/loadbalancers', body)).loadbalancer;
  }

  /** Waits for a status; throws when it is ERROR, or after a minute. */
  async waitFor(id: string, status: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const { loadbalancer } = await this.#call<{ loadbalancer: DemoLoadBalancer }>('GET', `/v2/lbaas/loadbalancers/${id}`);
      if (loadbalancer.provisioning_status === status) return;
      if (loadbalancer.provisioning_status === 'ERROR' || Date.now() > deadline)
        throw new Error(`The load balancer is ${loadbalancer.provisioning_status}.`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Name, address and operating status of each member. */
  async memberTable(id: string): Promise<string> {
    const { loadbalancer } = await this.#call<{ loadbalancer: DemoLoadBalancer }>('GET', `/v2/lbaas/loadbalancers/${id}`);
    const path = `/v2/lbaas/pools/${loadbalancer.pools[0]?.id}/members`;
    const { members } = await this.#call<{ members: { name: string; address: string; protocol_port: number; operating_status: string }[] }>(
      'GET',
      path,
    );
    return members
      .map((each) => `  ${each.name.padEnd(8)}${`${each.address}:${each.protocol_port}`.padEnd(22)}${each.operating_status}`)
      .join('\n');
  }

  /** Deletes with everything in it and waits until it is gone. */
  async remove(id: string): Promise<void> {
    await this.#call('DELETE', `/v2/lbaas/loadbalancers/${id}?cascade=true`);
    const deadline = Date.now() + 60_000;
    while ((await this.#send('GET', `/v2/lbaas/loadbalancers/${id}`)).status !== 404) {
      if (Date.now() > deadline) throw new Error('The load balancer was not deleted within a minute.');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #call<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#send(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  #send(method: string, path: string, body?: object): Promise<Response> {
    const headers = { 'x-auth-token': this.#token, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    return fetch(`${this.#base_url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  }
}
