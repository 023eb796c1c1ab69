/** A pool behind one listener as HAProxy's backend. */
import { type HealthMonitor, type Listener, type Member, type Owner, type PoolTree, Terminal } from '../../../model/index.ts';
import type { ConfigLine, ConfigSection } from '../../../wire/haproxy-text.ts';
import { backendName, checkedAddress, fetchArgument, isServed, line, type Mode, modeOfPool, ownedLine } from './lines.ts';
import { activeMonitor, checkTokens, monitorLines } from './monitor.ts';
import { serverNumbers } from './server-number.ts';
import { type RenderSettings, tlsPlaceOf } from './settings.ts';
import { serverAlpn, serverTlsTokens } from './tls.ts';

/** Where a stick table is shared with the other amphora: the name of the peers section. */
type Peers = string | null;

/** Renders a backend. Throws `Terminal` with the pool, a member or the monitor as owner for what we cannot serve. */
export function renderBackend(pool: PoolTree, listener: Listener, peers: Peers, settings: RenderSettings): ConfigSection {
  const owner: Owner = { type: 'pool', id: pool.id };
  const mode = modeOfPool(pool, listener);
  const monitor = activeMonitor(pool.healthmonitor);
  const alpn = pool.tls_enabled ? serverAlpn(pool, mode) : null;
  const lines = [
    line('mode', mode),
    ...(mode === 'http' ? [line('http-reuse', 'safe')] : []),
    ...balanceLines(pool, owner),
    ...persistenceLines(pool, mode, peers, settings, owner),
    ...(monitor === null ? [] : monitorLines(monitor, settings, alpn)),
    ...(mode === 'http' ? headerLines(listener) : []),
    line('option', 'allbackups'),
    // 0 is legal in the API and means the operator's default, as upstream has it; HAProxy would wait for ever.
    line('timeout', 'connect', String(listener.timeout_member_connect || settings.timeout_member_connect)),
    line('timeout', 'server', String(listener.timeout_member_data || settings.timeout_member_data)),
    ...serverLines(pool, monitor, {
      hasCookie: mode === 'http' && pool.session_persistence?.type === 'HTTP_COOKIE',
      tls: serverTlsTokens(pool, listener, mode, tlsPlaceOf(settings, pool.loadbalancer_id)),
      alpn,
      proxy: proxyTokens(pool, listener),
    }),
  ];
  return { kind: 'backend', name: backendName(pool.id, listener.id), owner, lines };
}

function balanceLines(pool: PoolTree, owner: Owner): ConfigLine[] {
  switch (pool.lb_algorithm) {
    case 'ROUND_ROBIN':
      return [line('balance', 'roundrobin')];
    case 'LEAST_CONNECTIONS':
      return [line('balance', 'leastconn')];
    case 'SOURCE_IP':
      // Consistent: members come and go without a reload (HAProxy refuses that with the map) and few clients move.
      return [line('balance', 'source'), line('hash-type', 'consistent')];
    default:
      throw new Terminal(owner, `the algorithm ${pool.lb_algorithm} is not supported`);
  }
}

/** Cookies mean nothing without HTTP: the API accepts them there, and they are without effect. */
function persistenceLines(pool: PoolTree, mode: Mode, peers: Peers, settings: RenderSettings, owner: Owner): ConfigLine[] {
  const persistence = pool.session_persistence;
  if (persistence === null) return [];
  const shared = peers === null ? [] : ['peers', peers];
  if (persistence.type === 'SOURCE_IP') {
    return [line('stick-table', 'type', 'ipv6', 'size', settings.haproxy_stick_size, ...shared), line('stick', 'on', 'src')];
  }
  if (mode === 'tcp') return [];
  if (persistence.type === 'HTTP_COOKIE') return [line('cookie', 'SRV', 'insert', 'indirect', 'nocache')];
  const cookie = cookieArgument(persistence.cookie_name ?? '', owner);
  return [
    line('stick-table', 'type', 'string', 'len', '64', 'size', settings.haproxy_stick_size, ...shared),
    line('stick', 'store-response', `res.cook(${cookie})`),
    line('stick', 'match', `req.cook(${cookie})`),
  ];
}

