import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LoadBalancerTree, type Owner, Terminal } from '../../../model/index.ts';
import { testHaproxies } from '../../../../tools/suite/haproxies.ts';
import { type Rendered, renderHaproxy, ownerOfRefusal } from './haproxy.ts';
import {
  sampleAmphora,
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePool,
  sampleSecrets,
  sampleSettings,
  sampleTree,
} from '../../../../test/support/sample-trees.ts';

const id = sampleId;
const golden = join(import.meta.dirname, 'golden');
const stick = (type: 'SOURCE_IP' | 'HTTP_COOKIE' | 'APP_COOKIE', cookie_name: string | null = null) => ({
  type,
  cookie_name,
  persistence_timeout: null,
  persistence_granularity: null,
});
const { secrets: _none, ...settings } = sampleSettings;
const logged = { ...settings, log_target: { kind: 'syslog', address: '/run/rsyslog/octavia/log' } as const };
/** Every secret is there, with a content of which only the MD5 matters. */
const render = (tree: LoadBalancerTree, given = settings): Rendered =>
  renderHaproxy(tree, tree.amphorae[0] ?? sampleAmphora(), { secrets: sampleSecrets(tree), ...given });

/** What each golden file in `golden/` is rendered from. */
const shapes: Readonly<Record<string, Rendered>> = {
  'http-basic': render(sampleTree()),
  'http-no-pool': render(sampleTree({ listeners: [sampleListener({ default_pool_id: null })], pools: [] })),
  'http-everything': render(
    sampleTree({
      loadbalancer: sampleLoadBalancer({
        additional_vips: [
          { subnet_id: id('listener'), ip_address: '2001:db8::10', port_id: null, network_id: null },
          { subnet_id: id('listener'), ip_address: '203.0.113.10', port_id: null, network_id: null },
        ],
      }),
      listeners: [
        sampleListener({
          connection_limit: 2000,
          allowed_cidrs: ['10.0.0.0/8', '2001:db8::/32'],
          timeout_client_data: 1000,
          timeout_member_connect: 2000,
          timeout_member_data: 3000,
          timeout_tcp_inspect: 4000,
          insert_headers: {
            'X-Forwarded-For': 'true',
            'X-Forwarded-Port': 'True',
            'X-Forwarded-Proto': 'true',
            'X-Forwarded-IP': 'true',
            'X-Client-IP': 'true',
            'X-Real-IP': 'false',
          },
        }),
      ],
      pools: [
        samplePool({
          session_persistence: stick('HTTP_COOKIE'),
          healthmonitor: sampleMonitor({
            http_version: 1.1,
            domain_name: 'www.example.com',
            url_path: '/health?x=1',
            expected_codes: '200-204, 301',
            http_method: 'HEAD',
          }),
        }),
      ],
    }),
    logged,
  ),
  'tcp-members': render(
    sampleTree({
      listeners: [sampleListener({ protocol: 'TCP', protocol_port: 5432 })],
      pools: [
        samplePool({
          protocol: 'TCP',
          lb_algorithm: 'LEAST_CONNECTIONS',
          healthmonitor: sampleMonitor({ type: 'TCP', delay: 0, timeout: 0 }),
          members: [
            sampleMember(1, { weight: 10 }),
            sampleMember(2, { weight: 0 }),
            sampleMember(3, { backup: true }),
            sampleMember(4, { admin_state_up: false }),
            sampleMember(5, { address: '2001:db8::5', monitor_address: '2001:db8::6', monitor_port: 9000 }),
          ],
        }),
      ],
    }),
    logged,
  ),
  'source-ip': render(sampleTree({ pools: [samplePool({ lb_algorithm: 'SOURCE_IP', session_persistence: stick('SOURCE_IP') })] })),
  'active-standby': render(
    sampleTree({
      loadbalancer: sampleLoadBalancer({ topology: 'ACTIVE_STANDBY' }),
      pools: [samplePool({ session_persistence: stick('APP_COOKIE', "it's.JSESSIONID") })],
      amphorae: [sampleAmphora(2, { status: 'BOOTING' }), sampleAmphora(1), sampleAmphora(3, { status: 'ERROR' })],
    }),
  ),
  'shared-pool': render(
    sampleTree({
      listeners: [
        sampleListener(),
        sampleListener({ id: id('listener', 2), protocol: 'TCP', protocol_port: 81 }),
        sampleListener({
          id: id('listener', 3),
          protocol_port: 82,
          timeout_client_data: 0,
          timeout_member_connect: 0,
          timeout_member_data: 0,
        }),
      ],
    }),
    { ...settings, maxconn_limit: null, run_as: null, nbthread: null, hard_stop_after_seconds: null },
  ),
  https: render(
    sampleTree({
      listeners: [
        sampleListener({ protocol: 'HTTPS', protocol_port: 443 }),
        sampleListener({ id: id('listener', 2), protocol: 'HTTPS', protocol_port: 444, default_pool_id: id('pool', 2) }),
      ],
      pools: [
        samplePool({ protocol: 'HTTPS', healthmonitor: sampleMonitor({ type: 'HTTPS' }) }),
        samplePool({
          id: id('pool', 2),
          protocol: 'HTTPS',
          healthmonitor: sampleMonitor({ id: id('healthmonitor', 2), type: 'TLS-HELLO' }),
          session_persistence: stick('HTTP_COOKIE'),
        }),
      ],
    }),
  ),
  proxy: render(
    sampleTree({
      listeners: [
        sampleListener({ protocol: 'TCP' }),
        sampleListener({ id: id('listener', 2), protocol_port: 81, default_pool_id: id('pool', 2) }),
      ],
      pools: [samplePool({ protocol: 'PROXY' }), samplePool({ id: id('pool', 2), protocol: 'PROXYV2' })],
    }),
  ),
  'terminated-https': render(
    sampleTree({
      listeners: [
        sampleListener({
          protocol: 'TERMINATED_HTTPS',
          protocol_port: 443,
          default_tls_container_ref: 'http://127.0.0.1/key-manager/v1/secrets/one',
          sni_container_refs: ['http://127.0.0.1/key-manager/v1/secrets/two', 'http://127.0.0.1/key-manager/v1/secrets/one'],
          client_ca_tls_container_ref: 'ca',
          client_crl_container_ref: 'crl',
          client_authentication: 'MANDATORY',
          tls_ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256',
          tls_versions: ['TLSv1.2', 'TLSv1.3'],
          alpn_protocols: ['h2', 'http/1.1'],
          hsts_max_age: 31_536_000,
          hsts_include_subdomains: true,
          hsts_preload: true,
          insert_headers: {
            'X-Forwarded-Proto': 'true',
            'X-SSL-Client-Verify': 'true',
            'X-SSL-Client-Has-Cert': 'true',
            'X-SSL-Client-DN': 'true',
            'X-SSL-Client-CN': 'true',
            'X-SSL-Issuer': 'true',
            'X-SSL-Client-SHA1': 'true',
            'X-SSL-Client-Not-Before': 'true',
            'X-SSL-Client-Not-After': 'true',
          },
        }),
        sampleListener({
          id: id('listener', 2),
          protocol: 'TERMINATED_HTTPS',
          protocol_port: 8443,
          sni_container_refs: ['http://127.0.0.1/key-manager/v1/secrets/two'],
          client_ca_tls_container_ref: 'ca',
          client_authentication: 'OPTIONAL',
          tls_versions: ['TLSv1.1', 'TLSv1.3'],
          default_pool_id: id('pool', 2),
          hsts_max_age: 0,
        }),
      ],
      pools: [
        samplePool({
          tls_enabled: true,
          tls_container_ref: 'http://127.0.0.1/key-manager/v1/secrets/three',
          ca_tls_container_ref: 'ca2',
          crl_container_ref: 'crl2',
          tls_ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
          tls_versions: ['TLSv1.2'],
          alpn_protocols: ['h2', 'http/1.1'],
          healthmonitor: sampleMonitor({ type: 'HTTPS' }),
        }),
        samplePool({ id: id('pool', 2), protocol: 'PROXYV2' }),
      ],
    }),
  ),
  'pool-tls': render(
    sampleTree({
      listeners: [
        sampleListener(),
        sampleListener({ id: id('listener', 2), protocol: 'TCP', protocol_port: 81, default_pool_id: id('pool', 2) }),
      ],
      pools: [
        samplePool({ tls_enabled: true, alpn_protocols: ['h2', 'http/1.1', 'http/1.0'], healthmonitor: sampleMonitor() }),
        samplePool({
          id: id('pool', 2),
          protocol: 'TCP',
          tls_enabled: true,
          ca_tls_container_ref: 'ca',
          tls_versions: ['SSLv3', 'TLSv1.2', 'TLSv1.3'],
          alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
          healthmonitor: sampleMonitor({ id: id('healthmonitor', 2), type: 'TLS-HELLO' }),
        }),
      ],
    }),
  ),
  prometheus: render(
    sampleTree({
      listeners: [
        sampleListener({ protocol: 'PROMETHEUS', protocol_port: 9100, default_pool_id: null, allowed_cidrs: ['10.0.0.0/8'] }),
        sampleListener({
          id: id('listener', 2),
          protocol: 'PROMETHEUS',
          protocol_port: 9101,
          default_pool_id: null,
          default_tls_container_ref: 'http://127.0.0.1/key-manager/v1/secrets/one',
          tls_versions: ['TLSv1.3'],
        }),
      ],
      pools: [],
    }),
    logged,
  ),
  ping: render(sampleTree({ pools: [samplePool({ healthmonitor: sampleMonitor({ type: 'PING' }) })] }), {
    ...settings,
    ping_command: '/var/lib/octavia/ping-wrapper.sh',
  }),
  'left-out': render(
    sampleTree({
      listeners: [
        sampleListener(),
        sampleListener({ id: id('listener', 2), protocol_port: 81, admin_state_up: false }),
        sampleListener({ id: id('listener', 3), protocol_port: 82, default_pool_id: id('pool', 2) }),
        sampleListener({ id: id('listener', 4), protocol_port: 83, provisioning_status: 'PENDING_DELETE' }),
        sampleListener({ id: id('listener', 5), protocol_port: 84, refused: true, provisioning_status: 'ERROR' }),
        sampleListener({ id: id('listener', 6), protocol_port: 85, protocol: 'UDP' }),
        sampleListener({ id: id('listener', 7), protocol_port: 86, default_pool_id: id('pool', 3) }),
      ],
      pools: [
        samplePool({
          members: [
            sampleMember(1),
            sampleMember(2, { provisioning_status: 'PENDING_DELETE' }),
            sampleMember(3, { refused: true }),
            sampleMember(4, { provisioning_status: 'ERROR' }),
          ],
          healthmonitor: sampleMonitor({ admin_state_up: false }),
        }),
        samplePool({ id: id('pool', 2), admin_state_up: false }),
        samplePool({ id: id('pool', 3), members: [], healthmonitor: sampleMonitor({ provisioning_status: 'PENDING_DELETE' }) }),
        samplePool({ id: id('pool', 4) }),
      ],
    }),
  ),
};

