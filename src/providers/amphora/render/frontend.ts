/** A listener as HAProxy's frontend. */
import { type Listener, type ListenerTree, type LoadBalancer, type Owner, Terminal, vipsOf } from '../../../model/index.ts';
import type { ConfigLine, ConfigSection } from '../../../wire/haproxy-text.ts';
import { aclFile, listPath } from '../../../wire/list-files.ts';
import { l7Lines, type ServedPolicy } from './l7.ts';
import { backendName, checkedAddress, checkedCidr, line, modeOfListener } from './lines.ts';
import { frontendLogLines } from './log.ts';
import { METRICS_BACKEND } from './metrics.ts';
import { type RenderSettings, tlsPlaceOf } from './settings.ts';
import { bindTokens } from './tls.ts';

/** CIDRs in one ACL line: HAProxy reads at most 64 words, and a shorter line is easier to read. */
const cidrsPerLine = 30;

/** The connection limit of a listener: its own, or the default for -1 and 0, never more than the machine can have. */
export function connectionLimit(listener: Listener, settings: RenderSettings): number {
  const wanted = listener.connection_limit > 0 ? listener.connection_limit : settings.default_connection_limit;
  return Math.min(wanted, settings.maxconn_limit ?? wanted);
}

/** Where a frontend sends requests: policies in effect, and its default pool when that is served. */
export type Destinations = { readonly pool_id: string | null; readonly policies: readonly ServedPolicy[] };

/** Renders a frontend. Throws `Terminal` for a protocol that we cannot serve. */
export function renderFrontend(lb: LoadBalancer, listener: ListenerTree, to: Destinations, settings: RenderSettings): ConfigSection {
  const owner: Owner = { type: 'listener', id: listener.id };
  const isMetrics = listener.protocol === 'PROMETHEUS';
  if (isMetrics && settings.metrics === null) throw new Terminal(owner, 'the amphora cannot serve metrics');
  if (!['HTTP', 'TCP', 'HTTPS', 'TERMINATED_HTTPS', 'PROMETHEUS'].includes(listener.protocol))
    throw new Terminal(owner, `listeners of protocol ${listener.protocol} are not supported`);
  const tls = bindTokens(listener, tlsPlaceOf(settings, lb.id));
  const inspect = listener.timeout_tcp_inspect;
  const lines = [
    line('maxconn', String(connectionLimit(listener, settings))),
    // The last colon divides address and port, also of IPv6: upstream's agent reads it back in this form.
    ...vipsOf(lb).map((vip) => line('bind', `${checkedAddress(vip.ip_address, owner)}:${listener.protocol_port}`, ...tls)),
    line('mode', modeOfListener(listener)),
    ...cidrLines(lb, listener, owner, settings),
    ...hstsLines(listener),
    ...(isMetrics ? [line('default_backend', METRICS_BACKEND)] : []),
    ...l7Lines(listener, to.policies, settings.has_lists ? { base_path: settings.base_path, loadbalancer_id: lb.id } : null),
    ...(to.pool_id === null ? [] : [line('default_backend', backendName(to.pool_id, listener.id))]),
    line('timeout', 'client', String(listener.timeout_client_data || settings.timeout_client_data)),
    ...(inspect > 0 ? [line('tcp-request', 'inspect-delay', String(inspect))] : []),
    ...frontendLogLines(lb, listener, settings),
  ];
  return { kind: 'frontend', name: listener.id, owner, lines };
}

/** A list beside the configuration where there can be one; else several ACL lines of one name, which are one list, too. */
function cidrLines(lb: LoadBalancer, listener: Listener, owner: Owner, settings: RenderSettings): ConfigLine[] {
  const cidrs = listener.allowed_cidrs.map((cidr) => checkedCidr(cidr, owner));
  if (cidrs.length === 0) return [];
  const reject = line('tcp-request', 'connection', 'reject', 'unless', 'allowed_cidrs');
  if (settings.has_lists) {
    const list = aclFile(`allowed-cidrs-${listener.id}`, cidrs);
    return [{ tokens: ['acl', 'allowed_cidrs', 'src', '-f', listPath(settings.base_path, lb.id, list.name)], lists: [list] }, reject];
  }
  const count = Math.ceil(cidrs.length / cidrsPerLine);
  const groups = Array.from({ length: count }, (_, index) => cidrs.slice(index * cidrsPerLine, (index + 1) * cidrsPerLine));
  return [...groups.map((group) => line('acl', 'allowed_cidrs', 'src', ...group)), reject];
}

/** RFC 6797. Also on answers of HAProxy itself (redirects, refusals), hence not `http-response`. */
function hstsLines({ protocol, hsts_max_age, hsts_include_subdomains, hsts_preload }: Listener): ConfigLine[] {
  if (hsts_max_age === null || protocol !== 'TERMINATED_HTTPS') return [];
  const policy = [
    `max-age=${hsts_max_age}`,
    ...(hsts_include_subdomains ? ['includeSubDomains'] : []),
    ...(hsts_preload ? ['preload'] : []),
  ];
  return [line('http-after-response', 'set-header', 'Strict-Transport-Security', policy.join('; '))];
}
