/** What the API is built from. */
import type { FastifyInstance } from 'fastify';
import type { Identity } from '../cloud/identity.ts';
import type { NetworkCatalog, PortService } from '../cloud/network.ts';
import type { Secrets } from '../cloud/secrets.ts';
import type { Database, Reader } from '../db/database.ts';
import type { Limits } from '../db/quotas.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { ListenerLimits } from '../model/rules/listener.ts';
import type { MonitorLimits } from '../model/rules/healthmonitor.ts';
import type { Change, Metadata } from '../providers/provider.ts';
import type { Audit } from './audit/hook.ts';
import type { Policy } from './policy/policy.ts';
import type { LoadBalancer, LoadBalancerTree } from '../model/index.ts';

/** What the API needs of a provider. */
export type ApiProvider = {
  /** Throws `Fault` when the provider cannot carry out the tree. */
  validate(tree: LoadBalancerTree, change: Change): void;
  /** What flavors and availability zones can say to it; absent: nothing. */
  readonly metadata?: { readonly flavor: Metadata; readonly availability_zone: Metadata };
  /** The address of every VIP for which none is asked: this provider makes no ports. Absent: the network service makes them. */
  readonly made_up_vip?: string;
};

/** The options of the API; the names are those of the configuration. */
export type ApiOptions = ListenerLimits &
  MonitorLimits & {
    /** No tokens, no quotas, everybody is an administrator; the project comes with the request. */
    readonly noauth: boolean;
    /** Start of the links in answers; null: as the request says. */
    readonly api_base_uri: string | null;
    /** The identity service that a caller without a token is told; null: the one on this port. */
    readonly www_authenticate_uri: string | null;
    readonly allow_pagination: boolean;
    readonly allow_sorting: boolean;
    readonly allow_filtering: boolean;
    readonly allow_field_selection: boolean;
    /** Null: no limit. */
    readonly pagination_max_limit: number | null;
    readonly healthcheck_enabled: boolean;
    readonly max_request_body_size: number;
    /** Origins that browsers may call from. */
    readonly allowed_origins: readonly string[];
    /** Names (`host:port`) by which this API may be called without tokens, besides loopback ones; null: any. */
    readonly allowed_hosts: readonly string[] | null;
    /** Provider name → its description, in the order of the configuration. */
    readonly enabled_provider_drivers: Readonly<Record<string, string>>;
    readonly default_provider_driver: string;
    readonly loadbalancer_topology: LoadBalancer['topology'];
    readonly allow_vip_network_id: boolean;
    readonly allow_vip_subnet_id: boolean;
    readonly allow_vip_port_id: boolean;
    /** Null: all. */
    readonly valid_vip_networks: readonly string[] | null;
    readonly denylist_vip_networks: readonly string[];
    readonly reserved_ips: readonly string[];
    readonly allow_invisible_resource_usage: boolean;
    readonly quotas: Limits;
    readonly default_listener_ciphers: string;
    readonly default_pool_ciphers: string;
    readonly default_listener_tls_versions: readonly string[];
    readonly default_pool_tls_versions: readonly string[];
    readonly default_listener_alpn_protocols: readonly string[];
    readonly default_pool_alpn_protocols: readonly string[];
    /** Milliseconds. */
    readonly timeout_client_data: number;
    readonly timeout_member_connect: number;
    readonly timeout_member_data: number;
    readonly timeout_tcp_inspect: number;
    /** Names the process that holds a lease while it makes a VIP's port. */
    readonly host: string;
    /** How long the API may take to make a VIP's port before a worker takes the load balancer over. */
    readonly port_lease_ms: number;
  };

/** Everything the API is given. */
export type ApiDeps = {
  readonly db: Database;
  readonly identity: Identity;
  readonly catalog: NetworkCatalog;
  readonly ports: PortService;
  /** Provider name → provider. */
  readonly providers: ReadonlyMap<string, ApiProvider>;
  /** Without it references to certificates are taken as they are. */
  readonly secrets?: Secrets;
  readonly options: ApiOptions;
  /** The rules in force now; they change when their file does. Without it those built in hold. */
  readonly policy?: () => Policy;
  /** Without it nothing is audited. */
  readonly audit?: Audit | null;
  readonly clock: Clock;
  readonly log: Logger;
  /** Further services on the same port: identity, network, key manager, dashboard, metrics. */
  readonly plugins?: readonly ((app: FastifyInstance) => void)[];
  /** What must be well for `/healthcheck` to answer 200, by name; each throws when it is not. */
  readonly healthChecks?: Readonly<Record<string, () => Promise<void>>>;
};

const CIPHERS = [
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The options that hold without a configuration. */
export const defaultApiOptions: ApiOptions = {
  noauth: false,
  api_base_uri: null,
  www_authenticate_uri: null,
  allow_pagination: true,
  allow_sorting: true,
  allow_filtering: true,
  allow_field_selection: true,
  pagination_max_limit: 1000,
  healthcheck_enabled: true,
  max_request_body_size: 114_688,
  allowed_origins: [],
  allowed_hosts: [],
  enabled_provider_drivers: { amphora: 'The Octavia Amphora driver.', octavia: 'Deprecated alias of the Octavia Amphora driver.' },
  default_provider_driver: 'amphora',
  loadbalancer_topology: 'SINGLE',
  allow_vip_network_id: true,
  allow_vip_subnet_id: true,
  allow_vip_port_id: true,
  valid_vip_networks: null,
  denylist_vip_networks: [],
  reserved_ips: ['169.254.169.254'],
  allow_invisible_resource_usage: false,
  quotas: { loadbalancer: -1, listener: -1, member: -1, pool: -1, healthmonitor: -1, l7policy: -1, l7rule: -1 },
  allow_tls_terminated_listeners: true,
  allow_prometheus_listeners: true,
  allow_ping_health_monitors: true,
  udp_connect_min_interval_health_monitor: 3,
  tls_cipher_prohibit_list: [],
  minimum_tls_version: null,
  default_listener_ciphers: CIPHERS,
  default_pool_ciphers: CIPHERS,
  default_listener_tls_versions: ['TLSv1.2', 'TLSv1.3'],
  default_pool_tls_versions: ['TLSv1.2', 'TLSv1.3'],
  default_listener_alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
  default_pool_alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
  timeout_client_data: 50_000,
  timeout_member_connect: 5000,
  timeout_member_data: 50_000,
  timeout_tcp_inspect: 0,
  host: 'localhost',
  port_lease_ms: 60_000,
};

/** The time as the API writes it. */
export const timestamp = (clock: Clock): string => new Date(clock.now()).toISOString().slice(0, 19);

/** What a row is read with: the database outside, the transaction inside. */
export type { Reader };
