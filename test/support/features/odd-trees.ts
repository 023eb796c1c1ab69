/** Random load balancers of which the API accepts every part: the ends of ranges, characters that need quoting, everything at once. */
import * as fc from 'fast-check';
import {
  type HealthMonitor,
  l7ruleCompareTypes,
  l7ruleTypes,
  type L7Rule,
  type L7PolicyTree,
  type ListenerTree,
  type LoadBalancerTree,
  lbAlgorithms,
  monitorMethods,
  monitorTypes,
  type PoolTree,
  tlsVersions,
} from '../../../src/model/index.ts';
import { checkMonitorFields, refuseUrlPath } from '../../../src/model/rules/healthmonitor.ts';
import { refuseUrl } from '../../../src/model/rules/l7policy.ts';
import { refuseRule } from '../../../src/model/rules/l7rule.ts';
import { checkListenerFields, checkPoolBehind } from '../../../src/model/rules/listener.ts';
import { checkPersistence, checkPoolTls } from '../../../src/model/rules/pool.ts';
import {
  sampleId,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePolicy,
  samplePool,
  sampleTree,
} from '../sample-trees.ts';

const unrestricted = {
  allow_tls_terminated_listeners: true,
  allow_prometheus_listeners: true,
  tls_cipher_prohibit_list: [],
  minimum_tls_version: null,
};

/** Does a rule of the API let it pass? */
function passes(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}

const int = (...values: readonly number[]): fc.Arbitrary<number> => fc.constantFrom(...values);
const orNull = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(one, { nil: null, freq: 2 });
const MOST = 2_147_483_647;
const LONGEST = 2_073_600_000;

/** Text as people write it who want to see what happens. */
const odd = fc.oneof(
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "it's",
      '"quoted"',
      '-i',
      '--',
      '#',
      '$HOME',
      '"$HOME"',
      '%[src]',
      '%%',
      '\\',
      'a\\',
      '{{ lb_id }}',
      'x'.repeat(255),
      'é',
      '(',
      ')',
      'a,b',
      'a b',
      '!',
      '&&',
    ),
  },
);

const addresses = fc.constantFrom(
  '10.0.0.1',
  '192.0.2.255',
  '2001:db8::1',
  '::1',
  '::',
  '0.0.0.0',
  '::ffff:10.0.0.1',
  '2001:DB8:0:0::A',
  '255.255.255.255',
  'fe80::1',
);
const cidrs = fc.constantFrom(
  '0.0.0.0/0',
  '::/0',
  '10.0.0.0/8',
  '192.0.2.1/32',
  '2001:db8::/32',
  '::1/128',
  '::ffff:10.0.0.0/104',
  '128.0.0.0/1',
);
const expressions = fc.constantFrom(
  '^/a(b|c)*$',
  String.raw`\.(jpg|png)$`,
  '[^/]+',
  'a{2,3}',
  '(?i)x',
  '(?P<n>a)',
  String.raw`\d+\s\w`,
  'it\'s|"',
  '#',
  '$',
  '^',
  '.*?',
  '[[]',
  'a b',
  '%[src]',
  '\\\\',
  '(?=a)',
  '(?<!b)c',
  '-i',
  '--',
  'x'.repeat(255),
);

const tls = {
  tls_ciphers: orNull(
    fc.constantFrom(
      '',
      'ECDHE-RSA-AES128-GCM-SHA256',
      'TLS_AES_128_GCM_SHA256',
      'ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256:@SECLEVEL=0',
      'DEFAULT',
      'HIGH:!aNULL:!MD5',
      'ALL:-RSA+AES',
    ),
  ),
  // SSLv3 alone is refused: no HAProxy of today has it.
  tls_versions: orNull(fc.uniqueArray(fc.constantFrom(...tlsVersions), { minLength: 1 }).filter((each) => each.join() !== 'SSLv3')),
  alpn_protocols: orNull(fc.uniqueArray(fc.constantFrom('http/1.0' as const, 'http/1.1' as const, 'h2' as const), { minLength: 1 })),
};

const monitor: fc.Arbitrary<HealthMonitor | null> = orNull(
  fc
    .record({
      type: fc.constantFrom(...monitorTypes),
      delay: int(0, 1, 5, 3600, 86_400, MOST),
      timeout: int(0, 1, 5, 86_400, MOST),
      max_retries: int(1, 10),
      max_retries_down: int(1, 10),
      admin_state_up: fc.nat(9).map((n) => n > 0),
      http_method: orNull(fc.constantFrom(...monitorMethods)),
      url_path: orNull(
        fc
          .oneof(
            fc.constant('/'),
            odd.map((each) => `/${each}`),
          )
          .filter((each) => refuseUrlPath(each) === null && each.length <= 255),
      ),
      expected_codes: orNull(
        fc.constantFrom('200', '200,201', '200 , 204', '100-599', '000', '999', Array.from({ length: 16 }, () => '200').join(',')),
      ),
      http_version: orNull(fc.constantFrom(1, 1.1)),
      domain_name: orNull(fc.constantFrom('www.example.com', 'a', '_a.b', `${'a'.repeat(63)}.${'b'.repeat(63)}.example.`)),
    })
    .map((change) => sampleMonitor(change))
    .filter((each) => passes(() => checkMonitorFields(each, new Set(['http_method', 'url_path', 'expected_codes'])))),
);

