import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type L7PolicyTree, type L7Rule, l7ruleCompareTypes, l7ruleTypes, type Owner, Terminal } from '../../../model/index.ts';
import { refuseRule } from '../../../model/rules/l7rule.ts';
import { readConfig } from '../../../wire/haproxy-text.ts';
import { type Rendered, ownerOfRefusal, renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  samplePolicy,
  samplePool,
  sampleRule,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const id = sampleId;
const golden = join(import.meta.dirname, 'golden');
const skip = spawnSync('haproxy', ['-v']).status === 0 ? false : 'haproxy is not installed';

/** Policies of one HTTP listener with two pools. */
function render(l7policies: readonly L7PolicyTree[], has_lists = false, l7_policy_order: 'position' | 'action' = 'position'): Rendered {
  const pools = [samplePool(), samplePool({ id: id('pool', 2) }), samplePool({ id: id('pool', 3), admin_state_up: false })];
  const tree = sampleTree({ listeners: [sampleListener({ l7policies })], pools });
  return renderHaproxy(tree, sampleAmphora(), { ...sampleSettings, has_lists, l7_policy_order });
}

let serial = 100;
const rules = (...changes: readonly Partial<L7Rule>[]): L7Rule[] => changes.map((change) => sampleRule((serial += 1), change));
const toPool = (number = 2) => ({ action: 'REDIRECT_TO_POOL' as const, redirect_pool_id: id('pool', number) });
const host = (value: string): Partial<L7Rule> => ({ type: 'HOST_NAME', compare_type: 'EQUAL_TO', value });

/** As the reference's shape of all kinds, and pools before and after what stops a request. */
const everything: readonly L7PolicyTree[] = [
  samplePolicy(1, { rules: rules({ value: '/admin' }, { ...host('x.example.com'), invert: true }) }),
  samplePolicy(2, { ...toPool(), rules: rules({ type: 'COOKIE', compare_type: 'EQUAL_TO', key: 'site', value: 'b' }) }),
  samplePolicy(3, {
    action: 'REDIRECT_TO_URL',
    redirect_url: 'https://www.example.com/?100%',
    redirect_http_code: 301,
    rules: rules({ type: 'HEADER', compare_type: 'CONTAINS', key: 'User-Agent', value: '"curl 7"' }),
  }),
  samplePolicy(4, {
    action: 'REDIRECT_PREFIX',
    redirect_prefix: 'https://www.example.com',
    redirect_http_code: 302,
    rules: rules(
      { type: 'FILE_TYPE', compare_type: 'REGEX', value: 'jpg|png' },
      { type: 'FILE_TYPE', compare_type: 'EQUAL_TO', value: '-gif' },
    ),
  }),
  samplePolicy(5, {
    ...toPool(1),
    rules: rules({ compare_type: 'REGEX', value: '^/api/v[0-9]+' }, { compare_type: 'ENDS_WITH', value: "it's" }),
  }),
  samplePolicy(6, { ...toPool(2), rules: rules({ compare_type: 'STARTS_WITH', value: '/img' }) }),
];

const policiesOf = (first: number, target: Partial<L7PolicyTree>, ...conditions: readonly Partial<L7Rule>[]): L7PolicyTree[] =>
  conditions.map((condition, index) => samplePolicy(first + index, { ...target, rules: rules(condition) }));

/** Runs of neighbours that one look-up decides. */
const grouped: readonly L7PolicyTree[] = [
  ...policiesOf(1, { action: 'REJECT' }, { value: '/secret' }, { value: '/private' }),
  ...policiesOf(3, toPool(1), host('A.example'), host('b.example')),
  samplePolicy(5, { ...toPool(2), rules: rules(host('a.example')) }),
  ...policiesOf(
    6,
    { action: 'REDIRECT_TO_URL', redirect_url: 'http://u.example/', redirect_http_code: 308 },
    host('u.example'),
    host('v.example'),
  ),
  ...policiesOf(8, toPool(2), { value: '/a/b' }, { value: '/a' }, { value: '/a/c' }),
  samplePolicy(11, { ...toPool(1), rules: rules(host('A.example'), { value: '/x' }) }),
  samplePolicy(12, { ...toPool(2), rules: rules({ value: '/y' }, host('b.example')) }),
];

const shapes: Readonly<Record<string, Rendered>> = {
  l7: render(everything),
  'l7-lists': render(everything, true),
  'l7-groups': render(grouped, true),
};

/** Runs `haproxy -c` with the lists in place. */
function check(rendered: Rendered): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'l7-'));
  try {
    mkdirSync(join(folder, id('loadbalancer'), 'lists'), { recursive: true });
    for (const list of rendered.lists) writeFileSync(join(folder, id('loadbalancer'), 'lists', list.name), list.content);
    writeFileSync(join(folder, 'haproxy.cfg'), rendered.text.replaceAll(`${sampleSettings.base_path}/`, `${folder}/`));
    const { status, stderr, stdout } = spawnSync('haproxy', ['-c', '-f', join(folder, 'haproxy.cfg')], { encoding: 'utf8' });
    return { status, output: stderr + stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const [name, rendered] of Object.entries(shapes)) {
  test(`${name} is rendered as its golden file says`, () => {
    const path = join(golden, `${name}.cfg`);
    const lists = rendered.lists.map((list) => `\n# ${list.name}\n${list.content}`).join('');
    if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(path, rendered.text + lists);
    assert.equal(rendered.text + lists, readFileSync(path, 'utf8'));
  });

  test(`${name} is accepted by HAProxy`, { skip }, () => {
    const { status, output } = check(rendered);
    assert.equal(status, 0, output);
    assert.deepEqual(
      output.split('\n').filter((line) => line.startsWith('[WARNING]') && !line.includes('server state file')),
      [],
    );
  });
}

/** The lines of the first frontend that belong to policies and rules. */
const l7LinesOf = ({ text, owners }: Rendered): string[] =>
  text.split('\n').filter((_, index) => owners[index]?.type === 'l7policy' || owners[index]?.type === 'l7rule');

test('what is switched off, going, refused, without rules or without a served pool is left out', () => {
  const off = { admin_state_up: false };
  const going = { provisioning_status: 'PENDING_DELETE' as const };
  const out: readonly L7PolicyTree[] = [
    samplePolicy(1, off),
    samplePolicy(2, going),
    samplePolicy(3, { refused: true, provisioning_status: 'ERROR' }),
    samplePolicy(4, { rules: [] }),
    samplePolicy(5, { rules: rules(off, going) }),
    samplePolicy(6, toPool(3)),
    samplePolicy(7, { rules: rules({}, { refused: true, provisioning_status: 'ERROR' }) }),
  ];
  assert.deepEqual(l7LinesOf(render(out)), []);
  const kept = l7LinesOf(render([...out, samplePolicy(8, { rules: rules(off, { value: '/x' }, going), provisioning_status: 'ERROR' })]));
  assert.equal(kept.length, 2);
  assert.match(kept[1] ?? '', /^ {4}http-request deny if \S+$/u);
});

test('by action, rejections come first and pools last, and nothing has to be noted', () => {
  const actions = (rendered: Rendered) =>
    l7LinesOf(rendered).flatMap((line) => /http-request deny|location|prefix|set-var|use_backend/u.exec(line)?.[0] ?? []);
  const policies = [everything[5], everything[3], everything[2], everything[0]] as L7PolicyTree[];
  assert.deepEqual(actions(render(policies, false, 'action')), ['http-request deny', 'prefix', 'location', 'use_backend']);
  assert.deepEqual(actions(render(policies)), ['set-var', 'prefix', 'location', 'http-request deny', 'use_backend']);
});

test('a pool that only a policy sends to has a backend, and one that two send to has one', () => {
  const backends = ({ text }: Rendered) => [...text.matchAll(/^backend (\S+)$/gmu)].map((match) => match[1]);
  const pair = (pool: number) => `${id('pool', pool)}:${id('listener')}`;
  assert.deepEqual(backends(render([samplePolicy(1, toPool(2)), samplePolicy(2, toPool(2)), samplePolicy(3, toPool(1))])), [
    pair(1),
    pair(2),
  ]);
  assert.deepEqual(backends(render([samplePolicy(1, { ...toPool(2), admin_state_up: false })])), [pair(1)]);
});

test('what can have no effect is refused with its owner', () => {
  const ofPolicy: Owner = { type: 'l7policy', id: id('l7policy') };
  const ofRule: Owner = { type: 'l7rule', id: id('l7rule') };
  const header = { type: 'HEADER', compare_type: 'EQUAL_TO' } as const;
  const cases: readonly (readonly [() => unknown, Owner])[] = [
    [() => render([samplePolicy(1, { action: 'REDIRECT_TO_POOL' })]), ofPolicy],
    [() => render([samplePolicy(1, { action: 'REDIRECT_TO_URL' })]), ofPolicy],
    [() => render([samplePolicy(1, { action: 'REDIRECT_PREFIX' })]), ofPolicy],
    [() => render([samplePolicy(1, { action: 'REDIRECT_TO_URL', redirect_url: 'http://x/\n' })]), ofPolicy],
    [() => render([samplePolicy(1, { rules: [sampleRule(1, { ...header, key: 'a b' })] })]), ofRule],
    [() => render([samplePolicy(1, { rules: [sampleRule(1, { ...header, key: null })] })]), ofRule],
    [() => render([samplePolicy(1, { rules: [sampleRule(1, { value: 'a\tb' })] })]), ofRule],
    [() => render([samplePolicy(1, { rules: [sampleRule(1, { type: 'SSL_VERIFY_RESULT', value: '0 -f /etc/passwd' })] })]), ofRule],
    [() => render([samplePolicy(1, { rules: [sampleRule(1, { type: 'SSL_DN_FIELD', key: 'CN,1' })] })]), ofRule],
    [
      () => {
        const listeners = [sampleListener({ protocol: 'TCP', l7policies: [samplePolicy()] })];
        return renderHaproxy(sampleTree({ listeners, pools: [samplePool({ protocol: 'TCP' })] }), sampleAmphora(), sampleSettings);
      },
      ofPolicy,
    ],
  ];
  for (const [call, owner] of cases) {
    assert.throws(call, (error) => {
      assert.ok(error instanceof Terminal, String(error));
      assert.deepEqual(error.owner, owner);
      return true;
    });
  }
});

test('every type and comparison that the API takes is accepted by HAProxy, in lines and in lists', { skip }, () => {
  const value = { SSL_CONN_HAS_CERT: 'True', SSL_VERIFY_RESULT: '007' } as Partial<Record<L7Rule['type'], string>>;
  const keyed: readonly L7Rule['type'][] = ['HEADER', 'COOKIE', 'SSL_DN_FIELD'];
  const all = l7ruleTypes.flatMap((type) =>
    l7ruleCompareTypes.map((compare_type) => ({ type, compare_type, key: keyed.includes(type) ? 'CN' : null, value: value[type] ?? '-i' })),
  );
  const taken = all.filter((condition) => refuseRule(condition) === null);
  assert.equal(taken.length, 4 * 5 + 2 + 1 + 1 + 5);
  const policies = taken.map((condition, index) => samplePolicy(index + 1, { rules: rules(condition, { ...condition, invert: true }) }));
  for (const has_lists of [false, true]) {
    const { status, output } = check(render(policies, has_lists));
    assert.equal(status, 0, output);
  }
});

test('an expression that only Python understands is a refusal of its rule, in lines and in lists', { skip }, () => {
  const owner: Owner = { type: 'l7rule', id: id('l7rule', 9) };
  const odd = sampleRule(9, { compare_type: 'REGEX', value: String.raw`[a:3]\u0041` });
  assert.equal(refuseRule(odd), null);
  for (const has_lists of [false, true]) {
    const rendered = render([...everything, samplePolicy(9, { rules: [...rules({}), odd] })], has_lists);
    const { status, output } = check(rendered);
    assert.equal(status, 1);
    assert.deepEqual(ownerOfRefusal(output, rendered), owner, output);
  }
});

test('another value changes only the name of its list, and one policy more only that of its group', () => {
  const at = (value: string) =>
    render([samplePolicy(1, { rules: [sampleRule(1, { value })] }), samplePolicy(2, { rules: rules({}, {}) })], true);
  const named = (text: string) => text.replaceAll(/\.[0-9a-f]{32}\./gu, '.MD5.');
  serial = 500;
  const one = at('/one');
  serial = 500;
  const two = at("/t w'o");
  assert.notEqual(one.text, two.text);
  assert.equal(named(one.text), named(two.text));
  serial = 500;
  const few = render(policiesOf(1, toPool(1), host('a'), host('b')), true);
  const more = render(policiesOf(1, toPool(1), host('a'), host('b'), host('c')), true);
  assert.equal(named(few.text), named(more.text));
});

test('a thousand rules cost a frontend few lines where they can be looked up, and are uploaded one by one only when they are few', () => {
  const many = Array.from({ length: 1000 }, (_, index) =>
    samplePolicy(index + 1, { ...toPool(1), rules: rules(host(`h${index}.example`)) }),
  );
  assert.equal(l7LinesOf(render(many, true)).length, 2);
  const ingress = Array.from({ length: 500 }, (_, index) =>
    samplePolicy(index + 1, { ...toPool(1), rules: rules(host('a'), { value: `/${index}` }) }),
  );
  assert.equal(l7LinesOf(render(ingress, true)).length, 4);
  const suffix = { compare_type: 'ENDS_WITH' } as const;
  const pairs = Array.from({ length: 500 }, (_, index) =>
    samplePolicy(index + 1, { rules: rules({ ...suffix, value: `/${index}` }, host('a')) }),
  );
  assert.equal(render(pairs, true).lists.length, 0);
  assert.equal(render(pairs.slice(0, 50), true).lists.length, 100);
});

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
  fc.constantFrom(
    '# comment',
    ' a',
    'a ',
    'a b',
    '',
    '-f /etc/passwd',
    '/x\n/y',
    '/x\r',
    '\t',
    '\ud800',
    '"',
    "'",
    '\\',
    '%[src]',
    '$HOME',
    '/a',
  ),
);

