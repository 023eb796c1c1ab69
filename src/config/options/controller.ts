/** Options of the controllers: database, worker, health manager, housekeeping, certificates. */
import { flag, hosts, integer, list, secret, text } from '../option.ts';

/** `[database]` */
export const database = {
  connection: secret(
    'sqlite:///${local.state_dir}/octavia.db',
    'Where the database is: sqlite:///path or postgresql://user:password@host/name?host=/socket/folder.',
  ),
  max_pool_size: integer(10, 'Connections kept open to PostgreSQL.', { min: 2 }),
  pool_timeout: integer(10, 'Longest wait for a connection.', { unit: 'seconds', min: 1 }),
} as const;

/** `[controller_worker]` */
export const controller_worker = {
  workers: integer(1, 'Worker processes; they may also be started one by one on any number of hosts.', { min: 1 }),
  lease_seconds: integer(10, 'How long a worker may be silent before another takes its load balancer over.', { unit: 'seconds', min: 2 }),
  max_concurrent_reconciles: integer(20, 'Load balancers one worker process works on at once.', { min: 1 }),
  amp_active_retries: integer(30, 'How often an instance is asked whether it runs before its build has failed.', { min: 1 }),
  amp_active_wait_sec: integer(10, 'Wait between two of these questions.', { unit: 'seconds', min: 1 }),
  amp_flavor_id: text('', 'Compute flavor of amphorae.'),
  amp_image_tag: text('', 'Tag of the image amphorae are made of; the newest with it is taken.'),
  amp_image_owner_id: text('', 'Only images of this project are taken.'),
  amp_ssh_key_name: text('', 'SSH key put into amphorae.'),
  amp_timezone: text('UTC', 'Time zone of amphorae.'),
  amp_boot_network_list: list([], 'Networks an amphora starts with; the first is the management network (lb-mgmt-net).'),
  amp_secgroup_list: list([], 'Security groups of the management port.'),
  client_ca: text('/etc/octavia/certs/ca_01.pem', 'Certificate authority the agent checks controllers against.', {
    local: '${local.state_dir}/pki/client-ca.pem',
  }),
  amphora_driver: text('amphora_haproxy_rest_driver', 'How amphorae are spoken to.', {
    choices: ['amphora_haproxy_rest_driver', 'amphora_noop_driver'],
  }),
  compute_driver: text('compute_nova_driver', 'What makes instances.', {
    local: 'compute_local_driver',
    choices: ['compute_nova_driver', 'compute_local_driver', 'compute_noop_driver'],
  }),
  network_driver: text('allowed_address_pairs_driver', 'What makes ports.', {
    local: 'network_local_driver',
    choices: ['allowed_address_pairs_driver', 'network_local_driver', 'network_noop_driver'],
  }),
  volume_driver: text('volume_noop_driver', 'What makes the disks of instances; noop: the disk of the flavor.', {
    choices: ['volume_noop_driver', 'volume_cinder_driver'],
  }),
  image_driver: text('image_glance_driver', 'Where images are looked up.', {
    local: 'image_noop_driver',
    choices: ['image_glance_driver', 'image_noop_driver'],
  }),
  distributor_driver: text('distributor_noop_driver', 'Unused; accepted for old files.'),
  statistics_drivers: list(['stats_db'], 'Where statistics are written.'),
  loadbalancer_topology: text('SINGLE', 'Topology of a load balancer whose flavor names none.', {
    choices: ['SINGLE', 'ACTIVE_STANDBY'],
    mutable: true,
  }),
  user_data_config_drive: flag(false, 'Deprecated; accepted for old files.'),
  amphora_delete_retries: integer(5, 'How often the deletion of an instance is tried.', { min: 1 }),
  amphora_delete_retry_interval: integer(5, 'Wait between two tries.', { unit: 'seconds', min: 0 }),
  event_notifications: flag(true, 'Send notifications when load balancers change.', { local: false }),
} as const;

