/** Our configurations beside the reference's, for the same load balancers: equal in meaning, but for differences that are explained. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderHaproxy } from '../../src/providers/amphora/render/haproxy.ts';
import type { Rendered, RenderSettings } from '../../src/providers/amphora/render/settings.ts';
import { testHaproxies } from '../../tools/suite/haproxies.ts';
import { makeTestPki, opensslUnavailable, type TestPki } from '../support/features/pki.ts';
import { explain, meaningOf } from '../support/reference/compare.ts';
import { differences } from '../support/reference/differences.ts';
import { shapes, treeOfShape } from '../support/reference/shapes.ts';
import { sampleSecrets, sampleSettings } from '../support/sample-trees.ts';

const folder = new URL('../fixtures/reference/', import.meta.url);
/** As for upstream's agent, with the operator's options that the reference had. */
const settings: RenderSettings = {
  ...sampleSettings,
  run_as: { user: 'nobody', group: null },
  maxconn_limit: null,
  nbthread: null,
  close_spread_seconds: null,
  hard_stop_after_seconds: null,
  log_target: { kind: 'syslog', address: '/run/rsyslog/octavia/log' } as const,
  user_log_format: '{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %[ssl_c_verify] %{+Q}[ssl_c_s_dn] %b %s %Tt %tsc',
  metrics: { exporter: '127.0.0.1:9101', translator: '127.0.0.1:9102' },
  ping_command: '/var/lib/octavia/ping-wrapper.sh',
};

const rendered: Readonly<Record<string, Rendered>> = Object.fromEntries(
  Object.entries(shapes()).map(([name, shape]) => {
    const tree = treeOfShape(shape);
    const [amphora] = tree.amphorae;
    assert.ok(amphora);
    return [name, renderHaproxy(tree, amphora, { ...settings, secrets: sampleSecrets(tree) })];
  }),
);

/** What the reference renders; undefined for shapes of which it renders nothing, and for the two large ones, which repeat one line. */
const referenceOf = (name: string): string | undefined => {
  const file = new URL(`configs/${name}.cfg`, folder);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
};

/** Names of our files are hashes of what the shape calls its secrets. */
const withoutHashes = (text: string): string => text.replaceAll(/[0-9a-z-]+\.[0-9a-f]{12}\.[0-9a-f]{32}\.pem/gu, 'FILE');

const used = new Set<number>();
for (const [name, { text }] of Object.entries(rendered)) {
  const reference = referenceOf(name);
  if (reference === undefined) continue;
  test(`${name} means what the reference's does, but for what is explained`, () => {
    const { expected, actual } = explain(name, meaningOf(reference), meaningOf(withoutHashes(text)), differences, used);
    assert.deepEqual(actual, expected);
  });
}

test('every difference that is explained is there', () => {
  const unused = differences.filter((_, index) => !used.has(index)).map(({ why }) => why);
  assert.deepEqual(unused, []);
});

test('the differences are listed beside the configurations', () => {
  const rows = differences.map(
    ({ from, to, why }) => `| ${cell(from)} | ${from === null ? cell(new RegExp(to ?? '', 'u')) : cell(to)} | ${why} |`,
  );
  const text = `# Differences from the reference\n\nMade from \`test/support/reference/differences.ts\`; \`$1\` stands for what the first pair of parentheses matches.\n\n| reference | ours | why |\n|---|---|---|\n${rows.join('\n')}\n`;
  const file = new URL('DIFFERENCES.txt', folder);
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(file, text);
  assert.equal(readFileSync(file, 'utf8'), text);
});

const cell = (value: RegExp | string | null): string => {
  if (value === null) return 'nothing';
  const text = typeof value === 'string' ? value : value.source;
  return text === '' ? 'nothing' : `\`${text.replaceAll('\n', ' ⏎ ').replaceAll('|', String.raw`\|`)}\``;
};

let pki: TestPki | undefined;
for (const haproxy of testHaproxies()) {
  test(`all of them are accepted by ${haproxy.name}`, { skip: haproxy.skip || opensslUnavailable() }, () => {
    pki ??= makeTestPki();
    const { chain, key } = pki.of('ec.example');
    const work = mkdtempSync(join(tmpdir(), 'reference-'));
    try {
      for (const [name, { text, crt_lists }] of Object.entries(rendered)) {
        const moved = (content: string) => content.replaceAll(/\/var\/lib\/octavia\/certs\/[0-9a-f-]+/gu, work);
        for (const [, file = ''] of (text + Object.values(crt_lists).join('')).matchAll(/\/([^/\s]+\.pem)\b/gu))
          writeFileSync(join(work, file), moved(crt_lists[file] ?? chain + key + (pki?.crl ?? '')));
        mkdirSync(work, { recursive: true });
        writeFileSync(join(work, 'haproxy.cfg'), moved(text));
        const { status, stderr } = spawnSync('haproxy', ['-c', '-f', join(work, 'haproxy.cfg')], {
          encoding: 'utf8',
          env: { ...process.env, PATH: haproxy.path },
        });
        assert.equal(status, 0, `${name}: ${stderr}`);
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}