test('a pattern in a list is the only entry of its file, or stands in the line, or is refused with its owner', () => {
  fc.assert(
    fc.property(hostile, (value) => {
      let rendered: Rendered;
      try {
        rendered = render([samplePolicy(1, { rules: [sampleRule(1, { compare_type: 'REGEX', value })] })], true);
      } catch (error) {
        assert.ok(error instanceof Terminal && error.owner.type === 'l7rule', String(error));
        return;
      }
      const [list, ...more] = rendered.lists;
      assert.deepEqual(more, []);
      if (list !== undefined) assert.deepEqual([list.content, value.trim()], [`${value}\n`, value]);
      const inLine = readConfig(rendered.text)
        ?.flatMap(({ lines }) => lines)
        .find(({ tokens }) => tokens[1] === id('l7rule'))?.tokens;
      assert.deepEqual(inLine?.slice(2, 5), ['path', '-m', 'reg']);
      assert.deepEqual(list === undefined ? inLine?.slice(5) : inLine?.[5], list === undefined ? ['--', value] : '-f');
    }),
    { numRuns: 500 },
  );
});

test('the entries of a map are the patterns and the targets, whatever they are, or the policies stand alone', () => {
  fc.assert(
    fc.property(hostile, hostile, hostile, (one, other, url) => {
      const redirect = { action: 'REDIRECT_TO_URL', redirect_url: `http://u/${url}` } as const;
      let rendered: Rendered;
      try {
        rendered = render(policiesOf(1, redirect, { value: `/1${one}` }, { value: `/2${other}` }), true);
      } catch (error) {
        assert.ok(error instanceof Terminal, String(error));
        return;
      }
      const map = rendered.lists.find((list) => list.name.endsWith('.map'));
      if (map === undefined) return;
      assert.equal(map.content, `/1${one} http://u/${url}\n/2${other} http://u/${url}\n`);
      assert.equal(map.content.split('\n').length, 3);
    }),
    { numRuns: 500 },
  );
});
