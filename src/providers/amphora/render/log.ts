/** What HAProxy logs: a line for each connection or request of a listener, in the operator's format. */
import type { Amphora, Listener, LoadBalancer } from '../../../model/index.ts';
import { type ConfigLine, escapeLogFormat } from '../../../wire/haproxy-text.ts';
import { line, modeOfListener } from './lines.ts';
import type { RenderSettings } from './settings.ts';
import { isTlsListener } from './tls-files.ts';

/**
 * Room for the longest URL that HAProxy logs (1024 bytes) and all other fields: by default a line ends after 1024 bytes, and a long URL
 * hides status and member. Below the 4096 bytes that a pipe takes in one piece.
 */
const PIPE_LINE_BYTES = '2048';

/** Lines of the global section. Upstream's has both logs here; with our agent HAProxy's own messages come by its standard error. */
export function globalLogLines({ id }: Pick<Amphora, 'id'>, settings: RenderSettings): ConfigLine[] {
  const { log_target } = settings;
  if (log_target === null) return [];
  if (log_target.kind === 'pipe') return settings.connection_logging ? [line('log-send-hostname', `amphora-${id}`)] : [];
  return [
    line('log', log_target.address, `local${settings.user_log_facility}`),
    line('log', log_target.address, `local${settings.administrative_log_facility}`, 'notice'),
  ];
}

/** Do all proxies log to the global targets? */
export function isLoggedByDefault({ log_target, connection_logging }: RenderSettings): boolean {
  return log_target?.kind === 'syslog' && connection_logging;
}

/** Lines of a listener's frontend. */
export function frontendLogLines(lb: LoadBalancer, listener: Listener, settings: RenderSettings): ConfigLine[] {
  const { log_target, connection_logging, user_log_facility, user_log_format } = settings;
  if (log_target === null || !connection_logging) return [];
  if (log_target.kind === 'syslog') return [line('log-format', logFormat(user_log_format, lb, listener))];
  const format = line('log-format', logFormat(isTlsListener(listener) ? user_log_format : withoutTls(user_log_format), lb, listener));
  // The header that rsyslog would put before the line.
  const target = ['len', PIPE_LINE_BYTES, 'format', 'rfc3164', `local${user_log_facility}`];
  return [line('log', `fd@${log_target.descriptor}`, ...target), format];
}

/** Without TLS the fields of a client's certificate are written as HAProxy writes them then: it need not look for them at each request. */
const withoutTls = (format: string): string => format.replaceAll('%[ssl_c_verify]', '-').replaceAll('%{+Q}[ssl_c_s_dn]', '""');

/** The operator's format with our ids filled in, in one pass; without HTTP there are no request and no status to show. */
function logFormat(format: string, lb: LoadBalancer, listener: Listener): string {
  const isHttp = modeOfListener(listener) === 'http';
  return format.replaceAll(/\{\{\s*(project_id|lb_id)\s*\}\}|%(?:\{\+Q\})?r(?![a-z])|%(?:\{\+Q\})?ST/gu, (found, word?: string) => {
    if (word === undefined) return isHttp ? found : '-';
    return escapeLogFormat(word === 'lb_id' ? lb.id : (lb.project_id ?? '-'));
  });
}
