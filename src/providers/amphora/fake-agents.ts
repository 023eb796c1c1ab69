/**
 * Agents without amphorae (`amphora_noop_driver`): each has the state that a real one reports, lives as long as its
 * instance, and refuses an older revision.
 */
import { createHash } from 'node:crypto';
import type { FakeCompute } from '../../cloud/fake/compute.ts';
import { type Amphora, Retry } from '../../model/index.ts';
import type { PlugNetworkRequest } from '../../wire/agent-api.ts';
import type { ListFile } from '../../wire/list-files.ts';
import { type AmphoraAgents, ConfigRefused, type NamedFile, type ObservedAgent, type VipPlug } from './agent-client.ts';
import type { WantedDatagram } from './observed.ts';

type Body = {
  revision: number;
  text: string | null;
  plugged: Map<string, readonly string[]>;
  certificate: string | null;
  lists: Map<string, string>;
  /** Files in the folder of certificates: name → content. */
  tls_files: Map<string, string>;
  agent_conf: string | null;
  /** The document of UDP and SCTP listeners; null: none. */
  datagram: string | null;
};

const md5Of = (text: string): string => createHash('md5').update(text).digest('hex');

/** How the agents behave. */
export type FakeAgentsOptions = {
  readonly compute: FakeCompute;
  readonly random?: () => number;
  /** Probability that a call is not answered. */
  readonly no_answer?: number;
  /** What `haproxy -c` would print for a text; null: it is accepted. */
  readonly refusal?: (text: string) => string | null;
};

/** Agents in memory, one for each ACTIVE instance. */
export class FakeAgents implements AmphoraAgents {
  readonly #options: FakeAgentsOptions;
  readonly #bodies = new Map<string, Body>();

  constructor(options: FakeAgentsOptions) {
    this.#options = options;
  }

  async describe(amphora: Amphora, revision: number): Promise<ObservedAgent | null> {
    if (this.#find(amphora) === null) return null;
    const body = this.#obey(amphora, revision);
    return {
      api_version: '1.0',
      haproxy_version: '2.6',
      capabilities: ['generation', 'datagram', 'metrics'],
      revision: body.revision,
      configuration_md5: body.text === null ? null : md5Of(body.text),
      datagram_md5: body.datagram === null ? null : md5Of(body.datagram),
      running: body.text !== null,
      plugged: [...body.plugged].map(([mac_address, addresses]) => ({ mac_address, addresses })),
      maxconn_limit: null,
      ping_command: '/var/lib/octavia/ping-wrapper.sh',
      lists: [...body.lists.keys()],
      boot_id: null,
      base_path: '/var/lib/octavia',
      run_path: '/var/lib/octavia',
      cert_path: '/var/lib/octavia/certs',
      tls_files: new Map([...body.tls_files].map(([name, content]) => [name, md5Of(content)])),
    };
  }

  async plugVip(amphora: Amphora, plug: VipPlug, revision: number): Promise<void> {
    const addresses = [plug.vip, plug.vrrp_ip, ...(plug.additional_vips ?? []).map((vip) => vip.ip_address)];
    const body = this.#obey(amphora, revision);
    body.plugged.set(
      plug.mac_address,
      addresses.filter((address) => typeof address === 'string'),
    );
  }

  async plugNetwork(amphora: Amphora, plug: PlugNetworkRequest, revision: number): Promise<void> {
    this.#obey(amphora, revision).plugged.set(
      plug.mac_address,
      (plug.fixed_ips ?? []).map((ip) => ip.ip_address),
    );
  }

  async putHaproxy(amphora: Amphora, _loadbalancer_id: string, text: string, revision: number): Promise<void> {
    const body = this.#obey(amphora, revision);
    const missing = [...text.matchAll(/\/([\w.-]+\.pem)(?!\S)/gu)].find((match) => !body.tls_files.has(match[1] ?? ''));
    if (missing !== undefined) throw new Error(`the configuration names ${missing[1]}, which was not put`);
    const refusal = this.#options.refusal?.(text) ?? null;
    if (refusal !== null) throw new ConfigRefused(refusal);
    body.text = text;
  }

  async putTlsFile(amphora: Amphora, _loadbalancer_id: string, file: NamedFile, revision: number): Promise<void> {
    this.#obey(amphora, revision).tls_files.set(file.name, file.content.reveal());
  }

  async deleteTlsFile(amphora: Amphora, _loadbalancer_id: string, name: string, revision: number): Promise<void> {
    this.#obey(amphora, revision).tls_files.delete(name);
  }

  async putList(amphora: Amphora, _loadbalancer_id: string, list: ListFile, revision: number): Promise<void> {
    this.#obey(amphora, revision).lists.set(list.name, list.content);
  }

  async putDatagram(amphora: Amphora, _loadbalancer_id: string, wanted: WantedDatagram | null, revision: number): Promise<void> {
    this.#obey(amphora, revision).datagram = wanted?.text ?? null;
  }

  async putCertificate(amphora: Amphora, pem: string, revision: number): Promise<void> {
    this.#obey(amphora, revision).certificate = pem;
  }

  async putAgentConfiguration(amphora: Amphora, text: string, revision: number): Promise<void> {
    this.#obey(amphora, revision).agent_conf = text;
  }

  async deleteHaproxy(amphora: Amphora, _loadbalancer_id: string, revision: number): Promise<void> {
    const body = this.#obey(amphora, revision);
    body.text = null;
    body.tls_files.clear();
  }

  /** The certificates, lists of them and authorities of an instance: name → content. For tests. */
  tlsFilesOf(compute_id: string): ReadonlyMap<string, string> {
    return new Map(this.#bodies.get(compute_id)?.tls_files);
  }

  /** The configuration that an instance runs; null: none. For tests. */
  configurationOf(compute_id: string): string | null {
    return this.#bodies.get(compute_id)?.text ?? null;
  }

  /** The configuration that an instance's agent was last given; null: none since it booted. For tests. */
  agentConfigurationOf(compute_id: string): string | null {
    return this.#bodies.get(compute_id)?.agent_conf ?? null;
  }

  #find(amphora: Amphora): Body | null {
    const { compute, random, no_answer = 0 } = this.#options;
    const instance = amphora.compute_id === null ? undefined : compute.find(amphora.compute_id);
    if (instance?.status !== 'ACTIVE') {
      if (amphora.compute_id !== null && !instance) this.#bodies.delete(amphora.compute_id);
      return null;
    }
    if (no_answer > 0 && (random?.() ?? 1) < no_answer) return null;
    const body = this.#bodies.get(instance.compute_id) ?? {
      revision: 0,
      text: null,
      plugged: new Map(),
      certificate: null,
      lists: new Map(),
      tls_files: new Map(),
      agent_conf: null,
      datagram: null,
    };
    this.#bodies.set(instance.compute_id, body);
    return body;
  }

  #obey(amphora: Amphora, revision: number): Body {
    const body = this.#find(amphora);
    if (body === null) throw new Retry(`The agent of amphora ${amphora.id} does not answer.`);
    if (revision < body.revision) throw new Retry(`The agent of amphora ${amphora.id} has obeyed a newer controller.`);
    body.revision = revision;
    return body;
  }
}
