import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePool,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';
import type { HealthMonitor, LoadBalancerTree, PoolTree } from '../../../model/index.ts';
import { renderDatagram } from './datagram.ts';
import { renderLvs } from './lvs.ts';

const additional_vips = [{ subnet_id: 'six', ip_address: '2001:db8::10', port_id: null }];
const granular = { type: 'SOURCE_IP', cookie_name: null, persistence_timeout: 60, persistence_granularity: '255.255.255.0' } as const;
const monitored = (change: Partial<HealthMonitor>): Partial<PoolTree> => ({
  healthmonitor: sampleMonitor({ delay: 5, timeout: 3, max_retries_down: 2, url_path: '/health', ...change }),
});
const treeOf = (protocol: 'UDP' | 'SCTP', pool: Partial<PoolTree>, change: Partial<LoadBalancerTree> = {}): LoadBalancerTree =>
  sampleTree({
    listeners: [sampleListener({ protocol, protocol_port: 53, connection_limit: 1000 })],
    pools: [
      samplePool({
        protocol,
        members: [sampleMember(1), sampleMember(2, { weight: 5, admin_state_up: false }), sampleMember(3, { weight: 5 })],
        ...pool,
      }),
    ],
    ...change,
  });

/** What each golden file is rendered from. */
const shapes: Readonly<Record<string, LoadBalancerTree>> = {
  'lvs-udp-connect': treeOf('UDP', { session_persistence: granular, ...monitored({ type: 'UDP-CONNECT' }) }),
  'lvs-http': treeOf('UDP', { lb_algorithm: 'LEAST_CONNECTIONS', ...monitored({ type: 'HTTP', expected_codes: '200-202,204' }) }),
  'lvs-sctp': treeOf('SCTP', { lb_algorithm: 'SOURCE_IP', ...monitored({ type: 'SCTP' }) }),
  'lvs-tcp-both-families': treeOf(
    'UDP',
    {
      members: [sampleMember(1), sampleMember(2, { address: '2001:db8::2', monitor_port: 8080 })],
      session_persistence: granular,
      ...monitored({ type: 'TCP' }),
    },
    { loadbalancer: sampleLoadBalancer({ additional_vips }) },
  ),
  'lvs-no-pool': treeOf('UDP', {}, { pools: [] }),
};

const folder = mkdtempSync(join(tmpdir(), 'lvs-'));
after(() => rmSync(folder, { recursive: true }));
const hasKeepalived = spawnSync('keepalived', ['--version']).status === 0;

for (const [name, tree] of Object.entries(shapes)) {
  const [listener] = renderDatagram(tree, true).listeners;
  const text = listener === undefined ? '' : renderLvs(tree.loadbalancer.id, listener);

  test(`${name} is rendered as it was`, () => {
    const path = join(import.meta.dirname, 'golden', `${name}.conf`);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, text);
    assert.equal(text, readFileSync(path, 'utf8'));
  });

  // A server without members is nothing to keepalived, and reason enough to end the test of a configuration with a warning.
  if (tree.pools.length === 0) continue;
  test(`keepalived takes ${name}`, { skip: hasKeepalived ? false : 'keepalived is not installed' }, () => {
    const path = join(folder, `${name}.conf`);
    // A namespace that is not there, and programs of upstream's image: neither is about the configuration.
    writeFileSync(path, text.replace('net_namespace amphora-haproxy\n', ''));
    const { status, stderr, stdout } = spawnSync('keepalived', ['--config-test', '-f', path], { encoding: 'utf8' });
    const complaints = `${stdout}${stderr}`
      .split('\n')
      .filter((line) => line !== '' && !/script|user|executable|udp_check|health-checker/iu.test(line));
    assert.deepEqual([status === 0 || complaints.length === 0, complaints], [true, []], `${status} ${stdout}${stderr}`);
  });
}

test('each line names the ids from which upstream reads statuses back', () => {
  const [listener] = renderDatagram(shapes['lvs-udp-connect'] as LoadBalancerTree, true).listeners;
  const text = renderLvs(sampleId('loadbalancer'), listener as NonNullable<typeof listener>);
  for (const line of [
    `# Configuration for Listener ${sampleId('listener')}`,
    `# Configuration for Pool ${sampleId('pool')}`,
    `# Configuration for Member ${sampleId('member', 1)}`,
    `# Member ${sampleId('member', 2)} is disabled`,
  ])
    assert.ok(
      text.split('\n').some((each) => each.trim() === line),
      line,
    );
});
