/**
 * Changes of a load balancer under traffic: how long each takes from the API's answer until the running HAProxy has it, and
 * what the traffic notices. First those that need no reload, then those that do.
 */
import { get } from 'node:http';
import { askSocket, parseProcesses } from '../../src/agent/unix-socket.ts';
import { findMarked } from '../../src/cloud/local/compute/processes.ts';
import { INSIDE } from '../../src/cloud/local/compute/sandbox.ts';
import { startMember } from '../support/members.ts';
import { startTraffic, type Traffic } from '../support/traffic.ts';
import { p50p99 } from './figures.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { bear, openPlace, pause, type Place, stateIdOf, storeFixture, whyNoAmphorae } from './place.ts';
import { type Scope, scoped } from './scope.ts';

type Size = {
  readonly members: number;
  readonly certificates: number;
  readonly values: number;
  readonly batches: number;
  readonly reloads: number;
};

const full: Size = { members: 1000, certificates: 100, values: 100, batches: 5, reloads: 100 };
const quick: Size = { members: 24, certificates: 4, values: 4, batches: 1, reloads: 4 };

/** A change: the request, and whether the running HAProxy has it. */
type Change = {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly isThere: () => Promise<boolean>;
};

/** What all series share. */
type Bench = {
  readonly run: BenchRun;
  readonly place: Place;
  readonly lb: { readonly id: string; readonly vip_address: string };
  readonly listener_id: string;
  readonly pool_id: string;
  readonly load: Load;
  /** Asks the running worker, or the master. */
  readonly ask: (command: string) => Promise<string>;
  readonly askMaster: (command: string) => Promise<string>;
};

type Load = { readonly kept: readonly Traffic[]; readonly fresh: readonly Traffic[]; readonly cut: () => number };

const lbaas = '/v2/lbaas';
const AFTERMATH_MS = 6000;

async function measure(run: BenchRun, size: Size): Promise<Row[]> {
  return scoped(async (scope) => {
    const place = await openPlace(run, scope);
    const members = await Promise.all(['one', 'two'].map((name) => startMember(scope as never, { name, address: place.gateway_ip })));
    const lb = await bear(
      place,
      'changes',
      members.map(({ address, port }) => ({ address, protocol_port: port })),
    );
    const bench = await open(run, scope, place, lb);
    const spare = await startMember(scope as never, { name: 'spare', address: place.gateway_ip });
    const certificates = await certificateChanges(bench, size.certificates);
    const rows = [
      await series(bench, 'members: add, weight, state, remove', memberChanges(bench, spare.port, size.members)),
      await series(
        bench,
        'one call for 160 members',
        batches(
          bench,
          members.map(({ port }) => port),
          size.batches,
        ),
      ),
      await series(bench, 'certificates', certificates),
      await series(bench, 'values of L7 rules', await valueChanges(bench, size.values)),
      await series(bench, 'changes that need a reload', reloadChanges(bench, size.reloads)),
    ];
    return rows;
  });
}

async function open(run: BenchRun, scope: Scope, place: Place, lb: Bench['lb']): Promise<Bench> {
  const init = findMarked(stateIdOf(place)).find(({ is_init }) => is_init);
  if (init === undefined) throw new Error('there is no amphora');
  const sockets = `/proc/${init.pid}/root${INSIDE.run}`;
  const { listeners } = await place.api.call<{ listeners: { id: string; default_pool_id: string }[] }>(
    'GET',
    `${lbaas}/listeners?loadbalancer_id=${lb.id}`,
  );
  const [listener] = listeners;
  if (!listener) throw new Error('there is no listener');
  return {
    run,
    place,
    lb,
    listener_id: listener.id,
    pool_id: listener.default_pool_id,
    load: startLoad(scope, lb.vip_address),
    ask: (command) => askSocket(`${sockets}/${lb.id}.sock`, command),
    askMaster: (command) => askSocket(`${sockets}/master.sock`, command),
  };
}

/** Eight connections that are kept and busy, four that open one for each request, and twenty downloads that drip without end. */
function startLoad(scope: Scope, address: string): Load {
  const start = (connections: 'keep-alive' | 'fresh') =>
    startTraffic(scope as never, { address, port: 80, connections, per_second: 50, limit: 1_000_000 });
  let cut = 0;
  let isOver = false;
  const long = Array.from({ length: 20 }, () => {
    const request = get({ host: address, port: 80, path: '/?drip', agent: false });
    request.on('response', (response) => response.resume());
    request.on('close', () => (cut += isOver ? 0 : 1));
    request.on('error', () => undefined);
    return request;
  });
  scope.after(() => {
    isOver = true;
    for (const request of long) request.destroy();
  });
  return {
    kept: Array.from({ length: 8 }, () => start('keep-alive')),
    fresh: Array.from({ length: 4 }, () => start('fresh')),
    cut: () => cut,
  };
}

