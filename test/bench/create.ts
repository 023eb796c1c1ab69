/**
 * Load balancers with real amphorae on this machine: how soon they serve, what each costs while it idles, and whether
 * everything is gone in the end. A client of this bench does what users do: it asks until ACTIVE, then connects to the VIP.
 */
import { readFileSync } from 'node:fs';
import { createServer, get, type Server } from 'node:http';
import { join } from 'node:path';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { missingRights } from '../../src/cloud/local/compute/rights.ts';
import { type ApiClient, type Octavia, signIn, until } from '../support/octavia.ts';
import { mebibytes, p50p99, rounded } from './figures.ts';
import { addedSince, availableBytes, cpuSeconds, takeInventory, proportionalBytes } from './machine.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { type Scope, scoped, startIn } from './scope.ts';

/** Null when amphorae can be made here, else one sentence. */
export const whyNoAmphorae = (): string | null => missingRights(process.env['PATH'] ?? '');

type Size = { readonly alone: number; readonly together: number; readonly idle_ms: number };

const full: Size = { alone: 100, together: 20, idle_ms: 60_000 };
const quick: Size = { alone: 5, together: 3, idle_ms: 5000 };

/** Where load balancers are put: the subnet of VIPs, and a member that answers. */
type Place = {
  readonly octavia: Octavia;
  readonly api: ApiClient;
  readonly subnet_id: string;
  readonly address: string;
  readonly port: number;
};

type LoadBalancer = { readonly id: string; readonly vip_address: string; readonly provisioning_status: string };

/** One load balancer, and when it was what; milliseconds since its request was sent. */
type Born = { readonly id: string; readonly active_ms: number; readonly first_byte_ms: number };

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  const before = await takeInventory(run.folder);
  const rows = await scoped(async (scope) => {
    const place = await openPlace(run, scope);
    // A first one brings what is loaded and made once.
    await remove(place, (await bear(place, 'warm-up')).id);
    const available = availableBytes();
    const alone = await createAlone(run, place, size.alone);
    const together = await Promise.all(Array.from({ length: size.together }, (_, n) => bear(place, `together-${n}`)));
    run.say(`${size.together} at once: ${JSON.stringify(p50p99(together.map((each) => each.first_byte_ms)))}`);
    const idle = await idleCost(run, place, size, available);
    const removal = await removeTogether(place, together);
    return [...bornRows('one after another', alone), ...bornRows('at once', together), removal, ...idle, await destroyRow(place)];
  });
  const left = addedSince(before, await takeInventory(run.folder));
  if (left.length > 0) run.say(`left behind: ${left.slice(0, 20).join('; ')}`);
  return [...rows, { what: 'left behind after destroy', count: left.length, aim: '0' }];
}

async function openPlace(run: BenchRun, scope: Scope): Promise<Place> {
  const octavia = await startIn(run.folder, scope);
  const api = await signIn(octavia);
  const { subnets } = await api.call<{ subnets: { id: string; gateway_ip: string }[] }>('GET', '/network/v2.0/subnets?name=private-subnet');
  const [subnet] = subnets;
  if (!subnet) throw new Error('there is no subnet private-subnet');
  const server = createServer((_request, response) => response.end('ok'));
  scope.after(() => closeServer(server));
  const port = await listenOn(server, subnet.gateway_ip);
  return { octavia, api, subnet_id: subnet.id, address: subnet.gateway_ip, port };
}

const listenOn = (server: Server, address: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, () => resolve((server.address() as { port: number }).port));
  });

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

async function createAlone(run: BenchRun, place: Place, count: number): Promise<Born[]> {
  const born: Born[] = [];
  while (born.length < count) {
    born.push(await bear(place, `alone-${born.length}`));
    if (born.length % 20 === 0 || born.length === count)
      run.say(`${born.length} of ${count}: first byte ${JSON.stringify(p50p99(born.map((each) => each.first_byte_ms)))}`);
  }
  return born;
}

