import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type LoadBalancerTree, Terminal } from '../../../model/index.ts';
import { renderHaproxy } from './haproxy.ts';
import {
  sampleAmphora,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePolicy,
  samplePool,
  sampleRule,
  sampleSecrets,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const settings = { ...sampleSettings, log_target: { kind: 'syslog', address: '/run/log' } as const };
const render = (tree: LoadBalancerTree): string => renderHaproxy(tree, sampleAmphora(), settings).text;

/** The words of each line as HAProxy 2.6 reads them (manual, section 2.2), written anew here to check the writer. */
function readWords(text: string): string[][] {
  return text.split('\n').map((line) => {
    const words: string[] = [];
    let word: string | undefined;
    for (let index = 0; index < line.length; index += 1) {
      const character = line[index] as string;
      if (character === ' ' || character === '\t') {
        if (word !== undefined) words.push(word);
        word = undefined;
      } else if (character === '#') break;
      else if (character === "'") {
        const end = line.indexOf("'", index + 1);
        assert.ok(end > 0, 'a quote is left open');
        word = (word ?? '') + line.slice(index + 1, end);
        index = end;
      } else if (character === '\\') {
        index += 1;
        word = (word ?? '') + (line[index] ?? '');
      } else {
        assert.ok(character !== '"' && character !== '$', 'a character that HAProxy gives a meaning');
        word = (word ?? '') + character;
      }
    }
    return word === undefined ? words : [...words, word];
  });
}

/** All that a tenant can write as text, used in one tree. */
type Writings = Record<
  | 'name'
  | 'url_path'
  | 'domain_name'
  | 'expected_codes'
  | 'cookie_name'
  | 'header'
  | 'project_id'
  | 'address'
  | 'cidr'
  | 'rule_key'
  | 'rule_value'
  | 'redirect_url'
  | 'redirect_prefix',
  string
>;

const harmless: Writings = {
  name: 'name',
  url_path: '/path',
  domain_name: 'www.example.com',
  expected_codes: '200',
  cookie_name: 'SESSION',
  header: 'true',
  project_id: 'project',
  address: '10.0.0.1',
  cidr: '10.0.0.0/8',
  rule_key: 'X-Key',
  rule_value: 'value',
  redirect_url: 'http://url.example/',
  redirect_prefix: 'http://prefix.example',
};

function treeOf(writings: Writings): LoadBalancerTree {
  const { name, project_id } = writings;
  const named = { name, description: name, fault: name };
  return sampleTree({
    loadbalancer: sampleLoadBalancer({ name, description: name, project_id }),
    listeners: [
      sampleListener({
        ...named,
        allowed_cidrs: [writings.cidr],
        insert_headers: { 'X-Forwarded-For': writings.header, [writings.header]: 'true' },
        l7policies: [
          samplePolicy(1, {
            ...named,
            action: 'REDIRECT_TO_URL',
            redirect_url: writings.redirect_url,
            rules: [sampleRule(1, { type: 'HEADER', compare_type: 'REGEX', key: writings.rule_key, value: writings.rule_value })],
          }),
          samplePolicy(2, { ...named, action: 'REDIRECT_PREFIX', redirect_prefix: writings.redirect_prefix }),
        ],
      }),
    ],
    pools: [
      samplePool({
        ...named,
        session_persistence: {
          type: 'APP_COOKIE',
          cookie_name: writings.cookie_name,
          persistence_timeout: null,
          persistence_granularity: name,
        },
        members: [sampleMember(1, { name, address: writings.address, monitor_address: writings.address })],
        healthmonitor: sampleMonitor({
          name,
          url_path: writings.url_path,
          domain_name: writings.domain_name,
          expected_codes: writings.expected_codes,
          http_version: 1.1,
        }),
      }),
    ],
  });
}

/** Where each text stands in the words of the rendered file: first word of the line, and the word before it. */
const places: readonly (readonly [keyof Writings, string, (words: string[]) => string | undefined, (text: string) => string])[] = [
  ['url_path', 'http-check send', (words) => words[words.indexOf('uri') + 1], (text) => text],
  ['domain_name', 'http-check send', (words) => words.at(-1), (text) => text.replaceAll('%', '%%')],
  [
    'project_id',
    'log-format',
    (words) => words[1]?.slice(0, words[1].indexOf(` ${sampleLoadBalancer().id}`)),
    (text) => text.replaceAll('%', '%%'),
  ],
  ['rule_value', `acl ${sampleRule().id}`, (words) => (words.at(-2) === '--' ? words.at(-1) : undefined), (text) => text],
  // Only names of headers get this far: of their characters the quote and the comma mean something within parentheses.
  ['rule_key', `acl ${sampleRule().id}`, (words) => words[2], (text) => `req.hdr(${/[',]/u.test(text) ? `"${text}"` : text})`],
  ['redirect_url', 'http-request redirect location', (words) => words[3], (text) => text.replaceAll('%', '%%')],
  ['redirect_prefix', 'http-request redirect prefix', (words) => words[3], (text) => text.replaceAll('%', '%%')],
];

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
  fc.constantFrom(
    '/ HTTP/1.0\r\nX: y',
    "'\n    server x 1.2.3.4:80 '",
    '# comment',
    '"${HOME}"',
    "it's",
    '\\',
    '%[env(HOME)]',
    '{{ lb_id }}',
    '$&',
    '',
    ' ',
    '-f /etc/passwd',
    'unix@/run/x',
    '::1%lo',
    'true',
    '__proto__',
    'constructor',
  ),
);

