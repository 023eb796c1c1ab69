/** The tables as Kysely sees them: columns are the fields of the model, under the API's names. */
import type {
  Amphora,
  AvailabilityZone,
  AvailabilityZoneProfile,
  Flavor,
  FlavorProfile,
  HealthMonitor,
  L7Policy,
  L7Rule,
  Listener,
  LoadBalancer,
  Member,
  Pool,
} from '../model/index.ts';

/**
 * The work to be done for one load balancer: the queue, the lease and the fence.
 * Times are milliseconds since the epoch, by the database's clock on PostgreSQL and by the process's on SQLite.
 */
export type Reconciliation = {
  loadbalancer_id: string;
  /** Counts the changes asked for. */
  generation: number;
  /** The newest generation that a worker carried out to the end; less than `generation`: there is work. */
  applied_generation: number;
  /** The worker (or API request) that holds the lease; null: nobody. */
  lease_owner: string | null;
  lease_until_ms: number;
  /** Grows with every claim; a write under an older fence is refused. */
  fence: number;
  /** Passes that failed since the last success. */
  attempts: number;
  /** When the present work began: the first claim of this generation. */
  started_ms: number | null;
  /** Not to be claimed before this time. */
  not_before_ms: number;
  /** What the last pass waited for or failed with. */
  reason: string | null;
};

/** A label of a resource of any kind. */
export type Tag = { resource_id: string; tag: string };

/** When an amphora was last heard; `busy` while it is being replaced; `haproxy` is what it told of its HAProxy, as JSON text. */
export type AmphoraHealth = { amphora_id: string; last_seen_ms: number; busy: boolean; haproxy: string | null };

/** Counters of one listener as one amphora (or provider: amphora_id = listener_id) reported them. */
export type ListenerStatistics = {
  listener_id: string;
  amphora_id: string;
  bytes_in: number;
  bytes_out: number;
  active_connections: number;
  total_connections: number;
  request_errors: number;
};

/** Limits of one project; null: the configured default. The use is counted from the rows. */
export type Quota = {
  project_id: string;
  loadbalancer: number | null;
  listener: number | null;
  member: number | null;
  pool: number | null;
  healthmonitor: number | null;
  l7policy: number | null;
  l7rule: number | null;
};

/** A record of one of the embedded services (identity, network, certificates …): `body` is its JSON form. */
export type EmbeddedRecord = {
  /** `identity.user`, `network.port` … */
  kind: string;
  id: string;
  project_id: string | null;
  name: string | null;
  /** A key that must be unique within its kind, such as `subnet_id/address` of an allocation; null: none. */
  unique_key: string | null;
  body: string;
  created_at: string;
  updated_at: string | null;
};

/** A slot of the build-rate limit: an amphora that is being built, or waits for its turn. */
export type BuildSlot = { amphora_id: string; loadbalancer_id: string; priority: number; created_ms: number; building: boolean };

/** Facts about this deployment by name: state id, chosen ranges, generations of keys. */
export type Setting = { name: string; value: string };

/** Every table by its name. */
export type Tables = {
  loadbalancer: LoadBalancer;
  listener: Listener;
  pool: Pool;
  member: Member;
  healthmonitor: HealthMonitor;
  l7policy: L7Policy;
  l7rule: L7Rule;
  amphora: Amphora;
  flavor: Flavor;
  flavor_profile: FlavorProfile;
  availability_zone: AvailabilityZone;
  availability_zone_profile: AvailabilityZoneProfile;
  tag: Tag;
  reconciliation: Reconciliation;
  amphora_health: AmphoraHealth;
  listener_statistics: ListenerStatistics;
  quota: Quota;
  embedded_record: EmbeddedRecord;
  build_slot: BuildSlot;
  setting: Setting;
};
