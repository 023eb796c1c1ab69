/** Load balancers on this machine as a user makes them: through the API, asking until they are ACTIVE, then connecting to the VIP. */
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { missingRights } from '../../src/cloud/local/compute/rights.ts';
import { type ApiClient, type Octavia, signIn } from '../support/octavia.ts';
import { fixture } from '../support/tls-fixtures.ts';
import type { BenchRun } from './part.ts';
import { type Scope, startIn } from './scope.ts';

/** Null when amphorae can be made here, else one sentence. */
export const whyNoAmphorae = (): string | null => missingRights(process.env['PATH'] ?? '');

/** Where load balancers are put. */
export type Place = {
  readonly octavia: Octavia;
  readonly api: ApiClient;
  readonly subnet_id: string;
  readonly network_id: string;
  /** The host's address on the subnet, where members can listen. */
  readonly gateway_ip: string;
};

/** A member to be. */
export type BenchMember = { readonly address: string; readonly protocol_port: number };

/** One load balancer, and when it was what; milliseconds since its request was sent. */
export type Born = { readonly id: string; readonly vip_address: string; readonly active_ms: number; readonly first_byte_ms: number };

type Subnet = { readonly id: string; readonly network_id: string; readonly gateway_ip: string };
/** A load balancer as the API shows it, as far as anybody here looks. */
type LoadBalancer = { readonly id: string; readonly vip_address: string; readonly provisioning_status: string };

/** Starts an Octavia with amphorae on this machine; `env` has options of its configuration. */
export async function openPlace(run: BenchRun, scope: Scope, env: Parameters<typeof startIn>[2] = {}): Promise<Place> {
  const octavia = await startIn(run.folder, scope, env);
  const api = await signIn(octavia);
  const { subnets } = await api.call<{ subnets: Subnet[] }>('GET', '/network/v2.0/subnets?name=private-subnet');
  const [subnet] = subnets;
  if (!subnet) throw new Error('there is no subnet private-subnet');
  return { octavia, api, subnet_id: subnet.id, network_id: subnet.network_id, gateway_ip: subnet.gateway_ip };
}

/** Makes a load balancer with all that `tree` has in it, and waits until it is ACTIVE. */
export async function make({ api, subnet_id }: Place, name: string, tree: object, pause_ms = 10): Promise<LoadBalancer> {
  const body = { loadbalancer: { name, vip_subnet_id: subnet_id, ...tree } };
  const { loadbalancer: lb } = await api.call<{ loadbalancer: LoadBalancer }>('POST', '/v2/lbaas/loadbalancers', body);
  const isActive = async (): Promise<boolean> => {
    const path = `/v2/lbaas/loadbalancers/${lb.id}?fields=provisioning_status`;
    const { loadbalancer } = await api.call<{ loadbalancer: LoadBalancer }>('GET', path);
    if (loadbalancer.provisioning_status === 'ERROR') throw new Error(`load balancer ${lb.id} is in ERROR`);
    return loadbalancer.provisioning_status === 'ACTIVE';
  };
  await until(isActive, `load balancer ${lb.id} is ACTIVE`, 60_000, pause_ms);
  return lb;
}

/** Makes a load balancer with an HTTP listener, a pool and these members, and waits for the first answer through its VIP. */
export async function bear(place: Place, name: string, members: readonly BenchMember[], pause_ms = 10): Promise<Born> {
  const pool = { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members };
  const listeners = [{ name: 'listener', protocol: 'HTTP', protocol_port: 80, default_pool: pool }];
  const begun = performance.now();
  const { id, vip_address } = await make(place, name, { listeners }, pause_ms);
  const active_ms = performance.now() - begun;
  await until(() => answers(vip_address), `http://${vip_address}/ answers`, 30_000, 5);
  return { id, vip_address, active_ms, first_byte_ms: performance.now() - begun };
}

/** Deletes a load balancer with everything in it; answers after how many milliseconds it was gone. */
export async function remove({ api }: Place, id: string, pause_ms = 10): Promise<number> {
  const begun = performance.now();
  await api.call('DELETE', `/v2/lbaas/loadbalancers/${id}?cascade=true`);
  const isGone = async (): Promise<boolean> => (await api.send('GET', `/v2/lbaas/loadbalancers/${id}`)).status === 404;
  await until(isGone, `load balancer ${id} is gone`, 60_000, pause_ms);
  return performance.now() - begun;
}

/** The id that everything of this state carries. */
export const stateIdOf = ({ octavia }: Place): string => readFileSync(join(octavia.state_dir, 'state-id'), 'utf8').trim();

/** The processes of all amphorae. */
export const amphoraPids = (place: Place): number[] => findMarked(stateIdOf(place)).map((each) => each.pid);

/** Is a request to the VIP answered by a member? */
function answers(vip_address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: vip_address, port: 80, agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

/** Stores a file of `test/fixtures/tls` as a secret; answers its reference. */
export async function storeFixture({ api }: Place, name: string): Promise<string> {
  const body = {
    payload: fixture(name).toString('base64'),
    payload_content_type: 'application/octet-stream',
    payload_content_encoding: 'base64',
  };
  return (await api.call<{ secret_ref: string }>('POST', '/key-manager/v1/secrets', body)).secret_ref;
}

/** Asks until the answer is yes. Throws after `timeout_ms`. */
async function until(isSo: () => Promise<boolean>, what: string, timeout_ms: number, pause_ms: number): Promise<void> {
  for (const deadline = Date.now() + timeout_ms; !(await isSo()); await pause(pause_ms))
    if (Date.now() > deadline) throw new Error(`not within ${timeout_ms} ms: ${what}`);
}

/** Waits. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