test('what a tenant writes reaches HAProxy as the words it should be, or is refused with its owner', () => {
  const lines = readWords(render(treeOf(harmless)));
  const field = fc.constantFrom(...(Object.keys(harmless) as (keyof Writings)[]));
  fc.assert(
    fc.property(fc.dictionary(field, hostile, { maxKeys: 3 }), (changes) => {
      const writings = { ...harmless, ...changes };
      let text: string;
      try {
        text = render(treeOf(writings));
      } catch (error) {
        assert.ok(error instanceof Terminal, String(error));
        return;
      }
      const words = readWords(text);
      const kept = words.filter((line) => line.join(' ') !== 'option forwardfor');
      const expected = lines.filter((line) => line.join(' ') !== 'option forwardfor');
      assert.deepEqual(
        kept.map((line) => [line.length, line[0]]),
        expected.map((line) => [line.length, line[0]]),
      );
      for (const [name, start, pick, shown] of places) {
        const line = words.find((each) => each.join(' ').startsWith(start)) ?? [];
        assert.equal(pick(line), shown(writings[name]));
      }
    }),
    { numRuns: 3000 },
  );
});

test('control characters are refused wherever they would be written', () => {
  for (const field of (Object.keys(harmless) as (keyof Writings)[]).filter((each) => each !== 'name' && each !== 'header')) {
    for (const character of ['\n', '\r', '\0', '\u007f']) {
      assert.throws(
        () => render(treeOf({ ...harmless, [field]: `${harmless[field]}${character}x` })),
        field === 'project_id' ? Error : Terminal,
      );
    }
  }
});

/** What a tenant writes about TLS: references to secrets, ciphers, protocols. */
const tlsWritings = fc.record({ ref: hostile, sni: fc.array(hostile, { maxLength: 3 }), ca: hostile, ciphers: hostile, alpn: hostile });

