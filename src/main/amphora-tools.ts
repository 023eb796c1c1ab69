/** What the amphora provider works with, from the configuration and the cloud. */
import { createHash, randomUUID } from 'node:crypto';
import type { Compute } from '../cloud/compute.ts';
import type { NetworkCatalog, PortService } from '../cloud/network.ts';
import type { Secrets } from '../cloud/secrets.ts';
import type { HostPort } from '../config/option.ts';
import type { Config } from '../config/table.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { AgentClient } from '../providers/amphora/agent-client.ts';
import type { AmphoraAgents } from '../providers/amphora/agent-client.ts';
import { bootFiles, renderAgentConf } from '../providers/amphora/agent-files.ts';
import type { Tools } from '../providers/amphora/apply.ts';
import { issueCertificate, type Pki } from '../providers/amphora/pki.ts';
import { renderHaproxy } from '../providers/amphora/render/haproxy.ts';
import { TlsMaterial } from '../providers/amphora/tls-material.ts';
import { clampTeller } from './clamps.ts';
import { computeDefaults, planLimits, renderSettings } from './settings.ts';

/** The cloud that amphorae run in. */
export type AmphoraCloud = {
  readonly compute: Compute;
  readonly ports: PortService;
  readonly catalog: NetworkCatalog;
  /** The key manager; null: there is none. */
  readonly secrets: Secrets | null;
  readonly boot_network_ids: readonly string[];
  /** Where amphorae send heartbeats. */
  readonly controllers: readonly HostPort[];
};

/** Real agents over mutual TLS. */
export function openAgents(config: Config, pki: Pki, log: Logger): AgentClient {
  const { haproxy_amphora: haproxy } = config;
  return new AgentClient({
    server_ca: pki.server_ca,
    client: pki.client,
    port: haproxy.bind_port,
    lb_network_interface: haproxy.lb_network_interface,
    connect_timeout_ms: 1000 * haproxy.rest_request_conn_timeout,
    read_timeout_ms: 1000 * haproxy.rest_request_read_timeout,
    base_path: haproxy.base_path,
    // For operators who ask why HAProxy was reloaded, and how often it was not.
    noteChange: (of, { how, reason, commands, took_ms }) =>
      log.info({ ...of, how, reason, commands, took_ms }, 'an amphora follows its configuration'),
  });
}

/** Puts the tools together. */
export function amphoraTools(config: Config, cloud: AmphoraCloud, agents: AmphoraAgents, pki: Pki, clock: Clock, log: Logger): Tools {
  const tellClamps = clampTeller(log);
  const told = {
    debug: config.DEFAULT.debug,
    haproxy_amphora: config.haproxy_amphora,
    amphora_agent: config.amphora_agent,
    health_manager: { ...config.health_manager, controller_ip_port_list: cloud.controllers },
    client_ca: pki.client_ca,
    has_rsyslog: config.controller_worker.compute_driver === 'compute_nova_driver',
  };
  return {
    compute: cloud.compute,
    ports: cloud.ports,
    catalog: cloud.catalog,
    agents,
    tls_material: new TlsMaterial(cloud.secrets),
    limits: planLimits(config),
    now: () => clock.now(),
    newId: randomUUID,
    render(tree, amphora, agent, secrets) {
      tellClamps(tree, amphora, agent.maxconn_limit);
      const rendered = renderHaproxy(tree, amphora, renderSettings(config, agent, secrets));
      if (rendered.frontends === 0) return null;
      return { ...rendered, md5: createHash('md5').update(rendered.text).digest('hex') };
    },
    issueCertificate: async (amphora_id) =>
      issueCertificate(pki.authority, amphora_id, {
        seconds: config.certificates.cert_validity_time,
        digest: config.certificates.signing_digest as 'sha256',
        now_ms: clock.now(),
      }),
    bootFiles: (loadbalancer, amphora, certificate) => bootFiles(loadbalancer, amphora, certificate, told),
    agentConfiguration: (loadbalancer, amphora) => renderAgentConf(loadbalancer, amphora, told),
    compute_defaults: computeDefaults(config),
    boot_network_ids: cloud.boot_network_ids,
    build_rate_limit: config.haproxy_amphora.build_rate_limit,
  };
}
