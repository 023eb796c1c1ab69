/**
 * Load balancers with real amphorae on this machine: how soon they serve, what each costs while it idles, and whether
 * everything is gone in the end.
 */
import { createServer, type Server } from 'node:http';
import { mebibytes, p50p99, rounded } from './figures.ts';
import { addedSince, availableBytes, cpuSeconds, proportionalBytes, takeInventory } from './machine.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { amphoraPids, bear, type BenchMember, type Born, openPlace, pause, type Place, remove, stateIdOf, whyNoAmphorae } from './place.ts';
import { type Scope, scoped } from './scope.ts';

type Size = { readonly alone: number; readonly together: number; readonly idle_ms: number };

const full: Size = { alone: 100, together: 20, idle_ms: 60_000 };
const quick: Size = { alone: 5, together: 3, idle_ms: 5000 };

/** How often each of many clients asks: together they must not be the load that is measured. */
const togetherPause_ms = 200;

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  const before = await takeInventory(run.folder);
  let state_id = '';
  const rows = await scoped(async (scope) => {
    const place = await openPlace(run, scope);
    state_id = stateIdOf(place);
    const members = [await startMember(scope, place.gateway_ip)];
    // A first one brings what is loaded and made once.
    await remove(place, (await bear(place, 'warm-up', members)).id);
    const available = availableBytes();
    const alone = await bearAlone(run, place, members, size.alone);
    const cpu = cpuRow(place, size.alone);
    const together = await Promise.all(
      Array.from({ length: size.together }, (_, n) => bear(place, `together-${n}`, members, togetherPause_ms)),
    );
    run.say(`${size.together} at once: ${JSON.stringify(p50p99(together.map((each) => each.first_byte_ms)))}`);
    const idle = await idleCost(run, place, size, available);
    const removal = await removeTogether(place, together);
    return [...bornRows('one after another', alone), cpu, ...bornRows('at once', together), removal, ...idle, await destroyRow(place)];
  });
  const added = addedSince(before, await takeInventory(run.folder));
  // All of it is ours alone but the groups, which no namespace hides: another run may have made some.
  const left = added.filter((each) => !each.startsWith('cgroups ') || each.includes(state_id));
  if (left.length > 0) run.say(`left behind: ${left.slice(0, 20).join('; ')}`);
  return [...rows, { what: 'left behind after destroy', count: left.length, aim: '0' }];
}

async function startMember(scope: Scope, address: string): Promise<BenchMember> {
  const server = createServer((_request, response) => response.end('ok'));
  scope.after(() => closeServer(server));
  return { address, protocol_port: await listenOn(server, address) };
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

async function bearAlone(run: BenchRun, place: Place, members: readonly BenchMember[], count: number): Promise<Born[]> {
  const born: Born[] = [];
  while (born.length < count) {
    born.push(await bear(place, `alone-${born.length}`, members));
    if (born.length % 20 === 0 || born.length === count)
      run.say(`${born.length} of ${count}: first byte ${JSON.stringify(p50p99(born.map((each) => each.first_byte_ms)))}`);
  }
  return born;
}

/** What processes of the amphorae have used up to now, which is their start and some heartbeats. */
const cpuRow = (place: Place, count: number): Row => ({
  what: 'CPU of an amphora since its start',
  count,
  cpu_s: rounded(cpuSeconds(amphoraPids(place)) / count),
});

async function removeTogether(place: Place, born: readonly Born[]): Promise<Row> {
  const durations = await Promise.all(born.map((each) => remove(place, each.id, togetherPause_ms)));
  return { what: 'delete → gone, at once', count: born.length, ...p50p99(durations) };
}

function bornRows(how: string, born: readonly Born[]): Row[] {
  const aim = how === 'at once' ? null : 'p50 ≤ 500 ms';
  const row = (what: string, durations: readonly number[]): Row => ({
    what: `${what}, ${how}`,
    count: born.length,
    ...p50p99(durations),
    aim,
  });
  const active = born.map((each) => each.active_ms);
  const served = born.map((each) => each.first_byte_ms);
  return [row('create → ACTIVE', active), row('create → first byte', served)];
}

/** Memory and processor time per load balancer while nothing happens. */
async function idleCost(run: BenchRun, place: Place, size: Size, available: number): Promise<Row[]> {
  const controllers = [place.octavia.pid()];
  const count = size.alone + size.together;
  const watched_ms = size.idle_ms / 2;
  run.say(`idle for ${size.idle_ms / 1000} s`);
  await pause(size.idle_ms - watched_ms);
  const pids = amphoraPids(place);
  const [cpu, controllerCpu] = [cpuSeconds(pids), cpuSeconds(controllers)];
  await pause(watched_ms);
  const percent = (seconds: number): number => rounded((100 * 1000 * seconds) / watched_ms);
  const [used, controllerUsed] = [cpuSeconds(pids) - cpu, cpuSeconds(controllers) - controllerCpu];
  return [
    { what: 'memory per load balancer, by MemAvailable', count, mib: mebibytes((available - availableBytes()) / count) },
    { what: 'memory per load balancer, summed PSS', count, mib: mebibytes(proportionalBytes(pids) / count), aim: '≤ 20 MiB' },
    { what: 'processes per load balancer', count, number: rounded(pids.length / count) },
    { what: 'idle CPU per load balancer', count, percent: percent(used / count) },
    { what: 'idle CPU of the controllers', count, percent: percent(controllerUsed) },
    { what: 'memory of the controllers, PSS', count, mib: mebibytes(proportionalBytes(controllers)) },
  ];
}

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
