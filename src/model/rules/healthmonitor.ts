/** Rules of a health monitor beyond the types of its fields (api-ref "Create Health Monitor"). Pure. */
import { Fault } from '../faults.ts';
import type { HealthMonitor } from '../healthmonitor.ts';
import type { Pool } from '../pool.ts';
import { refusal } from './listener.ts';

/** What an operator restricts. */
export type MonitorLimits = { readonly allow_ping_health_monitors: boolean; readonly udp_connect_min_interval_health_monitor: number };

/** What only a probe over HTTP has. */
const httpOnly = ['http_method', 'url_path', 'expected_codes'] as const;

/** The values of an HTTP probe that names none. */
export const httpProbeDefaults = { http_method: 'GET', url_path: '/', expected_codes: '200' } as const;

/** Does this kind of probe speak HTTP? */
export const isHttpProbe = (type: HealthMonitor['type']): boolean => type === 'HTTP' || type === 'HTTPS';

const forDatagrams: readonly HealthMonitor['type'][] = ['UDP-CONNECT', 'SCTP', 'TCP', 'HTTP'];

/** Checks a health monitor by itself and against its pool's protocol; `names` are the fields that the request carried. Throws `Fault` 400. */
export function checkMonitor(monitor: HealthMonitor, names: ReadonlySet<string>, protocol: Pool['protocol'], limits: MonitorLimits): void {
  checkMonitorFields(monitor, names);
  const { type } = monitor;
  if (type === 'PING' && !limits.allow_ping_health_monitors)
    throw new Fault(400, 'The selected type is not allowed in this deployment: PING');
  if (protocol === 'UDP' || protocol === 'SCTP') {
    if (!forDatagrams.includes(type))
      throw refusal(`The associated pool protocol is ${protocol}, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported.`);
  } else if (type === 'UDP-CONNECT' || type === 'SCTP') {
    throw refusal(`The ${type} type is only supported for pools of type UDP/SCTP.`);
  }
  const least = limits.udp_connect_min_interval_health_monitor;
  if (type === 'UDP-CONNECT' && monitor.delay < least)
    throw refusal(`The request delay value ${monitor.delay} should be larger than ${least} for UDP-CONNECT health monitor type.`);
}

/** Checks what a health monitor's own fields demand of each other. */
export function checkMonitorFields(monitor: HealthMonitor, names: ReadonlySet<string>): void {
  if (!isHttpProbe(monitor.type)) {
    const odd = httpOnly.find((name) => names.has(name) && monitor[name] !== null);
    if (odd !== undefined) throw new Fault(400, `${odd} is not a valid option for health monitors of type ${monitor.type}`);
  }
  if (monitor.domain_name !== null && monitor.http_version === null)
    throw refusal("'http_version' must be specified when 'domain_name' is provided.");
  if (monitor.domain_name !== null && monitor.http_version !== 1.1)
    throw new Fault(
      400,
      `http_version ${monitor.http_version?.toFixed(1)} is not a valid option for health monitors HTTP 1.1 domain name health check`,
    );
}

/** Is it an absolute path, with an optional query, without host? Answers the refusal, or null. */
export function refuseUrlPath(path: string): string | null {
  // As RFC 3986 has it, and non-ASCII letters as RFC 3987 does; never a space, a control character or a quote.
  // oxlint-disable-next-line no-control-regex
  const isPath = /^\/(?!\/)[^\s\u0000-\u0020\u007f-\u00a0"<>\\^`{|}]*$/u.test(path);
  return isPath ? null : 'Value must be a valid URL Path string';
}
