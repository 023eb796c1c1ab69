/** New rows from the bodies of create requests, checked by the rules of the model: for single creates and whole trees alike. */
import {
  Fault,
  healthmonitorFields,
  type HealthMonitor,
  type Listener,
  listenerFields,
  memberFields,
  type Member,
  type Pool,
  poolFields,
} from '../../model/index.ts';
import { httpProbeDefaults, isHttpProbe } from '../../model/rules/healthmonitor.ts';
import { checkListenerFields } from '../../model/rules/listener.ts';
import { checkMemberAddress } from '../../model/rules/member.ts';
import { checkPersistence, checkPoolTls } from '../../model/rules/pool.ts';
import { newIdentity } from '../change.ts';
import type { ApiOptions } from '../deps.ts';
import { newColumns } from '../request/fill.ts';
import { newOrderedId } from './ids.ts';
import { invalid, type JsonObject } from '../request/validate.ts';

/** Where a new row belongs: its project and the time of its creation. */
export type Birth = {
  readonly project_id: string | null;
  readonly now: string;
  readonly now_ms: number;
  readonly options: ApiOptions;
  /** Does the load balancer's flavor let members ask for a virtual function? Absent: no. */
  readonly allow_member_sriov?: boolean;
};

/** A mandatory field that is null: the reference crashes on some of these. */
function demand(body: JsonObject, ...names: readonly string[]): void {
  for (const name of names) if (body[name] === null || body[name] === undefined) throw invalid(name, null, 'Mandatory field missing.');
}

/** The fields that a request gives a value. */
export const namesIn = (body: JsonObject): ReadonlySet<string> => new Set(Object.keys(body).filter((name) => body[name] !== null));

/** A new listener. Throws `Fault` 400. */
export function newListener(body: JsonObject, loadbalancer_id: string, { project_id, now, now_ms, options }: Birth): Listener {
  demand(body, 'protocol', 'protocol_port');
  const columns = newColumns(listenerFields, body, options) as unknown as Listener;
  const tls = columns.protocol === 'TERMINATED_HTTPS' ? listenerTlsDefaults(body, options) : {};
  const listener = { ...columns, ...newIdentity(newOrderedId(now_ms), project_id, now), loadbalancer_id, ...tls };
  if (body['l7policies'] === null) throw invalid('l7policies', null, 'Value should be a list');
  const client_authentication = Object.hasOwn(body, 'client_authentication')
    ? (body['client_authentication'] as Listener['client_authentication'] | null)
    : 'NONE';
  checkListenerFields({ ...listener, client_authentication }, namesIn(body), options);
  return { ...listener, allowed_cidrs: [...new Set(listener.allowed_cidrs)] };
}

/** What a TLS listener gets for the fields that the request left out. */
export function listenerTlsDefaults(body: JsonObject, options: ApiOptions): Partial<Listener> {
  return {
    ...((body['tls_ciphers'] ?? null) === null && { tls_ciphers: options.default_listener_ciphers }),
    ...((body['tls_versions'] ?? null) === null && {
      tls_versions: [...options.default_listener_tls_versions] as Listener['tls_versions'],
    }),
    ...((body['alpn_protocols'] ?? null) === null && {
      alpn_protocols: [...options.default_listener_alpn_protocols] as Listener['alpn_protocols'],
    }),
  };
}

/** A new pool. Throws `Fault` 400. */
export function newPool(body: JsonObject, loadbalancer_id: string, { project_id, now, now_ms, options }: Birth): Pool {
  demand(body, 'protocol', 'lb_algorithm');
  const columns = newColumns(poolFields, body, options) as unknown as Pool;
  const tls = columns.tls_enabled ? poolTlsDefaults(body, options) : {};
  const pool = { ...columns, ...newIdentity(newOrderedId(now_ms), project_id, now), loadbalancer_id, ...tls };
  if (pool.session_persistence !== null) {
    demand(pool.session_persistence as unknown as JsonObject, 'type');
    checkPersistence(pool.protocol, pool.session_persistence);
    pool.session_persistence = wholePersistence(pool.session_persistence);
  }
  checkPoolTls(pool, namesIn(body), options);
  return pool;
}

/** A session persistence with every member present. */
export const wholePersistence = (given: Partial<NonNullable<Pool['session_persistence']>>): NonNullable<Pool['session_persistence']> => ({
  type: given.type ?? 'SOURCE_IP',
  cookie_name: given.cookie_name ?? null,
  persistence_timeout: given.persistence_timeout ?? null,
  persistence_granularity: given.persistence_granularity ?? null,
});

/** What a pool with TLS gets for the fields that the request left out. */
export function poolTlsDefaults(body: JsonObject, options: ApiOptions): Partial<Pool> {
  return {
    ...((body['tls_ciphers'] ?? null) === null && { tls_ciphers: options.default_pool_ciphers }),
    ...((body['tls_versions'] ?? null) === null && { tls_versions: [...options.default_pool_tls_versions] as Pool['tls_versions'] }),
    ...((body['alpn_protocols'] ?? null) === null && {
      alpn_protocols: [...options.default_pool_alpn_protocols] as Pool['alpn_protocols'],
    }),
  };
}

/** A new member; without a health monitor nobody will tell its operating status. Throws `Fault` 400. */
export function newMember(
  body: JsonObject,
  pool: { readonly id: string; readonly hasMonitor: boolean },
  { project_id, now, now_ms, options, allow_member_sriov = false }: Birth,
): Member {
  demand(body, 'address', 'protocol_port', ...(body['backup'] === null ? ['backup'] : []));
  const columns = newColumns(memberFields, body, options) as unknown as Member;
  checkMemberAddress(columns.address, options.reserved_ips);
  const wantsSriov = body['request_sriov'] === true;
  if (wantsSriov && !allow_member_sriov) throw new Fault(400, 'The load balancer flavor does not allow SR-IOV member ports.');
  return {
    ...columns,
    ...newIdentity(newOrderedId(now_ms), project_id, now, pool.hasMonitor ? 'OFFLINE' : 'NO_MONITOR'),
    pool_id: pool.id,
    vnic_type: wantsSriov ? 'direct' : 'normal',
  };
}

/** A new health monitor, not yet checked against its pool. Throws `Fault` 400. */
export function newHealthMonitor(body: JsonObject, pool_id: string, { project_id, now, now_ms, options }: Birth): HealthMonitor {
  for (const name of ['delay', 'timeout', 'max_retries', 'max_retries_down']) if (body[name] === null) throw noOption('None', name);
  demand(body, 'type', 'delay', 'timeout', 'max_retries');
  const columns = newColumns(healthmonitorFields, body, options) as unknown as HealthMonitor;
  const http = isHttpProbe(columns.type) ? httpDefaults(columns) : {};
  return { ...columns, ...newIdentity(newOrderedId(now_ms), project_id, now), pool_id, ...http };
}

const httpDefaults = (monitor: HealthMonitor): Partial<HealthMonitor> => ({
  http_method: monitor.http_method ?? httpProbeDefaults.http_method,
  url_path: monitor.url_path ?? httpProbeDefaults.url_path,
  expected_codes: monitor.expected_codes ?? httpProbeDefaults.expected_codes,
});

/** The reference's words for a value that an option cannot have. */
export const noOption = (value: string, name: string) => new Fault(400, `${value} is not a valid option for ${name}`);
