/**
 * What L7 policies cost: the same HAProxy with listeners that differ in their policies alone, asked by turns in one run. No policy
 * matches, so every request goes through all of them. Judged by HAProxy's processor time per request.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { L7PolicyTree, L7Rule } from '../../src/model/index.ts';
import { renderHaproxy } from '../../src/providers/amphora/render/haproxy.ts';
import { freePort } from '../support/octavia.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  samplePolicy,
  samplePool,
  sampleRule,
  sampleSettings,
  sampleTree,
} from '../support/sample-trees.ts';
import { percentile, rounded } from './figures.ts';
import type { BenchPart, BenchRun, Row } from './part.ts';
import { pause } from './place.ts';
import { openClient, runSeries } from './requests.ts';
import { type Scope, scoped } from './scope.ts';

const address = '127.0.0.1';
const toPool = { action: 'REDIRECT_TO_POOL', redirect_pool_id: sampleId('pool') } as const;

let serial = 0;
const rule = (type: L7Rule['type'], compare_type: L7Rule['compare_type'], value: string, invert = false): L7Rule =>
  sampleRule((serial += 1), { type, compare_type, value, invert });
const many = (count: number, target: Partial<L7PolicyTree>, rulesOf: (n: number) => readonly L7Rule[]): L7PolicyTree[] =>
  Array.from({ length: count }, (_, n) => samplePolicy((serial += 1), { ...target, position: n + 1, rules: rulesOf(n) }));

/** What the listeners have; the first has nothing. */
const shapes: Readonly<Record<string, readonly L7PolicyTree[]>> = {
  'no policy': [],
  '20 hosts': many(20, toPool, (n) => [rule('HOST_NAME', 'EQUAL_TO', `h${n}.example`)]),
  '1,000 hosts': many(1000, toPool, (n) => [rule('HOST_NAME', 'EQUAL_TO', `h${n}.example`)]),
  '1,000 beginnings of paths': many(1000, toPool, (n) => [rule('PATH', 'STARTS_WITH', `/p${n}/`)]),
  '1,000 rejected paths': many(1000, { action: 'REJECT' }, (n) => [rule('PATH', 'STARTS_WITH', `/p${n}/`)]),
  '500 hosts with a path': many(500, toPool, (n) => [
    rule('HOST_NAME', 'EQUAL_TO', `h${n}.example`),
    rule('PATH', 'STARTS_WITH', `/p${n}`),
  ]),
  '1,000 ends of paths': many(1000, toPool, (n) => [rule('PATH', 'ENDS_WITH', `/p${n}`)]),
  '20 policies of 50 rules': many(20, toPool, (n) => [
    ...Array.from({ length: 49 }, (_, k) => rule('PATH', 'STARTS_WITH', `/p${n}-${k}/`, true)),
    rule('PATH', 'EQUAL_TO', '/nowhere'),
  ]),
};

/** Starts HAProxy with a listener for each shape; answers its process and their ports. */
async function serve(scope: Scope, run: BenchRun): Promise<{ readonly pid: number; readonly ports: readonly number[] }> {
  const member = createServer((_, response) => void response.end('here'));
  member.listen(0, address);
  await once(member, 'listening');
  scope.after(() => member.close());
  const ports = await Promise.all(Object.keys(shapes).map(() => freePort()));
  const listeners = Object.values(shapes).map((l7policies, index) =>
    sampleListener({ id: sampleId('listener', index + 1), protocol_port: ports[index] as number, l7policies }),
  );
  const protocol_port = (member.address() as AddressInfo).port;
  const tree = sampleTree({
    loadbalancer: sampleLoadBalancer({ vip_address: address }),
    listeners,
    pools: [samplePool({ members: [sampleMember(1, { address, protocol_port })] })],
  });
  const folder = mkdtempSync(join(run.folder, 'l7-'));
  const settings = { ...sampleSettings, base_path: folder, run_path: folder, run_as: null, maxconn_limit: 2000, has_lists: true };
  const { text, lists } = renderHaproxy(tree, sampleAmphora(), settings);
  mkdirSync(join(folder, tree.loadbalancer.id, 'lists'), { recursive: true });
  for (const list of lists) writeFileSync(join(folder, tree.loadbalancer.id, 'lists', list.name), list.content);
  writeFileSync(join(folder, 'haproxy.cfg'), text);
  const haproxy: ChildProcess = spawn('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], { stdio: 'ignore' });
  scope.after(() => haproxy.kill('SIGKILL'));
  return { pid: haproxy.pid ?? 0, ports };
}

async function measure(run: BenchRun, size: { readonly count: number; readonly rounds: number }): Promise<Row[]> {
  return scoped(async (scope) => {
    const { pid, ports } = await serve(scope, run);
    const clients = ports.map((port) => openClient(`http://${address}:${port}`, 8, { host: 'nobody.example' }));
    scope.after(() => Promise.all(clients.map((client) => client.close())));
    const ask = { method: 'GET', path: '/some/where?x=1' } as const;
    const isUp = async (client: (typeof clients)[number]): Promise<boolean> =>
      client.send(ask).then(
        () => true,
        () => false,
      );
    for (const client of clients) for (let tries = 0; tries < 500 && !(await isUp(client)); tries += 1) await pause(20);
    const found = clients.map((): number[] => []);
    // The first round warms up and does not count.
    for (let round = 0; round <= size.rounds; round += 1)
      for (const [index, client] of clients.entries()) {
        const series = await runSeries(client, () => ask, { count: size.count, concurrency: 8, watched: () => [pid] });
        if (round > 0) found[index]?.push((series.cpu_seconds * 1e6) / series.count);
      }
    const medians = found.map((figures) => percentile(figures, 0.5));
    return Object.keys(shapes).map((policies, index) => {
      const haproxy_cpu_us = medians[index] ?? 0;
      return { policies, haproxy_cpu_us: rounded(haproxy_cpu_us), cpu_ratio: rounded(haproxy_cpu_us / (medians[0] ?? 1)) };
    });
  });
}

/** L7 policies that no request matches. */
export const l7: BenchPart = {
  name: 'l7',
  what: 'processor time of HAProxy for a request that no L7 policy matches, by the kind and number of policies',
  whyNot: () => (spawnSync('haproxy', ['-v']).status === 0 ? null : 'haproxy is not installed'),
  run: (run) => measure(run, run.is_quick ? { count: 2000, rounds: 1 } : { count: 20_000, rounds: 5 }),
};