/** Makes the changes one after the other, and tells what they took and what the traffic noticed. */
async function series(bench: Bench, what: string, changes: Iterable<Change> | AsyncIterable<Change>): Promise<Row> {
  const { load, run } = bench;
  const counted = () => ({
    kept: sum(load.kept, (each) => each.failures().length),
    fresh: sum(load.fresh, (each) => each.failures().length),
    requests: sum([...load.kept, ...load.fresh], (each) => each.sent()),
    cut: load.cut(),
  });
  // Preparing a series may have taken a reload, whose old worker closes its idle connections over five seconds.
  await pause(AFTERMATH_MS);
  const before = counted();
  const reloads = await reloadsOf(bench);
  const [effects, answers]: [number[], number[]] = [[], []];
  let old_workers = 0;
  for await (const change of changes) {
    const took = await make(bench, change);
    effects.push(took.effect_ms);
    answers.push(took.answer_ms);
    old_workers = Math.max(old_workers, await oldWorkers(bench));
  }
  const after = counted();
  const { p50_ms, p99_ms } = p50p99(effects);
  run.say(
    `${what}: ${effects.length} changes, effect ${p50_ms} ms (p99 ${p99_ms} ms), ${after.fresh + after.kept - before.fresh - before.kept} failures`,
  );
  return {
    what,
    changes: effects.length,
    reloads: (await reloadsOf(bench)) - reloads,
    answer_p50_ms: p50p99(answers).p50_ms,
    effect_p50_ms: p50_ms,
    effect_p99_ms: p99_ms,
    requests: after.requests - before.requests,
    failed_fresh: after.fresh - before.fresh,
    failed_kept: after.kept - before.kept,
    long_cut: after.cut - before.cut,
    old_workers,
  };
}

/** The effect is looked for from the answer on, and the next change waits for ACTIVE: the API refuses it before. */
async function make(
  { place: { api }, lb }: Bench,
  { method, path, body, isThere }: Change,
): Promise<{ readonly answer_ms: number; readonly effect_ms: number }> {
  const begun = performance.now();
  await api.call(method, `${lbaas}${path}`, body);
  const answered = performance.now();
  while (!(await isThere().catch(() => false))) {
    if (performance.now() - answered > 60_000) throw new Error(`no effect within a minute: ${method} ${path}`);
    await pause(2);
  }
  const effect_ms = performance.now() - answered;
  for (;;) {
    const { loadbalancer } = await api.call<{ loadbalancer: { provisioning_status: string } }>(
      'GET',
      `${lbaas}/loadbalancers/${lb.id}?fields=provisioning_status`,
    );
    if (loadbalancer.provisioning_status === 'ACTIVE') return { answer_ms: answered - begun, effect_ms };
    await pause(5);
  }
}

async function* memberChanges(bench: Bench, protocol_port: number, count: number): AsyncGenerator<Change> {
  const { place, pool_id, ask } = bench;
  const path = `/pools/${pool_id}/members`;
  const row = async (): Promise<readonly string[] | undefined> =>
    (await ask('show servers state'))
      .split('\n')
      .map((each) => each.split(' '))
      .find((fields) => fields[18] === String(protocol_port));
  for (let made = 0; made < count; made += 4) {
    const isOn = async () => (await row())?.[6] === '0';
    yield { method: 'POST', path, body: { member: { address: place.gateway_ip, protocol_port } }, isThere: isOn };
    const { members } = await place.api.call<{ members: { id: string; protocol_port: number }[] }>('GET', `${lbaas}${path}`);
    const one = `${path}/${members.find((each) => each.protocol_port === protocol_port)?.id}`;
    const weight = 1 + ((made / 4) % 200);
    yield {
      method: 'PUT',
      path: one,
      body: { member: { weight: weight + 1 } },
      isThere: async () => (await row())?.[7] === String(weight + 1),
    };
    yield {
      method: 'PUT',
      path: one,
      body: { member: { admin_state_up: false } },
      isThere: async () => (Number((await row())?.[6]) & 1) === 1,
    };
    yield { method: 'DELETE', path: one, isThere: async () => (await row()) === undefined };
  }
}

function* batches({ place, pool_id, ask }: Bench, ports: readonly number[], count: number): Generator<Change> {
  const path = `/pools/${pool_id}/members`;
  const kept = ports.map((protocol_port) => ({ address: place.gateway_ip, protocol_port }));
  const many = Array.from({ length: 160 }, (_, index) => ({ address: place.gateway_ip, protocol_port: 61_000 + index, weight: 0 }));
  const isOneOfMany = (fields: readonly string[]): boolean => fields[18]?.startsWith('61') === true && fields[6] === '0';
  const countOf = async (): Promise<number> =>
    (await ask('show servers state')).split('\n').filter((row) => isOneOfMany(row.split(' '))).length;
  for (let round = 0; round < count; round += 1) {
    yield { method: 'PUT', path, body: { members: [...kept, ...many] }, isThere: async () => (await countOf()) === 160 };
    yield { method: 'PUT', path, body: { members: kept }, isThere: async () => (await countOf()) === 0 };
  }
}

