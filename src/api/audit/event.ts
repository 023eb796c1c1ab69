/** What is written of a request for those who audit: an event in the form of CADF (DMTF DSP0262), as keystonemiddleware writes them. */
import type { Caller } from '../../cloud/identity.ts';

/** How paths and actions are named in events (an audit map of OpenStack). */
export type AuditMap = {
  readonly target_endpoint_type: string;
  /** Last part of a path → action, before the method is looked at. */
  readonly custom_actions: Readonly<Record<string, string>>;
  /** Part of a path that names a collection → what one of it is called; null: nothing follows. */
  readonly path_keywords: Readonly<Record<string, string | null>>;
  /** Type of a service → its name in events. */
  readonly service_endpoints: Readonly<Record<string, string>>;
};

/** The map that holds without a file. */
export const defaultAuditMap: AuditMap = {
  target_endpoint_type: 'load-balancer',
  custom_actions: { failover: 'update/failover' },
  path_keywords: {
    amphorae: 'amphora',
    availabilityzones: 'availabilityzone',
    availabilityzoneprofiles: 'availabilityzoneprofile',
    config: null,
    defaults: null,
    failover: null,
    flavors: 'flavor',
    flavorprofiles: 'flavorprofile',
    healthmonitors: 'healthmonitor',
    l7policies: 'l7policy',
    listeners: 'listener',
    loadbalancers: 'loadbalancer',
    members: 'member',
    pools: 'pool',
    providers: null,
    quotas: 'quota',
    rules: 'rule',
    stats: null,
    status: null,
  },
  service_endpoints: { 'load-balancer': 'service/load-balancer' },
};

/** A request that was answered. */
export type Audited = {
  readonly id: string;
  readonly request_id: string;
  readonly time: string;
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly host: string;
  readonly address: string;
  readonly agent: string | undefined;
  readonly status: number;
  /** Null: nobody whom the identity knows. */
  readonly caller: Caller | null;
};

/** The event of a request. */
export function auditEvent(map: AuditMap, request: Audited): Record<string, unknown> {
  const path = request.url.replace(/\?.*$/su, '');
  const segments = path.split('/').filter((each) => each !== '');
  const { caller, status } = request;
  return {
    typeURI: 'http://schemas.dmtf.org/cloud/audit/1.0/event',
    eventType: 'activity',
    id: request.id,
    eventTime: request.time,
    action: actionOf(map, request.method, segments.at(-1) ?? ''),
    outcome: status < 400 ? 'success' : 'failure',
    reason: { reasonType: 'HTTP', reasonCode: String(status) },
    requestPath: request.url,
    initiator: {
      typeURI: 'service/security/account/user',
      id: caller?.user_id ?? 'unknown',
      name: caller?.user_name ?? 'unknown',
      project_id: caller?.project_id ?? null,
      host: { address: request.address, ...(request.agent !== undefined && { agent: request.agent }) },
    },
    target: { typeURI: typeOf(map, segments), id: targetOf(map, segments), addresses: [{ url: `http://${request.host}`, name: 'public' }] },
    observer: { typeURI: map.service_endpoints[map.target_endpoint_type] ?? 'service', id: 'target' },
    tags: [`correlation_id?value=${request.request_id}`],
  };
}

function actionOf({ custom_actions, path_keywords }: AuditMap, method: string, last: string): string {
  const custom = own(custom_actions, last);
  if (custom !== undefined) return custom;
  if (method === 'GET') return own(path_keywords, last) === undefined ? 'read' : 'read/list';
  const actions: Readonly<Record<string, string>> = { HEAD: 'read', POST: 'create', PUT: 'update', PATCH: 'update', DELETE: 'delete' };
  return actions[method] ?? 'unknown';
}

/** `service/load-balancer/pools/pool/members/member` for a member. */
function typeOf(map: AuditMap, segments: readonly string[]): string {
  const service = map.service_endpoints[map.target_endpoint_type] ?? `service/${map.target_endpoint_type}`;
  const parts = segments.flatMap((segment, at) => {
    if (own(map.path_keywords, segment) !== undefined) return [segment];
    const one = own(map.path_keywords, segments[at - 1] ?? '');
    return one === undefined || one === null ? [] : [one];
  });
  return [service, ...parts].join('/');
}

/** The last id in the path. */
function targetOf(map: AuditMap, segments: readonly string[]): string {
  const ids = segments.filter(
    (segment, at) => own(map.path_keywords, segment) === undefined && own(map.path_keywords, segments[at - 1] ?? '') !== undefined,
  );
  return ids.at(-1) ?? 'unknown';
}

const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined => (Object.hasOwn(table, name) ? table[name] : undefined);
