/** Options of the API, identity, quotas and providers. */
import { dict, flag, float, integer, list, secret, text } from '../option.ts';

const CIPHERS =
  'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305';
const TLS_VERSIONS = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const PROVIDERS = { amphora: 'The Octavia Amphora driver.', octavia: 'Deprecated alias of the Octavia Amphora driver.' };

/** `[DEFAULT]` */
export const DEFAULT = {
  host: text(null, 'Name of this controller in leases, heartbeats and logs; not set: the host name.'),
  debug: flag(false, 'Write debug lines to the log.', { mutable: true }),
} as const;

/** `[api_settings]` */
export const api_settings = {
  bind_host: text('127.0.0.1', 'Address the API listens on; OCTAVIA_BIND sets it together with the port.'),
  bind_port: integer(9876, 'TCP port the API listens on; 0 takes a free one.', { min: 0, max: 65535 }),
  auth_strategy: text(
    'keystone',
    'Who checks tokens: a Keystone, the embedded identity, or nobody (noauth; testing is the same here): everybody is an administrator, on loopback only.',
    {
      local: 'embedded',
      choices: ['keystone', 'embedded', 'noauth', 'testing'],
    },
  ),
  allow_noauth_beyond_loopback: flag(false, 'Let noauth and testing listen on an address others can reach.'),
  api_base_uri: text(null, 'Start of the links in answers, such as https://lb.example.org; not set: taken from the request.'),
  allow_pagination: flag(true, 'Take limit, marker and page_reverse.'),
  allow_sorting: flag(true, 'Take sort_key and sort_dir.'),
  allow_filtering: flag(true, 'Take filters by field.'),
  allow_field_selection: flag(true, 'Take fields.'),
  pagination_max_limit: text('1000', 'Most rows in one page: a number, or infinite.'),
  allow_tls_terminated_listeners: flag(true, 'Accept listeners of protocol TERMINATED_HTTPS.'),
  allow_ping_health_monitors: flag(true, 'Accept health monitors of type PING.'),
  allow_prometheus_listeners: flag(true, 'Accept listeners of protocol PROMETHEUS.'),
  enabled_provider_drivers: dict(PROVIDERS, 'Providers that may be asked for, each with its description.'),
  default_provider_driver: text('amphora', 'Provider of a load balancer that names none.'),
  udp_connect_min_interval_health_monitor: integer(3, 'Least delay and timeout of a UDP-CONNECT health monitor.', { unit: 'seconds' }),
  healthcheck_enabled: flag(false, 'Serve /healthcheck.', { local: true }),
  healthcheck_refresh_interval: integer(5, 'How long an answer of /healthcheck is kept.', { unit: 'seconds', min: 0 }),
  default_listener_ciphers: text(CIPHERS, 'Ciphers of a listener that names none, in OpenSSL form.'),
  default_pool_ciphers: text(CIPHERS, 'Ciphers of a pool that names none, in OpenSSL form.'),
  tls_cipher_prohibit_list: text('', 'Ciphers nobody may ask for, with colons between.'),
  default_listener_tls_versions: list(['TLSv1.2', 'TLSv1.3'], 'TLS versions of a listener that names none.'),
  default_pool_tls_versions: list(['TLSv1.2', 'TLSv1.3'], 'TLS versions of a pool that names none.'),
  minimum_tls_version: text(null, 'Oldest TLS version that may be asked for; not set: any.', { choices: TLS_VERSIONS }),
  default_listener_alpn_protocols: list(['h2', 'http/1.1', 'http/1.0'], 'ALPN protocols of a listener that names none.'),
  default_pool_alpn_protocols: list(['h2', 'http/1.1', 'http/1.0'], 'ALPN protocols of a pool that names none.'),
} as const;

const identity = {
  auth_url: text(null, 'Address of Keystone, such as https://keystone.example.org/v3.'),
  auth_type: text('password', 'How to sign in.', { choices: ['password', 'v3password', 'v3applicationcredential'] }),
  username: text(null, 'User to sign in as.'),
  password: secret(null, 'Password of that user.'),
  project_name: text(null, 'Project to sign in to.'),
  project_domain_name: text('Default', 'Domain of the project.'),
  project_domain_id: text(null, 'Domain of the project by its id; wins over the name.'),
  user_domain_name: text('Default', 'Domain of the user.'),
  user_domain_id: text(null, 'Domain of the user by its id; wins over the name.'),
  application_credential_id: text(null, 'Application credential instead of user and password.'),
  application_credential_secret: secret(null, 'Secret of the application credential.'),
  region_name: text(null, 'Region to look services up in.'),
  cafile: text(null, 'File of certificate authorities to trust; not set: those of the system.'),
  insecure: flag(false, 'Do not check certificates.'),
} as const;