/** The name of a cookie (RFC 6265, token; beyond ASCII the API lets all pass) as the argument of a sample fetch. */
function cookieArgument(name: string, owner: Owner): string {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z\u{a0}-\u{10ffff}]+$/u.test(name)) throw new Terminal(owner, 'cookie_name is not the name of a cookie');
  return fetchArgument(name);
}

const headerFetches = {
  'X-Forwarded-Port': '%[dst_port]',
  'X-Forwarded-Proto': 'http',
  'X-Forwarded-IP': '%[src]',
  'X-Client-IP': '%[src]',
  'X-Real-IP': '%[src]',
};

const tlsHeaderFetches = {
  ...headerFetches,
  'X-Forwarded-Proto': 'https',
  'X-SSL-Client-Verify': '%[ssl_c_verify]',
  'X-SSL-Client-Has-Cert': '%[ssl_c_used]',
  'X-SSL-Client-DN': '%[ssl_c_s_dn]',
  'X-SSL-Client-CN': '%[ssl_c_s_dn(cn)]',
  'X-SSL-Issuer': '%[ssl_c_i_dn]',
  'X-SSL-Client-SHA1': '%[ssl_c_sha1,hex]',
  'X-SSL-Client-Not-Before': '%[ssl_c_notbefore]',
  'X-SSL-Client-Not-After': '%[ssl_c_notafter]',
};

/** Headers that are switched on; what the client sent under these names goes, but for X-Forwarded-For, which is a list. */
function headerLines(listener: Listener): ConfigLine[] {
  const owner: Owner = { type: 'listener', id: listener.id };
  const isOn = (name: string) => listener.insert_headers[name]?.toLowerCase() === 'true';
  const fetches = listener.protocol === 'TERMINATED_HTTPS' ? tlsHeaderFetches : headerFetches;
  const set = Object.entries(fetches).filter(([name]) => isOn(name));
  return [
    ...(isOn('X-Forwarded-For') ? [ownedLine(owner, 'option', 'forwardfor')] : []),
    ...set.map(([name, value]) => ownedLine(owner, 'http-request', 'set-header', name, value)),
  ];
}

/** What all servers of a backend have in common. */
type Traits = {
  readonly hasCookie: boolean;
  readonly tls: readonly string[];
  readonly alpn: readonly string[] | null;
  readonly proxy: readonly string[];
};

/** PROXY protocol; version 2 tells a member the name in the client's certificate, where there can be one. */
function proxyTokens({ protocol }: PoolTree, listener: Listener): readonly string[] {
  if (protocol === 'PROXY') return ['send-proxy'];
  if (protocol === 'PROXYV2') return [listener.protocol === 'TERMINATED_HTTPS' ? 'send-proxy-v2-ssl-cn' : 'send-proxy-v2'];
  return [];
}

function serverLines(pool: PoolTree, monitor: HealthMonitor | null, traits: Traits): ConfigLine[] {
  const members = pool.members.filter(isServed);
  const numbers = pool.lb_algorithm === 'SOURCE_IP' ? serverNumbers(members.map((member) => member.id)) : null;
  return members.map((member) => serverLine(member, monitor, numbers?.get(member.id), traits));
}

function serverLine(member: Member, monitor: HealthMonitor | null, number: number | undefined, traits: Traits): ConfigLine {
  const owner: Owner = { type: 'member', id: member.id };
  const tokens = ['server', member.id, `${checkedAddress(member.address, owner)}:${member.protocol_port}`];
  if (number !== undefined) tokens.push('id', String(number));
  tokens.push('weight', String(member.weight));
  if (monitor !== null) tokens.push(...checkTokens(monitor, member, traits.alpn));
  if (traits.hasCookie) tokens.push('cookie', member.id);
  tokens.push(...traits.proxy);
  if (member.backup) tokens.push('backup');
  if (!member.admin_state_up) tokens.push('disabled');
  tokens.push(...traits.tls);
  return { tokens, owner };
}
