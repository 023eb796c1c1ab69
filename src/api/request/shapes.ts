/** What the bodies of requests may hold, made from the field tables once. */
import {
  alpnProtocols,
  healthmonitorFields,
  l7policyFields,
  l7ruleFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../../model/index.ts';
import { refuseUrlPath } from '../../model/rules/healthmonitor.ts';
import { refuseUrl } from '../../model/rules/l7policy.ts';
import Type from 'typebox';
import {
  checkedReader,
  integerReader,
  listReader,
  objectReader,
  type Reader,
  readBoolean,
  readerOf,
  type Shape,
  shapeOf,
} from './validate.ts';

const text = (maxLength: number): Reader => readerOf(Type.String({ maxLength }));
const texts = (maxLength: number): Reader => listReader(text(maxLength));

/** The reference reads these as free text and judges them later (TLS) or in other words (ALPN). */
const tls: Readonly<Record<string, Reader>> = {
  tls_versions: texts(32),
  alpn_protocols: listReader(
    checkedReader(
      (value) => value,
      (value) => ((alpnProtocols as readonly unknown[]).includes(value) ? null : 'Value should be a valid ALPN protocol ID'),
    ),
  ),
};

const urlPath: Readonly<Record<string, Reader>> = {
  url_path: (value) => checkedReader(text(255), refuseUrlPath)(typeof value === 'string' ? value : String(value)),
};

const redirectUrl: Reader = (value) => checkedReader(text(255), refuseUrl)(typeof value === 'string' ? value : String(value));
const urls: Readonly<Record<string, Reader>> = { redirect_url: redirectUrl, redirect_prefix: redirectUrl };

const member = shapeOf(memberFields, 'post', { request_sriov: readBoolean });
const memberUpdate = shapeOf(memberFields, 'put');

const monitor = shapeOf(healthmonitorFields, 'post', urlPath);
const monitorUpdate = shapeOf(healthmonitorFields, 'put', urlPath);

/** On an update the type of a session persistence may be left out: it stays. */
const persistenceUpdate: Reader = objectReader(
  new Map(
    ['type', 'cookie_name', 'persistence_timeout', 'persistence_granularity'].map((name) => [
      name,
      { read: readerOf(persistenceProperty(name)), mandatory: false },
    ]),
  ),
);

function persistenceProperty(name: string): ReturnType<typeof Type.String> {
  const { anyOf = [] } = poolFields.session_persistence.schema as unknown as { anyOf?: { properties?: Record<string, unknown> }[] };
  return anyOf.find((each) => each.properties !== undefined)?.properties?.[name] as ReturnType<typeof Type.String>;
}

const pool = shapeOf(poolFields, 'post', { ...tls, members: listReader(objectReader(member)), healthmonitor: objectReader(monitor) });
const poolUpdate = shapeOf(poolFields, 'put', { ...tls, session_persistence: persistenceUpdate });

// In a whole tree, parts do not name their parents, and a pool may be only a name.
const inTree = (
  shape: Shape,
  without: readonly string[],
  extra: Readonly<Record<string, Reader>> = {},
  optional: readonly string[] = [],
): Reader => {
  const kept = [...shape].filter(([name]) => !without.includes(name));
  const merged = new Map(kept.map(([name, each]) => [name, optional.includes(name) ? { ...each, mandatory: false } : each]));
  for (const [name, read] of Object.entries(extra)) merged.set(name, { read, mandatory: false });
  return objectReader(merged);
};

const treeMonitor = inTree(monitor, ['pool_id', 'project_id', 'tenant_id']);
const treeMember = inTree(member, ['project_id', 'tenant_id']);
const treePool = inTree(
  pool,
  ['listener_id', 'loadbalancer_id', 'project_id', 'tenant_id'],
  { members: listReader(treeMember), healthmonitor: treeMonitor },
  ['protocol', 'lb_algorithm'],
);
const rule = shapeOf(l7ruleFields, 'post');
const ruleUpdate = shapeOf(l7ruleFields, 'put');
const treeRule = inTree(rule, ['project_id', 'tenant_id']);

const policy = shapeOf(l7policyFields, 'post', { ...urls, rules: listReader(treeRule) });
const policyUpdate = shapeOf(l7policyFields, 'put', urls);
const treePolicy = inTree(policy, ['listener_id', 'redirect_pool_id', 'project_id', 'tenant_id'], { redirect_pool: treePool });

const listener = shapeOf(listenerFields, 'post', { ...tls, default_pool: (value) => value, l7policies: listReader(treePolicy) });
const listenerUpdate = shapeOf(listenerFields, 'put', tls);
const treeListener = inTree(listener, ['loadbalancer_id', 'project_id', 'tenant_id'], { default_pool: treePool });

const loadbalancer = shapeOf(loadbalancerFields, 'post', { listeners: listReader(treeListener), pools: listReader(treePool) });
const loadbalancerUpdate = shapeOf(loadbalancerFields, 'put');

/** Readers of request bodies. */
export const bodies = {
  loadbalancer: { post: objectReader(loadbalancer), put: objectReader(loadbalancerUpdate) },
  listener: { post: objectReader(listener), put: objectReader(listenerUpdate) },
  pool: { post: objectReader(pool), put: objectReader(poolUpdate) },
  member: { post: objectReader(member), put: objectReader(memberUpdate), batch: listReader(objectReader(member)) },
  healthmonitor: { post: objectReader(monitor), put: objectReader(monitorUpdate) },
  l7policy: { post: objectReader(policy), put: objectReader(policyUpdate) },
  l7rule: { post: objectReader(rule), put: objectReader(ruleUpdate) },
  quota: objectReader(
    new Map(
      ['loadbalancer', 'load_balancer', 'listener', 'member', 'pool', 'healthmonitor', 'health_monitor', 'l7policy', 'l7rule'].map(
        (name) => [name, { read: integerReader(-1, 2_000_000_000), mandatory: false }],
      ),
    ),
  ),
} as const;
