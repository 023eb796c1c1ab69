/** What the agent is told about logs: options of upstream's `[amphora_agent]`. */
import type { LogTarget } from './wires.ts';

/** The options, in the names of the configuration. */
export type LogSettings = {
  /** In the order of preference; none: they are not sent. */
  readonly tenant_log_targets: readonly LogTarget[];
  readonly admin_log_targets: readonly LogTarget[];
  /** The numbers of localN. */
  readonly user_log_facility: number;
  readonly administrative_log_facility: number;
  readonly log_protocol: 'TCP' | 'UDP';
  readonly log_retry_count: number;
  readonly log_retry_interval_ms: number;
  readonly log_queue_size: number;
  readonly disable_local_log_storage: boolean;
};

/** How options are read: as text, and as lists of `host:port`. Both throw `Error` that says which option is wrong. */
export type LogOptions = {
  readonly find: (group: string, name: string) => string | undefined;
  readonly hosts: (group: string, name: string) => readonly LogTarget[];
  readonly wrong: (group: string, name: string, what: string) => Error;
};

/** Reads the options. Throws `Error` that says which one is wrong. */
export function logSettings({ find, hosts, wrong }: LogOptions): LogSettings {
  const whole = (group: string, name: string, fallback: number, min: number, max: number): number => {
    const value = Number(find(group, name) ?? fallback);
    if (!Number.isInteger(value) || value < min || value > max) throw wrong(group, name, ` must be a whole number from ${min} to ${max}`);
    return value;
  };
  const own = 'amphora_agent';
  const protocol = find(own, 'log_protocol') ?? 'UDP';
  if (protocol !== 'TCP' && protocol !== 'UDP') throw wrong(own, 'log_protocol', ' must be TCP or UDP');
  return {
    tenant_log_targets: hosts(own, 'tenant_log_targets'),
    admin_log_targets: hosts(own, 'admin_log_targets'),
    // Upstream's template has these two in this group.
    user_log_facility: whole('haproxy_amphora', 'user_log_facility', 0, 0, 7),
    administrative_log_facility: whole('haproxy_amphora', 'administrative_log_facility', 1, 0, 7),
    log_protocol: protocol,
    log_retry_count: whole(own, 'log_retry_count', 5, 0, 1_000_000),
    log_retry_interval_ms: 1000 * whole(own, 'log_retry_interval', 2, 0, 86_400),
    log_queue_size: whole(own, 'log_queue_size', 10_000, 1, 10_000_000),
    disable_local_log_storage: /^(?:true|1|yes|on)$/iu.test(find(own, 'disable_local_log_storage') ?? 'false'),
  };
}
