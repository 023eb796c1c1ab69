/** Load balancers for tests of what is rendered: every field has a value, a test says only what it is about. */
import type {
  Amphora,
  HealthMonitor,
  L7PolicyTree,
  L7Rule,
  Listener,
  ListenerTree,
  LoadBalancer,
  LoadBalancerTree,
  Member,
  PoolTree,
} from '../../src/model/index.ts';
import type { RenderSettings } from '../../src/providers/amphora/render/settings.ts';
import { secretFilesOf, type SecretOutcomes } from '../../src/providers/amphora/render/tls-files.ts';
import { tlsFileMd5, tlsFileName } from '../../src/wire/tls-files.ts';

const common = {
  project_id: 'a'.repeat(32),
  name: null,
  provisioning_status: 'ACTIVE',
  operating_status: 'ONLINE',
  admin_state_up: true,
  created_at: '2026-01-01T00:00:00',
  updated_at: null,
  fault: null,
  refused: false,
} as const;

const { name: _name, ...namelessCommon } = common;

const kinds = ['loadbalancer', 'listener', 'pool', 'member', 'healthmonitor', 'amphora', 'l7policy', 'l7rule'] as const;

/** A UUID that says what it is of: kind and number. */
export const sampleId = (kind: (typeof kinds)[number], number = 1): string => {
  return `${kinds.indexOf(kind) + 1}0000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
};

/** The settings of one machine whose HAProxy can have 9986 connections. */
export const sampleSettings: RenderSettings = {
  base_path: '/var/lib/octavia',
  run_path: '/var/lib/octavia',
  cert_path: '/var/lib/octavia/certs',
  secrets: new Map(),
  maxconn_limit: 9986,
  has_lists: false,
  nbthread: 1,
  run_as: { user: 'nobody', group: 'nogroup' },
  close_spread_seconds: 5,
  hard_stop_after_seconds: 1800,
  log_target: null,
  connection_logging: true,
  user_log_format: '{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %b %s %Tt %tsc',
  user_log_facility: 0,
  administrative_log_facility: 1,
  haproxy_stick_size: '10k',
  l7_policy_order: 'position',
  default_connection_limit: 50_000,
  timeout_client_data: 50_000,
  timeout_member_connect: 5000,
  timeout_member_data: 50_000,
  metrics: { exporter: 'unix@/var/lib/octavia/metrics-exporter.sock', translator: 'unix@/var/lib/octavia/metrics.sock' },
  ping_command: null,
};

/** A load balancer with one IPv4 VIP. */
export const sampleLoadBalancer = (change: Partial<LoadBalancer> = {}): LoadBalancer => ({
  ...common,
  id: sampleId('loadbalancer'),
  description: null,
  vip_address: '198.51.100.10',
  vip_port_id: null,
  vip_subnet_id: null,
  vip_network_id: null,
  vip_qos_policy_id: null,
  vip_sg_ids: [],
  vip_vnic_type: 'normal',
  additional_vips: [],
  provider: 'amphora',
  flavor_id: null,
  availability_zone: null,
  topology: 'SINGLE',
  vip_port_owned: true,
  server_group_id: null,
  ...change,
});

/** An HTTP listener on port 80 whose default pool is the first pool. */
export const sampleListener = (change: Partial<ListenerTree> = {}): ListenerTree => ({
  ...sampleListenerRow(change),
  l7policies: change.l7policies ?? [],
});

/** The same as a row of the table. */
export const sampleListenerRow = ({ l7policies: _policies, ...change }: Partial<ListenerTree> = {}): Listener => ({
  ...common,
  id: sampleId('listener'),
  description: null,
  loadbalancer_id: sampleId('loadbalancer'),
  protocol: 'HTTP',
  protocol_port: 80,
  connection_limit: -1,
  default_tls_container_ref: null,
  sni_container_refs: [],
  default_pool_id: sampleId('pool'),
  insert_headers: {},
  timeout_client_data: 50_000,
  timeout_member_connect: 5000,
  timeout_member_data: 50_000,
  timeout_tcp_inspect: 0,
  client_ca_tls_container_ref: null,
  client_authentication: 'NONE',
  client_crl_container_ref: null,
  allowed_cidrs: [],
  tls_ciphers: null,
  tls_versions: [],
  alpn_protocols: [],
  hsts_max_age: null,
  hsts_include_subdomains: false,
  hsts_preload: false,
  ...change,
});

/** A policy that rejects everything under /N. */
export const samplePolicy = (number = 1, change: Partial<L7PolicyTree> = {}): L7PolicyTree => ({
  ...common,
  id: sampleId('l7policy', number),
  description: null,
  action: 'REJECT',
  redirect_pool_id: null,
  redirect_url: null,
  redirect_prefix: null,
  redirect_http_code: null,
  position: number,
  listener_id: sampleId('listener'),
  rules: [sampleRule(number, { l7policy_id: sampleId('l7policy', number) })],
  ...change,
});

/** A rule that the path begins with /N. */
export const sampleRule = (number = 1, change: Partial<L7Rule> = {}): L7Rule => ({
  ...namelessCommon,
  id: sampleId('l7rule', number),
  type: 'PATH',
  compare_type: 'STARTS_WITH',
  key: null,
  value: `/${number}`,
  invert: false,
  l7policy_id: sampleId('l7policy'),
  ...change,
});

/** A member 10.0.0.N:80. */
export const sampleMember = (number = 1, change: Partial<Member> = {}): Member => ({
  ...common,
  id: sampleId('member', number),
  pool_id: sampleId('pool'),
  address: `10.0.${Math.floor(number / 250)}.${number % 250}`,
  protocol_port: 80,
  weight: 1,
  backup: false,
  subnet_id: null,
  monitor_address: null,
  monitor_port: null,
  vnic_type: 'normal',
  ...change,
});

/** An HTTP monitor: every 5 seconds GET /. */
export const sampleMonitor = (change: Partial<HealthMonitor> = {}): HealthMonitor => ({
  ...common,
  id: sampleId('healthmonitor'),
  pool_id: sampleId('pool'),
  type: 'HTTP',
  delay: 5,
  timeout: 3,
  max_retries: 3,
  max_retries_down: 2,
  http_method: 'GET',
  url_path: '/',
  expected_codes: '200',
  http_version: null,
  domain_name: null,
  ...change,
});

/** An HTTP pool, round robin, with two members. */
export const samplePool = (change: Partial<PoolTree> = {}): PoolTree => ({
  ...common,
  id: sampleId('pool'),
  description: null,
  loadbalancer_id: sampleId('loadbalancer'),
  protocol: 'HTTP',
  lb_algorithm: 'ROUND_ROBIN',
  session_persistence: null,
  tls_enabled: false,
  tls_container_ref: null,
  ca_tls_container_ref: null,
  crl_container_ref: null,
  tls_ciphers: null,
  tls_versions: [],
  alpn_protocols: [],
  members: [sampleMember(1), sampleMember(2)],
  healthmonitor: null,
  ...change,
});

/** An amphora in service. */
export const sampleAmphora = (number = 1, change: Partial<Amphora> = {}): Amphora => ({
  id: sampleId('amphora', number),
  loadbalancer_id: sampleId('loadbalancer'),
  compute_id: 'compute',
  lb_network_ip: '127.0.0.1',
  vrrp_ip: `198.51.100.${10 + number}`,
  ha_ip: '198.51.100.10',
  vrrp_port_id: null,
  ha_port_id: null,
  cert_expiration: null,
  cert_busy: false,
  role: 'STANDALONE',
  status: 'ALLOCATED',
  vrrp_interface: null,
  vrrp_id: null,
  vrrp_priority: null,
  cached_zone: null,
  image_id: null,
  compute_flavor: null,
  created_at: '2026-01-01T00:00:00',
  updated_at: null,
  cert_serial: null,
  boot_started_ms: null,
  config_due: false,
  ...change,
});

/** What has become of a tree's secrets: each has a file, but for references that are called `unreadable`. */
export const sampleSecrets = (tree: LoadBalancerTree): SecretOutcomes =>
  new Map(
    secretFilesOf(tree).map(({ place, ref }) => [
      place,
      ref === 'unreadable' ? { unreadable: 'It cannot be read.' } : { name: tlsFileName(place, tlsFileMd5(ref)) },
    ]),
  );

/** One load balancer, one listener, one pool, one amphora, unless told. */
export const sampleTree = (change: Partial<LoadBalancerTree> = {}): LoadBalancerTree => ({
  loadbalancer: sampleLoadBalancer(),
  listeners: [sampleListener()],
  pools: [samplePool()],
  amphorae: [sampleAmphora()],
  generation: 1,
  ...change,
});
