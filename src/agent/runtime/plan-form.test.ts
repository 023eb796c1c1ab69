import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeConfig } from '../../wire/haproxy-text.ts';
import { isRightByForm, isRightWhenTaken } from './plan-form.ts';

const line = (text: string) => ({ tokens: text.split(' ') });
const config = (servers: readonly string[], { maxconn = '100', balance = 'roundrobin', more = [] as string[] } = {}): string =>
  writeConfig([
    { kind: 'global', lines: [line('maxconn 500')] },
    { kind: 'frontend', name: 'l', lines: [line(`maxconn ${maxconn}`), ...more.map(line)] },
    { kind: 'backend', name: 'p:l', lines: [line(`balance ${balance}`), ...servers.map((each) => line(`server ${each}`))] },
  ]).text;

const one = 'a 10.0.0.1:80 id 7 weight 1 check inter 5s cookie a';
const base = config([one]);

const right: Readonly<Record<string, string>> = {
  'nothing differs': base,
  'a weight': config(['a 10.0.0.1:80 id 7 weight 256 check inter 5s cookie a']),
  'a member comes': config([one, 'b 2001:db8::1:8080 id 8 weight 0 check inter 5s addr [2001:db8::2] port 81 cookie b disabled']),
  'all members go': config([]),
  'a limit': config([one], { maxconn: '7' }),
  'a backup': config([`${one} backup`]),
};
const unsure: Readonly<Record<string, string>> = {
  'a weight that is too large': config(['a 10.0.0.1:80 id 7 weight 257 check inter 5s cookie a']),
  'a name instead of an address': config([one, 'b example.com:80 id 8 weight 1 check inter 5s cookie b']),
  'another value of another word': config(['a 10.0.0.1:80 id 7 weight 1 check inter 6s cookie a']),
  'a word that no server has': config([one, 'b 10.0.0.2:80 id 8 weight 1 check inter 5s cookie b send-proxy']),
  'a word that is missing': config([one, 'b 10.0.0.2:80 id 8 weight 1 check inter 5s']),
  'a word that nobody knows': config([`${one} resolvers x`]),
  'two servers of one name': config([one, 'a 10.0.0.2:80 id 8 weight 1 check inter 5s cookie b']),
  'two servers of one number': config([one, 'b 10.0.0.2:80 id 7 weight 1 check inter 5s cookie b']),
  'a port that is none': config([one, 'b 10.0.0.2:70000 id 8 weight 1 check inter 5s cookie b']),
  'a strange cookie': config([one, 'b 10.0.0.2:80 id 8 weight 1 check inter 5s cookie a;b']),
  'a limit that is none': config([one], { maxconn: '0' }),
  'another line': config([one], { more: ['mode http'] }),
  'another value of a line': config([one], { balance: 'leastconn' }),
  'a file of somebody else': `# ours\n${base}`,
};

const rule = (comparison: string, md5: string): string => config([one], { more: [`acl r ${comparison} -f /x/l7-r.${md5.repeat(32)}.acl`] });

void test('another version of a list is right by form where no pattern can be wrong', () => {
  assert.equal(isRightByForm(rule('path -m beg', 'a'), rule('path -m beg', 'b')), true);
  for (const comparison of ['path -m reg', 'src', 'ssl_c_verify -m int'])
    assert.equal(isRightByForm(rule(comparison, 'a'), rule(comparison, 'b')), false, comparison);
  assert.equal(isRightByForm(rule('path -m beg', 'a'), rule('path -m end', 'b')), false);
});

void test('what differs from a checked configuration only in known words is right', () => {
  for (const [name, text] of Object.entries(right)) assert.equal(isRightByForm(base, text), true, name);
  for (const [name, text] of Object.entries(unsure)) assert.equal(isRightByForm(base, text), false, name);
  assert.equal(isRightByForm(config([]), base), false, 'the first member of a pool');
  assert.equal(isRightByForm('nonsense', base), false);
});

void test('other certificates are right when the worker takes them; authorities are not, nor a list in place of a certificate', () => {
  const file = (slot: string, version: string): string => `/c/${slot}.${'0'.repeat(12)}.${version.repeat(32)}.pem`;
  const bind = (version: string, ca = 'a'): string[] => [
    `bind :443 ssl crt-list ${file('l', version)} ca-file ${file('l-ca', ca)} verify none`,
  ];
  const withServer = (version: string): string => config([`${one} ssl verify none crt ${file('p-crt', version)}`]);
  for (const [before, after] of [
    [config([one], { more: bind('a') }), config([one], { more: bind('b') })],
    [withServer('a'), withServer('b')],
  ] as const) {
    assert.deepEqual([isRightByForm(before, after), isRightWhenTaken(before, after)], [false, true]);
    assert.equal(isRightWhenTaken(before, after.replace('maxconn 100', 'maxconn 7')), true, 'and what is right by form, too');
    assert.equal(isRightWhenTaken(before, after.replace('ssl ', 'ssl strict-sni ')), false);
  }
  const base = config([one], { more: bind('a') });
  assert.equal(isRightWhenTaken(base, config([one], { more: bind('a', 'b') })), false);
  assert.equal(isRightWhenTaken(base, base.replace('/c/l.', '/c/k.')), false);
});
