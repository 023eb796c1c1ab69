import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { agentSaid, escapeControls, haproxySaid, LineCutter, syslogLine } from './lines.ts';

const hostname = 'amphora-60000000-0000-4000-8000-000000000001';
const line = (text: string, priority = '<134>'): string => `${priority}Nov 27 02:11:31 ${hostname} haproxy[12]: ${text}\n`;

/** All that is cut from pieces of what HAProxy wrote. */
function cutAll(pieces: readonly Buffer[]): { readonly text: string; readonly count: number; readonly strange: number } {
  const cutter = new LineCutter(0, hostname);
  const cuts = pieces.map((piece) => cutter.cut(piece));
  return {
    text: Buffer.concat(cuts.map(({ lines }) => lines.bytes)).toString('latin1'),
    count: cuts.reduce((sum, { lines }) => sum + lines.count, 0),
    strange: cuts.reduce((sum, { strange }) => sum + strange, 0),
  };
}

void test('lines pass as they are, however they were read', () => {
  const text = line('one') + line('two "GET /\u00e9 HTTP/1.1"') + line('three');
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (places) => {
      const ends = [...places, text.length].toSorted((one, other) => one - other);
      const pieces = ends.map((end, index) => Buffer.from(text.slice(index === 0 ? 0 : ends[index - 1], end), 'latin1'));
      assert.deepEqual(cutAll(pieces), { text, count: 3, strange: 0 });
    }),
  );
});

void test('a begun line waits for its end, and the buffer may be used again', () => {
  const cutter = new LineCutter(0, hostname);
  const buffer = Buffer.from(line('one').slice(0, 70));
  assert.equal(cutter.cut(buffer).lines.count, 0);
  buffer.fill(0);
  assert.equal(cutter.cut(Buffer.from(line('one').slice(70))).lines.bytes.toString(), line('one'));
});

void test('a line break in the subject of a certificate makes no line of its own', () => {
  const forged = '<134>Nov 27 00:00:00 amphora-1 haproxy[1]: forged';
  const cases: readonly { readonly name: string; readonly text: string; readonly expected: string; readonly strange: number }[] = [
    {
      name: 'the next line looks like one of another amphora',
      text: line(`"/CN=x" \n${forged}" b s 4 ----`) + line('two'),
      expected: line(`"/CN=x" #012${forged}" b s 4 ----`) + line('two'),
      strange: 1,
    },
    { name: 'several', text: line('a\n\n\rb'), expected: line('a#012#012#015b'), strange: 2 },
    { name: 'after a line that is for another log', text: line('a', '<132>') + 'b\n' + line('c'), expected: line('c'), strange: 1 },
    { name: 'at the very beginning', text: `b\n${line('c')}`, expected: line('c'), strange: 1 },
    { name: 'nothing but a header', text: '<134>\n', expected: '', strange: 1 },
    { name: 'other control characters', text: line('a\u001b[31m\u0000\u007f'), expected: line('a#033[31m#000#177'), strange: 0 },
  ];
  for (const { name, text, expected, strange } of cases) {
    const cut = cutAll([Buffer.from(text, 'latin1')]);
    assert.deepEqual(cut, { text: expected, count: expected.split('\n').length - 1, strange }, name);
  }
});

void test("what is not for the tenant's log is left out: other severities, other facilities", () => {
  const text = line('Proxy f stopped', '<132>') + line('one') + line('x', '<142>');
  assert.deepEqual(cutAll([Buffer.from(text)]), { text: line('one'), count: 1, strange: 0 });
});

void test('whatever HAProxy writes, no line without its header comes out', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('\n', '<134>', '\u0000', line('x'), line('y', '<132>')));
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const { text, count } = cutAll([Buffer.from(parts.join(''), 'latin1')]);
      const lines = text.split('\n').slice(0, -1);
      assert.equal(lines.length, count);
      for (const each of lines)
        assert.match(each, /^<134>.{15} amphora-60{7}-0000-4000-8000-0{11}1 haproxy\[[\u0020-\u007e\u0080-\u00ff]*$/u);
    }),
  );
});

void test('a line has the form of RFC 3164', () => {
  const head = { facility: 1, severity: 'warning', at: new Date(2026, 0, 5, 3, 4, 5), hostname: 'amphora-1', tag: 'init' } as const;
  assert.equal(syslogLine(head, 'a\nb'), '<140>Jan  5 03:04:05 amphora-1 init: a#012b\n');
  assert.ok(syslogLine(head, 'x'.repeat(100_000)).length < 8192);
});

void test('control characters are written as rsyslog does it', () => {
  assert.equal(escapeControls('\ta\u0000\u007f\u00e9'), '#011a#000#177\u00e9');
});

void test("HAProxy's words keep their severity and process", () => {
  const cases = [
    ['[WARNING]  (27) : Server b/s is DOWN', { severity: 'warning', tag: 'haproxy[27]', text: 'Server b/s is DOWN' }],
    [
      "[ALERT]    (9) : backend 'b' has no server available!",
      { severity: 'alert', tag: 'haproxy[9]', text: "backend 'b' has no server available!" },
    ],
    ['[NOTICE]   (9) : New worker (12) forked', { severity: 'notice', tag: 'haproxy[9]', text: 'New worker (12) forked' }],
    ['something else', { severity: 'notice', tag: 'haproxy', text: 'something else' }],
  ] as const;
  for (const [text, said] of cases) assert.deepEqual(haproxySaid(text), said);
});

void test("the agent's words keep their severity", () => {
  assert.deepEqual(agentSaid('a', '{"level":"warn","msg":"x"}'), { severity: 'warning', tag: 'a', text: '{"level":"warn","msg":"x"}' });
  assert.equal(agentSaid('a', 'no json').severity, 'info');
});
