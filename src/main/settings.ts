/** From the configuration's options to what each part is started with. */
import { hostname } from 'node:os';
import { defaultApiOptions, type ApiOptions } from '../api/deps.ts';
import { findProcess } from '../cloud/local/compute/processes.ts';
import type { Config } from '../config/table.ts';
import type { Tools } from '../providers/amphora/apply.ts';
import type { PlanLimits } from '../providers/amphora/observed.ts';
import type { RenderSettings } from '../providers/amphora/render/settings.ts';
import type { SecretOutcomes } from '../providers/amphora/render/tls-files.ts';
import type { ObservedAgent } from '../providers/amphora/agent-client.ts';
import { FLOW_LOG_FD, METRICS_EXPORTER_SOCKET, METRICS_SOCKET } from '../wire/agent-api.ts';
import type { Patience } from '../worker/reconcile.ts';

/** The name of this controller in leases. */
export const hostOf = (config: Config): string => config.DEFAULT.host ?? hostname();

/** The name of this process in leases: who finds it there later, on this host, can tell whether it still runs. */
export const processName = (config: Config): string => `${hostOf(config)}/${process.pid}`;

/** Is the owner of a lease a process of this host that has ended? */
export function isGoneOwner(config: Config, owner: string): boolean {
  const [host, pid = ''] = owner.split('/');
  return host === hostOf(config) && /^\d+$/u.test(pid) && Number(pid) !== process.pid && findProcess(Number(pid)) === null;
}

/** Options of the API. */
export function apiOptions(config: Config): ApiOptions {
  const { api_settings: api, keystone_authtoken: keystone, networking, quotas, haproxy_amphora: haproxy } = config;
  const limit = api.pagination_max_limit;
  return {
    ...defaultApiOptions,
    noauth: api.auth_strategy === 'noauth' || api.auth_strategy === 'testing',
    // What a crash in the middle of a create leaves waits as long as what a crash of a worker leaves.
    port_lease_ms: 1000 * config.controller_worker.lease_seconds,
    api_base_uri: api.api_base_uri,
    www_authenticate_uri: api.auth_strategy === 'keystone' ? (keystone.www_authenticate_uri ?? keystone.auth_url) : null,
    allow_pagination: api.allow_pagination,
    allow_sorting: api.allow_sorting,
    allow_filtering: api.allow_filtering,
    allow_field_selection: api.allow_field_selection,
    pagination_max_limit: limit === 'infinite' ? null : Number(limit),
    healthcheck_enabled: api.healthcheck_enabled,
    enabled_provider_drivers: api.enabled_provider_drivers,
    default_provider_driver: api.default_provider_driver,
    loadbalancer_topology: config.controller_worker.loadbalancer_topology === 'ACTIVE_STANDBY' ? 'ACTIVE_STANDBY' : 'SINGLE',
    allow_vip_network_id: networking.allow_vip_network_id,
    allow_vip_subnet_id: networking.allow_vip_subnet_id,
    allow_vip_port_id: networking.allow_vip_port_id,
    valid_vip_networks: networking.valid_vip_networks,
    denylist_vip_networks: networking.denylist_vip_networks,
    reserved_ips: networking.reserved_ips,
    allow_invisible_resource_usage: networking.allow_invisible_resource_usage,
    quotas: {
      loadbalancer: quotas.default_load_balancer_quota,
      listener: quotas.default_listener_quota,
      member: quotas.default_member_quota,
      pool: quotas.default_pool_quota,
      healthmonitor: quotas.default_health_monitor_quota,
      l7policy: quotas.default_l7policy_quota,
      l7rule: quotas.default_l7rule_quota,
    },
    allow_tls_terminated_listeners: api.allow_tls_terminated_listeners,
    allow_prometheus_listeners: api.allow_prometheus_listeners,
    allow_ping_health_monitors: api.allow_ping_health_monitors,
    udp_connect_min_interval_health_monitor: api.udp_connect_min_interval_health_monitor,
    tls_cipher_prohibit_list: api.tls_cipher_prohibit_list.split(':').filter(Boolean),
    minimum_tls_version: api.minimum_tls_version,
    default_listener_ciphers: api.default_listener_ciphers,
    default_pool_ciphers: api.default_pool_ciphers,
    default_listener_tls_versions: api.default_listener_tls_versions,
    default_pool_tls_versions: api.default_pool_tls_versions,
    default_listener_alpn_protocols: api.default_listener_alpn_protocols,
    default_pool_alpn_protocols: api.default_pool_alpn_protocols,
    timeout_client_data: haproxy.timeout_client_data,
    timeout_member_connect: haproxy.timeout_member_connect,
    timeout_member_data: haproxy.timeout_member_data,
    timeout_tcp_inspect: haproxy.timeout_tcp_inspect,
    host: processName(config),
  };
}

