/** L7 policies and rules, by real requests: on HTTP and on TLS, with what a client's certificate says. */
import assert from 'node:assert/strict';
import type { L7PolicyTree, L7Rule } from '../../../src/model/index.ts';
import { get, type Tls, until } from '../../support/features/clients.ts';
import { feature, type FeatureStage, testFeatures, type Visit } from '../../support/features/features.ts';
import { sampleId, samplePolicy, sampleRule } from '../../support/sample-trees.ts';

const to = (visit: Visit, index = 0) => ({ address: visit.address, port: visit.ports[index] ?? 0 });
const pem = ({ pki, secret }: FeatureStage, name: string): string => {
  const { chain, key } = pki.of(name);
  return secret(chain + key);
};

let serial = 0;
const rule = (type: L7Rule['type'], compare_type: L7Rule['compare_type'], value: string, change: Partial<L7Rule> = {}): L7Rule =>
  sampleRule((serial += 1), { type, compare_type, value, ...change });
const policies = (...list: readonly (Omit<Partial<L7PolicyTree>, 'rules'> & { readonly rules: readonly L7Rule[] })[]): L7PolicyTree[] =>
  list.map((each, index) => samplePolicy((serial += 1), { position: index + 1, ...each }));

/** Status and, of a redirect, where to; of an answer, who answers. */
async function seen(visit: Visit, path: string, headers: Record<string, string> = {}, tls?: Tls, index = 0): Promise<string> {
  const answer = await get(to(visit, index), { path, headers, ...(tls !== undefined && { tls }) });
  return `${answer.status} ${answer.status === 200 ? answer.seen.member : (answer.headers.location ?? '')}`.trim();
}

const other = sampleId('pool', 900);

/** The four actions, those before and those after each other. */
const actions = () =>
  policies(
    { action: 'REDIRECT_TO_POOL', redirect_pool_id: other, rules: [rule('PATH', 'STARTS_WITH', '/a/b')] },
    { action: 'REJECT', rules: [rule('PATH', 'STARTS_WITH', '/a')] },
    {
      action: 'REDIRECT_TO_URL',
      redirect_url: 'http://u.example/?%20',
      redirect_http_code: 303,
      rules: [rule('HOST_NAME', 'EQUAL_TO', 'U.example')],
    },
    {
      action: 'REDIRECT_PREFIX',
      redirect_prefix: 'https://p.example/p',
      redirect_http_code: 307,
      rules: [rule('PATH', 'ENDS_WITH', '.old')],
    },
    { action: 'REJECT', rules: [rule('PATH', 'STARTS_WITH', '/')], admin_state_up: false },
    {
      action: 'REDIRECT_TO_POOL',
      redirect_pool_id: other,
      rules: [rule('HEADER', 'EQUAL_TO', 'green', { key: 'Lane' }), rule('COOKIE', 'REGEX', '^x', { key: 'c', invert: true })],
    },
  );

async function checkActions(visit: Visit, tls?: Tls): Promise<void> {
  await until('HAProxy serves', async () => (await seen(visit, '/', {}, tls)) === '200 a');
  for (const [path, headers, expected] of [
    ['/a/b/c', {}, '200 b'],
    ['/a', { host: 'u.example' }, '403'],
    ['/', { host: 'u.example' }, '303 http://u.example/?%20'],
    ['/x/y.old?z=1', {}, '307 https://p.example/p/x/y.old?z=1'],
    ['/', { lane: 'green' }, '200 b'],
    ['/', { lane: 'green', cookie: 'c=xy' }, '200 a'],
    ['/', { lane: 'blue' }, '200 a'],
  ] as const)
    assert.equal(await seen(visit, path, headers, tls), expected, `${path} ${JSON.stringify(headers)}`);
}

const onHttp = feature('G1', 'L7 policies: the four actions in order of position, over HTTP', async (stage) => {
  const [a, b] = await stage.pair();
  return {
    services: [
      { listener: { l7policies: actions() }, pool: { members: [stage.row(a)] } },
      { listener: { default_pool_id: other }, pool: { id: other, members: [stage.row(b)] } },
    ],
    check: (visit) => checkActions(visit),
  };
});

const certificates = feature('G2', 'L7 rules about the certificate of a client, over TLS', async (stage) => {
  const [a] = await stage.pair();
  const conditions: readonly (readonly [L7Rule, isWithCertificate: boolean, isWithout: boolean])[] = [
    [rule('SSL_CONN_HAS_CERT', 'EQUAL_TO', 'True'), true, false],
    [rule('SSL_CONN_HAS_CERT', 'EQUAL_TO', 'true', { invert: true }), false, true],
    [rule('SSL_VERIFY_RESULT', 'EQUAL_TO', '0'), true, true],
    [rule('SSL_VERIFY_RESULT', 'EQUAL_TO', '1'), false, false],
    [rule('SSL_DN_FIELD', 'EQUAL_TO', 'A client', { key: 'CN' }), true, false],
    [rule('SSL_DN_FIELD', 'STARTS_WITH', 'A ', { key: 'CN' }), true, false],
    [rule('SSL_DN_FIELD', 'ENDS_WITH', 'ent', { key: 'CN' }), true, false],
    [rule('SSL_DN_FIELD', 'CONTAINS', ' cl', { key: 'CN' }), true, false],
    [rule('SSL_DN_FIELD', 'REGEX', '^A c.*t$', { key: 'CN' }), true, false],
    [rule('SSL_DN_FIELD', 'EQUAL_TO', 'A client', { key: 'O' }), false, false],
  ];
  const l7policies = policies(
    ...conditions.map(([condition], index) => ({
      action: 'REDIRECT_TO_URL' as const,
      redirect_url: `http://case.example/${index}`,
      redirect_http_code: 302 as const,
      rules: [rule('HEADER', 'EQUAL_TO', String(index), { key: 'case' }), condition],
    })),
  );
  const listener = {
    protocol: 'TERMINATED_HTTPS' as const,
    default_tls_container_ref: pem(stage, 'ec.example'),
    client_ca_tls_container_ref: stage.secret(stage.pki.authorities),
    client_authentication: 'OPTIONAL' as const,
    l7policies,
  };
  return {
    services: [{ listener, pool: { members: [stage.row(a)] } }],
    async check(visit) {
      const { chain, key } = stage.pki.of('client');
      await until('HAProxy serves', async () => (await seen(visit, '/', {}, {})) === '200 a');
      for (const [index, [condition, withCertificate, without]] of conditions.entries())
        for (const [tls, fits] of [
          [{ cert: chain, key }, withCertificate],
          [{}, without],
        ] as const)
          assert.equal(
            await seen(visit, '/', { case: String(index) }, tls),
            fits ? `302 http://case.example/${index}` : '200 a',
            JSON.stringify(condition),
          );
    },
  };
});

const onTls = feature('G1', 'L7 policies: the four actions in order of position, over TLS', async (stage) => {
  const [a, b] = await stage.pair();
  const tlsPool = sampleId('pool', 901);
  const l7policies = actions().map((each) => (each.redirect_pool_id === null ? each : { ...each, redirect_pool_id: tlsPool }));
  const listener = { protocol: 'TERMINATED_HTTPS' as const, default_tls_container_ref: pem(stage, 'rsa.example'), l7policies };
  return {
    services: [
      { listener, pool: { members: [stage.row(a)] } },
      { listener: { default_pool_id: tlsPool }, pool: { id: tlsPool, members: [stage.row(b)] } },
    ],
    check: (visit) => checkActions(visit, {}),
  };
});

testFeatures([onHttp, onTls, certificates]);