const member = fc.record({
  address: addresses,
  protocol_port: int(1, 80, 65_535),
  weight: int(0, 1, 256),
  backup: fc.boolean(),
  admin_state_up: fc.boolean(),
  monitor_address: orNull(addresses),
  monitor_port: orNull(int(1, 65_535)),
});

const persistence = orNull(
  fc.record({
    type: fc.constantFrom('SOURCE_IP' as const, 'HTTP_COOKIE' as const, 'APP_COOKIE' as const),
    cookie_name: orNull(odd),
    persistence_timeout: orNull(int(-MOST, -1, 0, 1, MOST)),
    persistence_granularity: orNull(fc.constantFrom('255.255.255.0', '255.255.255.255', '0.0.0.0', 'ffff:ffff::', '::')),
  }),
);

/** A pool with the given number, and what is probed; ids follow from the number. */
const poolOf = (number: number, protocols: readonly PoolTree['protocol'][]): fc.Arbitrary<PoolTree> =>
  fc
    .record({
      protocol: fc.constantFrom(...protocols),
      lb_algorithm: fc.constantFrom(...lbAlgorithms.filter((each) => each !== 'SOURCE_IP_PORT')),
      session_persistence: persistence,
      tls_enabled: fc.boolean(),
      tls_container_ref: orNull(fc.constant('certificate')),
      ca_tls_container_ref: orNull(fc.constant('authority')),
      crl_container_ref: orNull(fc.constant('revocation')),
      ...tls,
      members: fc.array(member, { maxLength: 4 }),
      healthmonitor: monitor,
    })
    .map(({ members, healthmonitor, ...rest }) =>
      samplePool({
        ...rest,
        id: sampleId('pool', number),
        healthmonitor: healthmonitor && { ...healthmonitor, id: sampleId('healthmonitor', number), pool_id: sampleId('pool', number) },
        members: members.map((each, index) => sampleMember(1000 * number + index, { ...each, pool_id: sampleId('pool', number) })),
      }),
    )
    .filter((each) => {
      const isDatagram = each.protocol === 'UDP' || each.protocol === 'SCTP';
      const type = each.healthmonitor?.type;
      // SCTP probes are refused where the kernel has no SCTP.
      const fits =
        type === undefined || (isDatagram ? ['UDP-CONNECT', 'TCP', 'HTTP'].includes(type) : type !== 'UDP-CONNECT' && type !== 'SCTP');
      return (
        fits &&
        passes(() => each.session_persistence && checkPersistence(each.protocol, each.session_persistence)) &&
        passes(() => checkPoolTls(each, new Set(['tls_ciphers', 'tls_versions', 'alpn_protocols']), unrestricted))
      );
    });

const rule = fc
  .record({
    type: fc.constantFrom(...l7ruleTypes),
    compare_type: fc.constantFrom(...l7ruleCompareTypes),
    key: orNull(fc.oneof(fc.constantFrom('X-Key', "it's", 'a,b', 'CN', 'O', 'x'.repeat(255)), odd)),
    value: fc.oneof(odd, expressions, fc.constantFrom('True', '0', '19', '/a')),
    invert: fc.boolean(),
    admin_state_up: fc.nat(9).map((n) => n > 0),
  })
  .filter((each) => each.value.length <= 255 && !/[\r\n\0]/u.test(each.value) && refuseRule(each) === null);

const url = fc
  .oneof(
    odd.map((each) => `http://h.example/${each}`),
    fc.constantFrom('https://[2001:db8::1]:8443/a?b#c', "http://u:p@h/it's?%[src]", `http://h/${'x'.repeat(240)}`),
  )
  .filter((each) => each.length <= 255 && refuseUrl(each) === null);

/** Policies of one listener; pools are filled in. */
const policies = (listener: number, pools: readonly string[]): fc.Arbitrary<L7PolicyTree[]> =>
  fc
    .array(
      fc.record({
        action: fc.constantFrom<L7PolicyTree['action'][]>(
          'REJECT',
          'REDIRECT_TO_URL',
          'REDIRECT_PREFIX',
          ...(pools.length > 0 ? (['REDIRECT_TO_POOL'] as const) : []),
        ),
        url,
        pool: fc.nat(99),
        redirect_http_code: orNull(fc.constantFrom<(301 | 302 | 303 | 307 | 308)[]>(301, 302, 303, 307, 308)),
        rules: fc.oneof(
          { weight: 9, arbitrary: fc.array(rule, { maxLength: 4 }) },
          { weight: 1, arbitrary: fc.array(rule, { minLength: 50, maxLength: 50 }) },
        ),
      }),
      { maxLength: 5 },
    )
    .map((list) =>
      list.map(({ action, url: text, pool, redirect_http_code, rules }, index) =>
        samplePolicy(100 * listener + index, {
          action,
          position: index + 1,
          listener_id: sampleId('listener', listener),
          redirect_pool_id: action === 'REDIRECT_TO_POOL' ? (pools[pool % pools.length] ?? null) : null,
          redirect_url: action === 'REDIRECT_TO_URL' ? text : null,
          redirect_prefix: action === 'REDIRECT_PREFIX' ? text : null,
          redirect_http_code: action === 'REDIRECT_TO_URL' || action === 'REDIRECT_PREFIX' ? redirect_http_code : null,
          rules: rules.map((each, at): L7Rule => ({ ...ruleBase, ...each, id: sampleId('l7rule', 10_000 * listener + 100 * index + at) })),
        }),
      ),
    );

