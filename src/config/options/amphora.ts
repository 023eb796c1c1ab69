/** Options of amphorae: what runs in them, how they are reached and retried, VRRP, logs. */
import { flag, float, hosts, integer, text } from '../option.ts';

const LOG_FORMAT = '{{ project_id }} {{ lb_id }} %f %ci %cp %t %{+Q}r %ST %B %U %[ssl_c_verify] %{+Q}[ssl_c_s_dn] %b %s %Tt %tsc';

/** `[haproxy_amphora]` */
export const haproxy_amphora = {
  base_path: text('/var/lib/octavia', 'Folder of the configuration in the amphora.'),
  base_cert_dir: text('/var/lib/octavia/certs', 'Folder of certificates in the amphora.'),
  connection_logging: flag(true, 'Log each connection.'),
  user_log_format: text(LOG_FORMAT, 'Format of the connection log; {{ project_id }} and {{ lb_id }} are filled in.'),
  haproxy_stick_size: text('10k', 'Entries of a stick table.'),
  l7_policy_order: text(
    'position',
    'Which L7 policy decides when several match: the first by position, or as in OpenStack Octavia, by action (REJECT, redirects, pools) and then by position.',
    { choices: ['position', 'action'] },
  ),
  haproxy_cmd: text('/usr/sbin/haproxy', 'The HAProxy of the amphora.'),
  default_connection_limit: integer(50_000, 'Connection limit of a listener that names none.', { min: 1 }),
  bind_host: text('::', 'Address the agent listens on, on its management interface.'),
  bind_port: integer(9443, 'TCP port the agent listens on.', { min: 1, max: 65535 }),
  lb_network_interface: text('o-hm0', 'Interface of the controller towards the management network.'),
  rest_request_conn_timeout: float(10, 'Longest wait for a connection to an agent.', { unit: 'seconds' }),
  rest_request_read_timeout: float(60, 'Longest wait for an answer of an agent.', { unit: 'seconds' }),
  client_cert: text('/etc/octavia/certs/client.pem', 'Certificate and key the controller shows to agents.', {
    local: '${local.state_dir}/pki/client.pem',
  }),
  server_ca: text('/etc/octavia/certs/server_ca.pem', 'Certificate authority agents are checked against.', {
    local: '${local.state_dir}/pki/server-ca.pem',
  }),
  connection_max_retries: integer(120, 'How often a new agent is tried.', { min: 1 }),
  connection_retry_interval: float(5, 'Wait between two tries.', { unit: 'seconds', local: 0.2 }),
  active_connection_max_retries: integer(15, 'How often an agent that once answered is tried.', { min: 1 }),
  active_connection_retry_interval: float(2, 'Wait between two of these tries.', { unit: 'seconds', local: 0.5 }),
  failover_connection_max_retries: integer(2, 'How often the agent of an amphora being replaced is tried.', { min: 1 }),
  failover_connection_retry_interval: float(5, 'Wait between two of these tries.', { unit: 'seconds' }),
  build_rate_limit: integer(-1, 'Amphorae built at once; -1 is without limit.', { min: -1 }),
  build_active_retries: integer(120, 'How often a build waits for its turn.', { min: 1 }),
  build_retry_interval: integer(5, 'Wait between two of these looks.', { unit: 'seconds', min: 1 }),
  timeout_client_data: integer(50_000, 'Longest silence of a client, where the listener names none.', { unit: 'milliseconds', min: 0 }),
  timeout_member_connect: integer(5000, 'Longest wait for a connection to a member, where the listener names none.', {
    unit: 'milliseconds',
    min: 0,
  }),
  timeout_member_data: integer(50_000, 'Longest silence of a member, where the listener names none.', { unit: 'milliseconds', min: 0 }),
  timeout_tcp_inspect: integer(0, 'Wait for more bytes before rules look at them, where the listener names none.', {
    unit: 'milliseconds',
    min: 0,
  }),
} as const;

/** `[amphora_agent]` */
export const amphora_agent = {
  agent_server_ca: text('/etc/octavia/certs/client_ca.pem', 'In the amphora: authority the agent checks controllers against.'),
  agent_server_cert: text('/etc/octavia/certs/server.pem', 'In the amphora: certificate and key of the agent.'),
  agent_server_network_dir: text(null, 'In the amphora: folder of interface files; not set: /etc/octavia/interfaces/.'),
  agent_request_read_timeout: integer(180, 'How long the agent waits for a request.', { unit: 'seconds' }),
  agent_tls_protocol: text('TLSv1.2', 'Oldest TLS version of the agent.', { choices: ['TLSv1.2', 'TLSv1.3'] }),
  admin_log_targets: hosts(
    [],
    'Where the logs of an amphora itself are sent by syslog; later ones only while all earlier ones have failed.',
  ),
  tenant_log_targets: hosts([], 'Where connection logs are sent by syslog; later ones only while all earlier ones have failed.'),
  user_log_facility: integer(0, 'Syslog facility local0–local7 of connection logs.', { min: 0, max: 7 }),
  administrative_log_facility: integer(1, 'Syslog facility local0–local7 of system logs.', { min: 0, max: 7 }),
  log_protocol: text('UDP', 'How logs are sent.', { choices: ['UDP', 'TCP'] }),
  log_retry_count: integer(5, 'How often a target is tried again before it counts as failed.', { min: 0 }),
  log_retry_interval: integer(2, 'Wait between two tries.', { unit: 'seconds', min: 0 }),
  log_queue_size: integer(10_000, 'Log lines that wait at most while the targets are away; more are dropped and counted.', { min: 1 }),
  forward_all_logs: flag(
    false,
    'Send all logs of a virtual machine, not only those of its facility; an amphora of this machine has no others.',
  ),
  disable_local_log_storage: flag(false, 'Keep no logs in the amphora. Then connections are logged only when tenant_log_targets are set.'),
  amphora_udp_driver: text('keepalived_lvs', 'Deprecated; accepted for old files.'),
} as const;

/** `[keepalived_vrrp]` */
export const keepalived_vrrp = {
  vrrp_advert_int: float(1, 'Time between two VRRP advertisements.', { unit: 'seconds', min: 0.01, local: 0.2 }),
  vrrp_check_interval: integer(5, 'Time between two checks of HAProxy by keepalived.', { unit: 'seconds', min: 1 }),
  vrrp_fail_count: integer(2, 'Failed checks after which the amphora gives the VIP away.', { min: 1 }),
  vrrp_success_count: integer(2, 'Good checks after which it is healthy again.', { min: 1 }),
  vrrp_garp_refresh_interval: integer(5, 'Time between two gratuitous ARPs of the master.', { unit: 'seconds', min: 0 }),
  vrrp_garp_refresh_count: integer(2, 'Gratuitous ARPs each time.', { min: 0 }),
} as const;
