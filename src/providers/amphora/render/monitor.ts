/** A health monitor as lines of HAProxy's backend and words of its servers. */
import { type HealthMonitor, maxTimeoutMs, type Member, type Owner, Terminal } from '../../../model/index.ts';
import { isHttpProbe } from '../../../model/rules/healthmonitor.ts';
import { type ConfigLine, escapeLogFormat } from '../../../wire/haproxy-text.ts';
import { checkedAddress, isServed, ownedLine } from './lines.ts';
import type { RenderSettings } from './settings.ts';

/** The monitor of a pool when it probes: there, served and switched on. */
export const activeMonitor = (monitor: HealthMonitor | null): HealthMonitor | null =>
  monitor !== null && monitor.admin_state_up && isServed(monitor) ? monitor : null;

/** The API knows no longest time, HAProxy counts milliseconds in 31 bits: the longest time-out of a listener, 24 days, will do. */
const LONGEST_SECONDS = maxTimeoutMs / 1000;

/** `delay` and `timeout` in seconds that a probe can have. The API allows a delay of 0, HAProxy no interval of 0; a time-out of 0 is the delay. */
export function probeSeconds({ delay, timeout }: Pick<HealthMonitor, 'delay' | 'timeout'>): {
  readonly delay: number;
  readonly timeout: number;
} {
  const bounded = (seconds: number): number => Math.min(Math.max(1, seconds), LONGEST_SECONDS);
  return { delay: bounded(delay), timeout: bounded(timeout > 0 ? timeout : delay) };
}

/** The lines of a backend; `alpn` as for `checkTokens`. Throws `Terminal` with the monitor as owner for what HAProxy cannot probe. */
export function monitorLines(monitor: HealthMonitor, settings: RenderSettings, alpn: readonly string[] | null): ConfigLine[] {
  const owner: Owner = { type: 'healthmonitor', id: monitor.id };
  // Without it the interval bounds a probe: that is what a time-out of 0 is taken for, HAProxy would wait for ever.
  const timeout = monitor.timeout > 0 ? [ownedLine(owner, 'timeout', 'check', `${probeSeconds(monitor).timeout}s`)] : [];
  // Health as the old worker knew it holds in the new one until the first probe.
  return [
    ownedLine(owner, 'load-server-state-from-file', 'global'),
    ...timeout,
    ...probeLines(monitor, owner, settings, isOnlyHttp2(alpn)),
  ];
}

function probeLines(monitor: HealthMonitor, owner: Owner, settings: RenderSettings, needsHost: boolean): ConfigLine[] {
  switch (monitor.type) {
    case 'HTTP':
    case 'HTTPS':
      return httpProbe(monitor, owner, needsHost);
    case 'TCP':
    case 'TLS-HELLO':
      return [];
    case 'PING':
      if (settings.ping_command === null) throw new Terminal(owner, 'health monitors of type PING are not supported');
      return [ownedLine(owner, 'option', 'external-check'), ownedLine(owner, 'external-check', 'command', settings.ping_command)];
    default:
      throw new Terminal(owner, `health monitors of type ${monitor.type} need a UDP or SCTP pool`);
  }
}

/** HAProxy 2.6 manual, `http-check send` and `http-check expect`: only the value of a header is a log format. */
function httpProbe(monitor: HealthMonitor, owner: Owner, needsHost: boolean): ConfigLine[] {
  const version = monitor.http_version === null ? [] : ['ver', `HTTP/${monitor.http_version.toFixed(1)}`];
  const name = monitor.domain_name ?? (needsHost ? 'localhost' : null);
  const host = name === null ? [] : ['hdr', 'Host', escapeLogFormat(name)];
  return [
    ownedLine(owner, 'option', 'httpchk'),
    ownedLine(owner, 'http-check', 'send', 'meth', monitor.http_method ?? 'GET', 'uri', monitor.url_path ?? '/', ...version, ...host),
    ownedLine(owner, 'http-check', 'expect', 'status', statusCodes(monitor.expected_codes ?? '200', owner)),
  ];
}

/** `200, 202` and `200-204` as HAProxy lists them. Throws `Terminal` with the owner for anything else. */
export function statusCodes(expected: string, owner: Owner): string {
  const codes = expected.split(',').map((code) => code.trim());
  if (!codes.every((code) => /^\d{3}(?:-\d{3})?$/u.test(code))) throw new Terminal(owner, 'expected_codes are not HTTP status codes');
  return codes.join(',');
}

/** The words of one server that is probed. `alpn` is what its encrypted traffic offers, null without encryption: what is said there holds for probes, too. */
export function checkTokens(monitor: HealthMonitor, member: Member, alpn: readonly string[] | null): string[] {
  const isTls = monitor.type === 'HTTPS' || monitor.type === 'TLS-HELLO';
  const owner: Owner = { type: 'member', id: member.id };
  return [
    'check',
    ...(isTls ? ['check-ssl', ...(alpn === null ? ['verify', 'none'] : [])] : []),
    ...(isHttpProbe(monitor.type) ? checkAlpn(alpn) : []),
    'inter',
    `${probeSeconds(monitor).delay}s`,
    'fall',
    String(monitor.max_retries_down),
    'rise',
    String(monitor.max_retries),
    // Without brackets HAProxy takes the last group of an IPv6 address for a port.
    ...(member.monitor_address === null ? [] : ['addr', bracketed(checkedAddress(member.monitor_address, owner))]),
    ...(member.monitor_port === null ? [] : ['port', String(member.monitor_port)]),
  ];
}

/**
 * Left to itself HAProxy offers probes what traffic is offered, and speaks HTTP/1 to who then chooses HTTP/2. HTTP/1 wherever
 * that is offered: probes over HTTP/2 need a host, which the API leaves out.
 */
function checkAlpn(alpn: readonly string[] | null): readonly string[] {
  const offered = isOnlyHttp2(alpn) ? ['h2'] : (alpn ?? []).filter((protocol) => protocol !== 'h2');
  return offered.length > 0 ? ['check-alpn', offered.join(',')] : [];
}

const isOnlyHttp2 = (alpn: readonly string[] | null): boolean => alpn?.length === 1 && alpn[0] === 'h2';

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
