/** Load balancers in a short notation (`test/fixtures/reference/shapes.json`), with the ids that the reference was given for each. */
import { readFileSync } from 'node:fs';
import type { HealthMonitor, Listener, ListenerTree, LoadBalancerTree, PoolTree } from '../../../src/model/index.ts';
import {
  sampleAmphora,
  sampleListener,
  sampleLoadBalancer,
  sampleMember,
  sampleMonitor,
  samplePolicy,
  samplePool,
  sampleRule,
} from '../sample-trees.ts';

type ShapeRule = { type: string; compare: string; value: string; key?: string | null; invert: boolean };
type ShapePolicy = {
  action: string;
  url?: string;
  prefix?: string;
  code?: number;
  pool?: ShapePool;
  enabled?: boolean;
  rules: readonly ShapeRule[];
};
type ShapeMember = {
  address: string;
  port: number;
  weight?: number;
  backup?: boolean;
  enabled?: boolean;
  monitor_address?: string;
  monitor_port?: number;
};
type ShapeMonitor = {
  type: string;
  delay: number;
  timeout: number;
  rise: number;
  fall: number;
  method?: string;
  path?: string;
  codes?: string;
  version?: number;
  domain?: string;
};
type ShapePool = {
  protocol: string;
  algorithm: string;
  members: readonly ShapeMember[];
  hm?: ShapeMonitor;
  persistence?: { type: string; cookie_name?: string };
  enabled?: boolean;
  tls?: boolean;
  tls_ciphers?: string;
  tls_versions?: readonly string[];
  alpn?: readonly string[];
};
type ShapeListener = {
  protocol: string;
  port: number;
  limit?: number;
  pool?: ShapePool;
  headers?: Record<string, string>;
  timeouts?: readonly number[];
  enabled?: boolean;
  cidrs?: readonly string[];
  tls?: string;
  tls_ciphers?: string;
  tls_versions?: readonly string[];
  alpn?: readonly string[];
  client_ca?: string;
  client_auth?: string;
  client_crl?: string;
  hsts?: readonly [number, boolean, boolean];
  l7?: readonly ShapePolicy[];
};

/** A load balancer in the notation. */
export type Shape = { readonly topology?: 'ACTIVE_STANDBY'; readonly listeners: readonly ShapeListener[] };

const read = (): Record<string, Shape> =>
  JSON.parse(readFileSync(new URL('../../fixtures/reference/shapes.json', import.meta.url), 'utf8')) as Record<string, Shape>;

const members = (count: number): ShapeMember[] =>
  Array.from({ length: count }, (_, index) => ({ address: `10.0.${Math.floor(index / 250)}.${1 + (index % 250)}`, port: 80 }));
const probe: ShapeMonitor = { type: 'HTTP', delay: 5, timeout: 3, rise: 3, fall: 2, method: 'GET', path: '/health', codes: '200' };
const pool = (count: number): ShapePool => ({ protocol: 'HTTP', algorithm: 'ROUND_ROBIN', members: members(count), hm: probe });

/** Every shape by its name; the two large ones are made here. */
export const shapes = (): Readonly<Record<string, Shape>> => ({
  ...read(),
  'members-1000': { listeners: [{ protocol: 'HTTP', port: 80, pool: pool(1000) }] },
  'listeners-100': { listeners: Array.from({ length: 100 }, (_, index) => ({ protocol: 'HTTP', port: 1000 + index, pool: pool(2) })) },
});

