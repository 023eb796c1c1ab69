/** Logs of the amphora: of its connections, and of its programs. Kept in files, sent to receivers of syslog. */
import type { LogCounts, LogInfo } from '../../wire/agent-api.ts';
import { FLOW_LOG_PIPE } from '../../wire/agent-api.ts';
import type { Log } from '../log.ts';
import type { Places } from '../places.ts';
import { Follower } from './followed.ts';
import { Forwarder } from './forwarder.ts';
import type { Sending } from './forwarder.ts';
import type { Lines, Said } from './lines.ts';
import { agentSaid, haproxySaid, LineCutter, syslogLine } from './lines.ts';
import { isPipe, readPipe } from './pipe.ts';
import type { LogSettings } from './settings.ts';
import { StoredLog } from './stored.ts';

const LOOK_EVERY_MS = 1000;

/** One of the two logs. */
type Channel = { readonly forwarder: Forwarder; readonly stored: StoredLog };

/** Collects and passes on all logs of an amphora. */
export class Logs {
  /** The agent's own log, which is passed on, too. */
  readonly log: Log;
  readonly #places: Places;
  readonly #hostname: string;
  readonly #tenant: Channel;
  readonly #admin: Channel;
  readonly #follower: Follower;
  #settings: LogSettings;
  #cutter: LineCutter;
  #pipe: { readonly close: () => void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #strange = 0;

  constructor(places: Places, amphora_id: string, settings: LogSettings, log: Log) {
    this.#places = places;
    this.#hostname = `amphora-${amphora_id}`;
    this.#settings = settings;
    this.#cutter = new LineCutter(settings.user_log_facility, this.#hostname);
    this.log = (level, message, fields = {}) => {
      log(level, message, fields);
      this.#tell(level, message, fields);
    };
    const channel = (name: string, file: string, sending: Sending): Channel => ({
      forwarder: new Forwarder(name, sending, this.log),
      stored: new StoredLog(`${places.base_path}/log/${file}`),
    });
    this.#tenant = channel('tenant', 'octavia-tenant-traffic.log', sendingOf(settings, settings.tenant_log_targets));
    this.#admin = channel('admin', 'octavia-amphora.log', sendingOf(settings, settings.admin_log_targets));
    const follow = (name: string, said: (line: string) => Said) => ({
      path: `${places.run_dir}/${name}.log`,
      take: (line: string) => this.#say(said(line)),
    });
    const plain =
      (tag: string) =>
      (text: string): Said => ({ severity: 'notice', tag, text });
    this.#follower = new Follower(
      [
        follow('haproxy', haproxySaid),
        follow('keepalived', plain('Keepalived')),
        follow('datagram', (line) => agentSaid('octavia-datagram', line)),
        follow('init', plain('init')),
      ],
      `${places.run_dir}/logs-followed.json`,
    );
  }

  /** Begins; answers whether HAProxy can be told to log connections. */
  async start(): Promise<boolean> {
    const path = `${this.#places.run_dir}/${FLOW_LOG_PIPE}`;
    const isThere = await isPipe(path);
    if (isThere) this.#pipe = readPipe(path, (bytes) => this.#takeFlows(bytes));
    this.#timer = setInterval(() => void this.collect().catch(() => undefined), LOOK_EVERY_MS);
    return isThere;
  }

  /** Takes a changed configuration. */
  configure(settings: LogSettings): void {
    if (settings.user_log_facility !== this.#settings.user_log_facility)
      this.#cutter = new LineCutter(settings.user_log_facility, this.#hostname);
    this.#settings = settings;
    this.#tenant.forwarder.configure(sendingOf(settings, settings.tenant_log_targets));
    this.#admin.forwarder.configure(sendingOf(settings, settings.admin_log_targets));
  }

  /** Takes what programs have said by now: before the file of one is begun anew. */
  collect(): Promise<void> {
    return this.#follower.look();
  }

  #tell(...[level, message, fields = {}]: Parameters<Log>): void {
    const shown = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value] as const),
    );
    this.#say(agentSaid(`amphora-agent[${process.pid}]`, JSON.stringify({ level, msg: message, ...shown })));
  }

  /** What became of all lines since the agent started. */
  info(): Omit<LogInfo, 'not_written'> {
    return { tenant: countsOf(this.#tenant), admin: countsOf(this.#admin), strange: this.#strange };
  }

  /** How many lines were neither sent nor kept where they should have been. */
  lost(): number {
    return [this.#tenant, this.#admin].map(countsOf).reduce((sum, { dropped, not_stored }) => sum + dropped + not_stored, 0);
  }

  /** Ends; what waits to be sent is lost. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#pipe?.close();
    await Promise.all([this.#tenant, this.#admin].flatMap(({ forwarder, stored }) => [forwarder.stop(), stored.close()]));
  }

  #takeFlows(bytes: Buffer): void {
    const { lines, strange } = this.#cutter.cut(bytes);
    this.#strange += strange;
    this.#pass(this.#tenant, this.#settings.tenant_log_targets.length > 0, lines);
  }

  #say({ severity, tag, text }: Said): void {
    const facility = this.#settings.administrative_log_facility;
    const line = syslogLine({ facility, severity, at: new Date(), hostname: this.#hostname, tag }, text);
    this.#pass(this.#admin, this.#settings.admin_log_targets.length > 0, { bytes: Buffer.from(line), count: 1 });
  }

  #pass({ forwarder, stored }: Channel, isSent: boolean, lines: Lines): void {
    if (lines.count === 0) return;
    if (isSent) forwarder.offer(lines);
    if (!this.#settings.disable_local_log_storage) stored.append(lines);
  }
}

const countsOf = ({ forwarder, stored }: Channel): LogCounts => ({ ...forwarder.counts(), not_stored: stored.dropped });

function sendingOf(settings: LogSettings, targets: Sending['targets']): Sending {
  const { log_protocol, log_retry_count, log_retry_interval_ms, log_queue_size } = settings;
  return {
    targets,
    protocol: log_protocol,
    retry_count: log_retry_count,
    retry_interval_ms: log_retry_interval_ms,
    queue_size: log_queue_size,
  };
}
