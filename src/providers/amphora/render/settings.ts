/** What goes into a rendering besides the tree, and what comes out. */
import type { WrittenConfig } from '../../../wire/haproxy-text.ts';
import type { TlsPlace } from './tls.ts';
import type { SecretOutcomes } from './tls-files.ts';

/** The operator's choices, and what the agent says of its machine. */
export type RenderSettings = {
  /** Folder of configurations in the amphora (`[haproxy_amphora] base_path`, or what the agent reports). */
  readonly base_path: string;
  /** Folder of sockets in the amphora; upstream's agent expects it to be `base_path`. */
  readonly run_path: string;
  /** Folder of certificates in the amphora (`[haproxy_amphora] base_cert_dir`): one folder below for each load balancer. */
  readonly cert_path: string;
  /** What has become of the secrets that the tree refers to, by place (`secretFilesOf`). */
  readonly secrets: SecretOutcomes;
  /** The most connections that HAProxy can have there, as the agent reports it; null: not known, no clamp. */
  readonly maxconn_limit: number | null;
  /** Does the agent take lists beside the configuration (`wire/list-files.ts`)? Then entries that come and go lie in lists, else in the lines. */
  readonly has_lists: boolean;
  /** Threads of HAProxy; null: left to HAProxy. */
  readonly nbthread: number | null;
  /** Who HAProxy becomes after its start; null: it is started without root. The group is null where the agent sets it (upstream's). */
  readonly run_as: { readonly user: string; readonly group: string | null } | null;
  /**
   * Over how many seconds an old worker closes its idle keep-alive connections after a reload, so that clients find them closed
   * between requests; null: at once. Of six busy clients and 25 reloads 105 requests failed at once, 2 to 5 within 2 s, 0 to 2
   * within 5 s. Needs HAProxy 2.6.
   */
  readonly close_spread_seconds: number | null;
  /** Longest life of an old worker after a reload; null: as long as its connections. */
  readonly hard_stop_after_seconds: number | null;
  /**
   * Where HAProxy logs to; null: it does not log. `syslog`: a socket's path or an address, where upstream's amphorae have their rsyslog.
   * `pipe`: an open descriptor, from which our agent reads the lines of connections.
   */
  readonly log_target:
    | { readonly kind: 'syslog'; readonly address: string }
    | { readonly kind: 'pipe'; readonly descriptor: number }
    | null;
  /** `[haproxy_amphora] connection_logging`: log each connection; without effect when there is no log target. */
  readonly connection_logging: boolean;
  /** `[haproxy_amphora] user_log_format`. */
  readonly user_log_format: string;
  /** Syslog facilities local0–local7 of connection logs and of HAProxy's own messages. */
  readonly user_log_facility: number;
  readonly administrative_log_facility: number;
  /** `[haproxy_amphora] haproxy_stick_size`. */
  readonly haproxy_stick_size: string;
  /** `[haproxy_amphora] l7_policy_order`. */
  readonly l7_policy_order: 'position' | 'action';
  /** `[haproxy_amphora] default_connection_limit`: the limit of a listener that has -1. */
  readonly default_connection_limit: number;
  /** `[haproxy_amphora] timeout_…` in milliseconds: what a listener's 0 stands for. */
  readonly timeout_client_data: number;
  readonly timeout_member_connect: number;
  readonly timeout_member_data: number;
  /**
   * For PROMETHEUS listeners: where HAProxy's exporter listens, and where its metrics are found under the names of the API. Null: the agent
   * does not serve them.
   */
  readonly metrics: { readonly exporter: string; readonly translator: string } | null;
  /** The program of PING monitors in the amphora; null: it has none, and such monitors are refused. */
  readonly ping_command: string | null;
};

/** A rendered configuration: text, and `owners[n - 1]` of line n; the same input gives the same bytes. */
export type Rendered = WrittenConfig & {
  /** Lists of certificates that the text names, for the folder of certificates: name → text. */
  readonly crt_lists: Readonly<Record<string, string>>;
  /** How many listeners it serves. With none HAProxy refuses to start: do not put it, remove what is there. */
  readonly frontends: number;
};

/** Where the secrets of a load balancer lie. */
export const tlsPlaceOf = ({ cert_path, secrets }: RenderSettings, loadbalancer_id: string): TlsPlace => ({
  folder: `${cert_path}/${loadbalancer_id}`,
  outcomes: secrets,
});
