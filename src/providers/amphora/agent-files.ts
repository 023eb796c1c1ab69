/** The files that an amphora boots with: the agent's configuration, its certificate, and the authority of controllers. */
import type { InstanceFile } from '../../cloud/compute.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Amphora, LoadBalancer } from '../../model/index.ts';
import type { IssuedCertificate } from './pki.ts';
import { type HostPort, type LogOptions, renderRsyslogConf, RSYSLOG_CONF_PATH } from './rsyslog.ts';

/** Where the agent's configuration lies in every amphora, ours and upstream's. */
export const AGENT_CONF_PATH = '/etc/octavia/amphora-agent.conf';

/** What amphorae are told, under the names of the options that it comes from. */
export type AgentFileSettings = {
  /** `[DEFAULT] debug`. */
  readonly debug: boolean;
  readonly haproxy_amphora: {
    readonly base_path: string;
    readonly base_cert_dir: string;
    readonly bind_host: string;
    readonly bind_port: number;
    readonly haproxy_cmd: string;
  };
  readonly amphora_agent: {
    readonly agent_server_ca: string;
    readonly agent_server_cert: string;
    readonly agent_server_network_dir: string | null;
    readonly agent_request_read_timeout: number;
    readonly agent_tls_protocol: string;
    readonly amphora_udp_driver: string;
    readonly user_log_facility: number;
    readonly administrative_log_facility: number;
  } & LogOptions;
  readonly health_manager: {
    readonly controller_ip_port_list: readonly { readonly host: string; readonly port: number }[];
    readonly heartbeat_interval: number;
    readonly heartbeat_key: Secret | null;
  };
  /** PEM of `[controller_worker] client_ca`. */
  readonly client_ca: string;
  /** Are there amphorae with rsyslog (virtual machines)? Then it is told where logs go; our agent is told by its own configuration. */
  readonly has_rsyslog: boolean;
};

/** The files of one amphora. Throws `TypeError` when a value cannot be written in a configuration file (a line break). */
export function bootFiles(
  lb: Pick<LoadBalancer, 'topology'>,
  amphora: Pick<Amphora, 'id'>,
  certificate: Pick<IssuedCertificate, 'pem'>,
  settings: AgentFileSettings,
): readonly InstanceFile[] {
  const { agent_server_cert, agent_server_ca } = settings.amphora_agent;
  return [
    { path: AGENT_CONF_PATH, mode: 0o600, contents: renderAgentConf(lb, amphora, settings) },
    { path: agent_server_cert, mode: 0o600, contents: certificate.pem.reveal() },
    { path: agent_server_ca, mode: 0o644, contents: settings.client_ca },
    ...(settings.has_rsyslog ? [{ path: RSYSLOG_CONF_PATH, mode: 0o644, contents: renderRsyslogConf(settings.amphora_agent) }] : []),
  ];
}

/** `amphora-agent.conf`: the groups and options of upstream's template. Contains the heartbeat key. */
export function renderAgentConf(lb: Pick<LoadBalancer, 'topology'>, amphora: Pick<Amphora, 'id'>, settings: AgentFileSettings): string {
  const { haproxy_amphora, amphora_agent, health_manager } = settings;
  const groups: Readonly<Record<string, Readonly<Record<string, string | number | boolean | null>>>> = {
    DEFAULT: { debug: settings.debug, use_syslog: true, syslog_log_facility: `LOG_LOCAL${amphora_agent.administrative_log_facility}` },
    haproxy_amphora: {
      base_cert_dir: haproxy_amphora.base_cert_dir,
      base_path: haproxy_amphora.base_path,
      bind_host: haproxy_amphora.bind_host,
      bind_port: haproxy_amphora.bind_port,
      haproxy_cmd: haproxy_amphora.haproxy_cmd,
      user_log_facility: amphora_agent.user_log_facility,
      administrative_log_facility: amphora_agent.administrative_log_facility,
    },
    health_manager: {
      controller_ip_port_list: addresses(health_manager.controller_ip_port_list),
      heartbeat_interval: health_manager.heartbeat_interval,
      heartbeat_key: health_manager.heartbeat_key?.reveal() ?? null,
    },
    amphora_agent: {
      agent_server_ca: amphora_agent.agent_server_ca,
      agent_server_cert: amphora_agent.agent_server_cert,
      agent_server_network_dir: amphora_agent.agent_server_network_dir,
      agent_request_read_timeout: amphora_agent.agent_request_read_timeout,
      agent_tls_protocol: amphora_agent.agent_tls_protocol,
      amphora_id: amphora.id,
      amphora_udp_driver: amphora_agent.amphora_udp_driver,
      ...logOptions(amphora_agent),
    },
    controller_worker: { loadbalancer_topology: lb.topology },
  };
  return Object.entries(groups)
    .map(([group, options]) => `[${group}]\n${optionLines(options)}`)
    .join('\n');
}

/** What our agent does itself; upstream's template leaves these out, because they stand in rsyslog's configuration, and its agent reads past them. */
function logOptions(options: LogOptions): Readonly<Record<string, string | number | boolean | null>> {
  const { admin_log_targets, tenant_log_targets, log_protocol, log_retry_count, log_retry_interval, log_queue_size } = options;
  return {
    admin_log_targets: addresses(admin_log_targets) || null,
    tenant_log_targets: addresses(tenant_log_targets) || null,
    log_protocol,
    log_retry_count,
    log_retry_interval,
    log_queue_size,
    forward_all_logs: options.forward_all_logs,
    disable_local_log_storage: options.disable_local_log_storage,
  };
}

function addresses(hosts: readonly HostPort[]): string {
  return hosts.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join(', ');
}

function optionLines(options: Readonly<Record<string, string | number | boolean | null>>): string {
  return Object.entries(options)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} = ${confValue(String(value))}\n`)
    .join('');
}

/** A value that oslo.config reads back as it is: `$` would stand for another option, and outer blanks and quotes would go. */
function confValue(text: string): string {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/u.test(text)) throw new TypeError('a value of amphora-agent.conf cannot contain control characters');
  const escaped = text.replaceAll('$', () => '\\$');
  return /^["' ]|["' ]$/u.test(text) ? `"${escaped}"` : escaped;
}
