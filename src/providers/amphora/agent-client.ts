/** Speaks to the agents in amphorae: upstream's amphora REST API 1.0 over mutual TLS, and our additions where an agent announces them. */
import { createHash } from 'node:crypto';
import type { Secret } from '../../lib/secret.ts';
import { type Amphora, Retry } from '../../model/index.ts';
import {
  type AgentDetails,
  type AgentError,
  type AgentFrameworkError,
  type AgentInfo,
  agentPaths,
  type AgentState,
  type ChangeReport,
  type CertificateAnswer,
  GENERATION_HEADER,
  type ListenerEntry,
  type PlugNetworkRequest,
  type PlugVipRequest,
  type ServiceAnswer,
  STALE_GENERATION,
} from '../../wire/agent-api.ts';
import type { ListFile } from '../../wire/list-files.ts';
import { AgentConnections, type AgentRequest, type AgentResponse, AgentUnreachable, type ConnectionOptions } from './agent-connections.ts';
import { AgentMemory } from './agent-memory.ts';
import type { WantedDatagram } from './observed.ts';

/** The VIP's interface to plug: the body of `POST /plug/vip/{vip}` and the VIP of its path. */
export type VipPlug = PlugVipRequest & { readonly vip: string };

/** A file for the folder of certificates. */
export type NamedFile = { readonly name: string; readonly content: Secret };

/** What an agent is seen to have, its machine's answers and upstream's alike. */
export type ObservedAgent = {
  readonly api_version: string;
  readonly haproxy_version: string | null;
  /** What it can besides upstream's API; empty for upstream's agent. */
  readonly capabilities: readonly string[];
  /** The highest revision it has obeyed; 0: none, or an agent that does not count. */
  readonly revision: number;
  /**
   * MD5 (hex) of the configuration that HAProxy follows; null: the agent has none; `unknown`: it has one, but it is not
   * certain that HAProxy has taken it (a crash between two calls, an agent that does not tell): put it again.
   */
  readonly configuration_md5: string | null;
  /** MD5 of the document of UDP and SCTP listeners that the kernel follows; null: none; `unknown`: it does not follow what it should. */
  readonly datagram_md5: string | null;
  /** Does HAProxy run? */
  readonly running: boolean;
  /** Interfaces in the traffic namespace; from an agent that does not tell (upstream's): those that this process has plugged. */
  readonly plugged: readonly { readonly mac_address: string; readonly addresses: readonly string[] }[];
  /** The most connections that HAProxy can have there; null: not told. */
  readonly maxconn_limit: number | null;
  /** The program of PING monitors there; null: none. */
  readonly ping_command: string | null;
  /** Names of the lists beside its configuration; null: it takes none, the configuration must do without. */
  readonly lists: readonly string[] | null;
  /** Changes when the instance boots; null: not told. */
  readonly boot_id: string | null;
  readonly base_path: string;
  readonly run_path: string;
  /** Where the folders of certificates lie; null: not told. */
  readonly cert_path: string | null;
  /** Files in the load balancer's folder of certificates, as MD5 (hex) by name; from an agent that does not tell: those that this process has put. */
  readonly tls_files: ReadonlyMap<string, string>;
};

/** The amphora refuses a configuration: what `haproxy -c` printed, for `ownerOfRefusal`. */
export class ConfigRefused extends Error {
  readonly output: string;

  constructor(output: string, options: { cause?: unknown } = {}) {
    super('the amphora refuses the configuration', options);
    this.name = 'ConfigRefused';
    this.output = output;
  }
}

/**
 * The agents of all amphorae.
 *
 * Every method throws `Retry` when the agent cannot be reached, does not answer in time, answers 5xx, or has already
 * obeyed a higher revision (another controller is newer); the reason of `signal` when that is aborted. `describe` alone
 * takes an unreachable agent as an answer.
 */
