import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { assert as forAll, property, string } from 'fast-check';
import type { DatagramConfig, DatagramListener, DatagramMember, DatagramPool } from '../../wire/datagram.ts';
import { type Conditions, type Present, rulesOf, script } from './nft.ts';

const nothing: Present = { chains: new Map(), counters: new Set(), maps: new Map() };
const well: Conditions = { isUp: () => true, flows: () => 0 };
const uuid = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;

const member = (number: number, change: Partial<DatagramMember> = {}): DatagramMember => ({
  id: uuid(100 + number),
  mark: number,
  address: `198.51.100.${number}`,
  port: 5000 + number,
  weight: 1,
  admin_state_up: true,
  monitor_address: `198.51.100.${number}`,
  monitor_port: 5000 + number,
  ...change,
});

const pool = (change: Partial<DatagramPool> = {}): DatagramPool => ({
  id: uuid(9),
  algorithm: 'round_robin',
  persistence: null,
  monitor: null,
  members: [member(1), member(2)],
  ...change,
});

const listener = (change: Partial<DatagramListener> = {}): DatagramListener => ({
  id: uuid(1),
  protocol: 'udp',
  vips: ['203.0.113.10', '2001:db8::10'],
  port: 53,
  allowed_cidrs: [],
  connection_limit: null,
  pool: pool(),
  ...change,
});

const config = (...listeners: readonly DatagramListener[]): DatagramConfig => ({ listeners });
const rulesIn = (given: DatagramConfig, chain: string, conditions = well): readonly string[] =>
  [...rulesOf(given, conditions).chains].find(([name]) => name.startsWith(chain))?.[1].rules ?? [];

/** The rule that chooses, without the counter before it. */
const choice = (given: Partial<DatagramPool>, conditions = well): readonly string[] =>
  rulesIn(config(listener({ pool: pool(given) })), 'choose_', conditions).slice(1);

test('weights are shares of a turn, without their common factor', () => {
  assert.deepEqual(choice({ members: [member(1, { weight: 50 }), member(2, { weight: 100 }), member(3, { weight: 0 })] }), [
    'meta nfproto ipv4 numgen inc mod 3 vmap { 0 : goto member_1, 1-2 : goto member_2 }',
  ]);
});

test('a member that is down or switched off gets nothing; families are chosen from apart', () => {
  const members = [member(1), member(2, { admin_state_up: false }), member(3), member(4, { address: '2001:db8::4' })];
  assert.deepEqual(choice({ members }, { ...well, isUp: (mark) => mark !== 3 }), [
    'meta nfproto ipv4 numgen inc mod 1 vmap { 0 : goto member_1 }',
    'meta nfproto ipv6 numgen inc mod 1 vmap { 0 : goto member_4 }',
  ]);
  assert.deepEqual(choice({}, { ...well, isUp: () => false }), [], 'with nobody there the packet is refused as at a closed port');
});

test('the least loaded has the largest share', () => {
  const flows = (mark: number): number => (mark === 1 ? 9 : 0);
  assert.deepEqual(choice({ algorithm: 'least_connections' }, { ...well, flows }), [
    'meta nfproto ipv4 numgen inc mod 11 vmap { 0 : goto member_1, 1-10 : goto member_2 }',
  ]);
});

test('by the address of a client, who leaves moves only its own clients', () => {
  const owners = (members: readonly DatagramMember[]): number[] => {
    const [rule = ''] = choice({ algorithm: 'source_ip', members });
    const slots: number[] = [];
    for (const [, from, to, mark] of rule.matchAll(/(\d+)(?:-(\d+))? : goto member_(\d+)/gu))
      for (let slot = Number(from); slot <= Number(to ?? from); slot += 1) slots[slot] = Number(mark);
    return slots;
  };
  const members = [1, 2, 3, 4].map((number) => member(number));
  const before = owners(members);
  const after = owners(members.slice(0, 3));
  assert.equal(before.length, 1024);
  assert.ok(before.every((mark, slot) => mark === 4 || after[slot] === mark));
  for (const mark of [1, 2, 3, 4]) {
    const share = before.filter((each) => each === mark).length;
    assert.ok(share > 200 && share < 320, `${share} of 1024`);
  }
  const heavy = owners([member(1, { weight: 3 }), member(2)]).filter((each) => each === 1).length;
  assert.ok(heavy > 700 && heavy < 840, `${heavy} of 1024 for three quarters of the weight`);
});

