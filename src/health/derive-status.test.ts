import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OperatingStatus, ProvisioningStatus } from '../model/index.ts';
import type { Heartbeat, ListenerBeat, PoolBeat } from '../wire/heartbeat.ts';
import { applyChanges, deriveStatus, memberStatus } from './derive-status.ts';
import type { LoadBalancerSummary } from './summary.ts';

type Switches = { up?: boolean; status?: ProvisioningStatus; operating?: OperatingStatus };

const loadbalancer = (change: Partial<LoadBalancerSummary> = {}): LoadBalancerSummary => ({
  id: 'lb',
  admin_state_up: true,
  provisioning_status: 'ACTIVE',
  operating_status: 'OFFLINE',
  listeners: [listener('l1')],
  pools: [pool('p1', 'm1', 'm2')],
  ...change,
});
const listener = (id: string, { up = true, status = 'ACTIVE', operating = 'OFFLINE' }: Switches = {}) => ({
  id,
  admin_state_up: up,
  provisioning_status: status,
  operating_status: operating,
});
const pool = (id: string, ...members: string[]) => ({
  id,
  operating_status: 'OFFLINE' as OperatingStatus,
  members: members.map((member) => ({ id: member, operating_status: 'OFFLINE' as OperatingStatus })),
});

const stats = { tx: 0, rx: 0, conns: 0, totconns: 0, ereq: 0 };
const heartbeat = (listeners: Record<string, ListenerBeat['status']>, pools: Record<string, PoolBeat>): Heartbeat => ({
  ver: 3,
  id: 'amphora',
  seq: 1,
  listeners: Object.fromEntries(Object.entries(listeners).map(([id, status]) => [id, { status, stats }])),
  pools,
});
const up = (members: Record<string, string>): PoolBeat => ({ status: 'UP', members });
const down = (members: Record<string, string>): PoolBeat => ({ status: 'DOWN', members });

/** The statuses after a heartbeat, as `id=STATUS` in the order of the tree. */
function after(summary: LoadBalancerSummary, beat: Heartbeat, settled = true): string {
  const derived = deriveStatus(summary, beat, settled);
  applyChanges(summary, derived.changes);
  const rows = [summary, ...summary.listeners, ...summary.pools.flatMap((each) => [each, ...each.members])];
  return rows.map((row) => `${row.id}=${row.operating_status}`).join(' ');
}

type Case = {
  readonly title: string;
  readonly summary?: Partial<LoadBalancerSummary>;
  readonly beat: Heartbeat;
  readonly settled?: boolean;
  readonly expected: string;
  readonly serves_all?: boolean;
};

const healthy = { 'p1:l1': up({ m1: 'UP', m2: 'UP' }) };