test('of references to secrets nothing reaches a file or its name; ciphers and protocols are one word each', () => {
  fc.assert(
    fc.property(tlsWritings, ({ ref, sni, ca, ciphers, alpn }) => {
      const tls = { tls_ciphers: ciphers, alpn_protocols: [alpn as 'h2'], tls_versions: ['TLSv1.3' as const] };
      const tree = sampleTree({
        listeners: [
          sampleListener({
            protocol: 'TERMINATED_HTTPS',
            default_tls_container_ref: ref,
            sni_container_refs: ['plain', ...sni],
            client_ca_tls_container_ref: ca,
            ...tls,
          }),
        ],
        pools: [samplePool({ tls_enabled: true, tls_container_ref: ref, ca_tls_container_ref: ca, ...tls })],
      });
      const secrets = sampleSecrets(tree);
      let rendered: ReturnType<typeof renderHaproxy>;
      try {
        rendered = renderHaproxy(tree, sampleAmphora(), { ...settings, secrets });
      } catch (error) {
        assert.ok(error instanceof Terminal, String(error));
        return;
      }
      const folder = `${settings.cert_path}/${tree.loadbalancer.id}/`;
      const names = [...Object.keys(rendered.crt_lists), ...[...secrets.values()].flatMap((each) => ('name' in each ? [each.name] : []))];
      for (const name of names) assert.match(name, /^[0-9a-z-]+\.[0-9a-f]{12}\.[0-9a-f]{32}\.pem$/u);
      for (const list of Object.values(rendered.crt_lists))
        assert.ok(list.split('\n').every((line) => line === '' || (line.startsWith(folder) && names.includes(line.slice(folder.length)))));
      const parts = ciphers.split(':').filter((part) => part !== '');
      const [suites, older] = [parts.filter((part) => part.startsWith('TLS_')), parts.filter((part) => !part.startsWith('TLS_'))];
      const shown = [
        ...(older.length > 0 ? ['ciphers', older.join(':')] : []),
        ...(suites.length > 0 ? ['ciphersuites', suites.join(':')] : []),
        ...['ssl-min-ver', 'TLSv1.3', 'ssl-max-ver', 'TLSv1.3', 'alpn', alpn],
      ];
      const lines = readWords(rendered.text);
      for (const start of ['bind', 'server']) {
        const words = lines.find((line) => line[0] === start) ?? [];
        assert.deepEqual(words.slice(-shown.length), shown);
        const paths = words.filter((_, index) => ['crt-list', 'ca-file', 'crt'].includes(words[index - 1] ?? ''));
        assert.ok(
          paths.every((path) => path.startsWith(folder) && names.includes(path.slice(folder.length))),
          paths.join(),
        );
      }
    }),
    { numRuns: 1000 },
  );
});

const skip = spawnSync('haproxy', ['-v']).status === 0 ? false : 'haproxy is not installed';

/** Answers the first bytes that come in at a port, and answers 200 to them. */
function firstRequest(server: ReturnType<typeof createServer>): Promise<string> {
  return new Promise((resolve) => {
    server.on('connection', (socket: Socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => {
        resolve(bytes.toString('latin1'));
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
    });
  });
}

test('a probe asks for the very path and host that the tenant wrote', { skip, timeout: 20_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'probe-'));
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url_path = `/a'b"c%[env(HOME)]$HOME#x\\y{}?q=%20&z=1`;
  const domain_name = `h%[src]'"$x`;
  const tree = treeOf({ ...harmless, url_path, domain_name, address: '127.0.0.1' });
  const [pool] = tree.pools;
  const member = sampleMember(1, { address: '127.0.0.1', protocol_port: (server.address() as AddressInfo).port });
  const text = render({ ...tree, pools: [{ ...pool, members: [member] } as (typeof tree.pools)[number]] });
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(path, `frontend f\n    bind unix@${join(folder, 's')}\n    timeout client 1s\n\n${text.slice(text.indexOf('\nbackend '))}`);
  const child = spawn('haproxy', ['-db', '-f', path], { stdio: 'ignore' });
  try {
    const request = (await firstRequest(server)).split('\r\n');
    assert.equal(request[0], `GET ${url_path} HTTP/1.1`);
    assert.ok(
      request.some((header) => header.toLowerCase() === `host: ${domain_name.toLowerCase()}`),
      request.join('\n'),
    );
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
