/**
 * The first schema. Written in SQLite's STRICT types plus BOOLEAN; `migrate.ts` translates it for PostgreSQL.
 *
 * Rows below a load balancer go with it. Amphorae do not: their rows stay until they are purged. Labels, statistics and
 * health rows belong to resources of several kinds, or are written by those who do not lock the resource, so triggers
 * take them away instead of foreign keys.
 */
import type { Migration } from '../migrate.ts';

const identity = `
  id TEXT PRIMARY KEY,
  project_id TEXT,
  name TEXT,
  provisioning_status TEXT NOT NULL,
  operating_status TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  fault TEXT,
  refused BOOLEAN NOT NULL`;

const resourceTables = [
  `CREATE TABLE loadbalancer (${identity},
    description TEXT,
    vip_address TEXT,
    vip_port_id TEXT,
    vip_subnet_id TEXT,
    vip_network_id TEXT,
    vip_qos_policy_id TEXT,
    vip_sg_ids TEXT NOT NULL,
    vip_vnic_type TEXT NOT NULL,
    additional_vips TEXT NOT NULL,
    provider TEXT,
    flavor_id TEXT,
    availability_zone TEXT,
    topology TEXT NOT NULL,
    vip_port_owned BOOLEAN NOT NULL,
    server_group_id TEXT
  ) STRICT`,
  `CREATE TABLE pool (${identity},
    description TEXT,
    loadbalancer_id TEXT NOT NULL REFERENCES loadbalancer (id) ON DELETE CASCADE,
    protocol TEXT NOT NULL,
    lb_algorithm TEXT NOT NULL,
    session_persistence TEXT,
    tls_enabled BOOLEAN NOT NULL,
    tls_container_ref TEXT,
    ca_tls_container_ref TEXT,
    crl_container_ref TEXT,
    tls_ciphers TEXT,
    tls_versions TEXT NOT NULL,
    alpn_protocols TEXT NOT NULL
  ) STRICT`,
  // The default pool may be inserted after its listener, within one transaction.
  `CREATE TABLE listener (${identity},
    description TEXT,
    loadbalancer_id TEXT NOT NULL REFERENCES loadbalancer (id) ON DELETE CASCADE,
    protocol TEXT NOT NULL,
    protocol_port INTEGER NOT NULL,
    connection_limit INTEGER NOT NULL,
    default_tls_container_ref TEXT,
    sni_container_refs TEXT NOT NULL,
    default_pool_id TEXT REFERENCES pool (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    insert_headers TEXT NOT NULL,
    timeout_client_data INTEGER NOT NULL,
    timeout_member_connect INTEGER NOT NULL,
    timeout_member_data INTEGER NOT NULL,
    timeout_tcp_inspect INTEGER NOT NULL,
    client_ca_tls_container_ref TEXT,
    client_authentication TEXT NOT NULL,
    client_crl_container_ref TEXT,
    allowed_cidrs TEXT NOT NULL,
    tls_ciphers TEXT,
    tls_versions TEXT NOT NULL,
    alpn_protocols TEXT NOT NULL,
    hsts_max_age INTEGER,
    hsts_include_subdomains BOOLEAN NOT NULL,
    hsts_preload BOOLEAN NOT NULL
  ) STRICT`,
  `CREATE TABLE member (${identity},
    pool_id TEXT NOT NULL REFERENCES pool (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    protocol_port INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    backup BOOLEAN NOT NULL,
    subnet_id TEXT,
    monitor_address TEXT,
    monitor_port INTEGER,
    vnic_type TEXT NOT NULL,
    UNIQUE (pool_id, address, protocol_port)
  ) STRICT`,
  `CREATE TABLE healthmonitor (${identity},
    pool_id TEXT NOT NULL UNIQUE REFERENCES pool (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    delay INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    max_retries INTEGER NOT NULL,
    max_retries_down INTEGER NOT NULL,
    http_method TEXT,
    url_path TEXT,
    expected_codes TEXT,
    http_version REAL,
    domain_name TEXT
  ) STRICT`,
  `CREATE TABLE amphora (
    id TEXT PRIMARY KEY,
    loadbalancer_id TEXT,
    compute_id TEXT,
    lb_network_ip TEXT,
    vrrp_ip TEXT,
    ha_ip TEXT,
    vrrp_port_id TEXT,
    ha_port_id TEXT,
    cert_expiration TEXT,
    cert_busy BOOLEAN NOT NULL,
    role TEXT,
    status TEXT NOT NULL,
    vrrp_interface TEXT,
    vrrp_id INTEGER,
    vrrp_priority INTEGER,
    cached_zone TEXT,
    image_id TEXT,
    compute_flavor TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT,
    cert_serial TEXT,
    boot_started_ms INTEGER
  ) STRICT`,
];

