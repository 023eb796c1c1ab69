import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filtersText } from './filters.ts';
import { firewallText } from './firewall.ts';
import { limitWords } from './limits.ts';
import { wireNames } from './names.ts';
import type { FilterRule } from './traffic.ts';

const state = 'a1b2c3';
const any: FilterRule = { version: 4, protocol: null, least: null, most: null, remotes: null };

test('a filter names the wire and the addresses, has a line for each rule, and ends in a drop', () => {
  const rules: readonly FilterRule[] = [
    { ...any, protocol: 6, least: 80, most: 81, remotes: ['10.0.0.0/8'] },
    { ...any, protocol: 1, least: 8, most: 0 },
    { ...any, version: 6 },
    // A group whose members are all of the other family, or that has none, lets nobody in.
    { ...any, remotes: ['fd00::1'] },
    { ...any, protocol: 47, least: 1, most: 2 },
  ];
  const text = filtersText(state, [{ port_id: 'port', addresses: ['198.18.0.2', 'fd00::2'], rules }]);
  assert.deepEqual(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean),
    [
      `table bridge oct_${state} {}`,
      `delete table bridge oct_${state}`,
      `table bridge oct_${state} {`,
      'chain port_0 {',
      'ether type ip ip saddr { 10.0.0.0/8 } meta l4proto 6 th dport 80-81 accept',
      'ether type ip meta l4proto 1 icmp type 8 icmp code 0 accept',
      'ether type ip6 accept',
      'ether type ip meta l4proto 47 accept',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
      'drop',
      '}',
      'chain forward {',
      'type filter hook forward priority 0; policy accept;',
      `oifname "${wireNames(state, 'port').bridgeSide}" ip daddr { 198.18.0.2/32 } jump port_0`,
      `oifname "${wireNames(state, 'port').bridgeSide}" ip6 daddr { fd00::2/128 } jump port_0`,
      '}',
      '}',
    ],
  );
});

test('without filters there is no table, and without floating IPs no connection is tracked', () => {
  assert.deepEqual(filtersText(state, []).trim().split('\n'), [`table bridge oct_${state} {}`, `delete table bridge oct_${state}`]);
  assert.doesNotMatch(firewallText(state), /\bct\b|nat/u);
  const text = firewallText(state, [{ floating_ip_address: '203.0.113.1', fixed_ip_address: '198.18.0.2', cidr: '198.18.0.0/24' }]);
  assert.match(text, /map floating_to_fixed .*203\.0\.113\.1 : 198\.18\.0\.2/u);
  assert.match(text, /ip saddr 198\.18\.0\.0\/24 ip daddr 198\.18\.0\.2 ct status dnat masquerade/u);
});

test('what is no address, number or name reaches no text', () => {
  const bad = '10.0.0.1 } accept; drop { 1';
  assert.throws(() =>
    filtersText(state, [{ port_id: 'p', addresses: ['198.18.0.2'], rules: [{ ...any, remotes: [`${bad}/8`, '10.0.0.0/8 x'] }] }]),
  );
  assert.throws(() => firewallText(state, [{ floating_ip_address: bad, fixed_ip_address: '198.18.0.2', cidr: '198.18.0.0/24' }]));
  assert.throws(() =>
    firewallText(state, [{ floating_ip_address: '203.0.113.1', fixed_ip_address: '198.18.0.2', cidr: '198.18.0.0/24; x' }]),
  );
  assert.throws(() => limitWords('eth0; x', { kbps: 1, burst_kbit: 0 }));
});

test('a limit has the burst that was asked for, or four fifths of a second, and always holds a few packets', () => {
  const burst = (kbps: number, burst_kbit: number): string | undefined =>
    limitWords('eth0', { kbps, burst_kbit }).find((word) => word.endsWith('b'));
  assert.deepEqual([burst(1000, 800), burst(1000, 0), burst(10, 0)], ['100000b', '100000b', '16384b']);
});
