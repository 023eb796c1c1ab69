/** What the agent is told at boot: `amphora-agent.conf`, with the groups and options of upstream's template. */
import { parseOsloConf, substitute } from '../lib/oslo-conf.ts';
import type { ConfEntry } from '../lib/oslo-conf.ts';
import { DEFAULT_AGENT_PORT } from '../wire/agent-api.ts';
import { logSettings } from './logs/settings.ts';
import type { LogSettings } from './logs/settings.ts';

/** A health manager's UDP address. */
export type Receiver = { readonly host: string; readonly port: number };

/** The options that the agent reads. */
export type AgentSettings = {
  readonly amphora_id: string;
  /** Folder of configurations, certificates and counters. */
  readonly base_path: string;
  readonly base_cert_dir: string;
  readonly bind_host: string;
  readonly bind_port: number;
  /** File with the authority of controllers. */
  readonly agent_server_ca: string;
  /** File with the agent's certificate and key. */
  readonly agent_server_cert: string;
  readonly agent_request_read_timeout_seconds: number;
  readonly agent_tls_protocol: 'TLSv1.2' | 'TLSv1.3';
  readonly controllers: readonly Receiver[];
  readonly heartbeat_interval_seconds: number;
  /** Undefined: no heartbeats, because unsigned ones are worth nothing. */
  readonly heartbeat_key: string | undefined;
  readonly topology: 'SINGLE' | 'ACTIVE_STANDBY';
  readonly logs: LogSettings;
};

/** Where files are when the configuration does not say it. */
export type DefaultPlaces = { readonly config_dir: string; readonly state_dir: string };

/** Reads a configuration. Throws `Error` that says which option is missing or wrong, and `ConfSyntaxError`. Pure. */
export function parseSettings(text: string, file: string, defaults: DefaultPlaces): AgentSettings {
  const entries = parseOsloConf(text, file);
  const find = (group: string, name: string): string | undefined => valueOf(entries, group, name);
  const count = (group: string, name: string, fallback: number, max: number): number => {
    const value = Number(find(group, name) ?? fallback);
    if (!(value > 0 && value <= max)) throw new Error(`${file}: [${group}] ${name} must be a number up to ${max}`);
    return value;
  };
  const wrong = (group: string, name: string, what: string): Error => new Error(`${file}: [${group}] ${name}${what}`);
  const hosts = (group: string, name: string): Receiver[] =>
    receivers(find(group, name) ?? '', (item) => wrong(group, name, `: "${item}" is no address:port`));
  const amphora_id = find('amphora_agent', 'amphora_id');
  if (amphora_id === undefined || amphora_id === '') throw new Error(`${file}: [amphora_agent] amphora_id is missing`);
  const base_path = find('haproxy_amphora', 'base_path') ?? defaults.state_dir;
  return {
    amphora_id,
    base_path,
    base_cert_dir: find('haproxy_amphora', 'base_cert_dir') ?? `${base_path}/certs`,
    bind_host: find('haproxy_amphora', 'bind_host') ?? '::',
    bind_port: count('haproxy_amphora', 'bind_port', DEFAULT_AGENT_PORT, 65_535),
    agent_server_ca: find('amphora_agent', 'agent_server_ca') ?? `${defaults.config_dir}/certs/client_ca.pem`,
    agent_server_cert: find('amphora_agent', 'agent_server_cert') ?? `${defaults.config_dir}/certs/server.pem`,
    agent_request_read_timeout_seconds: count('amphora_agent', 'agent_request_read_timeout', 180, 86_400),
    // Older protocols than 1.2 can be configured upstream; OpenSSL refuses them by now.
    agent_tls_protocol: find('amphora_agent', 'agent_tls_protocol') === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    controllers: hosts('health_manager', 'controller_ip_port_list'),
    heartbeat_interval_seconds: count('health_manager', 'heartbeat_interval', 10, 3600),
    heartbeat_key: find('health_manager', 'heartbeat_key'),
    topology: find('controller_worker', 'loadbalancer_topology') === 'ACTIVE_STANDBY' ? 'ACTIVE_STANDBY' : 'SINGLE',
    logs: logSettings({ find, hosts, wrong }),
  };
}

function valueOf(entries: readonly ConfEntry[], group: string, name: string): string | undefined {
  const raw = entries.findLast((entry) => entry.group === group && entry.name === name)?.value;
  return raw === undefined ? undefined : substitute(raw, (reference) => referenced(entries, group, reference));
}

/** One level of `$name` is enough: the controller that writes the file uses none. */
function referenced(entries: readonly ConfEntry[], group: string, reference: string): string {
  const [first = '', second] = reference.split('.');
  const [of, name] = second === undefined ? [group, first] : [first, second];
  return entries.findLast((entry) => (entry.group === of || entry.group === 'DEFAULT') && entry.name === name)?.value ?? '';
}

function receivers(list: string, wrong: (item: string) => Error): Receiver[] {
  return list
    .split(/[,\s]+/u)
    .filter((item) => item !== '')
    .map((item) => {
      const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/u.exec(item);
      const port = Number(match?.[3]);
      if (match === null || port < 1 || port > 65_535) throw wrong(item);
      return { host: match[1] ?? match[2] ?? '', port };
    });
}