/** A key with its certificate, which is an authority as well, and its empty list of revoked ones: all that files of secrets may be. */
const pem = (() => {
  const folder = mkdtempSync(join(tmpdir(), 'render-'));
  const openssl = (...args: string[]) => spawnSync('openssl', args, { cwd: folder });
  writeFileSync(join(folder, 'ca.conf'), '[ca]\ndefault_ca = own\n[own]\ndatabase = index\ndefault_md = sha256\ndefault_crl_days = 9\n');
  writeFileSync(join(folder, 'index'), '');
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=x',
    '-keyout',
    'key',
    '-out',
    'crt',
  );
  openssl('ca', '-config', 'ca.conf', '-gencrl', '-keyfile', 'key', '-cert', 'crt', '-out', 'crl');
  try {
    return ['crt', 'key', 'crl'].map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  } catch {
    return '';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
})();

/** Runs `haproxy -c`, with every file in place that the text names; answers its exit code and what it printed. */
function check(
  text: string,
  files: Readonly<Record<string, string>> = {},
  PATH = process.env['PATH'],
): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'render-'));
  const moved = (content: string) => content.replaceAll(settings.cert_path, folder).replaceAll('unix@/var/lib/octavia', `unix@${folder}`);
  try {
    writeFileSync(join(folder, 'haproxy.cfg'), moved(text));
    mkdirSync(join(folder, id('loadbalancer')));
    const lists = Object.values(files).join('');
    for (const [, name = ''] of (text + lists).matchAll(/\/([^/\s]+\.pem)\b/gu))
      writeFileSync(join(folder, id('loadbalancer'), name), moved(files[name] ?? pem));
    const { status, stderr, stdout } = spawnSync('haproxy', ['-c', '-f', join(folder, 'haproxy.cfg')], {
      encoding: 'utf8',
      env: { ...process.env, PATH },
    });
    return { status, output: stderr + stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const hasHaproxy = spawnSync('haproxy', ['-v']).status === 0;
const skip = hasHaproxy ? false : 'haproxy is not installed';

for (const [name, rendered] of Object.entries(shapes)) {
  test(`${name} is rendered as its golden file says`, () => {
    const path = join(golden, `${name}.cfg`);
    if (process.env['UPDATE_GOLDEN'] !== undefined) {
      mkdirSync(golden, { recursive: true });
      writeFileSync(path, rendered.text);
    }
    assert.equal(rendered.text, readFileSync(path, 'utf8'));
    assert.equal(rendered.text.split('\n').length - 1, rendered.owners.length);
  });

  for (const haproxy of testHaproxies())
    test(`${name} is accepted by ${haproxy.name}`, { skip: haproxy.skip }, () => {
      const { status, output } = check(rendered.text, rendered.crt_lists, haproxy.path);
      assert.equal(status, 0, output);
      const surprises = output.split('\n').filter((line) => line.startsWith('[WARNING]') && !line.includes('server state file'));
      assert.deepEqual(surprises, []);
    });
}

test('a load balancer that is switched off has no frontends', () => {
  assert.equal(render(sampleTree({ loadbalancer: sampleLoadBalancer({ admin_state_up: false }) })).frontends, 0);
  assert.equal(shapes['left-out']?.frontends, 3);
});

test('each line of a member, a monitor, a pool and a listener has its owner', () => {
  const tree = sampleTree({ pools: [samplePool({ healthmonitor: sampleMonitor() })] });
  const { text, owners } = render(tree);
  const ownerOf = (word: string): Owner | undefined => owners[text.split('\n').findIndex((line) => line.includes(word))];
  assert.deepEqual(ownerOf('    server '), { type: 'member', id: id('member') });
  assert.deepEqual(ownerOf('http-check expect'), { type: 'healthmonitor', id: id('healthmonitor') });
  assert.deepEqual(ownerOf('balance'), { type: 'pool', id: id('pool') });
  assert.deepEqual(ownerOf('bind'), { type: 'listener', id: id('listener') });
  assert.equal(ownerOf('maxconn'), undefined);
});

test('the order of the rows is the order of the text, and the same tree gives the same bytes', () => {
  const tree = sampleTree({ pools: [samplePool({ members: [sampleMember(2), sampleMember(1)] })] });
  assert.equal(render(tree).text, render(structuredClone(tree)).text);
  assert.ok(render(tree).text.indexOf(id('member', 2)) < render(tree).text.indexOf(id('member', 1)));
});

test('the limit of connections changes the frontend only, so that it needs no reload', () => {
  const at = (connection_limit: number) => render(sampleTree({ listeners: [sampleListener({ connection_limit })] })).text.split('\n');
  const before = at(-1);
  const changed = at(2000).filter((line, index) => line !== before[index]);
  assert.deepEqual(changed, ['    maxconn 2000']);
});

test('a server of a source-ip pool keeps its number when others come and go', () => {
  const numbersOf = (count: number): Map<string, string> => {
    const members = Array.from({ length: count }, (_, index) => sampleMember(index + 1));
    const { text } = render(sampleTree({ pools: [samplePool({ lb_algorithm: 'SOURCE_IP', members: members.toReversed() })] }));
    return new Map([...text.matchAll(/server (\S+) \S+ id (\d+)/gu)].map((match) => [match[1] ?? '', match[2] ?? '']));
  };
  const few = numbersOf(3);
  const many = numbersOf(500);
  assert.equal(new Set(many.values()).size, 500);
  for (const [member, number] of few) assert.equal(many.get(member), number);
});

test('what cannot be served is refused with its owner', () => {
  const refusals: readonly (readonly [LoadBalancerTree, Owner])[] = [
    [
      sampleTree({ listeners: [sampleListener({ protocol: 'TERMINATED_HTTPS', tls_versions: ['SSLv3'] })] }),
      { type: 'listener', id: id('listener') },
    ],
    [sampleTree({ pools: [samplePool({ tls_enabled: true, tls_versions: ['SSLv3'] })] }), { type: 'pool', id: id('pool') }],
    [
      sampleTree({ listeners: [sampleListener({ protocol: 'TERMINATED_HTTPS', default_tls_container_ref: 'unreadable' })] }),
      { type: 'listener', id: id('listener') },
    ],
    [sampleTree({ pools: [samplePool({ tls_enabled: true, ca_tls_container_ref: 'unreadable' })] }), { type: 'pool', id: id('pool') }],
    [sampleTree({ pools: [samplePool({ lb_algorithm: 'SOURCE_IP_PORT' })] }), { type: 'pool', id: id('pool') }],
    [sampleTree({ pools: [samplePool({ session_persistence: stick('APP_COOKIE', 'a)b') })] }), { type: 'pool', id: id('pool') }],
    [
      sampleTree({ pools: [samplePool({ healthmonitor: sampleMonitor({ type: 'PING' }) })] }),
      { type: 'healthmonitor', id: id('healthmonitor') },
    ],
    [sampleTree({ pools: [samplePool({ members: [sampleMember(1, { address: 'unix@/run/x' })] })] }), { type: 'member', id: id('member') }],
    [sampleTree({ listeners: [sampleListener({ allowed_cidrs: ['-f /etc/passwd'] })] }), { type: 'listener', id: id('listener') }],
  ];
  for (const [tree, owner] of refusals) {
    assert.throws(
      () => render(tree),
      (error) => error instanceof Terminal && error.owner.type === owner.type && error.owner.id === owner.id,
    );
  }
});

test('the owner of a line that HAProxy refuses is found in what it prints', { skip }, () => {
  const rendered = render(sampleTree({ pools: [samplePool({ healthmonitor: sampleMonitor({ expected_codes: '204-200' }) })] }));
  const { status, output } = check(rendered.text);
  assert.equal(status, 1);
  assert.deepEqual(ownerOfRefusal(output, rendered), { type: 'healthmonitor', id: id('healthmonitor') });
});

test('refusals are read in the forms of HAProxy 2.6 and 3.0', () => {
  const rendered = shapes['http-basic'] as Rendered;
  const number = rendered.text.split('\n').findIndex((line) => line.includes(id('member', 2))) + 1;
  const owner = { type: 'member', id: id('member', 2) };
  assert.deepEqual(ownerOfRefusal(`[ALERT]    (7) : config : parsing [/x/haproxy.cfg:${number}] : 'server x' : bad\n`, rendered), owner);
  assert.deepEqual(ownerOfRefusal(`[ALERT]    (7) : config : [/x/haproxy.cfg:${number}] : 'server b/x' : 'addr' : bad\n`, rendered), owner);
  assert.equal(ownerOfRefusal('[ALERT]    (7) : config : parsing [/x/haproxy.cfg:2] : bad\n', rendered), null);
  assert.equal(ownerOfRefusal('Segmentation fault\n', rendered), null);
});

test('allowed CIDRs lie in a list beside the configuration where the agent takes lists', () => {
  const tree = sampleTree({ listeners: [sampleListener({ allowed_cidrs: ['10.0.0.0/8', '2001:db8::/32'] })] });
  const rendered = render(tree, { ...settings, has_lists: true });
  assert.deepEqual(
    rendered.lists.map((list) => list.content),
    ['10.0.0.0/8\n2001:db8::/32\n'],
  );
  const path = `/var/lib/octavia/${tree.loadbalancer.id}/lists/${rendered.lists[0]?.name}`;
  assert.ok(rendered.text.includes(`    acl allowed_cidrs src -f ${path}\n    tcp-request connection reject unless allowed_cidrs\n`));
  assert.deepEqual(render(tree).lists, []);
});
