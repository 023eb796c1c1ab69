import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePool,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';
import type { HealthMonitor, Listener, PoolTree } from '../../../model/index.ts';
import { renderDatagram } from './datagram.ts';

const treeOf = (pool: Partial<PoolTree> = {}, listener: Partial<Listener> = {}) =>
  sampleTree({
    listeners: [sampleListener({ protocol: 'UDP', protocol_port: 53, ...listener })],
    pools: [samplePool({ protocol: 'UDP', ...pool })],
  });

const persistence = (persistence_granularity: string | null, persistence_timeout: number | null = 60) => ({
  session_persistence: { type: 'SOURCE_IP', cookie_name: null, persistence_timeout, persistence_granularity } as const,
});

const monitor = (change: Partial<HealthMonitor>) => ({ healthmonitor: sampleMonitor({ type: 'UDP-CONNECT', ...change }) });

test('a listener with its pool, and nothing of what is switched off, going or HTTP', () => {
  const tree = sampleTree({
    listeners: [
      sampleListener({ protocol: 'UDP', protocol_port: 53, connection_limit: 100, allowed_cidrs: ['192.0.2.0/24'] }),
      sampleListener({ id: sampleId('listener', 2), protocol: 'SCTP', protocol_port: 54, default_pool_id: null }),
      sampleListener({ id: sampleId('listener', 3), protocol: 'UDP', protocol_port: 55, admin_state_up: false }),
      sampleListener({ id: sampleId('listener', 4), protocol: 'UDP', protocol_port: 56, provisioning_status: 'PENDING_DELETE' }),
      sampleListener({ id: sampleId('listener', 5) }),
    ],
    pools: [
      samplePool({
        protocol: 'UDP',
        members: [sampleMember(1), sampleMember(2, { refused: true }), sampleMember(3, { admin_state_up: false })],
      }),
    ],
  });
  const { listeners } = renderDatagram(tree);
  assert.deepEqual(
    listeners.map(({ id, protocol, port, connection_limit, allowed_cidrs }) => [id, protocol, port, connection_limit, allowed_cidrs]),
    [
      [sampleId('listener'), 'udp', 53, 100, ['192.0.2.0/24']],
      [sampleId('listener', 2), 'sctp', 54, null, []],
    ],
  );
  const members = listeners[0]?.pool?.members ?? [];
  assert.deepEqual(
    members.map(({ id, admin_state_up }) => [id, admin_state_up]),
    [
      [sampleId('member', 1), true],
      [sampleId('member', 3), false],
    ],
  );
  assert.deepEqual(renderDatagram({ ...tree, loadbalancer: sampleLoadBalancer({ admin_state_up: false }) }), { listeners: [] });
});

test('a member behind two listeners has a mark for each, which it keeps when others come and go', () => {
  const listeners = [
    sampleListener({ protocol: 'UDP' }),
    sampleListener({ id: sampleId('listener', 2), protocol: 'UDP', protocol_port: 54 }),
  ];
  const marksOf = (count: number) => {
    const members = Array.from({ length: count }, (_, index) => sampleMember(index + 1));
    return renderDatagram(sampleTree({ listeners, pools: [samplePool({ protocol: 'UDP', members })] })).listeners.map(
      ({ pool }) => new Map(pool?.members.map(({ id, mark }) => [id, mark])),
    );
  };
  const [two, three] = [marksOf(2), marksOf(3)];
  assert.equal(new Set(three.flatMap((each) => [...each.values()])).size, 6);
  for (const [at, marks] of two.entries()) for (const [id, mark] of marks) assert.equal(three[at]?.get(id), mark);
});

test('a granularity is a netmask of its family', () => {
  const of = (...given: Parameters<typeof persistence>) => renderDatagram(treeOf(persistence(...given))).listeners[0]?.pool?.persistence;
  assert.deepEqual(of(null, null), { timeout_seconds: 360, prefix4: 32, prefix6: 128 });
  assert.equal(of(null, 2_147_483_647)?.timeout_seconds, 31 * 86_400, 'the longest that IPVS takes');
  assert.deepEqual(of('255.255.240.0'), { timeout_seconds: 60, prefix4: 20, prefix6: 128 });
  assert.deepEqual(of('ffff:ffff::'), { timeout_seconds: 60, prefix4: 32, prefix6: 32 });
  assert.throws(() => of('255.0.255.0'), { owner: { type: 'pool', id: sampleId('pool') }, message: /no netmask/u });
});

test('probes: what cannot be probed is the fault of the monitor alone', () => {
  const of = (change: Partial<HealthMonitor>) => renderDatagram(treeOf(monitor(change))).listeners[0]?.pool?.monitor;
  assert.equal(of({ admin_state_up: false }), null);
  assert.equal(of({})?.type, 'udp-connect');
  assert.deepEqual(of({ type: 'HTTP', expected_codes: '200,202-204', delay: 0, timeout: 0 })?.codes, [
    [200, 200],
    [202, 204],
  ]);
  assert.equal(of({ delay: 0, timeout: 0 })?.delay, 1);
  // More milliseconds than a timer counts would be none.
  assert.deepEqual(
    [of({ delay: 2_147_483_647, timeout: 0 })?.delay, of({ delay: 2_147_483_647, timeout: 0 })?.timeout],
    [2_073_600, 2_073_600],
  );
  assert.throws(() => of({ type: 'SCTP' }), { owner: { type: 'healthmonitor', id: sampleMonitor({}).id } });
});
