/** TLS at the listener and towards members, by real handshakes. */
import assert from 'node:assert/strict';
import { sampleMonitor } from '../../support/sample-trees.ts';
import { get, getHttp2, handshake, shownTo, type Tls, until } from '../../support/features/clients.ts';
import { feature, type FeatureStage, type Service, testFeatures, type Visit } from '../../support/features/features.ts';

const to = (visit: Visit, index = 0) => ({ address: visit.address, port: visit.ports[index] ?? 0 });
const pem = ({ pki, secret }: FeatureStage, name: string): string => {
  const { chain, key } = pki.of(name);
  return secret(chain + key);
};
const terminated = { protocol: 'TERMINATED_HTTPS' } as const;
const as = ({ pki }: FeatureStage, name: string): Tls => {
  const { chain, key } = pki.of(name);
  return { cert: chain, key };
};

/** A request that HAProxy refuses at the handshake or, with TLS 1.3, right after it. */
const isRefused = (call: Promise<unknown>, what: string) =>
  assert.rejects(call, /ECONNRESET|EPIPE|socket hang up|alert|disconnected/u, what);

const terminations = [
  feature('C2', 'TLS termination: default and SNI certificates, with their chains', async (stage) => {
    const [a] = await stage.pair();
    const listener = {
      ...terminated,
      default_tls_container_ref: pem(stage, 'rsa.example'),
      sni_container_refs: [pem(stage, 'ec.example')],
    };
    const onlySni = { ...terminated, sni_container_refs: [pem(stage, 'ec.example'), pem(stage, 'rsa.example')] };
    const pool = { members: [stage.row(a)] };
    return {
      services: [
        { listener, pool },
        { listener: onlySni, pool },
      ],
      async check(visit) {
        await until('HAProxy serves', async () => (await get(to(visit), { tls: {} })).status === 200);
        assert.equal((await shownTo(to(visit))).name, 'rsa.example', 'without a name');
        assert.equal((await shownTo(to(visit), { servername: 'ec.example' })).name, 'ec.example');
        assert.equal((await shownTo(to(visit), { servername: 'other.example' })).name, 'rsa.example', 'another name');
        // The root alone is trusted: the chain must have come along.
        const { seen } = await get(to(visit), { tls: { servername: 'ec.example', ca: stage.pki.root } });
        assert.equal(seen.member, 'a');
        assert.equal((await shownTo(to(visit, 1))).name, 'ec.example', 'the first of the names stands for a default');
      },
    };
  }),
  feature('C2', 'TLS termination: RSA and ECDSA for one name', async (stage) => {
    const [a] = await stage.pair();
    const listener = {
      ...terminated,
      default_tls_container_ref: pem(stage, 'rsa.example'),
      sni_container_refs: [pem(stage, 'both-rsa'), pem(stage, 'both-ec')],
    };
    return {
      services: [{ listener, pool: { members: [stage.row(a)] } }],
      async check(visit) {
        const both = { servername: 'both.example', maxVersion: 'TLSv1.2' } as const;
        assert.equal((await shownTo(to(visit), both)).key, 'ec');
        assert.equal((await shownTo(to(visit), { ...both, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })).key, 'rsa');
      },
    };
  }),
  feature('C2', 'TLS versions and ciphers', async (stage) => {
    const [a] = await stage.pair();
    const pool = { members: [stage.row(a)] };
    const base = { ...terminated, default_tls_container_ref: pem(stage, 'ec.example') };
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256';
    const services: Service[] = [
      { listener: { ...base, tls_versions: ['TLSv1.2'] }, pool },
      { listener: { ...base, tls_versions: ['TLSv1.3'] }, pool },
      { listener: { ...base, tls_versions: ['TLSv1.2', 'TLSv1.3'], tls_ciphers: ciphers }, pool },
      { listener: { ...base, tls_versions: ['TLSv1.1', 'TLSv1.2'], tls_ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' }, pool },
    ];
    return {
      services,
      async check(visit) {
        assert.equal((await shownTo(to(visit))).protocol, 'TLSv1.2');
        await assert.rejects(handshake(to(visit), { minVersion: 'TLSv1.3' }), /alert|version|ECONNRESET/u);
        assert.equal((await shownTo(to(visit, 1))).protocol, 'TLSv1.3');
        await assert.rejects(handshake(to(visit, 1), { maxVersion: 'TLSv1.2' }), /alert|version|ECONNRESET/u);
        assert.equal((await shownTo(to(visit, 2), { maxVersion: 'TLSv1.2' })).cipher, 'ECDHE-ECDSA-AES256-GCM-SHA384');
        assert.equal((await shownTo(to(visit, 2))).cipher, 'TLS_CHACHA20_POLY1305_SHA256');
        await assert.rejects(
          handshake(to(visit, 2), { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
          /alert|ECONNRESET/u,
        );
        const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const;
        assert.equal((await shownTo(to(visit, 3), old)).protocol, 'TLSv1.1');
      },
    };
  }),
  feature('C2', 'ALPN with HTTP/2', async (stage) => {
    const [a] = await stage.pair();
    const pool = { members: [stage.row(a)] };
    const base = { ...terminated, default_tls_container_ref: pem(stage, 'ec.example'), insert_headers: { 'X-Forwarded-Proto': 'true' } };
    return {
      services: [
        { listener: { ...base, alpn_protocols: ['h2', 'http/1.1', 'http/1.0'] }, pool },
        { listener: { ...base, alpn_protocols: ['http/1.1'] }, pool },
      ],
      async check(visit) {
        assert.equal((await shownTo(to(visit), { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'h2');
        const { status, seen } = await getHttp2(to(visit));
        assert.deepEqual([status, seen.member, seen.headers['x-forwarded-proto']], [200, 'a', 'https']);
        assert.equal((await shownTo(to(visit, 1), { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1');
        assert.equal((await get(to(visit, 1), { tls: {} })).seen.version, '1.1');
      },
    };
  }),
  feature('C6', 'HSTS, also on answers of HAProxy itself', async (stage) => {
    const [a] = await stage.pair();
    const base = { ...terminated, default_tls_container_ref: pem(stage, 'ec.example'), hsts_max_age: 31_536_000 };
    return {
      services: [
        { listener: { ...base, hsts_include_subdomains: true, hsts_preload: true }, pool: { members: [stage.row(a)] } },
        { listener: base },
      ],
      async check(visit) {
        const proxied = await get(to(visit), { tls: {} });
        assert.deepEqual(
          [proxied.status, proxied.headers['strict-transport-security']],
          [200, 'max-age=31536000; includeSubDomains; preload'],
        );
        const own = await get(to(visit, 1), { tls: {} });
        assert.deepEqual([own.status, own.headers['strict-transport-security']], [503, 'max-age=31536000']);
      },
    };
  }),
];

const tlsHeaders = ['Verify', 'Has-Cert', 'DN', 'CN', 'SHA1', 'Not-Before', 'Not-After'].map((name) => `X-SSL-Client-${name}`);

const clientAuthentication = [
  feature('C3', 'client authentication: none, optional, mandatory, with a list of revoked certificates', async (stage) => {
    const [a] = await stage.pair();
    const { pki, secret } = stage;
    const base = {
      ...terminated,
      default_tls_container_ref: pem(stage, 'ec.example'),
      client_ca_tls_container_ref: secret(pki.authorities),
      client_crl_container_ref: secret(pki.crl),
    };
    const pool = { members: [stage.row(a)] };
    const modes = ['NONE', 'OPTIONAL', 'MANDATORY'] as const;
    return {
      services: modes.map((client_authentication) => ({ listener: { ...base, client_authentication }, pool })),
      async check(visit) {
        const ask = (mode: number, name: string | null) => get(to(visit, mode), { tls: name === null ? {} : as(stage, name) });
        for (const [mode, name] of [
          [0, null],
          [0, 'strange'],
          [1, null],
          [1, 'client'],
          [2, 'client'],
        ] as const)
          assert.equal((await ask(mode, name)).status, 200, `${modes[mode]} ${name}`);
        for (const [mode, name] of [
          [1, 'strange'],
          [1, 'revoked'],
          [2, null],
          [2, 'strange'],
          [2, 'revoked'],
        ] as const)
          await isRefused(ask(mode, name), `${modes[mode]} ${name}`);
      },
    };
  }),
  feature('C4', "headers about the client's certificate, which a client cannot forge", async (stage) => {
    const [a] = await stage.pair();
    const listener = {
      ...terminated,
      default_tls_container_ref: pem(stage, 'ec.example'),
      client_ca_tls_container_ref: stage.secret(stage.pki.authorities),
      client_authentication: 'OPTIONAL' as const,
      insert_headers: Object.fromEntries([...tlsHeaders, 'X-SSL-Issuer', 'X-Forwarded-Proto'].map((name) => [name, 'true'])),
    };
    return {
      services: [{ listener, pool: { members: [stage.row(a)] } }],
      async check(visit) {
        const forged = Object.fromEntries(tlsHeaders.map((name) => [name, 'forged']));
        const { headers } = (await get(to(visit), { headers: forged, tls: as(stage, 'client') })).seen;
        assert.deepEqual(
          ['verify', 'has-cert', 'dn', 'cn'].map((name) => headers[`x-ssl-client-${name}`]),
          ['0', '1', '/CN=A client', 'A client'],
        );
        assert.equal(headers['x-ssl-issuer'], '/CN=Test issuer');
        assert.match(headers['x-ssl-client-sha1'] ?? '', /^[0-9A-F]{40}$/u);
        assert.match(headers['x-ssl-client-not-before'] ?? '', /^\d{12}Z$/u);
        assert.match(headers['x-ssl-client-not-after'] ?? '', /^\d{12}Z$/u);
        assert.equal(headers['x-forwarded-proto'], 'https');
        const without = (await get(to(visit), { headers: forged, tls: {} })).seen.headers;
        assert.equal(without['x-ssl-client-has-cert'], '0');
        assert.ok(!JSON.stringify(without).includes('forged'), JSON.stringify(without));
      },
    };
  }),
];

const reencryption = [
  feature('D3', 're-encryption: certificates of members are checked against authorities and revocations', async (stage) => {
    const { pki, secret } = stage;
    const member = (name: string) => stage.start(name, { kind: 'https', certificate: pki.of(name) });
    const [good, revoked, strange] = [await member('member'), await member('revoked-member'), await member('strange-member')];
    const listener = { ...terminated, default_tls_container_ref: pem(stage, 'ec.example') };
    const tls_enabled = true;
    const ca = { tls_enabled, ca_tls_container_ref: secret(pki.authorities) };
    const crl = { ...ca, crl_container_ref: secret(pki.crl) };
    const behind = (each: typeof good, pool: Service['pool'] = {}): Service => ({
      listener,
      pool: { members: [stage.row(each)], ...pool },
    });
    const services = [
      behind(strange, { tls_enabled }),
      behind(good, ca),
      behind(strange, ca),
      behind(revoked, ca),
      behind(good, crl),
      behind(revoked, crl),
    ];
    return {
      services,
      async check(visit) {
        // At once: HAProxy tries a member that it refuses again, a second later each time.
        const statusOf = async (index: number, servername: string) => (await get(to(visit, index), { tls: { servername } })).status;
        const calls = [...services.keys()].map((index) => statusOf(index, 'ec.example'));
        const statuses = await Promise.all([...calls, statusOf(1, 'rsa.example')]);
        // The last: certified for another name.
        assert.deepEqual(statuses, [200, 200, 503, 200, 200, 503, 503]);
        assert.equal((await get(to(visit, 0), { tls: { servername: 'ec.example' } })).seen.tls?.servername, 'ec.example');
      },
    };
  }),
  feature('D3', 're-encryption: client certificate, versions, ciphers, HTTP/2 to members', async (stage) => {
    const { pki } = stage;
    const member = await stage.start('m', { kind: 'https', certificate: pki.of('member'), clientCa: pki.authorities });
    const base = { tls_enabled: true, tls_container_ref: pem(stage, 'client'), members: [stage.row(member)] };
    const only12 = { tls_versions: ['TLSv1.2' as const], tls_ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' };
    const healthmonitor = sampleMonitor({ delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1, type: 'HTTPS', url_path: '/probe' });
    return {
      services: [
        { pool: { ...base, ...only12, alpn_protocols: ['http/1.1'] } },
        { pool: { ...base, alpn_protocols: ['h2'], healthmonitor: { ...healthmonitor, url_path: '/probe2' } } },
        { pool: { ...base, alpn_protocols: ['h2', 'http/1.1'], healthmonitor } },
      ],
      async check(visit) {
        const first = (await get(to(visit))).seen;
        assert.deepEqual(
          [first.tls?.client, first.tls?.alpn, first.tls?.cipher],
          ['A client', 'http/1.1', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
        );
        const second = (await get(to(visit, 1))).seen;
        assert.deepEqual([second.version, second.tls?.client], ['2.0', 'A client']);
        await until('probes come by', async () => ['/probe', '/probe2'].every((path) => member.seen.some((seen) => seen.url === path)));
        for (const index of [1, 2])
          assert.equal((await get(to(visit, index))).status, 200, 'probes of a member that speaks HTTP/2 succeed');
      },
    };
  }),
  feature('D4', "PROXY v2 with the name of the client's certificate", async (stage) => {
    const proxied = await stage.start('p', { kind: 'proxy' });
    const listener = {
      ...terminated,
      default_tls_container_ref: pem(stage, 'ec.example'),
      client_ca_tls_container_ref: stage.secret(stage.pki.authorities),
      client_authentication: 'MANDATORY' as const,
    };
    return {
      services: [{ listener, pool: { protocol: 'PROXYV2', members: [stage.row(proxied)] } }],
      async check(visit) {
        assert.equal((await get(to(visit), { tls: as(stage, 'client') })).status, 200);
        const header = Buffer.from(proxied.proxyHeaders.at(-1) ?? '', 'hex');
        assert.equal(header[13], visit.family === 4 ? 0x11 : 0x21, 'the address family of the client');
        assert.ok(header.includes('A client'), header.toString('latin1'));
      },
    };
  }),
];

testFeatures([...terminations, ...clientAuthentication, ...reencryption]);