export interface AmphoraAgents {
  /**
   * What the agent says of itself; null: nobody answers (no address yet, refused, unreachable, no answer in time, wrong certificate).
   * From then on it obeys no lower revision: a controller that lost its lease before its call came through cannot undo what
   * was seen here. Throws `Retry` only when it answers with an error.
   */
  describe(amphora: Amphora, revision: number, signal: AbortSignal): Promise<ObservedAgent | null>;
  /** Plugs the VIP's interface; plugged already is success. */
  plugVip(amphora: Amphora, plug: VipPlug, revision: number, signal: AbortSignal): Promise<void>;
  /** Plugs an interface towards members; plugged already is success. */
  plugNetwork(amphora: Amphora, plug: PlugNetworkRequest, revision: number, signal: AbortSignal): Promise<void>;
  /** Puts a file into the load balancer's folder of certificates, unless it is there already, for the configuration that is going to name it. */
  putTlsFile(amphora: Amphora, loadbalancer_id: string, file: NamedFile, revision: number, signal: AbortSignal): Promise<void>;
  /** Removes such a file; none there is success. */
  deleteTlsFile(amphora: Amphora, loadbalancer_id: string, name: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Makes HAProxy run with a configuration: started, changed in flight or reloaded, as the agent finds cheapest. Throws `ConfigRefused`. */
  putHaproxy(amphora: Amphora, loadbalancer_id: string, text: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Lays a list beside the configuration that is going to name it; only for agents whose `lists` are not null. */
  putList(amphora: Amphora, loadbalancer_id: string, list: ListFile, revision: number, signal: AbortSignal): Promise<void>;
  /** Makes the amphora pass on UDP and SCTP as wanted; null: nothing any more. Throws `Retry` when the agent does not take it. */
  putDatagram(
    amphora: Amphora,
    loadbalancer_id: string,
    wanted: WantedDatagram | null,
    revision: number,
    signal: AbortSignal,
  ): Promise<void>;
  /** Gives the agent a new certificate (PEM: key, certificate). */
  putCertificate(amphora: Amphora, pem: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Gives the agent another configuration of its own (the text of amphora-agent.conf), which it follows at once. */
  putAgentConfiguration(amphora: Amphora, text: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Stops HAProxy and removes its configuration; none there is success. */
  deleteHaproxy(amphora: Amphora, loadbalancer_id: string, revision: number, signal: AbortSignal): Promise<void>;
}

/** How agents are reached, and where their files are when they do not say so. */
export type AgentClientOptions = ConnectionOptions & {
  /** `[haproxy_amphora] base_path`. */
  readonly base_path: string;
  /** Told how each configuration was taken, by agents that say so (ours): without a reload, or why with one. */
  readonly noteChange?: (of: { readonly amphora_id: string; readonly loadbalancer_id: string }, report: ChangeReport) => void;
};

/** Most amphorae of which something is remembered. */
const remembered = 10_000;

/** Speaks to real agents, ours and upstream's; the connections stay open until `close`. */
export class AgentClient implements AmphoraAgents {
  readonly #options: AgentClientOptions;
  readonly #connections: AgentConnections;
  readonly #memory = new AgentMemory(remembered);

  constructor(options: AgentClientOptions) {
    this.#options = options;
    this.#connections = new AgentConnections(options);
  }

  async describe(amphora: Amphora, revision: number, signal: AbortSignal): Promise<ObservedAgent | null> {
    // What an agent says of itself takes no work: a shorter patience, so that a dead one does not hold a pass.
    const headers = { [GENERATION_HEADER]: String(revision) };
    const call = { method: 'GET', path: agentPaths.info, signal, headers, read_timeout_ms: this.#options.connect_timeout_ms } as const;
    try {
      const info = read<AgentInfo>(amphora, await this.#expect(amphora, call, [200]));
      return info.octavia === undefined
        ? await this.#describeUpstream(amphora, info, signal)
        : this.#describeOurs(amphora, info, info.octavia);
    } catch (error) {
      if (error instanceof AgentUnreachable) return null;
      throw error;
    }
  }

  async plugVip(amphora: Amphora, plug: VipPlug, revision: number, signal: AbortSignal): Promise<void> {
    const { vip, ...body } = plug;
    await this.#expect(amphora, change('POST', agentPaths.plugVip(vip), revision, signal, body), [200, 202, 409]);
    const others = plug.additional_vips?.map((each) => each.ip_address) ?? [];
    const addresses = [vip, ...others, ...(typeof plug.vrrp_ip === 'string' ? [plug.vrrp_ip] : [])];
    this.#memory.notePlugged(amphora.id, { mac_address: plug.mac_address, addresses });
  }

  async plugNetwork(amphora: Amphora, plug: PlugNetworkRequest, revision: number, signal: AbortSignal): Promise<void> {
    await this.#expect(amphora, change('POST', agentPaths.plugNetwork, revision, signal, plug), [200, 202, 409]);
    const addresses = plug.fixed_ips?.map((each) => each.ip_address) ?? [];
    this.#memory.notePlugged(amphora.id, { mac_address: plug.mac_address, addresses });
  }

  async putHaproxy(amphora: Amphora, loadbalancer_id: string, text: string, revision: number, signal: AbortSignal): Promise<void> {
    this.#memory.noteLoaded(amphora.id, null);
    const upload = change('PUT', agentPaths.haproxyUpload(amphora.id, loadbalancer_id), revision, signal, text);
    const answer = await this.#expect(amphora, upload, [200, 202, 400]);
    if (answer.status === 400) throw new ConfigRefused(explanation(answer).details);
    // Reload starts what does not run, with every agent. Ours may find only then that HAProxy does not take a certificate.
    const reload = change('PUT', agentPaths.service(loadbalancer_id, 'reload'), revision, signal);
    const run = await this.#expect(amphora, reload, [200, 202, 400]);
    if (run.status === 400) throw new ConfigRefused(explanation(run).details);
    this.#memory.noteLoaded(amphora.id, createHash('md5').update(text).digest('hex'));
    const report = reportOf(run);
    if (report !== undefined) this.#options.noteChange?.({ amphora_id: amphora.id, loadbalancer_id }, report);
  }

  async putList(amphora: Amphora, loadbalancer_id: string, list: ListFile, revision: number, signal: AbortSignal): Promise<void> {
    await this.#expect(amphora, change('PUT', agentPaths.list(loadbalancer_id, list.name), revision, signal, list.content), [200]);
  }

  async putTlsFile(amphora: Amphora, loadbalancer_id: string, file: NamedFile, revision: number, signal: AbortSignal): Promise<void> {
    const path = agentPaths.tlsCertificate(loadbalancer_id, file.name);
    const md5 = createHash('md5').update(file.content.reveal()).digest('hex');
    const held = await this.#expect(amphora, { method: 'GET', path, signal }, [200, 404]);
    if (held.status === 404 || read<CertificateAnswer>(amphora, held).md5sum !== md5) {
      await this.#expect(amphora, change('PUT', path, revision, signal, file.content.reveal()), [200, 202]);
    }
    this.#memory.noteFile(amphora.id, file.name, md5);
  }

  async deleteTlsFile(amphora: Amphora, loadbalancer_id: string, name: string, revision: number, signal: AbortSignal): Promise<void> {
    await this.#expect(amphora, change('DELETE', agentPaths.tlsCertificate(loadbalancer_id, name), revision, signal), [200, 202, 404]);
    this.#memory.noteFile(amphora.id, name, null);
  }

  async putDatagram(
    amphora: Amphora,
    loadbalancer_id: string,
    wanted: WantedDatagram | null,
    revision: number,
    signal: AbortSignal,
  ): Promise<void> {
    // Without a wish it is who they are that tells: ours names its process, upstream's nothing.
    const isUpstream = wanted === null ? !this.#memory.isOurs(amphora.id) : wanted.lvs !== null;
    if (isUpstream) return this.#putLvs(amphora, wanted, revision, signal);
    const text = wanted?.text ?? JSON.stringify({ listeners: [] });
    await this.#expect(amphora, change('PUT', agentPaths.datagram(amphora.id, loadbalancer_id), revision, signal, text), [200, 202]);
  }

  /** Upstream's agent runs a keepalived for each listener; those that are not wanted any more are told by its list. */
  async #putLvs(amphora: Amphora, wanted: WantedDatagram | null, revision: number, signal: AbortSignal): Promise<void> {
    this.#memory.noteDatagram(amphora.id, null);
    const listed = await this.#expect(amphora, { method: 'GET', path: agentPaths.listeners, signal }, [200]);
    const lvs = wanted?.lvs ?? [];
    for (const { uuid, type } of read<readonly ListenerEntry[]>(amphora, listed))
      if (isLvs(type) && !lvs.some(({ id }) => id === uuid))
        await this.#expect(amphora, change('DELETE', agentPaths.listener(uuid), revision, signal), [200, 202, 404]);
    for (const { id, text } of lvs) {
      await this.#expect(amphora, change('PUT', agentPaths.udpListener(amphora.id, id), revision, signal, text), [200, 202]);
      await this.#expect(amphora, change('PUT', agentPaths.service(id, 'reload'), revision, signal), [200, 202]);
    }
    this.#memory.noteDatagram(amphora.id, wanted?.md5 ?? null);
  }

  async putCertificate(amphora: Amphora, pem: string, revision: number, signal: AbortSignal): Promise<void> {
    await this.#expect(amphora, change('PUT', agentPaths.certificate, revision, signal, pem), [200, 202]);
  }

  async putAgentConfiguration(amphora: Amphora, text: string, revision: number, signal: AbortSignal): Promise<void> {
    await this.#expect(amphora, change('PUT', agentPaths.config, revision, signal, text), [200, 202]);
  }

  async deleteHaproxy(amphora: Amphora, loadbalancer_id: string, revision: number, signal: AbortSignal): Promise<void> {
    this.#memory.noteLoaded(amphora.id, null);
    await this.#expect(amphora, change('DELETE', agentPaths.listener(loadbalancer_id), revision, signal), [200, 202, 404]);
    this.#memory.noteFile(amphora.id, null, null);
  }

  /** Closes all connections once their calls have ended. */
  async close(): Promise<void> {
    await this.#connections.close();
  }

  /** Throws `Retry` for every other status; a 409 that tells of a newer controller is never expected. */
  async #expect(amphora: Amphora, call: AgentRequest, statuses: readonly number[]): Promise<AgentResponse> {
    const response = await this.#connections.request(amphora, call);
    const { message, details } = explanation(response);
    const isStale = response.status === 409 && message === STALE_GENERATION;
    if (isStale) throw new Retry(`amphora ${amphora.id} obeys a newer revision than this one`);
    if (statuses.includes(response.status)) return response;
    const reason = [...new Set([message, details])].filter((text) => text !== '').join(': ');
    throw new Retry(
      `the agent of amphora ${amphora.id} answers ${response.status} to ${call.method} ${call.path}: ${reason.slice(0, 300)}`,
    );
  }

  #describeOurs(amphora: Amphora, info: AgentInfo, state: AgentState): ObservedAgent {
    this.#memory.noteBoot(amphora.id, state.boot_id);
    const held = state.loadbalancers[amphora.loadbalancer_id ?? ''];
    const isFollowed = held !== undefined && (held.loaded_md5 === held.md5 || this.#memory.hasLoaded(amphora.id, held.md5));
    const tls_files = new Map(Object.entries(state.certificates?.[amphora.loadbalancer_id ?? ''] ?? {}));
    return {
      api_version: info.api_version,
      haproxy_version: info.haproxy_version,
      capabilities: info.capabilities ?? [],
      revision: state.generation,
      configuration_md5: held === undefined ? null : isFollowed ? held.md5 : 'unknown',
      datagram_md5: state.datagram == null ? null : state.datagram.running ? (state.datagram.applied_md5 ?? 'unknown') : 'unknown',
      running: held?.running ?? false,
      plugged: state.plugged,
      maxconn_limit: state.maxconn_limit > 0 ? state.maxconn_limit : null,
      ping_command: state.ping_command ?? null,
      lists: info.capabilities?.includes('lists') === true ? (held?.lists ?? []) : null,
      boot_id: state.boot_id,
      base_path: state.base_path,
      run_path: state.run_path,
      cert_path: state.cert_path ?? null,
      tls_files,
    };
  }

  /** Asks upstream's agent in its own words; it keeps no count of revisions. */
  async #describeUpstream(amphora: Amphora, info: AgentInfo, signal: AbortSignal): Promise<ObservedAgent> {
    const haproxy = { method: 'GET', path: agentPaths.haproxy(amphora.loadbalancer_id ?? ''), signal } as const;
    const held = await this.#expect(amphora, haproxy, [200, 404]);
    // Its list of listeners calls all ACTIVE that are in the file; only this one looks for processes.
    const details = await this.#expect(amphora, { method: 'GET', path: agentPaths.details, signal }, [200]);
    const { haproxy_count, lvs_listener_process_count } = read<AgentDetails>(amphora, details);
    const md5 = held.status === 404 ? null : (held.etag ?? '').replaceAll(/^W\/|"/gu, '');
    return {
      api_version: info.api_version,
      haproxy_version: info.haproxy_version,
      capabilities: [],
      revision: 0,
      configuration_md5: md5 === null || this.#memory.hasLoaded(amphora.id, md5) ? md5 : 'unknown',
      datagram_md5: lvs_listener_process_count > 0 ? (this.#memory.datagram(amphora.id) ?? 'unknown') : null,
      running: haproxy_count > 0,
      plugged: this.#memory.plugged(amphora.id),
      maxconn_limit: null,
      ping_command: `${this.#options.base_path}/ping-wrapper.sh`,
      lists: null,
      boot_id: null,
      base_path: this.#options.base_path,
      run_path: this.#options.base_path,
      cert_path: null,
      tls_files: this.#memory.files(amphora.id),
    };
  }
}

/** Upstream's words for listeners that HAProxy does not serve. */
const isLvs = (type: string): boolean => ['UDP', 'SCTP'].includes(type.toUpperCase());

/** A call that changes something: text as it is, anything else as JSON; the agent refuses it when it knows a higher revision. */
function change(method: AgentRequest['method'], path: string, revision: number, signal: AbortSignal, body?: string | object): AgentRequest {
  const headers = { [GENERATION_HEADER]: String(revision) };
  if (body === undefined) return { method, path, signal, headers };
  if (typeof body === 'string') return { method, path, signal, headers: { ...headers, 'content-type': 'text/plain' }, body };
  return { method, path, signal, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** The answer as JSON. Throws `Retry`: what is no JSON comes from no agent, or from one that is not ready. */
function read<T extends object>(amphora: Amphora, response: AgentResponse): T {
  try {
    const value: unknown = JSON.parse(response.text);
    if (typeof value === 'object' && value !== null) return value as T;
  } catch (error) {
    throw new Retry(`amphora ${amphora.id} answers what no agent answers`, { cause: error });
  }
  throw new Retry(`amphora ${amphora.id} answers what no agent answers`);
}

/** How our agent made HAProxy follow a configuration; undefined from upstream's, whose answer is not looked at more closely than before. */
function reportOf({ text }: AgentResponse): ChangeReport | undefined {
  try {
    return (JSON.parse(text) as Partial<ServiceAnswer>).octavia;
  } catch {
    return undefined;
  }
}

/** What an error's body says: a handler's words, the framework's, or the text itself. */
function explanation(response: AgentResponse): { readonly message: string; readonly details: string } {
  if (response.status < 400) return { message: '', details: '' };
  try {
    const { message, details, error } = JSON.parse(response.text) as Partial<AgentError & AgentFrameworkError>;
    return { message: String(message ?? error ?? ''), details: String(details ?? message ?? error ?? '') };
  } catch {
    return { message: '', details: response.text };
  }
}
