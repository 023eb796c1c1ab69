/** Names of metrics: from those of HAProxy's exporter to those of the API's documentation (PROMETHEUS listeners). */

/** Where a family of HAProxy's goes: its new name, and the labels that are called otherwise there. */
export type Renamed = { readonly name: string; readonly labels: Readonly<Record<string, string>> };

const words = (text: string): readonly string[] => text.trim().split(/\s+/u);

/** `haproxy_process_…` as `octavia_loadbalancer_…`. */
const loadbalancerNames = words(`
  max_connections current_connections connections_total requests_total max_ssl_connections current_ssl_connections
  ssl_connections_total current_connection_rate limit_connection_rate max_connection_rate current_session_rate
  limit_session_rate max_session_rate current_ssl_rate limit_ssl_rate max_ssl_rate current_frontend_ssl_key_rate
  max_frontend_ssl_key_rate frontend_ssl_reuse current_backend_ssl_key_rate max_backend_ssl_key_rate ssl_cache_lookups_total
  ssl_cache_misses_total http_comp_bytes_in_total http_comp_bytes_out_total limit_http_comp listeners dropped_logs_total
`);

/** `haproxy_frontend_…` as `octavia_listener_…`. */
const listenerNames = words(`
  status current_sessions max_sessions limit_sessions sessions_total limit_session_rate max_session_rate connections_rate_max
  connections_total bytes_in_total bytes_out_total requests_denied_total responses_denied_total request_errors_total
  denied_connections_total denied_sessions_total failed_header_rewriting_total http_requests_rate_max http_requests_total
  http_responses_total intercepted_requests_total http_cache_lookups_total http_cache_hits_total http_comp_bytes_in_total
  http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total
`);

/** `haproxy_backend_…` as `octavia_pool_…`. */
const poolNames = words(`
  status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds current_queue
  max_queue connection_attempts_total connection_reuses_total bytes_in_total bytes_out_total queue_time_average_seconds
  connect_time_average_seconds response_time_average_seconds total_time_average_seconds max_queue_time_seconds
  max_connect_time_seconds max_response_time_seconds max_total_time_seconds requests_denied_total responses_denied_total
  connection_errors_total response_errors_total retry_warnings_total redispatch_warnings_total failed_header_rewriting_total
  client_aborts_total server_aborts_total active_servers backup_servers check_up_down_total check_last_change_seconds
  downtime_seconds_total loadbalanced_total http_requests_total http_responses_total http_cache_lookups_total
  http_cache_hits_total http_comp_bytes_in_total http_comp_bytes_out_total http_comp_bytes_bypassed_total
  http_comp_responses_total
`);

/** `haproxy_server_…` as `octavia_member_…`. */
const memberNames = words(`
  status current_sessions max_sessions limit_sessions sessions_total max_session_rate last_session_seconds current_queue
  max_queue queue_limit bytes_in_total bytes_out_total queue_time_average_seconds connect_time_average_seconds
  response_time_average_seconds total_time_average_seconds max_queue_time_seconds max_connect_time_seconds
  max_response_time_seconds max_total_time_seconds connection_attempts_total connection_reuses_total responses_denied_total
  connection_errors_total response_errors_total retry_warnings_total redispatch_warnings_total failed_header_rewriting_total
  client_aborts_total server_aborts_total weight check_failures_total check_up_down_total downtime_seconds_total
  check_last_change_seconds current_throttle loadbalanced_total http_responses_total idle_connections_current
  idle_connections_limit
`);

const renamedSuffixes: Readonly<Record<string, string>> = {
  server_aborts_total: 'member_aborts_total',
  active_servers: 'active_members',
  backup_servers: 'backup_members',
};

const family = (
  from: string,
  to: string,
  suffixes: readonly string[],
  labels: Renamed['labels'],
  renamed: Readonly<Record<string, string>> = {},
) => suffixes.map((suffix) => [`haproxy_${from}_${suffix}`, { name: `octavia_${to}_${renamed[suffix] ?? suffix}`, labels }] as const);

/** Every family that is passed on, by HAProxy's name; HAProxy has some more, which say nothing to a tenant. */
export const renamedFamilies: ReadonlyMap<string, Renamed> = new Map([
  ...family('process', 'loadbalancer', loadbalancerNames, {}),
  ...family('process_pool', 'memory_pool', ['allocated_bytes', 'used_bytes', 'failures_total'], {}),
  ...family('frontend', 'listener', listenerNames, { proxy: 'listener' }),
  ...family('backend', 'pool', poolNames, { proxy: 'pool' }, renamedSuffixes),
  ...family('server', 'member', memberNames, { proxy: 'pool', server: 'member' }),
]);