test('clients are remembered by networks, and another way of remembering begins anew', () => {
  const remembering = (prefix4: number) => config(listener({ pool: pool({ persistence: { timeout_seconds: 60, prefix4, prefix6: 64 } }) }));
  const [, ipv4, ipv6] = rulesIn(remembering(24), 'choose_');
  assert.match(
    ipv4 ?? '',
    /^meta mark set ip saddr & 255\.255\.255\.0 map @clients4_\w+_60_24_64 meta mark vmap \{ 1 : goto member_1, 2 : goto member_2 \}$/u,
  );
  assert.match(ipv6 ?? '', /^meta mark set ip6 saddr & ffff:ffff:ffff:ffff:0:0:0:0 map @clients6_/u);
  const change = script(rulesOf(remembering(32), well), rulesOf(remembering(24), well));
  assert.equal(change.match(/^add map /gmu)?.length, 2);
  assert.equal(change.match(/^delete map /gmu)?.length, 2);
});

test('networks that lie in another are said once, and a family without one is refused', () => {
  assert.deepEqual(
    rulesIn(
      config(listener({ allowed_cidrs: ['192.0.2.0/28', '192.0.2.0/24', '192.0.2.0/24', '192.0.2.7', '10.0.0.0/8'], connection_limit: 5 })),
      'in_',
    ).slice(0, 3),
    ['ip saddr != { 192.0.2.0/24, 10.0.0.0/8 } drop', 'meta nfproto ipv6 drop', 'ct state new ct count over 5 drop'],
  );
});

test('only what changes is touched, so that limits go on counting', () => {
  const before = rulesOf(config(listener({ connection_limit: 5 })), well);
  assert.equal(script(before, before), 'add table inet octavia_datagram\n');
  const down = script(rulesOf(config(listener({ connection_limit: 5 })), { ...well, isUp: (mark) => mark === 1 }), before);
  assert.deepEqual(down.match(/^flush chain \S+ \S+ \S+/gmu), [
    'flush chain inet octavia_datagram choose_00000000000040008000000000000001',
  ]);
  const gone = script(rulesOf(config(listener({ id: uuid(2) })), well), before);
  assert.match(gone, /^delete counter inet octavia_datagram rx_00000000000040008000000000000001$/mu);
});

const canRun = process.getuid?.() === 0 && spawnSync('nft', ['--version']).status === 0;

test('nft takes it, from nothing and from what is there', { skip: canRun ? false : 'nft cannot be run here' }, () => {
  const everything = config(
    listener({
      allowed_cidrs: ['192.0.2.0/24', '2001:db8::/32'],
      connection_limit: 100,
      pool: pool({ algorithm: 'source_ip', persistence: { timeout_seconds: 360, prefix4: 24, prefix6: 56 } }),
    }),
    listener({
      id: uuid(2),
      port: 54,
      pool: pool({ algorithm: 'least_connections', members: [member(3), member(4, { address: '2001:db8::4' })] }),
    }),
    listener({ id: uuid(3), protocol: 'sctp', pool: null }),
  );
  const rules = rulesOf(everything, well);
  const names = (kind: 'chains' | 'maps') => new Map([...rules[kind].keys()].map((name) => [name, null]));
  const texts = [
    script(rules, nothing),
    // Both in one transaction: the second finds what the first made.
    `${script(rules, nothing)}${script(rulesOf(config(listener()), well), { chains: names('chains'), maps: names('maps'), counters: rules.counters })}`,
  ];
  for (const text of texts) {
    const result = spawnSync('unshare', ['-n', 'nft', '-f', '-'], { input: text, encoding: 'utf8' });
    assert.equal(result.status, 0, result.stderr);
  }
});

test('nothing that is no address, number or id becomes a rule', () => {
  forAll(
    property(string(), (text) => {
      const hostile = [
        listener({ vips: [text] }),
        listener({ allowed_cidrs: [text] }),
        listener({ id: text }),
        listener({ port: text as unknown as number }),
        listener({ pool: pool({ members: [member(1, { address: text })] }) }),
        listener({ pool: pool({ members: [member(1, { port: text as unknown as number })] }) }),
        listener({ pool: pool({ members: [member(1, { mark: text as unknown as number })] }) }),
        listener({ pool: pool({ members: [member(1, { weight: text as unknown as number })], algorithm: 'round_robin' }) }),
        listener({ connection_limit: text as unknown as number }),
      ];
      for (const each of hostile) {
        try {
          const lines = script(rulesOf(config(each), well), nothing).split('\n');
          assert.ok(
            lines.every((line) => /^(?:add (?:table|counter|map|chain|rule)|flush chain) inet octavia_datagram/u.test(line) || line === ''),
          );
        } catch (error) {
          assert.ok(error instanceof TypeError, String(error));
        }
      }
    }),
    { numRuns: 300 },
  );
  assert.throws(() => rulesOf(config(listener({ vips: ['203.0.113.1 } drop; add table x'] })), well), TypeError);
});
