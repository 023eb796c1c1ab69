/**
 * The REST API of the amphora agent, version 1.0: paths, bodies and answers as Octavia's agent has them, and our additions
 * (named in `capabilities`, so that each side also works with upstream's other half). HTTPS with client certificates.
 */

/** The port of the agent on the management network unless configured otherwise. */
export const DEFAULT_AGENT_PORT = 9443;

/**
 * Request header with the load balancer's generation (decimal). The agent keeps the highest it has seen and answers 409
 * with `STALE_GENERATION` to an older one, so a worker that lost its lease cannot undo the work of the next.
 */
export const GENERATION_HEADER = 'octavia-generation';

/** `message` of the 409 to an older generation; other 409s of the agent have other messages. */
export const STALE_GENERATION = 'stale generation';

/** `message` of the 409 of plug requests for what is plugged already (and has just been checked and repaired). */
export const ALREADY_PLUGGED = 'Interface already plugged';

/** What an agent of ours can do beyond upstream's; upstream's agent has no `capabilities` in `/info`. */
export type AgentCapability = 'generation' | 'loaded-md5' | 'lists' | 'certificates' | 'metrics' | 'datagram' | 'logs';

/** Sockets in `run_path` for PROMETHEUS listeners: HAProxy's exporter listens on the first, the agent that renames its metrics on the second. */
export const METRICS_EXPORTER_SOCKET = 'metrics-exporter.sock';
/** Where HAProxy finds the metrics under the names of the API's documentation. */
export const METRICS_SOCKET = 'metrics.sock';

/** A pipe in `run_path` that the agent reads the lines of connections from; HAProxy has it open as this descriptor (`logs`). */
export const FLOW_LOG_PIPE = 'flow-logs.pipe';
/** See there. */
export const FLOW_LOG_FD = 3;

/** What `PUT /loadbalancer/{lb}/{action}` does; reload starts what does not run. */
export type ServiceAction = 'start' | 'stop' | 'reload';

/** The paths, with ids in their places. */
export const agentPaths = {
  versions: '/',
  info: '/1.0/info',
  details: '/1.0/details',
  listeners: '/1.0/listeners',
  certificate: '/1.0/certificate',
  config: '/1.0/config',
  plugNetwork: '/1.0/plug/network',
  vrrpUpload: '/1.0/vrrp/upload',
  haproxyUpload: (amphora_id: string, loadbalancer_id: string): string => `/1.0/loadbalancer/${amphora_id}/${loadbalancer_id}/haproxy`,
  haproxy: (loadbalancer_id: string): string => `/1.0/loadbalancer/${loadbalancer_id}/haproxy`,
  service: (loadbalancer_id: string, action: ServiceAction): string => `/1.0/loadbalancer/${loadbalancer_id}/${action}`,
  listener: (loadbalancer_id: string): string => `/1.0/listeners/${loadbalancer_id}`,
  tlsCertificate: (loadbalancer_id: string, name: string): string => `/1.0/loadbalancer/${loadbalancer_id}/certificates/${name}`,
  plugVip: (vip_address: string): string => `/1.0/plug/vip/${vip_address}`,
  interface: (ip_address: string): string => `/1.0/interface/${ip_address}`,
  list: (loadbalancer_id: string, name: string): string => `/1.0/loadbalancer/${loadbalancer_id}/lists/${name}`,
  datagram: (amphora_id: string, loadbalancer_id: string): string => `/1.0/loadbalancer/${amphora_id}/${loadbalancer_id}/datagram`,
  /** Upstream's: the configuration of the keepalived of one UDP or SCTP listener. */
  udpListener: (amphora_id: string, listener_id: string): string => `/1.0/listeners/${amphora_id}/${listener_id}/udp_listener`,
  vrrp: (action: ServiceAction): string => `/1.0/vrrp/${action}`,
} as const;

/** `GET /`. */
export type AgentVersions = { readonly api_version: string };

/** `GET /1.0/info`; `capabilities` and `octavia` are ours and absent with upstream's agent. */
export type AgentInfo = {
  readonly hostname: string;
  readonly api_version: string;
  readonly haproxy_version: string;
  readonly keepalived_version: string;
  readonly ipvsadm_version: string;
  readonly capabilities?: readonly AgentCapability[];
  readonly octavia?: AgentState;
};

