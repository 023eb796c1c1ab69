/**
 * Whatever the API accepts, every HAProxy and nft accept: random load balancers with all options together, rendered and checked.
 *
 * OCTAVIA_TREES: how many load balancers of 30 listeners (4 unless set). OCTAVIA_TEST_SEED: repeats a run.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { rulesOf, script } from '../../../src/agent/datagram/nft.ts';
import type { LoadBalancerTree, Owner } from '../../../src/model/index.ts';
import { renderDatagram } from '../../../src/providers/amphora/render/datagram.ts';
import { ownerOfRefusal, type RenderSettings, renderHaproxy } from '../../../src/providers/amphora/render/haproxy.ts';
import { secretFilesOf, type SecretKind } from '../../../src/providers/amphora/render/tls-files.ts';
import { tlsFileMd5, tlsFileName } from '../../../src/wire/tls-files.ts';
import { testHaproxies } from '../../../tools/suite/haproxies.ts';
import { oddTree } from '../../support/features/odd-trees.ts';
import { namespacesUnavailable } from '../../support/namespaces.ts';
import { sampleAmphora, sampleSettings } from '../../support/sample-trees.ts';
import { fixtureText } from '../../support/tls-fixtures.ts';

const count = Number(process.env['OCTAVIA_TREES'] ?? 4);
const seed = Number(process.env['OCTAVIA_TEST_SEED'] ?? Math.floor(Math.random() * 1e6));

const streams = {
  listeners: ['TCP', 'HTTP', 'HTTPS', 'TERMINATED_HTTPS', 'PROMETHEUS'],
  pools: ['TCP', 'HTTP', 'HTTPS', 'PROXY', 'PROXYV2'],
} as const;
const datagrams = { listeners: ['UDP', 'SCTP'], pools: ['UDP', 'SCTP'] } as const;

const contents: Readonly<Record<SecretKind, string>> = {
  certificate: fixtureText('rsa.crt') + fixtureText('rsa.key'),
  authority: fixtureText('root.crt') + fixtureText('issuer.crt'),
  revocation: fixtureText('issuer.crl'),
};

/** What HAProxy says to a tree, with who is at fault; empty when it takes it. */
function complaints(tree: LoadBalancerTree, PATH: string, change: Partial<RenderSettings>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ok-'));
  try {
    const own = join(folder, tree.loadbalancer.id);
    mkdirSync(join(own, 'lists'), { recursive: true });
    const files = secretFilesOf(tree).map((file) => ({ ...file, name: tlsFileName(file.place, tlsFileMd5(file.ref)) }));
    for (const { name, kind } of files) writeFileSync(join(own, name), contents[kind]);
    const rendered = renderHaproxy(tree, sampleAmphora(), {
      ...sampleSettings,
      base_path: folder,
      run_path: folder,
      cert_path: folder,
      secrets: new Map(files.map(({ place, name }) => [place, { name }])),
      ping_command: '/usr/bin/true',
      log_target: { kind: 'syslog', address: join(folder, 'log') },
      ...change,
    });
    for (const { name, content } of rendered.lists) writeFileSync(join(own, 'lists', name), content);
    for (const [name, content] of Object.entries(rendered.crt_lists)) writeFileSync(join(own, name), content);
    writeFileSync(join(folder, 'haproxy.cfg'), rendered.text);
    const { status, stdout, stderr } = spawnSync('haproxy', ['-c', '-f', join(folder, 'haproxy.cfg')], {
      encoding: 'utf8',
      env: { ...process.env, PATH },
    });
    const output = stdout + stderr;
    const said = output.split('\n').filter((line) => /^\[(?:ALERT|WARNING)\]/u.test(line) && !line.includes('server state file'));
    if (status === 0 && said.length === 0) return '';
    return `${said.slice(0, 10).join('\n')}\n${JSON.stringify(findOwner(tree, ownerOfRefusal(output, rendered)))}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The resource that is at fault. */
function findOwner(tree: LoadBalancerTree, owner: Owner | null): unknown {
  const policies = tree.listeners.flatMap((listener) => listener.l7policies);
  const all = [
    ...tree.listeners,
    ...tree.pools,
    ...tree.pools.flatMap(({ members, healthmonitor }) => [...members, healthmonitor]),
    ...policies,
    ...policies.flatMap(({ rules }) => rules),
  ];
  return all.find((each) => each?.id === owner?.id) ?? owner;
}

const ways = { 'in lists': { has_lists: true }, 'in lines': { has_lists: false, maxconn_limit: null, l7_policy_order: 'action' } } as const;

for (const haproxy of testHaproxies())
  for (const [where, change] of Object.entries(ways))
    test(`${haproxy.name} takes what the API takes, ${where}`, { skip: haproxy.skip }, () => {
      for (const tree of fc.sample(oddTree(30, streams), { numRuns: count, seed }))
        assert.equal(complaints(tree, haproxy.path, change), '', `seed ${seed}`);
    });

test('nft takes what the API takes', { skip: namespacesUnavailable() }, () => {
  for (const tree of fc.sample(oddTree(30, datagrams), { numRuns: count, seed })) {
    const rules = rulesOf(renderDatagram(tree), { isUp: () => true, flows: () => 0 });
    const input = script(rules, { chains: new Map(), counters: new Set(), maps: new Map() });
    const { status, stderr } = spawnSync('nft', ['-c', '-f', '-'], { input, encoding: 'utf8' });
    assert.equal(status, 0, `seed ${seed}: ${stderr.slice(0, 2000)}`);
  }
});