/** `[keystone_authtoken]` */
export const keystone_authtoken = {
  ...identity,
  www_authenticate_uri: text(null, 'Address of Keystone that clients without a token are told; not set: auth_url.'),
  token_cache_time: integer(
    300,
    'How long an accepted token is not asked about again: a revocation counts after this time. More than 300 counts as 300; -1: ask each time.',
    { unit: 'seconds', min: -1 },
  ),
  interface: text('internal', 'Endpoint of Keystone to use.', { choices: ['public', 'internal', 'admin'] }),
  service_token_roles: list(['service'], 'Roles of services that may pass on a request whose token expired meanwhile (X-Service-Token).'),
  service_token_roles_required: flag(false, 'Refuse the token of a service that has none of these roles.'),
  http_connect_timeout: integer(5, 'Longest wait for a connection to Keystone.', { unit: 'seconds', min: 1 }),
  http_request_max_retries: integer(3, 'How often a request to Keystone that broke is tried again.', { min: 0 }),
} as const;

/** `[service_auth]` */
export const service_auth = identity;

/** `[oslo_policy]`: who may do what. */
export const oslo_policy = {
  policy_file: text(
    'policy.yaml',
    'File of rules that replace those built in; a relative name is looked up beside the configuration, then in the state folder. A change counts within two seconds.',
  ),
  policy_dirs: list(['policy.d'], 'Folders of further such files, read after it in the order of their names.'),
  policy_default_rule: text('default', 'Rule that stands for rules that are named but not defined.'),
  enforce_scope: flag(false, 'Refuse tokens whose scope is the system or a domain.'),
  enforce_new_defaults: flag(
    false,
    "Only Keystone's default roles (reader, member, admin) count; otherwise the load-balancer_* roles count beside them.",
  ),
} as const;

/** `[audit]`: events in the form of CADF. */
export const audit = {
  enabled: flag(false, 'Write an event of each request to the API to the log (message audit.http.response).'),
  audit_map_file: text(
    '/etc/octavia/octavia_api_audit_map.conf',
    'File that names paths and actions in the events; the usual one may be absent: then the map built in holds.',
  ),
  ignore_req_list: list([], 'Methods whose requests are left out, such as GET, HEAD.'),
} as const;

/** `[quotas]`: -1 is without limit. */
export const quotas = {
  default_load_balancer_quota: integer(-1, 'Load balancers a project may have.', { min: -1 }),
  default_listener_quota: integer(-1, 'Listeners a project may have.', { min: -1 }),
  default_member_quota: integer(-1, 'Members a project may have.', { min: -1 }),
  default_pool_quota: integer(-1, 'Pools a project may have.', { min: -1 }),
  default_health_monitor_quota: integer(-1, 'Health monitors a project may have.', { min: -1 }),
  default_l7policy_quota: integer(-1, 'L7 policies a project may have.', { min: -1 }),
  default_l7rule_quota: integer(-1, 'L7 rules a project may have.', { min: -1 }),
} as const;

/** `[driver_agent]` */
export const driver_agent = {
  status_socket_path: text('/var/run/octavia/status.sock', 'Socket on which providers report statuses.', {
    local: '${local.state_dir}/run/status.sock',
  }),
  stats_socket_path: text('/var/run/octavia/stats.sock', 'Socket on which providers report statistics.', {
    local: '${local.state_dir}/run/stats.sock',
  }),
  get_socket_path: text('/var/run/octavia/get.sock', 'Socket on which providers ask for objects.', {
    local: '${local.state_dir}/run/get.sock',
  }),
  status_request_timeout: integer(5, 'Longest wait for a request on the status socket.', { unit: 'seconds' }),
  stats_request_timeout: integer(5, 'Longest wait for a request on the statistics socket.', { unit: 'seconds' }),
  get_request_timeout: integer(5, 'Longest wait for a request on the get socket.', { unit: 'seconds' }),
  status_max_processes: integer(50, 'Requests served at once on the status socket.', { min: 1 }),
  stats_max_processes: integer(50, 'Requests served at once on the statistics socket.', { min: 1 }),
  get_max_processes: integer(50, 'Requests served at once on the get socket.', { min: 1 }),
  max_process_warning_percent: float(0.75, 'Part of the most requests at which a warning is logged.', { min: 0.01, max: 0.99 }),
  provider_agent_shutdown_timeout: integer(60, 'How long provider agents get to stop.', { unit: 'seconds' }),
  enabled_provider_agents: list([], 'Provider agents to start.'),
} as const;