const cases: readonly Case[] = [
  {
    title: 'everything up is ONLINE',
    beat: heartbeat({ l1: 'OPEN' }, healthy),
    expected: 'lb=ONLINE l1=ONLINE p1=ONLINE m1=ONLINE m2=ONLINE',
  },
  {
    title: 'a full listener is DEGRADED, and so is its load balancer',
    beat: heartbeat({ l1: 'FULL' }, healthy),
    expected: 'lb=DEGRADED l1=DEGRADED p1=ONLINE m1=ONLINE m2=ONLINE',
  },
  {
    title: 'one dead member degrades pool and load balancer',
    beat: heartbeat({ l1: 'OPEN' }, { 'p1:l1': up({ m1: 'DOWN', m2: 'UP 1/3' }) }),
    expected: 'lb=DEGRADED l1=ONLINE p1=DEGRADED m1=ERROR m2=ONLINE',
  },
  {
    title: 'a pool that is down is ERROR, and so is the load balancer, while its listener is ONLINE',
    beat: heartbeat({ l1: 'OPEN' }, { 'p1:l1': down({ m1: 'DOWN', m2: 'DOWN 1/2' }) }),
    expected: 'lb=ERROR l1=ONLINE p1=ERROR m1=ERROR m2=ERROR',
  },
  {
    title: 'draining, disabled and unchecked members have statuses of their own',
    summary: { pools: [pool('p1', 'm1', 'm2', 'm3')] },
    beat: heartbeat({ l1: 'OPEN' }, { 'p1:l1': up({ m1: 'DRAIN', m2: 'MAINT', m3: 'no check' }) }),
    expected: 'lb=ONLINE l1=ONLINE p1=ONLINE m1=DRAINING m2=OFFLINE m3=NO_MONITOR',
  },
  {
    title: 'a restarting or unknown word leaves the member as it is',
    beat: heartbeat({ l1: 'OPEN' }, { p1: up({ m1: 'RESTARTING', m2: 'what' }) }),
    expected: 'lb=ONLINE l1=ONLINE p1=ONLINE m1=OFFLINE m2=OFFLINE',
  },
  {
    title: 'a member that is not reported is OFFLINE, but not one without a monitor',
    summary: {
      pools: [
        {
          ...pool('p1'),
          members: [
            { id: 'm1', operating_status: 'ONLINE' },
            { id: 'm2', operating_status: 'NO_MONITOR' },
          ],
        },
      ],
    },
    beat: heartbeat({ l1: 'OPEN' }, { 'p1:l1': up({}) }),
    expected: 'lb=ONLINE l1=ONLINE p1=ONLINE m1=OFFLINE m2=NO_MONITOR',
  },
  {
    title: 'a pool that is not reported is OFFLINE and its members are left alone',
    summary: { pools: [{ ...pool('p1'), operating_status: 'ONLINE', members: [{ id: 'm1', operating_status: 'ONLINE' }] }] },
    beat: heartbeat({ l1: 'OPEN' }, {}),
    expected: 'lb=ONLINE l1=ONLINE p1=OFFLINE m1=ONLINE',
  },
  {
    title: 'a listener that is not reported is ERROR and the only one takes the load balancer along',
    beat: heartbeat({}, {}),
    expected: 'lb=ERROR l1=ERROR p1=OFFLINE m1=OFFLINE m2=OFFLINE',
    serves_all: false,
  },
  {
    title: 'one of two listeners missing degrades the load balancer',
    summary: { listeners: [listener('l1'), listener('l2')], pools: [] },
    beat: heartbeat({ l1: 'OPEN' }, {}),
    expected: 'lb=DEGRADED l1=ONLINE l2=ERROR',
    serves_all: false,
  },
  {
    title: 'a disabled listener is OFFLINE and nobody misses it',
    summary: { listeners: [listener('l1'), listener('l2', { up: false, operating: 'ONLINE' })], pools: [] },
    beat: heartbeat({ l1: 'OPEN' }, {}),
    expected: 'lb=ONLINE l1=ONLINE l2=OFFLINE',
  },
  {
    title: 'a disabled listener that is served is not what was asked for',
    summary: { listeners: [listener('l1'), listener('l2', { up: false })], pools: [] },
    beat: heartbeat({ l1: 'OPEN', l2: 'OPEN' }, {}),
    expected: 'lb=ONLINE l1=ONLINE l2=ONLINE',
    serves_all: false,
  },
  {
    title: 'an unknown listener is not what was asked for',
    summary: { pools: [] },
    beat: heartbeat({ l1: 'OPEN', stranger: 'OPEN' }, {}),
    expected: 'lb=ONLINE l1=ONLINE',
    serves_all: false,
  },
  {
    title: 'a listener whose change failed may be missing without the amphora being ill',
    summary: { listeners: [listener('l1'), listener('l2', { status: 'ERROR' })], pools: [] },
    beat: heartbeat({ l1: 'OPEN' }, {}),
    expected: 'lb=DEGRADED l1=ONLINE l2=ERROR',
  },
  {
    title: 'nothing is missed while a change is under way',
    summary: {
      provisioning_status: 'PENDING_UPDATE',
      listeners: [listener('l1', { operating: 'ONLINE' }), listener('l2')],
      pools: [pool('p1')],
    },
    beat: heartbeat({}, {}),
    expected: 'lb=ONLINE l1=ONLINE l2=OFFLINE p1=OFFLINE',
  },
  {
    title: 'nothing is missed before the newest configuration can be there',
    summary: { listeners: [listener('l1', { operating: 'ONLINE' }), listener('l2')], pools: [] },
    beat: heartbeat({ l1: 'OPEN' }, {}),
    settled: false,
    expected: 'lb=ONLINE l1=ONLINE l2=OFFLINE',
  },
  {
    title: 'a disabled load balancer is OFFLINE whatever its pools are',
    summary: { admin_state_up: false, operating_status: 'ONLINE', pools: [pool('p1', 'm1')] },
    beat: heartbeat({}, { 'p1:l1': down({ m1: 'DOWN' }) }),
    expected: 'lb=OFFLINE l1=OFFLINE p1=ERROR m1=ERROR',
  },
  {
    title: 'of two reports about one pool the worse holds',
    summary: { listeners: [listener('l1'), listener('l2')] },
    beat: heartbeat({ l1: 'OPEN', l2: 'OPEN' }, { 'p1:l1': up({ m1: 'UP', m2: 'UP' }), 'p1:l2': up({ m1: 'DOWN', m2: 'UP' }) }),
    expected: 'lb=DEGRADED l1=ONLINE l2=ONLINE p1=DEGRADED m1=ERROR m2=ONLINE',
  },
  {
    title: 'names that every object inherits are no reports',
    summary: { listeners: [listener('constructor')], pools: [pool('toString', 'valueOf')] },
    beat: heartbeat({}, {}),
    expected: 'lb=ERROR constructor=ERROR toString=OFFLINE valueOf=OFFLINE',
    serves_all: false,
  },
];

