import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as forAll, bigInt, property } from 'fast-check';
import { canonicalAddress, cidrContains, formatAddress, maskCidr, parseAddress } from './addresses.ts';
import { checkMonitor, refuseUrlPath } from './healthmonitor.ts';
import { checkCiphers, checkPoolBehind } from './listener.ts';
import { checkMemberAddress } from './member.ts';
import { checkPersistence } from './pool.ts';
import type { HealthMonitor } from '../healthmonitor.ts';

test('addresses are read in every spelling and written in one', () => {
  assert.equal(canonicalAddress('2001:DB8:0:0::7'), '2001:db8::7');
  assert.equal(canonicalAddress('::ffff:192.0.2.1'), '::ffff:c000:201');
  assert.equal(canonicalAddress('::'), '::');
  assert.equal(canonicalAddress('1:0:0:2:0:0:0:3'), '1:0:0:2::3');
  for (const text of ['300.1.1.1', '1.2.3', '1.2.3.4.5', '01.2.3.4', 'x', '', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '::12345'])
    assert.equal(parseAddress(text), null, text);
});

test('what is written can be read again', () => {
  forAll(
    property(bigInt({ min: 0n, max: 2n ** 128n - 1n }), (value) => {
      assert.deepEqual(parseAddress(formatAddress({ version: 6, value })), { version: 6, value });
    }),
    { numRuns: 200 },
  );
});

test('a network contains its own addresses only', () => {
  assert.equal(maskCidr('10.0.0.5/8'), '10.0.0.0/8');
  assert.equal(maskCidr('10.0.0.0/33'), null);
  assert.equal(maskCidr('10.0.0.0/x'), null);
  assert.equal(maskCidr('10.1.2.3/255.255.0.0'), '10.1.0.0/16');
  assert.equal(maskCidr('10.1.2.3/0.255.255.255'), '10.0.0.0/8');
  assert.equal(maskCidr('10.1.2.3/0.0.0.0'), '0.0.0.0/0');
  assert.equal(maskCidr('10.1.2.3/255.0.255.0'), null);
  assert.equal(maskCidr('2001:db8::/255.0.0.0'), null);
  assert.equal(cidrContains('192.0.2.0/25', '192.0.2.127'), true);
  assert.equal(cidrContains('192.0.2.0/25', '192.0.2.128'), false);
  assert.equal(cidrContains('0.0.0.0/0', '2001:db8::1'), false);
});

test('a path of a probe is absolute, without host, blanks or quotes', () => {
  for (const path of ['/', '/a/b?c=d', '/a%20b', '/ä']) assert.equal(refuseUrlPath(path), null, path);
  for (const path of ['', 'a', 'http://x/', '//x', '/a b', '/a\nb', '/a"b', '/\u0000']) assert.notEqual(refuseUrlPath(path), null, path);
});

test('only matching protocols go behind a listener', () => {
  assert.doesNotThrow(() => checkPoolBehind('HTTPS', 'TCP'));
  assert.throws(() => checkPoolBehind('HTTP', 'TCP'), {
    status: 400,
    message: /The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'/u,
  });
  assert.throws(() => checkPoolBehind('PROMETHEUS', 'HTTP'), { message: 'Protocol PROMETHEUS listeners cannot have child objects.' });
});

test('a cipher list with anything that could end a configuration line is refused', () => {
  assert.doesNotThrow(() => checkCiphers('ECDHE-RSA-AES128-GCM-SHA256:!aNULL:@SECLEVEL=2', []));
  for (const text of ['a b', 'a\nb', 'a;b', 'a"b', "a'b", 'a$b']) assert.throws(() => checkCiphers(text, []), { status: 400 }, text);
  assert.throws(() => checkCiphers('A:B', ['B']), { message: /prohibited by an administrator: B$/u });
});

test('a reserved address is refused in any spelling', () => {
  assert.throws(() => checkMemberAddress('fe80:0::1', ['fe80::1']), { status: 400 });
  assert.doesNotThrow(() => checkMemberAddress('192.0.2.1', ['169.254.169.254']));
});

test('a session persistence fits its pool', () => {
  assert.throws(() => checkPersistence('HTTP', { type: 'APP_COOKIE' }), { message: /must be specified/u });
  assert.throws(() => checkPersistence('HTTP', { type: 'APP_COOKIE', cookie_name: 'a=b' }), { message: /"cookie_name" is invalid/u });
  assert.throws(() => checkPersistence('HTTP', { type: 'SOURCE_IP', cookie_name: 'a' }), { message: /can only be specified/u });
  assert.throws(() => checkPersistence('HTTP', { type: 'SOURCE_IP', persistence_timeout: 5 }), { message: /only for UDP and SCTP/u });
  assert.throws(() => checkPersistence('UDP', { type: 'APP_COOKIE', cookie_name: 'a' }), { message: /Cookie names are not supported/u });
  assert.throws(() => checkPersistence('SCTP', { type: 'SOURCE_IP', cookie_name: 'a' }), { message: /only accepts: type/u });
  assert.throws(() => checkPersistence('UDP', { type: 'HTTP_COOKIE' }), { message: /not supported for UDP\/SCTP/u });
  assert.doesNotThrow(() => checkPersistence('UDP', { type: 'SOURCE_IP', persistence_timeout: 5, persistence_granularity: '255.255.0.0' }));
});

test('a health monitor fits its pool and its own type', () => {
  const monitor = {
    type: 'TCP',
    delay: 5,
    http_method: null,
    url_path: null,
    expected_codes: null,
    domain_name: null,
    http_version: null,
  } as unknown as HealthMonitor;
  const limits = { allow_ping_health_monitors: false, udp_connect_min_interval_health_monitor: 3 };
  const check = (change: Partial<HealthMonitor>, protocol: 'HTTP' | 'UDP', ...names: string[]): void =>
    checkMonitor({ ...monitor, ...change }, new Set(names), protocol, limits);
  assert.doesNotThrow(() => check({}, 'HTTP'));
  assert.throws(() => check({ url_path: '/' }, 'HTTP', 'url_path'), {
    message: 'url_path is not a valid option for health monitors of type TCP',
  });
  assert.throws(() => check({ type: 'SCTP' }, 'HTTP'), { message: /only supported for pools of type UDP\/SCTP/u });
  assert.throws(() => check({ type: 'HTTPS' }, 'UDP'), { message: /only a UDP-CONNECT\/SCTP\/TCP\/HTTP/u });
  assert.throws(() => check({ type: 'UDP-CONNECT', delay: 2 }, 'UDP'), { status: 400 });
  assert.throws(() => check({ type: 'PING' }, 'HTTP'), { status: 400 });
  assert.throws(() => check({ type: 'HTTP', domain_name: 'x', http_version: 1 }, 'HTTP'), { status: 400 });
});