async function certificateChanges(bench: Bench, count: number): Promise<AsyncGenerator<Change>> {
  const { place, lb, ask } = bench;
  const refs = [await storeFixture(place, 'ecdsa-modern.p12'), await storeFixture(place, 'rsa-modern.p12')];
  const listener = { loadbalancer_id: lb.id, protocol: 'TERMINATED_HTTPS', protocol_port: 443, default_tls_container_ref: refs[0] };
  const isThere = async () => (await ask('show ssl cert')).includes('-default');
  await make(bench, { method: 'POST', path: '/listeners', body: { listener }, isThere });
  const { listeners } = await place.api.call<{ listeners: { id: string }[] }>(
    'GET',
    `${lbaas}/listeners?loadbalancer_id=${lb.id}&protocol_port=443`,
  );
  const path = `/listeners/${listeners[0]?.id}`;
  const shown = async (): Promise<string> => {
    const file = (await ask('show ssl cert')).split('\n').find((each) => each.includes('-default')) ?? '';
    return /^SHA1 FingerPrint: (\S+)/mu.exec(await ask(`show ssl cert ${file}`))?.[1] ?? '';
  };
  return (async function* swaps() {
    for (let round = 1; round <= count; round += 1) {
      const before = await shown();
      yield {
        method: 'PUT',
        path,
        body: { listener: { default_tls_container_ref: refs[round % 2] } },
        isThere: async () => (await shown()) !== before,
      };
    }
  })();
}

async function valueChanges(bench: Bench, count: number): Promise<Iterable<Change>> {
  const { place, lb, listener_id } = bench;
  const isRefused = (path: string) => async (): Promise<boolean> => (await statusOf(lb.vip_address, path)) === 403;
  const value = (number: number) => ({ type: 'PATH', compare_type: 'EQUAL_TO', value: `/value-${number}` });
  await make(bench, {
    method: 'POST',
    path: '/l7policies',
    body: { l7policy: { listener_id, action: 'REJECT' } },
    isThere: async () => true,
  });
  const { l7policies } = await place.api.call<{ l7policies: { id: string }[] }>('GET', `${lbaas}/l7policies?listener_id=${listener_id}`);
  const rules = `/l7policies/${l7policies[0]?.id}/rules`;
  await make(bench, { method: 'POST', path: rules, body: { rule: value(0) }, isThere: isRefused('/value-0') });
  const made = await place.api.call<{ rules: { id: string }[] }>('GET', `${lbaas}${rules}`);
  const path = `${rules}/${made.rules[0]?.id}`;
  return Array.from({ length: count }, (_, index) => {
    const rule = value(index + 1);
    return { method: 'PUT', path, body: { rule }, isThere: isRefused(rule.value) } as const;
  });
}

async function* reloadChanges(bench: Bench, count: number): AsyncGenerator<Change> {
  const workerOf = async (): Promise<number | undefined> => parseProcesses(await bench.askMaster('show proc').catch(() => ''))?.worker;
  for (let round = 0; round < count; round += 1) {
    let before = await workerOf();
    for (; before === undefined; before = await workerOf()) await pause(10);
    yield {
      method: 'PUT',
      path: `/listeners/${bench.listener_id}`,
      body: { listener: { timeout_client_data: 50_001 + round } },
      isThere: async () => ![undefined, before].includes(await workerOf()),
    };
  }
}

async function reloadsOf({ askMaster }: Bench): Promise<number> {
  for (;;) {
    const found = parseProcesses(await askMaster('show proc').catch(() => ''));
    if (found !== undefined) return found.reloads;
    await pause(10);
  }
}

async function oldWorkers({ askMaster }: Bench): Promise<number> {
  return parseProcesses(await askMaster('show proc').catch(() => ''))?.oldWorkers.length ?? 0;
}

function statusOf(host: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host, port: 80, path, agent: false, timeout: 3000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject);
  });
}

const sum = <T>(all: readonly T[], value: (one: T) => number): number => all.reduce((total, each) => total + value(each), 0);

/** The part. */
export const changes: BenchPart = {
  name: 'changes',
  what: 'changes under traffic (8 kept and 4 fresh connections at 50 requests/s each, 20 endless downloads): time from the answer of the API to the effect, and what the traffic notices.',
  whyNot: whyNoAmphorae,
  run: (run) => measure(run, run.is_quick ? quick : full),
};