/** `[health_manager]` */
export const health_manager = {
  bind_ip: text('127.0.0.1', 'Address heartbeats are received on; on one machine the gateway of the management network unless set.'),
  bind_port: integer(5555, 'UDP port heartbeats are received on; 0 takes a free one.', { min: 0, max: 65535 }),
  heartbeat_key: secret(null, 'Key that signs heartbeats; drawn at the first start on one machine.', { mutable: true }),
  heartbeat_interval: integer(10, 'Time between two heartbeats of an amphora.', { unit: 'seconds', min: 1, mutable: true, local: 1 }),
  heartbeat_timeout: integer(60, 'Silence after which an amphora is replaced.', { unit: 'seconds', min: 1, local: 10 }),
  health_check_interval: integer(3, 'Time between two looks for silent amphorae.', { unit: 'seconds', min: 1, local: 1 }),
  controller_ip_port_list: hosts([], 'Where amphorae send heartbeats; empty on one machine: bind_ip and bind_port.', { mutable: true }),
  failover_threads: integer(10, 'Amphorae rebuilt at once because they fell silent.', { min: 1 }),
  failover_threshold: integer(null, 'No amphora is replaced while more than this number are silent.', { min: 1 }),
  health_update_threads: integer(null, 'Accepted for old files; the receiver has one thread.'),
  stats_update_threads: integer(null, 'Accepted for old files; statistics are written in batches.'),
  sock_rlimit: integer(0, 'Receive buffer of the heartbeat socket; 0: as large as the kernel allows.', { unit: 'bytes', min: 0 }),
} as const;

/** `[house_keeping]` */
export const house_keeping = {
  cleanup_interval: integer(30, 'Time between two purges of deleted rows.', { unit: 'seconds', min: 1 }),
  amphora_expiry_age: integer(604_800, 'Age at which the row of a deleted amphora is removed.', { unit: 'seconds', min: 0 }),
  load_balancer_expiry_age: integer(604_800, 'Age at which the row of a deleted load balancer is removed.', { unit: 'seconds', min: 0 }),
  cert_interval: integer(3600, 'Time between two looks for certificates that come due.', { unit: 'seconds', min: 1 }),
  cert_expiry_buffer: integer(1_209_600, 'How long before its end the certificate of an amphora is replaced.', { unit: 'seconds', min: 0 }),
  cert_rotate_threads: integer(10, 'Certificates replaced at once.', { min: 1 }),
} as const;

/** `[certificates]` */
export const certificates = {
  cert_manager: text('barbican_cert_manager', 'Where the certificates of listeners and pools come from.', {
    local: 'embedded_cert_manager',
    choices: ['barbican_cert_manager', 'castellan_cert_manager', 'embedded_cert_manager', 'local_cert_manager', 'noop_cert_manager'],
  }),
  cert_generator: text('local_cert_generator', 'What signs the certificates of amphorae.', {
    choices: ['local_cert_generator', 'noop_cert_generator'],
  }),
  barbican_auth: text('barbican_acl_auth', 'How secrets of tenants are reached.'),
  endpoint: text(null, 'Address of Barbican; not set: from the catalog.'),
  endpoint_type: text('publicURL', 'Endpoint of Barbican in the catalog.'),
  region_name: text(null, 'Region of Barbican.'),
  ca_certificates_file: text(null, 'File of certificate authorities to trust for Barbican.'),
  insecure: flag(false, 'Do not check the certificate of Barbican.'),
  ca_certificate: text('/etc/ssl/certs/ssl-cert-snakeoil.pem', 'Certificate of the authority that signs for amphorae.', {
    local: '${local.state_dir}/pki/server-ca.pem',
    env: 'OS_OCTAVIA_TLS_CA_CERT',
  }),
  ca_private_key: text('/etc/ssl/private/ssl-cert-snakeoil.key', 'File of its private key.', {
    local: '${local.state_dir}/pki/server-ca.key',
    env: 'OS_OCTAVIA_TLS_CA_KEY',
  }),
  ca_private_key_passphrase: secret(null, 'Passphrase of that key.', { env: 'OS_OCTAVIA_CA_KEY_PASS' }),
  server_certs_key_passphrase: secret(
    'insecure-key-do-not-use-this-key',
    'Keys (32 characters of base64url each, commas between) that encrypt certificates at rest: the first encrypts, all decrypt.',
  ),
  signing_digest: text('sha256', 'Digest of signatures.', { choices: ['sha256', 'sha384', 'sha512'] }),
  cert_validity_time: integer(2_592_000, 'How long the certificate of an amphora is valid.', { unit: 'seconds', min: 60 }),
  secrets_keys: secret(
    null,
    'Keys (32 characters and more each, commas between) that encrypt secrets of the embedded key manager at rest: the first encrypts, all decrypt; not set: one is drawn into secrets.key in the state folder.',
  ),
  max_allowed_secret_in_bytes: integer(20_000, 'Largest payload that the embedded key manager takes.', {
    unit: 'bytes',
    min: 1,
    max: 65_536,
  }),
  storage_path: text('/var/lib/octavia/certificates/', 'Folder of local_cert_manager.', { local: '${local.state_dir}/certificates/' }),
} as const;
