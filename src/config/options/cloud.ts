/** Options of the cloud that amphorae run in: OpenStack's services, or this machine. */
import { flag, float, integer, list, text } from '../option.ts';

const retries = {
  max_retries: integer(15, 'How often a call is tried again.', { min: 0 }),
  retry_interval: float(1, 'First wait between two tries.', { unit: 'seconds', min: 0 }),
  retry_backoff: float(1, 'Added to the wait after each try.', { unit: 'seconds', min: 0 }),
  retry_max: float(10, 'Longest wait between two tries.', { unit: 'seconds', min: 0 }),
} as const;

const service = {
  endpoint_override: text(null, 'Address of the service; not set: from the catalog.'),
  region_name: text(null, 'Region of the service.'),
  valid_interfaces: list(['internal', 'public'], 'Endpoints in the catalog, in order of preference.'),
  cafile: text(null, 'File of certificate authorities to trust; not set: that of [service_auth].'),
  insecure: flag(false, 'Do not check the certificate of the service.'),
} as const;

/** `[compute]` */
export const compute = retries;

/** `[networking]` */
export const networking = {
  ...retries,
  port_detach_timeout: integer(300, 'Longest wait for a port to leave an instance.', { unit: 'seconds', min: 0 }),
  allow_vip_network_id: flag(true, 'Accept a VIP by network.'),
  allow_vip_subnet_id: flag(true, 'Accept a VIP by subnet.'),
  allow_vip_port_id: flag(true, 'Accept a VIP by port.'),
  valid_vip_networks: list(null, 'The only networks a VIP may be on; not set: all.'),
  denylist_vip_networks: list([], 'Networks a VIP may not be on.'),
  reserved_ips: list(['169.254.169.254'], 'Addresses a member may not have.'),
  allow_invisible_resource_usage: flag(false, 'Let a caller use networks, subnets and ports that it may not see.'),
} as const;

/** `[nova]` */
export const nova = {
  ...service,
  enable_anti_affinity: flag(false, 'Keep the amphorae of one load balancer on different hosts.'),
  anti_affinity_policy: text('anti-affinity', 'How strictly.', { choices: ['anti-affinity', 'soft-anti-affinity'] }),
  random_amphora_name_length: integer(0, 'Length of random names of instances; 0: amphora-<id>.', { min: 0, max: 255 }),
  availability_zone: text(null, 'Availability zone of amphorae whose profile names none.'),
} as const;

/** `[neutron]` */
export const neutron = service;

/** `[glance]` */
export const glance = service;

/** `[cinder]` */
export const cinder = {
  ...service,
  availability_zone: text(null, 'Availability zone of volumes.'),
  volume_size: integer(16, 'Size of the disk of an amphora.', { unit: 'GiB', min: 1 }),
  volume_type: text(null, 'Type of the volume.'),
  volume_create_retry_interval: integer(5, 'Wait between two looks at a volume being made.', { unit: 'seconds', min: 1 }),
  volume_create_timeout: integer(300, 'Longest wait for a volume.', { unit: 'seconds', min: 1 }),
  volume_create_max_retries: integer(5, 'How often making a volume is tried.', { min: 1 }),
} as const;

/** `[local]`: the cloud of one machine; no counterpart in OpenStack. */
export const local = {
  enabled: flag(false, 'This machine is the cloud; on unless a file has a group keystone_authtoken, service_auth, nova or neutron.', {
    local: true,
  }),
  state_dir: text('/var/lib/octavia', 'Folder of everything that is kept; .octavia in the project unless set.', {
    env: 'OCTAVIA_STATE_DIR',
  }),
  management_cidr: text(
    null,
    'Range of the management network lb-mgmt-net; not set: the first free /20 of 100.64.0.0/10 at the first start.',
  ),
  tenant_range: text('198.18.0.0/15', 'Range of which the first free /24 becomes private-subnet (RFC 2544: never routed).'),
  tenant_cidr: text(null, 'Range of private-subnet; not set: taken from tenant_range at the first start.'),
  tenant_cidr_v6: text(null, 'Range of private-subnet-v6; not set: a unique local /64 drawn at the first start; none: no IPv6.'),
  floating_cidr: text(
    null,
    'Range of floating IPs (network public); not set: the next free /24 of tenant_range at the first start; none: no floating IPs.',
  ),
  vip_forwarding: flag(
    true,
    'The host has the gateway address of reachable tenant networks, so that it reaches VIPs and members reach it.',
  ),
  amphora_memory_limit_mb: integer(512, 'Memory one amphora may take, unless its compute flavor says otherwise; 0 is without limit.', {
    unit: 'MiB',
    min: 0,
  }),
  amphora_process_limit: integer(
    256,
    'Processes and threads one amphora may have, unless its compute flavor says otherwise; 0 is without limit.',
    { min: 0 },
  ),
  amphora_cpu_limit: float(0, 'Processors one amphora may use, unless its compute flavor says otherwise; 0 is without limit.', { min: 0 }),
  udp_engine: text('nft', 'What balances UDP and SCTP.', { choices: ['nft', 'lvs'] }),
  admin_user: text('admin', 'Name of the first user of the embedded identity; its password is drawn at the first start.'),
  admin_project: text('admin', 'Project of that user.'),
  token_lifetime: integer(86_400, 'How long a token of the embedded identity is valid.', { unit: 'seconds', min: 60 }),
} as const;