describe('deriving statuses from a heartbeat', () => {
  for (const each of cases) {
    it(each.title, () => {
      const summary = loadbalancer(each.summary);
      assert.equal(deriveStatus(summary, each.beat, each.settled).serves_all, each.serves_all ?? true);
      assert.equal(after(summary, each.beat, each.settled), each.expected);
    });
  }

  it('changes nothing when nothing changed', () => {
    const summary = loadbalancer();
    after(summary, heartbeat({ l1: 'OPEN' }, healthy));
    assert.deepEqual(deriveStatus(summary, heartbeat({ l1: 'OPEN' }, healthy)).changes, []);
  });

  it('an amphora that is being built and serves nothing yet takes nothing down', () => {
    const summary = loadbalancer();
    after(summary, heartbeat({ l1: 'OPEN' }, { 'p1:l1': up({ m1: 'UP', m2: 'DOWN' }) }));
    summary.provisioning_status = 'PENDING_UPDATE';
    assert.deepEqual(deriveStatus(summary, heartbeat({}, {})).changes, []);
  });

  it('names what is missing and what is too much', () => {
    const derived = deriveStatus(loadbalancer({ listeners: [listener('l1')], pools: [] }), heartbeat({ l2: 'OPEN' }, {}));
    assert.deepEqual([derived.missing_listeners, derived.surplus_listeners], [['l1'], ['l2']]);
  });

  it('reads the words of HAProxy', () => {
    const words = ['UP', 'UP 1/3', 'DOWN', 'DOWN 2/3', 'DRAIN', 'DRAIN (agent)', 'MAINT', 'MAINT (via x)', 'no check', 'RESTARTING'];
    assert.deepEqual(words.map(memberStatus), [
      'ONLINE',
      'ONLINE',
      'ERROR',
      'ERROR',
      'DRAINING',
      'DRAINING',
      'OFFLINE',
      'OFFLINE',
      'NO_MONITOR',
      undefined,
    ]);
  });
});