/** What the agent holds and runs: what a controller observes before it plans. */
export type AgentState = {
  /** Of one agent process; also in its heartbeats. */
  readonly boot_id: string;
  readonly amphora_id: string;
  /** The highest generation seen; 0 before the first. */
  readonly generation: number;
  /** The folder of the amphora's files: `<base_path>/<lb>/haproxy.cfg`. */
  readonly base_path: string;
  /** The folder of certificates: `<cert_path>/<lb>/<name>`. */
  readonly cert_path: string;
  /** The folder for sockets: a configuration says `stats socket <run_path>/<lb>.sock`. */
  readonly run_path: string;
  readonly loadbalancers: Readonly<Record<string, LoadedConfig>>;
  /** MD5 of each file in the folders of certificates: load balancer → name → MD5. */
  readonly certificates: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** UDP and SCTP; null: nothing is passed on. */
  readonly datagram: DatagramInfo | null;
  readonly plugged: readonly PluggedInterface[];
  /** The program of PING monitors; null: there is none. */
  readonly ping_command: string | null;
  /** The largest `maxconn` that HAProxy can have with this amphora's limit of open files. */
  readonly maxconn_limit: number;
  /** How HAProxy was changed. */
  readonly changes?: ChangeCounts;
  /** What became of the lines of logs. */
  readonly logs?: LogInfo;
};

/** What became of the lines of one log since the agent started. */
export type LogCounts = {
  readonly sent: number;
  /** Not sent, because too many waited. */
  readonly dropped: number;
  readonly waiting: number;
  /** Who takes them now, as `host:port`; null: nobody. */
  readonly target: string | null;
  /** Not kept in the amphora, because its disk was full or slow. */
  readonly not_stored: number;
};

/** The logs of an amphora: of connections, and of its programs. */
export type LogInfo = {
  readonly tenant: LogCounts;
  readonly admin: LogCounts;
  /** Lines of connections that had a line break in them, or were none of HAProxy's. */
  readonly strange: number;
  /** Lines that the present worker of HAProxy could not write, because the agent did not read; null: it does not run. */
  readonly not_written: number | null;
};

/** How the agent made HAProxy follow a configuration: the addition `octavia` in the answer to `PUT …/start` and `PUT …/reload`. */
export type ChangeReport = {
  readonly how: 'nothing' | 'commands' | 'reload' | 'start';
  /** How many commands the worker was given. */
  readonly commands: number;
  /** Why it was a reload; null when it was none. */
  readonly reason: string | null;
  readonly took_ms: number;
};

/** The answer to `PUT …/start` and `PUT …/reload`; upstream's has no `octavia`. */
export type ServiceAnswer = { readonly message: 'OK'; readonly details: string; readonly octavia?: ChangeReport };

/** How changes were made since the amphora booted. */
export type ChangeCounts = {
  /** Changes for which HAProxy was not reloaded. */
  readonly by_commands: number;
  readonly reloads: number;
  readonly starts: number;
  /** How often HAProxy ended by itself (a limit of memory, a fault of its own) and was started again by the init. */
  readonly crashes: number;
  /** Servers, lists and limits that were found other than the configuration says, and put right. */
  readonly repairs: number;
  /** The last reloads, the newest first; `at` is an ISO time. */
  readonly last_reloads: readonly { readonly at: string; readonly reason: string; readonly took_ms: number }[];
  /** Workers of before the last reloads that still have connections. */
  readonly old_workers: number;
  /** Servers that were removed and still have connections. */
  readonly leaving: number;
};

/** The configuration of UDP and SCTP listeners in the agent: the one it was given last, and the one that the kernel follows. */
export type DatagramInfo = { readonly md5: string | null; readonly applied_md5: string | null; readonly running: boolean };