/** The tree of a shape. Ids are counted through all kinds, in the order in which the reference was given the resources. */
export function treeOfShape(shape: Shape): LoadBalancerTree {
  let count = 0;
  const id = (kind: number, number = (count += 1)) =>
    `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
  const pools: PoolTree[] = [];
  const makePool = (it: ShapePool): string => {
    const pool_id = id(3);
    const rows = it.members.map((each, index) =>
      sampleMember(index + 1, {
        id: id(4),
        pool_id,
        address: each.address,
        protocol_port: each.port,
        weight: each.weight ?? 1,
        backup: each.backup ?? false,
        admin_state_up: each.enabled ?? true,
        monitor_address: each.monitor_address ?? null,
        monitor_port: each.monitor_port ?? null,
      }),
    );
    pools.push(
      samplePool({
        id: pool_id,
        loadbalancer_id: id(1, 0),
        protocol: it.protocol as PoolTree['protocol'],
        lb_algorithm: it.algorithm as PoolTree['lb_algorithm'],
        admin_state_up: it.enabled ?? true,
        tls_enabled: it.tls ?? false,
        ...tlsOf(it),
        session_persistence: persistenceOf(it),
        members: rows,
        healthmonitor: it.hm === undefined ? null : monitorOf(it.hm, id(5)),
      }),
    );
    return pool_id;
  };
  const listeners = shape.listeners.map((it) => {
    const default_pool_id = it.pool === undefined ? null : makePool(it.pool);
    return { ...listenerOf(it, id(6)), default_pool_id, l7policies: policiesOf(it, id, makePool) };
  });
  const isPair = shape.topology === 'ACTIVE_STANDBY';
  const amphorae = Array.from({ length: isPair ? 2 : 1 }, (_, index) => sampleAmphora(1 + index, { id: id(10, index) }));
  const loadbalancer = sampleLoadBalancer({ id: id(1, 0), project_id: 'p'.repeat(32), topology: shape.topology ?? 'SINGLE' });
  return { loadbalancer, listeners, pools, amphorae, generation: 1 };
}

const tlsOf = (it: Pick<ShapeListener, 'tls_ciphers' | 'tls_versions' | 'alpn'>) => ({
  tls_ciphers: it.tls_ciphers ?? null,
  tls_versions: (it.tls_versions ?? []) as Listener['tls_versions'],
  alpn_protocols: (it.alpn ?? []) as Listener['alpn_protocols'],
});

function persistenceOf({ persistence }: ShapePool): PoolTree['session_persistence'] {
  if (persistence === undefined) return null;
  const type = persistence.type as NonNullable<PoolTree['session_persistence']>['type'];
  return { type, cookie_name: persistence.cookie_name ?? null, persistence_timeout: null, persistence_granularity: null };
}

const monitorOf = (it: ShapeMonitor, id: string): HealthMonitor =>
  sampleMonitor({
    id,
    type: it.type as HealthMonitor['type'],
    delay: it.delay,
    timeout: it.timeout,
    max_retries: it.rise,
    max_retries_down: it.fall,
    http_method: (it.method ?? null) as HealthMonitor['http_method'],
    url_path: it.path ?? null,
    expected_codes: it.codes ?? null,
    http_version: it.version ?? null,
    domain_name: it.domain ?? null,
  });

function listenerOf(it: ShapeListener, id: string): ListenerTree {
  const [client, connect, data, inspect] = it.timeouts ?? [50_000, 5000, 50_000, 0];
  const [hsts_max_age, hsts_include_subdomains, hsts_preload] = it.hsts ?? [null, false, false];
  return sampleListener({
    id,
    protocol: it.protocol as Listener['protocol'],
    protocol_port: it.port,
    connection_limit: it.limit ?? -1,
    admin_state_up: it.enabled ?? true,
    insert_headers: it.headers ?? {},
    timeout_client_data: client ?? 0,
    timeout_member_connect: connect ?? 0,
    timeout_member_data: data ?? 0,
    timeout_tcp_inspect: inspect ?? 0,
    allowed_cidrs: [...(it.cidrs ?? [])],
    default_tls_container_ref: it.tls ?? null,
    client_ca_tls_container_ref: it.client_ca ?? null,
    client_crl_container_ref: it.client_crl ?? null,
    client_authentication: (it.client_auth ?? 'NONE') as Listener['client_authentication'],
    ...tlsOf(it),
    hsts_max_age,
    hsts_include_subdomains,
    hsts_preload,
  });
}

function policiesOf(it: ShapeListener, id: (kind: number) => string, makePool: (pool: ShapePool) => string): ListenerTree['l7policies'] {
  return (it.l7 ?? []).map((policy, index) => {
    const redirect_pool_id = policy.pool === undefined ? null : makePool(policy.pool);
    const isRedirect = policy.action === 'REDIRECT_TO_URL' || policy.action === 'REDIRECT_PREFIX';
    type Policy = ListenerTree['l7policies'][number];
    return samplePolicy(index + 1, {
      id: id(7),
      action: policy.action as Policy['action'],
      admin_state_up: policy.enabled ?? true,
      redirect_pool_id,
      redirect_url: policy.url ?? null,
      redirect_prefix: policy.prefix ?? null,
      redirect_http_code: (policy.code ?? (isRedirect ? 302 : null)) as Policy['redirect_http_code'],
      rules: policy.rules.map((rule, number) =>
        sampleRule(number + 1, {
          id: id(8),
          type: rule.type as Policy['rules'][number]['type'],
          compare_type: rule.compare as Policy['rules'][number]['compare_type'],
          key: rule.key ?? null,
          value: rule.value,
          invert: rule.invert,
        }),
      ),
    });
  });
}