const otherTables = [
  `CREATE TABLE tag (resource_id TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (resource_id, tag)) STRICT`,
  `CREATE TABLE reconciliation (
    loadbalancer_id TEXT PRIMARY KEY REFERENCES loadbalancer (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL DEFAULT 0,
    applied_generation INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    reason TEXT
  ) STRICT`,
  `CREATE TABLE amphora_health (
    amphora_id TEXT PRIMARY KEY,
    last_seen_ms INTEGER NOT NULL,
    busy BOOLEAN NOT NULL DEFAULT FALSE
  ) STRICT`,
  `CREATE TABLE listener_statistics (
    listener_id TEXT NOT NULL,
    amphora_id TEXT NOT NULL,
    bytes_in INTEGER NOT NULL DEFAULT 0,
    bytes_out INTEGER NOT NULL DEFAULT 0,
    active_connections INTEGER NOT NULL DEFAULT 0,
    total_connections INTEGER NOT NULL DEFAULT 0,
    request_errors INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (listener_id, amphora_id)
  ) STRICT`,
  `CREATE TABLE quota (
    project_id TEXT PRIMARY KEY,
    loadbalancer INTEGER,
    listener INTEGER,
    member INTEGER,
    pool INTEGER,
    healthmonitor INTEGER,
    l7policy INTEGER,
    l7rule INTEGER
  ) STRICT`,
  `CREATE TABLE embedded_record (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    project_id TEXT,
    name TEXT,
    unique_key TEXT,
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, unique_key)
  ) STRICT`,
  `CREATE TABLE build_slot (
    amphora_id TEXT PRIMARY KEY,
    loadbalancer_id TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    building BOOLEAN NOT NULL
  ) STRICT`,
  `CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT`,
];

// No index on amphora_health.last_seen_ms: it would have to be written with each heartbeat, and a scan of 10,000 small rows takes a millisecond.
const indexes = [
  // Lists are sorted by creation; a tenant's lists are those of its project.
  ...['loadbalancer', 'listener', 'pool', 'member', 'healthmonitor'].flatMap((table) => [
    `CREATE INDEX ${table}_created ON ${table} (created_at, id)`,
    `CREATE INDEX ${table}_project ON ${table} (project_id, created_at, id)`,
  ]),
  'CREATE INDEX loadbalancer_name ON loadbalancer (name)',
  'CREATE INDEX loadbalancer_vip_port ON loadbalancer (vip_port_id)',
  "CREATE INDEX loadbalancer_unsettled ON loadbalancer (provisioning_status, updated_at) WHERE provisioning_status <> 'ACTIVE'",
  'CREATE INDEX listener_loadbalancer ON listener (loadbalancer_id, protocol_port)',
  'CREATE INDEX listener_default_pool ON listener (default_pool_id)',
  'CREATE INDEX pool_loadbalancer ON pool (loadbalancer_id)',
  'CREATE INDEX amphora_created ON amphora (created_at, id)',
  'CREATE INDEX amphora_loadbalancer ON amphora (loadbalancer_id)',
  'CREATE INDEX amphora_status ON amphora (status)',
  'CREATE INDEX amphora_compute ON amphora (compute_id)',
  'CREATE INDEX amphora_expiration ON amphora (cert_expiration)',
  'CREATE INDEX tag_resources ON tag (tag, resource_id)',
  'CREATE INDEX reconciliation_due ON reconciliation (not_before_ms, lease_until_ms) WHERE generation > applied_generation',
  'CREATE INDEX listener_statistics_amphora ON listener_statistics (amphora_id)',
  'CREATE INDEX embedded_record_created ON embedded_record (kind, created_at, id)',
  'CREATE INDEX embedded_record_project ON embedded_record (kind, project_id, created_at, id)',
  'CREATE INDEX embedded_record_name ON embedded_record (kind, name)',
  'CREATE INDEX build_slot_turn ON build_slot (building, priority, created_ms)',
];

/** What goes when a row of each table goes: the table and its column that holds the id. */
const dependents: Readonly<Record<string, readonly (readonly [table: string, column: string])[]>> = {
  loadbalancer: [['tag', 'resource_id']],
  listener: [
    ['tag', 'resource_id'],
    ['listener_statistics', 'listener_id'],
  ],
  pool: [['tag', 'resource_id']],
  member: [['tag', 'resource_id']],
  healthmonitor: [['tag', 'resource_id']],
  amphora: [
    ['amphora_health', 'amphora_id'],
    ['build_slot', 'amphora_id'],
    ['listener_statistics', 'amphora_id'],
  ],
};

const triggers = Object.entries(dependents).map(([table, targets]) => {
  const deletes = targets.map(([target, column]) => `DELETE FROM ${target} WHERE ${column} = OLD.id;`).join(' ');
  return {
    sqlite: [`CREATE TRIGGER ${table}_gone AFTER DELETE ON ${table} BEGIN ${deletes} END`],
    postgresql: [
      `CREATE FUNCTION ${table}_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${deletes} RETURN NULL; END $$`,
      `CREATE TRIGGER ${table}_gone AFTER DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_gone()`,
    ],
  };
});

/** Every table of the first version. */
export const first: Migration = { version: 1, name: 'first', statements: [...resourceTables, ...otherTables, ...indexes, ...triggers] };