async function bear({ api, subnet_id, address, port }: Place, name: string): Promise<Born> {
  const pool = { name: 'pool', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [{ address, protocol_port: port }] };
  const listeners = [{ name: 'listener', protocol: 'HTTP', protocol_port: 80, default_pool: pool }];
  const body = { loadbalancer: { name, vip_subnet_id: subnet_id, listeners } };
  const begun = performance.now();
  const { loadbalancer: lb } = await api.call<{ loadbalancer: LoadBalancer }>('POST', '/v2/lbaas/loadbalancers', body);
  await until(
    async () => {
      const path = `/v2/lbaas/loadbalancers/${lb.id}?fields=provisioning_status`;
      const { loadbalancer } = await api.call<{ loadbalancer: LoadBalancer }>('GET', path);
      if (loadbalancer.provisioning_status === 'ERROR') throw new Error(`load balancer ${lb.id} is in ERROR`);
      return loadbalancer.provisioning_status === 'ACTIVE';
    },
    `load balancer ${lb.id} is ACTIVE`,
    60_000,
  );
  const active_ms = performance.now() - begun;
  await until(() => answers(lb.vip_address), `http://${lb.vip_address}/ answers`, 30_000);
  return { id: lb.id, active_ms, first_byte_ms: performance.now() - begun };
}

/** Is a request to the VIP answered by the member? */
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

async function remove({ api }: Place, id: string): Promise<number> {
  const begun = performance.now();
  await api.call('DELETE', `/v2/lbaas/loadbalancers/${id}?cascade=true`);
  await until(async () => (await api.send('GET', `/v2/lbaas/loadbalancers/${id}`)).status === 404, `load balancer ${id} is gone`, 60_000);
  return performance.now() - begun;
}

async function removeTogether(place: Place, born: readonly Born[]): Promise<Row> {
  const durations = await Promise.all(born.map((each) => remove(place, each.id)));
  return { what: 'delete → gone, at once', count: born.length, ...p50p99(durations) };
}

function bornRows(how: string, born: readonly Born[]): Row[] {
  const row = (what: string, durations: readonly number[]): Row => ({
    what: `${what}, ${how}`,
    count: born.length,
    ...p50p99(durations),
    aim: how === 'at once' ? null : 'p50 ≤ 500 ms',
  });
  return [
    row(
      'create → ACTIVE',
      born.map((each) => each.active_ms),
    ),
    row(
      'create → first byte',
      born.map((each) => each.first_byte_ms),
    ),
  ];
}

/** Memory and processor time per load balancer while nothing happens. */
async function idleCost(run: BenchRun, { octavia }: Place, size: Size, available: number): Promise<Row[]> {
  const count = size.alone + size.together;
  const watched_ms = size.idle_ms / 2;
  run.say(`idle for ${size.idle_ms / 1000} s`);
  await pause(size.idle_ms - watched_ms);
  const pids = amphoraPids(octavia);
  const [cpu, controllerCpu] = [cpuSeconds(pids), cpuSeconds([octavia.pid()])];
  await pause(watched_ms);
  const percent = (seconds: number): number => rounded((100 * 1000 * seconds) / watched_ms);
  const [used, controllerUsed] = [cpuSeconds(pids) - cpu, cpuSeconds([octavia.pid()]) - controllerCpu];
  return [
    { what: 'memory per load balancer, by MemAvailable', count, mib: mebibytes((available - availableBytes()) / count) },
    { what: 'memory per load balancer, summed PSS', count, mib: mebibytes(proportionalBytes(pids) / count), aim: '≤ 20 MiB' },
    { what: 'processes per load balancer', count, number: rounded(pids.length / count) },
    { what: 'idle CPU per load balancer', count, percent: percent(used / count) },
    { what: 'idle CPU of the controllers', count, percent: percent(controllerUsed) },
    { what: 'memory of the controllers, PSS', count, mib: mebibytes(proportionalBytes([octavia.pid()])) },
  ];
}

const amphoraPids = (octavia: Octavia): number[] =>
  findMarked(readFileSync(join(octavia.state_dir, 'state-id'), 'utf8').trim()).map((each) => each.pid);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function destroyRow({ octavia }: Place): Promise<Row> {
  await octavia.stop();
  const begun = performance.now();
  await octavia.destroy();
  return { what: 'destroy', count: 1, p50_ms: rounded(performance.now() - begun) };
}

/** The part. */
export const create: BenchPart = {
  name: 'create',
  what: 'Load balancers with a listener, a pool and a member on this machine, until ACTIVE and until the first byte through the VIP.',
  whyNot: whyNoAmphorae,
  run: (run) => measure(run, run.is_quick ? quick : full),
};
