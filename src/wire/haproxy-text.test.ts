import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Terminal } from '../model/faults.ts';
import type { Owner } from '../model/faults.ts';
import { complaintsOf } from './haproxy-check.ts';
import { escapeLogFormat, MAX_TOKENS_PER_LINE, quoteToken, readConfig, writeConfig } from './haproxy-text.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom("'", '"', '\\', ' ', '#', '$', '%', '{', '}', 'a', '’', 'n', 'x', '4') }),
  fc.constantFrom("'", "''", "\\'", "'\\''", '#', ' ', '', '\\', '\\n', '$HOME', '"$HOME"', 'a b', "it's", '.if', '\\x41'),
);
// oxlint-disable-next-line no-control-regex
const isWritable = (token: string): boolean => token.isWellFormed() && !/[\u0000-\u001f\u007f]/u.test(token);
const tokens = hostile.filter(isWritable);
// Plain prototypes, because deepEqual tells objects without one from what the reader makes.
const plain = { noNullPrototype: true } as const;
const lines = fc.array(fc.record({ tokens: fc.array(tokens, { minLength: 1, maxLength: 6 }) }, plain), { maxLength: 4 });
const named = fc.record({ kind: fc.constantFrom('frontend' as const, 'backend' as const, 'peers' as const), name: tokens, lines }, plain);
const unnamed = fc.record({ kind: fc.constantFrom('global' as const, 'defaults' as const), lines }, plain);

void test('what is read back is exactly what was meant, whatever the tokens are', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(named, unnamed), { maxLength: 4 }), (sections) => {
      assert.deepEqual(readConfig(writeConfig(sections).text), sections);
    }),
    { numRuns: 500 },
  );
});

void test('a token with a control character or a lone surrogate is refused and blamed on its owner', () => {
  const owner: Owner = { type: 'l7rule', id: 'r' };
  for (const token of ['a\nb', 'a\r', '\0', '\t', '\u007f', '\ud800']) {
    assert.throws(() => quoteToken(token), TypeError);
    const write = () => writeConfig([{ kind: 'global', lines: [{ tokens: ['a', token], owner }] }]);
    assert.throws(write, (error) => error instanceof Terminal && error.owner === owner);
    assert.throws(() => writeConfig([{ kind: 'global', lines: [{ tokens: [token] }] }]), TypeError);
  }
});

void test('a line that HAProxy would cut off is refused', () => {
  const line = (length: number) => [{ kind: 'global' as const, lines: [{ tokens: Array.from({ length }, () => 'a') }] }];
  assert.throws(() => writeConfig(line(MAX_TOKENS_PER_LINE + 1)), TypeError);
  assert.throws(() => writeConfig(line(0)), TypeError);
  assert.doesNotThrow(() => writeConfig(line(MAX_TOKENS_PER_LINE)));
});

void test('each line has the owner of its section unless it has its own', () => {
  const listener: Owner = { type: 'listener', id: 'l' };
  const rule: Owner = { type: 'l7rule', id: 'r' };
  const { text, owners } = writeConfig([
    { kind: 'global', lines: [{ tokens: ['maxconn', '10'] }] },
    {
      kind: 'frontend',
      name: 'l',
      owner: listener,
      lines: [{ tokens: ['mode', 'http'] }, { tokens: ['acl', 'r', 'path', "/it's"], owner: rule }],
    },
  ]);
  assert.equal(text, "global\n    maxconn 10\n\nfrontend l\n    mode http\n    acl r path '/it'\\''s'\n");
  assert.deepEqual(owners, [undefined, undefined, undefined, listener, listener, rule]);
});

void test('text that we would not have written is not understood', () => {
  for (const text of [
    '# comment\n',
    'listen x\n',
    'global\n  maxconn 1\n',
    'global\n    a\\ b\n',
    'global\n    "a"\n',
    'global\n',
    'global a b\n',
  ]) {
    const ours = text === 'global\n';
    assert.equal(readConfig(text) !== undefined, ours, text);
  }
  assert.equal(readConfig("global\n    'a'\n"), undefined);
  assert.equal(readConfig('global\n    maxconn 1'), undefined);
  assert.equal(readConfig('    maxconn 1\n'), undefined);
  assert.equal(readConfig('global\n\n    maxconn 1\n'), undefined);
});

void test('percent signs of a literal text are doubled for log formats', () => {
  assert.equal(escapeLogFormat('100% %[src]'), '100%% %%[src]');
});

void test('complaints of haproxy -c lead to the owner by line, and by name where no line is given', () => {
  const backend: Owner = { type: 'pool', id: 'p' };
  const member: Owner = { type: 'member', id: 'm' };
  const config = writeConfig([
    { kind: 'global', lines: [] },
    {
      kind: 'backend',
      name: 'p:l',
      owner: backend,
      lines: [{ tokens: ['foo'] }, { tokens: ['server', 'm', '1.2.3.4:80'], owner: member }],
    },
  ]);
  const output = [
    '[NOTICE]   (7373) : haproxy version is 2.6.12-1+deb12u4',
    '[WARNING]  (7373) : config : parsing [/a/haproxy.cfg:4] : harmless',
    "[ALERT]    (7373) : config : parsing [/a/haproxy.cfg:4] : unknown keyword 'foo' in 'backend' section",
    "[ALERT]    (7373) : config : backend 'p:l', server 'm': unable to load",
    "[ALERT]    (7373) : config : Proxy 'p:l': something",
    '[ALERT]    (7373) : config : out of memory',
    '[ALERT]    (7373) : config : Error(s) found in configuration file : /a/haproxy.cfg',
    '[ALERT]    (7373) : config : Fatal errors found in configuration.',
  ].join('\n');
  assert.deepEqual(
    complaintsOf(output, config).map(({ owner }) => owner),
    [backend, member, backend, undefined],
  );
});