/** Bounds of the planner; a fake or local cloud lists an instance at once. */
export function planLimits(config: Config): PlanLimits {
  const { controller_worker: worker, haproxy_amphora: haproxy } = config;
  return {
    boot_timeout_ms: 1000 * worker.amp_active_retries * worker.amp_active_wait_sec,
    late_listing_ms: worker.compute_driver === 'compute_nova_driver' ? 30_000 : 0,
    silence_timeout_ms: 1000 * haproxy.active_connection_max_retries * haproxy.active_connection_retry_interval,
  };
}

/** What instances are made of unless a flavor or an availability zone says so. This machine has neither images nor zones of Nova's. */
export function computeDefaults(config: Config): NonNullable<Tools['compute_defaults']> {
  const { controller_worker: worker, nova, cinder } = config;
  if (worker.compute_driver === 'compute_local_driver') return {};
  return {
    compute_flavor: worker.amp_flavor_id || null,
    image_tag: worker.amp_image_tag || null,
    availability_zone: nova.availability_zone,
    volume_zone: cinder.availability_zone,
  };
}

/** How a worker meets failures. */
export const patience: Patience = { max_attempts: 8, backoff_base_ms: 500, backoff_max_ms: 30_000, error_retry_ms: 120_000 };

/** What a configuration is rendered with for one agent. */
export function renderSettings(config: Config, agent: ObservedAgent, secrets: SecretOutcomes): RenderSettings {
  const { haproxy_amphora: haproxy, amphora_agent } = config;
  return {
    base_path: agent.base_path,
    run_path: agent.run_path,
    cert_path: agent.cert_path ?? haproxy.base_cert_dir,
    secrets,
    maxconn_limit: agent.maxconn_limit,
    has_lists: agent.lists !== null,
    nbthread: agent.capabilities.length > 0 ? 1 : null,
    run_as: { user: 'nobody', group: agent.capabilities.length > 0 ? 'nogroup' : null },
    close_spread_seconds: agent.capabilities.length > 0 ? 5 : null,
    hard_stop_after_seconds: 3600,
    log_target: logTargetOf(config, agent),
    connection_logging: haproxy.connection_logging,
    user_log_format: haproxy.user_log_format,
    user_log_facility: amphora_agent.user_log_facility,
    administrative_log_facility: amphora_agent.administrative_log_facility,
    haproxy_stick_size: haproxy.haproxy_stick_size,
    l7_policy_order: haproxy.l7_policy_order === 'action' ? 'action' : 'position',
    default_connection_limit: haproxy.default_connection_limit,
    timeout_client_data: haproxy.timeout_client_data,
    timeout_member_connect: haproxy.timeout_member_connect,
    timeout_member_data: haproxy.timeout_member_data,
    metrics: metricsOf(agent),
    ping_command: agent.ping_command,
  };
}

/** Upstream's amphorae have rsyslog behind this socket; ours have the agent behind a pipe, and nobody when the lines go nowhere. */
function logTargetOf({ amphora_agent }: Config, { capabilities }: ObservedAgent): RenderSettings['log_target'] {
  if (capabilities.length === 0) return { kind: 'syslog', address: '/run/rsyslog/octavia/log' };
  const isRead = amphora_agent.tenant_log_targets.length > 0 || !amphora_agent.disable_local_log_storage;
  return isRead && capabilities.includes('logs') ? { kind: 'pipe', descriptor: FLOW_LOG_FD } : null;
}

/** Sockets of our agent; upstream's has a program of its own behind these ports. */
function metricsOf({ capabilities, run_path }: ObservedAgent): RenderSettings['metrics'] {
  if (capabilities.length === 0) return { exporter: '127.0.0.1:9101', translator: '127.0.0.1:9102' };
  if (!capabilities.includes('metrics')) return null;
  return { exporter: `unix@${run_path}/${METRICS_EXPORTER_SOCKET}`, translator: `unix@${run_path}/${METRICS_SOCKET}` };
}
