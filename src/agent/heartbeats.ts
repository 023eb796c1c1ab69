/** Heartbeats: what HAProxy says, signed and sent to one health manager after the other, at once when a status has changed. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { encodeHeartbeat } from '../wire/heartbeat.ts';
import type { HaproxyReport } from '../wire/heartbeat.ts';
import { readJsonIfThere, replaceFile } from './files.ts';
import type { Log } from './log.ts';
import type { AgentSettings, Receiver } from './settings.ts';
import { addSample, beatOf, onlyMembers, parseSample, settle, statusesOf, withDatagrams } from './statistics.ts';
import type { Ledger, Sample } from './statistics.ts';
import { askSocket } from './unix-socket.ts';

/** How often HAProxy is asked; a changed status is told within this time. */
const LOOK_EVERY_MS = 1000;
const LOOKS_PER_MINUTE = 60;
/** HAProxy is away for some 0.1 s when it is started again: that is no news. */
const AWAY_RETRIES = 4;
const AWAY_WAIT_MS = 250;

/** What heartbeats are made from. */
export type HeartbeatSources = {
  /** The stats socket of what is to run; undefined when nothing is. */
  readonly statsSocket: () => Promise<string | undefined>;
  /** The members that there are to be, by pool; undefined: all that HAProxy has. */
  readonly members: () => Promise<ReadonlyMap<string, ReadonlySet<string>> | undefined>;
  /** What the engine of UDP and SCTP tells; undefined when there is none, null when it does not work. */
  readonly datagrams: () => Promise<Pick<Sample, 'listeners' | 'pools'> | null | undefined>;
  /** How HAProxy was changed, for operators. */
  readonly haproxy: () => Promise<HaproxyReport>;
  /** False while keepalived should run and does not: then a pair's other half must be seen alone. */
  readonly isWhole: () => Promise<boolean>;
  /** `stats_counters.json`. */
  readonly countersFile: string;
  readonly boot_id: string;
  /** Called once a minute; it may fail. */
  readonly everyMinute: () => Promise<void>;
};

/** Sends heartbeats until stopped. */
export class Heartbeats {
  readonly #sources: HeartbeatSources;
  readonly #log: Log;
  #settings: AgentSettings;
  readonly #sockets = new Map<'udp4' | 'udp6', Socket>();
  readonly #stopping = new AbortController();
  #ledger: Ledger = {};
  #seq = 0;
  #turn = 0;
  /** What the file of counters holds: idle amphorae need not write it. */
  #kept = '';
  #told = '';
  #sent_at = -Infinity;
  #complained = '';

  constructor(sources: HeartbeatSources, settings: AgentSettings, log: Log) {
    this.#sources = sources;
    this.#settings = settings;
    this.#log = log;
  }

  /** Takes a changed configuration: receivers, key and interval hold from the next heartbeat on. */
  configure(settings: AgentSettings): void {
    this.#settings = settings;
  }

  /** Looks and sends until `stop`. */
  async run(): Promise<void> {
    this.#ledger = (await readJsonIfThere<Ledger>(this.#sources.countersFile)) ?? {};
    for (let looks = 1; !this.#stopping.signal.aborted; looks += 1) {
      try {
        await this.#look();
        if (looks % LOOKS_PER_MINUTE === 0) await this.#sources.everyMinute();
        this.#complained = '';
      } catch (error) {
        this.#complain(error);
      }
      await after(LOOK_EVERY_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
    for (const socket of this.#sockets.values()) socket.close();
  }

  /** Ends `run` within a moment. */
  stop(): void {
    this.#stopping.abort();
  }

  /** Adds what the running worker has counted so far: before it is replaced, its counters would be lost. */
  async collect(): Promise<void> {
    const socket = await this.#sources.statsSocket();
    if (socket !== undefined) this.#ledger = addSample(this.#ledger, { ...(await ask(socket)), is_part: true });
  }

  async #look(): Promise<void> {
    const sample = withDatagrams(await this.#sample(), await this.#sources.datagrams());
    if (sample !== undefined) this.#ledger = addSample(this.#ledger, sample);
    const statuses = statusesOf(sample);
    const isDue = performance.now() - this.#sent_at >= this.#settings.heartbeat_interval_seconds * 1000 - LOOK_EVERY_MS / 2;
    if (!isDue && statuses === this.#told) return;
    const { controllers, heartbeat_key } = this.#settings;
    if (controllers.length === 0 || heartbeat_key === undefined) return;
    if (!(await this.#sources.isWhole())) return;
    await this.#send(sample, heartbeat_key, controllers);
    this.#told = statuses;
    this.#sent_at = performance.now();
  }

  /** Undefined when nothing is to run, or when HAProxy has been away for a while. */
  async #sample(): Promise<Sample | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const socket = await this.#sources.statsSocket();
      if (socket === undefined) return undefined;
      try {
        return onlyMembers(await ask(socket), await this.#sources.members());
      } catch {
        if (attempt > AWAY_RETRIES || this.#stopping.signal.aborted) return undefined;
        await after(AWAY_WAIT_MS);
      }
    }
  }

  async #send(sample: Sample | undefined, key: string, controllers: readonly Receiver[]): Promise<void> {
    this.#seq += 1;
    const { boot_id } = this.#sources;
    const head = { ver: 3 as const, id: this.#settings.amphora_id, seq: this.#seq, boot_id, haproxy: await this.#sources.haproxy() };
    const beat = beatOf(sample, this.#ledger);
    // Kept before it is sent: after a crash in between some bytes are missing, never counted twice.
    this.#ledger = settle(this.#ledger);
    const counters = JSON.stringify(this.#ledger);
    if (counters !== this.#kept) await replaceFile(this.#sources.countersFile, counters);
    this.#kept = counters;
    const datagram = this.#encoded({ ...head, ...beat }, key);
    const receiver = controllers[this.#turn % controllers.length];
    this.#turn += 1;
    if (receiver !== undefined) await this.#deliver(datagram, receiver);
  }

  /** More members than a datagram holds: then at least that this amphora lives. */
  #encoded(message: Parameters<typeof encodeHeartbeat>[0], key: string): Buffer {
    try {
      return encodeHeartbeat(message, key);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#complain(error);
      return encodeHeartbeat({ ...message, pools: {} }, key);
    }
  }

  #deliver(datagram: Buffer, { host, port }: Receiver): Promise<void> {
    const family = isIPv6(host) ? 'udp6' : 'udp4';
    const socket = this.#sockets.get(family) ?? createSocket(family);
    this.#sockets.set(family, socket);
    socket.unref();
    return new Promise((resolve, reject) => {
      socket.send(datagram, port, host, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Once per kind of trouble, not once a second. */
  #complain(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message !== this.#complained) this.#log('warn', 'heartbeat could not be sent', { error });
    this.#complained = message;
  }
}

async function ask(socket: string): Promise<Sample> {
  return parseSample(await askSocket(socket, 'show info;show stat', 3000));
}
