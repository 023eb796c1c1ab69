import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, checkedAddress } from './addresses.ts';
import { cardCommands, withoutIpv6 } from './interface-commands.ts';
import { networkInterface, vipInterface, withFixedIps } from './interface-file.ts';
import type { Link } from './traffic.ts';

const mac_address = '02:00:00:00:00:0A';
const body = { subnet_cidr: '203.0.113.0/24', gateway: '203.0.113.1', mac_address, mtu: 1450, vrrp_ip: '203.0.113.20' };
const link = (changes: Partial<Link> = {}): Link => ({
  ifname: 'p1',
  address: mac_address.toLowerCase(),
  mtu: 1500,
  flags: ['BROADCAST'],
  addr_info: [],
  ...changes,
});

void test('a new VIP card is renamed, gets its addresses while it is down, and is announced by going up', () => {
  const { needed, lenient } = cardCommands(vipInterface('203.0.113.10', body, 'SINGLE'), link(), undefined, true);
  assert.deepEqual(needed, [
    'link set dev p1 down',
    'link set dev p1 name eth1',
    'link set dev eth1 mtu 1450',
    'address replace 203.0.113.20/24 dev eth1',
    'address replace 203.0.113.10/32 dev eth1',
    'link set dev eth1 up',
    'route replace 0.0.0.0/0 via 203.0.113.1 dev eth1 onlink',
    'route replace 203.0.113.0/24 dev eth1 src 203.0.113.10 scope link table 1',
    'route replace 0.0.0.0/0 via 203.0.113.1 dev eth1 onlink table 1',
  ]);
  assert.deepEqual(lenient, ['rule add from 203.0.113.10/32 table 1 priority 100']);
});

void test('a pair leaves VIP and its routes to keepalived', () => {
  const { needed, lenient } = cardCommands(vipInterface('203.0.113.10', body, 'ACTIVE_STANDBY'), link(), undefined, true);
  assert.ok(!needed.some((line) => line.includes('203.0.113.10') || line.includes('table 1')));
  assert.deepEqual(lenient, []);
});

void test('a card that is right already is only told its routes; a lost address comes back and is announced', () => {
  const file = vipInterface('203.0.113.10', body, 'SINGLE');
  const address = (local: string, prefixlen: number) => ({ local, prefixlen, scope: 'global' });
  const up = link({ ifname: 'eth1', mtu: 1450, flags: ['UP'], addr_info: [address('203.0.113.20', 24), address('203.0.113.10', 32)] });
  assert.ok(cardCommands(file, up, file, true).needed.every((line) => line.startsWith('route replace')));
  const poorer = { ...up, addr_info: up.addr_info.slice(0, 1) };
  const { needed } = cardCommands(file, poorer, file, true);
  assert.deepEqual(needed.slice(0, 2), [
    'address replace 203.0.113.10/32 dev eth1',
    `link set dev eth1 address ${mac_address.toLowerCase()}`,
  ]);
});

void test('what a card had and is no longer to have is taken away', () => {
  const additional_vips = [{ ip_address: '2001:DB8:0::10', subnet_cidr: '2001:db8::/64', gateway: '2001:db8::1' }];
  const before = vipInterface('203.0.113.10', { ...body, additional_vips }, 'SINGLE');
  const file = vipInterface('203.0.113.10', body, 'SINGLE');
  const up = link({ ifname: 'eth1', flags: ['UP'], addr_info: [{ local: '2001:db8::10', prefixlen: 128, scope: 'global' }] });
  const { needed, lenient } = cardCommands(file, up, before, true);
  assert.ok(needed.includes('address del 2001:db8::10/128 dev eth1'));
  assert.ok(lenient.includes('rule del from 2001:db8::10/128 table 1 priority 100'));
  assert.ok(lenient.includes('route del ::/0 via 2001:db8::1 dev eth1 onlink'));
  assert.ok(cardCommands(before, link(), undefined, true).needed.includes('address replace 2001:db8::10/128 dev eth1 nodad'));
  assert.deepEqual(withoutIpv6(before).addresses, file.addresses);
});

void test('a member network has its address and host routes, and shares the VIP card when it is told to', () => {
  const fixed_ips = [
    {
      ip_address: '192.0.2.5',
      subnet_cidr: '192.0.2.0/25',
      gateway: '192.0.2.1',
      host_routes: [{ destination: '198.51.100.0/24', nexthop: '192.0.2.1' }],
    },
  ];
  const file = networkInterface('eth2', { mac_address, fixed_ips });
  assert.deepEqual(cardCommands(file, link({ ifname: 'eth2' }), undefined, true).needed, [
    'address replace 192.0.2.5/25 dev eth2',
    'link set dev eth2 up',
    'route replace 198.51.100.0/24 via 192.0.2.1 dev eth2 onlink',
  ]);
  const shared = withFixedIps(vipInterface('203.0.113.10', body, 'SINGLE'), fixed_ips);
  assert.deepEqual(
    shared.addresses.map(({ address }) => address),
    ['203.0.113.20', '203.0.113.10', '192.0.2.5'],
  );
});

void test('a network contains its addresses, of its own family', () => {
  const network = (address: string, prefixlen: number) => ({ address, prefixlen });
  assert.ok(contains(network('203.0.113.0', 24), '203.0.113.255'));
  assert.ok(!contains(network('203.0.113.0', 25), '203.0.113.128'));
  assert.ok(contains(network('2001:db8::', 64), checkedAddress('2001:DB8:0:0::1', 'x')));
  assert.ok(!contains(network('2001:db8::', 64), '2001:db8:0:1::1'));
  assert.ok(contains(network('::', 0), '::1'));
  assert.ok(!contains(network('0.0.0.0', 0), '::1'));
});
