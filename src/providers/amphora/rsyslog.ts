/** The configuration of rsyslog in virtual machines: where upstream's amphorae send their logs. Pure. */

/** Where upstream's image expects it. */
export const RSYSLOG_CONF_PATH = '/etc/rsyslog.d/10-rsyslog.conf';

/** A receiver of syslog. */
export type HostPort = { readonly host: string; readonly port: number };

/** The options of `[amphora_agent]` about logs. */
export type LogOptions = {
  readonly admin_log_targets: readonly HostPort[];
  readonly tenant_log_targets: readonly HostPort[];
  readonly log_protocol: string;
  readonly log_retry_count: number;
  /** Seconds. */
  readonly log_retry_interval: number;
  /** Messages. */
  readonly log_queue_size: number;
  readonly forward_all_logs: boolean;
  readonly disable_local_log_storage: boolean;
};

/** `10-rsyslog.conf`, as upstream's template writes it. Throws `TypeError` for a host that cannot be written in it. */
export function renderRsyslogConf(
  options: LogOptions & { readonly user_log_facility: number; readonly administrative_log_facility: number },
): string {
  const { user_log_facility, administrative_log_facility } = options;
  const all = `*.*;local${user_log_facility}.none`;
  const admin = options.forward_all_logs ? all : `local${administrative_log_facility}.*`;
  return [
    ...forwarding('tenant_forwarding', options.tenant_log_targets, `local${user_log_facility}.=info`, options),
    ...forwarding('admin_forwarding', options.admin_log_targets, admin, options),
    ...(options.disable_local_log_storage ? ['*.* stop'] : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function forwarding(name: string, targets: readonly HostPort[], selector: string, options: LogOptions): readonly string[] {
  if (targets.length === 0) return [];
  return [
    `ruleset(name="${name}" queue.type="linkedList" queue.size="${options.log_queue_size}") {`,
    ...targets.flatMap(({ host, port }, index) => [
      '  action(type="omfwd"',
      `         target="${checkedHost(host)}"`,
      `         port="${port}"`,
      `         protocol="${options.log_protocol}"`,
      `         action.resumeRetryCount="${options.log_retry_count}"`,
      `         action.resumeInterval="${options.log_retry_interval}"`,
      // Later receivers only while all earlier ones have failed.
      `         ${index === 0 ? '' : 'action.execOnlyWhenPreviousIsSuspended="on"'})`,
    ]),
    '}',
    `${selector} call ${name}`,
    '',
  ];
}

function checkedHost(host: string): string {
  if (!/^[A-Za-z0-9._:%-]+$/u.test(host)) throw new TypeError(`${JSON.stringify(host)} cannot be the host of a receiver of logs`);
  return host;
}