const ruleBase = samplePolicy().rules[0] as L7Rule;

const headers = ['X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto', 'X-Forwarded-IP', 'X-Client-IP', 'X-Real-IP'];
const tlsHeaders = ['Verify', 'Has-Cert', 'DN', 'CN', 'SHA1', 'Not-Before', 'Not-After'].map((name) => `X-SSL-Client-${name}`);

/** A listener with the given number, in front of one of these pools or none. */
const listenerOf = (
  number: number,
  pools: readonly PoolTree[],
  protocols: readonly ListenerTree['protocol'][],
): fc.Arbitrary<ListenerTree> =>
  fc
    .constantFrom(...protocols)
    .chain((protocol) => {
      const behind = pools.filter((pool) => passes(() => checkPoolBehind(protocol, pool.protocol))).map(({ id }) => id);
      const isHttp = protocol === 'HTTP' || protocol === 'TERMINATED_HTTPS';
      const isTls = protocol === 'TERMINATED_HTTPS' || protocol === 'PROMETHEUS';
      const names = [...headers, ...(protocol === 'TERMINATED_HTTPS' ? [...tlsHeaders, 'X-SSL-Issuer'] : [])];
      return fc.record({
        protocol: fc.constant(protocol),
        default_pool_id: behind.length > 0 ? orNull(fc.constantFrom(...behind)) : fc.constant(null),
        connection_limit: int(-1, 0, 1, 50_000, MOST),
        insert_headers: isHttp
          ? fc.dictionary(fc.constantFrom(...names), fc.constantFrom('true', 'True', 'false', 'TRUE'))
          : fc.constant({}),
        timeout_client_data: int(0, 1, 50_000, LONGEST),
        timeout_member_connect: int(0, 1, 5000, LONGEST),
        timeout_member_data: int(0, 1, 50_000, LONGEST),
        timeout_tcp_inspect: int(0, 1, 5000, LONGEST),
        allowed_cidrs: fc.array(cidrs, { maxLength: 70 }),
        default_tls_container_ref: isTls ? orNull(fc.constant('certificate')) : fc.constant(null),
        sni_container_refs: isTls ? fc.array(fc.constantFrom('certificate', 'other'), { maxLength: 3 }) : fc.constant<string[]>([]),
        client_ca_tls_container_ref: isTls ? orNull(fc.constant('authority')) : fc.constant(null),
        client_crl_container_ref: isTls ? orNull(fc.constant('revocation')) : fc.constant(null),
        client_authentication: fc.constantFrom('NONE' as const, 'OPTIONAL' as const, 'MANDATORY' as const),
        hsts_max_age: protocol === 'TERMINATED_HTTPS' ? orNull(int(0, MOST)) : fc.constant(null),
        hsts_include_subdomains: fc.boolean(),
        hsts_preload: fc.boolean(),
        ...tls,
        l7policies: isHttp ? policies(number, behind) : fc.constant<L7PolicyTree[]>([]),
      });
    })
    .map((change) => sampleListener({ ...change, id: sampleId('listener', number), protocol_port: 8000 + number }))
    .filter((each) =>
      passes(() => checkListenerFields(each, new Set(['tls_ciphers', 'tls_versions', 'alpn_protocols', 'insert_headers']), unrestricted)),
    );

/** What protocols a tree is about. */
export type OddTreeProtocols = { readonly listeners: readonly ListenerTree['protocol'][]; readonly pools: readonly PoolTree['protocol'][] };

/** A load balancer with two VIPs, one of each family, so many listeners and half as many pools, which listeners share. */
export const oddTree = (count: number, protocols: OddTreeProtocols): fc.Arbitrary<LoadBalancerTree> =>
  fc.tuple(...Array.from({ length: count / 2 }, (_, index) => poolOf(index + 1, protocols.pools))).chain((pools) =>
    fc.tuple(...Array.from({ length: count }, (_, index) => listenerOf(index + 1, pools, protocols.listeners))).map((listeners) =>
      sampleTree({
        loadbalancer: sampleLoadBalancer({
          vip_address: '198.51.100.10',
          additional_vips: [{ subnet_id: sampleId('loadbalancer'), ip_address: '2001:db8::10', port_id: null, network_id: null }],
        }),
        listeners,
        pools,
      }),
    ),
  );
