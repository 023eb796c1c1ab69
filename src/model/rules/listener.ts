/** Rules of a listener beyond the types of its fields, and against its siblings (api-ref "Create Listener"). Pure. */
import { Fault } from '../faults.ts';
import { type Listener, tlsVersions, transportOf } from '../listener.ts';
import { type LoadBalancer, vipsOf } from '../loadbalancer.ts';
import type { Pool } from '../pool.ts';
import { ipVersion, parseCidr } from './addresses.ts';

/** Headers that the load balancer can add to any HTTP request. */
const httpHeaders: readonly string[] = [
  'X-Forwarded-For',
  'X-Forwarded-Port',
  'X-Forwarded-Proto',
  'X-Forwarded-IP',
  'X-Client-IP',
  'X-Real-IP',
];

/** Headers about the client's certificate, for TERMINATED_HTTPS only. */
const tlsHeaders: readonly string[] = [
  'X-SSL-Client-Verify',
  'X-SSL-Client-Has-Cert',
  'X-SSL-Client-DN',
  'X-SSL-Client-CN',
  'X-SSL-Issuer',
  'X-SSL-Client-SHA1',
  'X-SSL-Client-Not-Before',
  'X-SSL-Client-Not-After',
];

/** Which protocols a pool may have behind a listener (api-ref "Protocol Combinations"). */
const poolProtocolsBehind: Readonly<Record<Listener['protocol'], readonly Pool['protocol'][]>> = {
  TCP: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  HTTP: ['HTTP', 'PROXY', 'PROXYV2'],
  HTTPS: ['HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  TERMINATED_HTTPS: ['HTTP', 'PROXY', 'PROXYV2'],
  UDP: ['UDP'],
  SCTP: ['SCTP'],
  PROMETHEUS: [],
};

/** What an operator restricts. */
export type ListenerLimits = {
  readonly allow_tls_terminated_listeners: boolean;
  readonly allow_prometheus_listeners: boolean;
  readonly tls_cipher_prohibit_list: readonly string[];
  /** Null: any version. */
  readonly minimum_tls_version: string | null;
};

/** The fields of a listener as a request leaves them; `client_authentication` may be an explicit null. */
export type ListenerFields = Omit<Listener, 'client_authentication'> & {
  readonly client_authentication: Listener['client_authentication'] | null;
};

/** A fault of the kind "Validation failure". */
export const refusal = (text: string, status = 400): Fault => new Fault(status, `Validation failure: ${text}`);

/**
 * Checks one listener by itself; throws `Fault` 400. `names` are the fields that the request carried. On an update an empty
 * reference counts as one, as it does in the reference.
 */
export function checkListenerFields(listener: ListenerFields, names: ReadonlySet<string>, limits: ListenerLimits, isUpdate = false): void {
  checkHeaders(listener, isUpdate);
  checkGates(listener, limits);
  checkCertificates(listener, isUpdate);
  checkHsts(listener, names);
  checkTls(listener, names, limits, isUpdate);
}

function checkHeaders({ protocol, insert_headers }: ListenerFields, isUpdate: boolean): void {
  const names = Object.keys(insert_headers);
  if (names.length === 0) return;
  const unknown = names.filter((name) => !httpHeaders.includes(name) && !tlsHeaders.includes(name));
  const quoted = (list: readonly string[]): string => `[${list.map((name) => `'${name.replaceAll("'", String.raw`\'`)}'`).join(', ')}]`;
  if (unknown.length > 0)
    throw new Fault(400, `${isUpdate ? quoted(names) : `dict_keys(${quoted(names)})`} is not a valid option for insert_headers`);
  if (protocol !== 'HTTP' && protocol !== 'TERMINATED_HTTPS')
    throw new Fault(400, `insert-headers is not a valid option for a ${protocol} protocol listener.`);
  const aboutTls = names.filter((name) => tlsHeaders.includes(name));
  if (protocol === 'HTTP' && aboutTls.length > 0)
    throw new Fault(400, `${quoted(aboutTls)} is not a valid option for HTTP protocol listener.`);
}

function checkGates({ protocol }: ListenerFields, limits: ListenerLimits): void {
  const isOff =
    (protocol === 'TERMINATED_HTTPS' && !limits.allow_tls_terminated_listeners) ||
    (protocol === 'PROMETHEUS' && !limits.allow_prometheus_listeners);
  if (isOff) throw new Fault(400, `The selected protocol is not allowed in this deployment: ${protocol}`);
}

const hasCertificate = (listener: ListenerFields): boolean =>
  Boolean(listener.default_tls_container_ref) || listener.sni_container_refs.length > 0;

function checkCertificates(listener: ListenerFields, isUpdate: boolean): void {
  const { protocol, client_authentication, client_ca_tls_container_ref: ca } = listener;
  const has = hasCertificate(listener) || (isUpdate && listener.default_tls_container_ref !== null && protocol === 'TERMINATED_HTTPS');
  if (has && (protocol === 'UDP' || protocol === 'SCTP')) throw refusal(`${protocol} protocol listener does not support TLS.`);
  if (has && protocol !== 'TERMINATED_HTTPS' && protocol !== 'PROMETHEUS')
    throw refusal(`Certificate container references are not allowed on ${protocol} protocol listeners.`);
  if (!has && protocol === 'TERMINATED_HTTPS')
    throw refusal('An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol listeners.');
  // An update may name an authority where no certificate is: it is kept, and has no effect.
  if (ca && !has && !isUpdate)
    throw refusal('An SNI or default certificate container reference must be provided with a client CA container reference.');
  if (client_authentication !== 'NONE' && !ca)
    throw refusal(`Client authentication setting ${client_authentication ?? 'None'} requires a client CA container reference.`);
  if (listener.client_crl_container_ref && !ca)
    throw refusal('A client authentication CA reference is required to specify a client authentication revocation list.');
}

function checkHsts(listener: ListenerFields, names: ReadonlySet<string>): void {
  const hasOptions = listener.hsts_include_subdomains || listener.hsts_preload;
  const has = listener.hsts_max_age !== null;
  if (hasOptions && !has && (names.has('hsts_include_subdomains') || names.has('hsts_preload')))
    throw refusal('HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as well.');
  if (has && listener.protocol !== 'TERMINATED_HTTPS')
    throw refusal('The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol.');
}

/** What a listener without TLS is created with is stored as it is, as the reference does. */
function checkTls(listener: ListenerFields, names: ReadonlySet<string>, limits: ListenerLimits, isUpdate: boolean): void {
  if (names.has('tls_ciphers')) checkCiphers(listener.tls_ciphers, limits.tls_cipher_prohibit_list);
  if (listener.protocol !== 'TERMINATED_HTTPS' && !isUpdate) return;
  if (names.has('tls_versions')) checkTlsVersions(listener.tls_versions ?? [], limits.minimum_tls_version);
  if (names.has('alpn_protocols') && listener.alpn_protocols?.length === 0)
    throw refusal('Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default.');
}

/** Checks a cipher list in OpenSSL form: its characters (it goes into a configuration line) and the prohibited names. */
export function checkCiphers(ciphers: string | null, prohibited: readonly string[]): void {
  if (ciphers === null || ciphers === '') return;
  if (!/^[A-Za-z0-9\-+!:@=_.]*$/u.test(ciphers)) throw refusal('The cipher string contains characters that are not allowed.');
  const refused = ciphers.split(':').filter((name) => name === '' || prohibited.includes(name));
  if (refused.length > 0) throw refusal(`The following ciphers have been prohibited by an administrator: ${refused.join(', ')}`);
}

/** Checks a list of TLS versions against the known ones and the oldest that is allowed. */
export function checkTlsVersions(versions: readonly string[], minimum: string | null): void {
  if (versions.length === 0)
    throw refusal('Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default.');
  const known: readonly string[] = tlsVersions;
  const unknown = versions.filter((version) => !known.includes(version));
  if (unknown.length > 0) throw refusal(`Invalid TLS versions: ${unknown.join(', ')}`);
  const tooOld = minimum === null ? [] : versions.filter((version) => known.indexOf(version) < known.indexOf(minimum));
  if (tooOld.length > 0) throw refusal(`Requested TLS versions are less than the minimum: ${tooOld.join(', ')} < ${minimum}`);
}

/** Checks a listener against its load balancer, its siblings and its default pool; throws `Fault` 400, 404 or 409. */
export function checkListenerPlace(
  listener: Listener,
  loadbalancer: LoadBalancer,
  siblings: readonly Listener[],
  pools: readonly Pick<Pool, 'id' | 'protocol'>[],
): void {
  checkCidrs(listener, loadbalancer);
  if (listener.default_pool_id !== null) {
    const pool = pools.find((each) => each.id === listener.default_pool_id);
    if (pool === undefined) throw new Fault(404, `Pool ${listener.default_pool_id} not found.`);
    checkPoolBehind(listener.protocol, pool.protocol);
  }
  const clash = siblings.find(
    (each) =>
      each.id !== listener.id &&
      each.protocol_port === listener.protocol_port &&
      transportOf(each.protocol) === transportOf(listener.protocol),
  );
  if (clash !== undefined)
    throw new Fault(
      409,
      `Another Listener on this Load Balancer is already using protocol ${clash.protocol} and protocol_port ${listener.protocol_port}`,
    );
}

function checkCidrs({ allowed_cidrs }: Listener, loadbalancer: LoadBalancer): void {
  if (allowed_cidrs.length === 0) return;
  if (loadbalancer.vip_sg_ids.length > 0) throw refusal('Allowed CIDRs are not allowed when using custom VIP Security Groups.');
  const vips = vipsOf(loadbalancer).map((vip) => vip.ip_address);
  const versions = vips.map(ipVersion);
  for (const cidr of allowed_cidrs) {
    if (vips.length > 0 && !versions.includes(parseCidr(cidr)?.version ?? null))
      throw refusal(`CIDR ${cidr} IP version incompatible with all VIPs [${vips.map((vip) => `'${vip}'`).join(', ')}] IP version.`);
  }
}

/** May a pool of this protocol take the traffic of a listener of that one? Throws `Fault` 400. */
export function checkPoolBehind(listener: Listener['protocol'], pool: Pool['protocol']): void {
  if (listener === 'PROMETHEUS') throw new Fault(400, 'Protocol PROMETHEUS listeners cannot have child objects.');
  if (!poolProtocolsBehind[listener].includes(pool))
    throw refusal(`The pool protocol '${pool}' is invalid while the listener protocol is '${listener}'.`);
}