/** The configuration of one load balancer in the agent. */
export type LoadedConfig = {
  /** MD5 of the file last accepted. */
  readonly md5: string;
  /**
   * MD5 of the file that the running worker follows: that it was started with, or was made equal to by commands since. Null when it does
   * not run, or when that is not known.
   */
  readonly loaded_md5: string | null;
  readonly running: boolean;
  /** Process id of the current worker, in the amphora; null when it does not run. */
  readonly pid: number | null;
  /** The generation that came with the file last accepted; 0 when none came. */
  readonly generation: number;
  /** Names of the lists that lie beside it (`list-files.ts`). */
  readonly lists?: readonly string[];
};

/** A network card in the traffic namespace. */
export type PluggedInterface = {
  readonly mac_address: string;
  /** `eth1` for the VIP, then `eth2`, … */
  readonly interface: string;
  /** The primary VIP, when it is the VIP's card. */
  readonly vip?: string;
  /** Addresses as they are on the card now, without prefix length. */
  readonly addresses: readonly string[];
};

/** A route as Neutron has it in `host_routes`. */
export type HostRoute = { readonly destination: string; readonly nexthop: string };

/** An additional VIP in a plug request. */
export type AdditionalVip = {
  readonly ip_address: string;
  readonly subnet_cidr: string;
  readonly gateway?: string | null | undefined;
  readonly host_routes?: readonly HostRoute[] | undefined;
};

/** Body of `POST /1.0/plug/vip/{vip}`. `vrrp_ip` is the address of the port itself. */
export type PlugVipRequest = {
  readonly subnet_cidr: string;
  readonly gateway?: string | null | undefined;
  readonly mac_address: string;
  readonly mtu?: number | null | undefined;
  readonly vrrp_ip?: string | null | undefined;
  readonly host_routes?: readonly HostRoute[] | undefined;
  readonly additional_vips?: readonly AdditionalVip[] | undefined;
  readonly is_sriov?: boolean | undefined;
};

/** An address of a member network's port. */
export type FixedIp = {
  readonly ip_address: string;
  readonly subnet_cidr: string;
  readonly gateway?: string | null | undefined;
  readonly host_routes?: readonly HostRoute[] | undefined;
};

/** Body of `POST /1.0/plug/network`; `vip_net_info` when members are on the VIP's port. */
export type PlugNetworkRequest = {
  readonly mac_address: string;
  readonly fixed_ips?: readonly FixedIp[] | undefined;
  readonly mtu?: number | null | undefined;
  readonly is_sriov?: boolean | undefined;
  readonly vip_net_info?: (PlugVipRequest & { readonly vip: string }) | null | undefined;
};

/** `GET /1.0/interface/{ip}`. */
export type InterfaceAnswer = { readonly message: 'OK'; readonly interface: string };

/** An entry of `GET /1.0/listeners`. */
export type ListenerEntry = { readonly status: 'ACTIVE' | 'OFFLINE' | 'ERROR'; readonly uuid: string; readonly type: string };

/** `GET /1.0/loadbalancer/{lb}/certificates/{name}`. */
export type CertificateAnswer = { readonly md5sum: string };

/** `GET /1.0/details`: upstream's own names and units (memory in kB, disk in bytes, cpu in ticks). */
export type AgentDetails = Omit<AgentInfo, 'capabilities' | 'octavia'> & {
  readonly networks: Readonly<Record<string, { readonly network_tx: number; readonly network_rx: number }>>;
  readonly active: boolean;
  readonly haproxy_count: number;
  readonly lvs_listener_process_count: number;
  readonly cpu_count: number;
  readonly cpu: { readonly total: number; readonly user: number; readonly system: number; readonly soft_irq: number };
  readonly memory: Readonly<Record<'total' | 'free' | 'buffers' | 'cached' | 'swap_used' | 'shared' | 'slab', number>>;
  readonly disk: { readonly used: number; readonly available: number };
  readonly load: readonly string[];
  readonly active_tuned_profiles: string;
  readonly topology: string;
  readonly topology_status: string;
  readonly listeners: readonly string[];
  readonly packages: Readonly<Record<string, string>>;
};

/** Error of a handler: `message` is short and constant, `details` say what happened (for example what HAProxy printed). */
export type AgentError = { readonly message: string; readonly details?: string };

/** Error of the framework: unknown path, wrong method, a body that is too long, a fault of the agent. */
export type AgentFrameworkError = { readonly error: string; readonly http_code: number };
