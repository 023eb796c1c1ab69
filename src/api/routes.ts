/** Every path of the load-balancer API v2 and what answers it. */
import { findRow } from '../db/rows.ts';
import { Fault } from '../model/index.ts';
import * as amphorae from './amphorae.ts';
import type { Call, Handler } from './call.ts';
import { availabilityZones, flavors } from './flavors/kinds.ts';
import { offerHandlers } from './flavors/offers.ts';
import { profileHandlers } from './flavors/profiles.ts';
import { refusalAnswer } from './http/errors.ts';
import * as healthmonitors from './healthmonitors.ts';
import * as l7policies from './l7policies.ts';
import * as l7rules from './l7rules.ts';
import * as listeners from './listeners.ts';
import { createLoadBalancer } from './loadbalancer-create.ts';
import * as loadbalancers from './loadbalancers.ts';
import { batchMembers } from './member-batch.ts';
import * as members from './members.ts';
import * as pools from './pools.ts';
import * as providers from './providers.ts';
import * as quotas from './quotas.ts';
import { createRouter, isRefusal, type Match, refusal, type Route, type Router } from './http/router.ts';
import { NothingSupplied } from './request/read-object.ts';
import { invalid } from './request/validate.ts';

/** What the collection and its members allow together: the reference answers a 405 of either with all of it. */
const ALL = 'DELETE, GET, POST, PUT';

/** A request that lacks the id in its path. */
const missing = (name: string): Handler =>
  refusal(() => {
    throw new Fault(400, `Missing argument: "${name}"`);
  });

/** A create with an id in its path, or an update with something after the id: the rest of the path is taken for the body. */
const misplaced = (argument: string): Handler =>
  refusal((call: Call) => {
    const rest = call.path.split('/').filter((each) => each !== '');
    throw invalid(argument, decodeURIComponent(rest.at(-1) ?? ''), 'It is not a body: a request body is expected instead of more path.');
  });

/** The handlers of a collection and of one of its resources. */
type Five = {
  readonly list: Handler;
  readonly create: Handler;
  readonly show: Handler;
  readonly update: Handler;
  readonly remove: Handler;
};

/** The five usual routes, and what the reference answers around them. */
const collection = (
  path: string,
  argument: string,
  { list, create, show, update, remove }: Five,
  keys: { readonly put: string; readonly delete: string } = { put: 'id', delete: 'id' },
): Route[] => [
  { path, methods: { GET: list, POST: create, PUT: missing(keys.put), DELETE: missing(keys.delete) }, allow: ALL },
  {
    path: `${path}/:id`,
    methods: { GET: show, PUT: ofSomething(show, update), DELETE: remove, POST: misplaced(argument) },
    allow: ALL,
    args: { DELETE: ['cascade'] },
  },
  { path: `${path}/:id/:field`, methods: { GET: show, PUT: misplaced(argument), POST: nothing, DELETE: nothing } },
];

/** An update without the object to update by is told so only about something that exists. */
function ofSomething(show: Handler, update: Handler): Handler {
  return async (call) => {
    try {
      return await update(call);
    } catch (error) {
      if (error instanceof NothingSupplied) await show(call);
      throw error;
    }
  };
}

const nothing: Handler = refusal(() => refusalAnswer(404, 'Not Found'));

/** Members below a pool; whatever is asked of a pool that does not exist is a 404. */
const memberRoutes: readonly Route[] = [
  {
    path: '/pools/:pool_id/members',
    methods: { GET: members.listMembers, POST: members.createMember, PUT: batchMembers, DELETE: inPool(missing('id')) },
    allow: ALL,
    args: { PUT: ['additive_only'] },
  },
  {
    path: '/pools/:pool_id/members/:id',
    methods: {
      GET: members.showMember,
      PUT: ofSomething(members.showMember, members.updateMember),
      DELETE: members.deleteMember,
      POST: inPool(misplaced('member_')),
    },
    allow: ALL,
  },
  {
    path: '/pools/:pool_id/members/:id/:field',
    methods: { GET: members.showMember, PUT: inPool(misplaced('member_')), POST: inPool(nothing), DELETE: inPool(nothing) },
  },
];

function inPool(handler: Handler): Handler {
  return alike(handler, async (call) => {
    await members.poolOf(call);
    return handler(call);
  });
}

/** A handler around another refuses when that one does. */
function alike(inner: Handler, outer: Handler): Handler {
  return isRefusal(inner) ? refusal(outer) : outer;
}

/** Rules below an L7 policy; whatever is asked of a policy that does not exist is a 404, in the form of the router's own. */
const ruleRoutes: readonly Route[] = [
  {
    path: '/l7policies/:l7policy_id/rules',
    methods: {
      GET: inPolicy(l7rules.listRules),
      POST: inPolicy(l7rules.createRule),
      PUT: inPolicy(missing('id')),
      DELETE: inPolicy(missing('id')),
    },
    allow: ALL,
  },
  {
    path: '/l7policies/:l7policy_id/rules/:id',
    methods: {
      GET: inPolicy(l7rules.showRule),
      PUT: inPolicy(ofSomething(l7rules.showRule, l7rules.updateRule)),
      DELETE: inPolicy(l7rules.deleteRule),
      POST: inPolicy(misplaced('rule_')),
    },
    allow: ALL,
  },
  {
    path: '/l7policies/:l7policy_id/rules/:id/:field',
    methods: { GET: inPolicy(l7rules.showRule), PUT: inPolicy(misplaced('rule_')), POST: inPolicy(nothing), DELETE: inPolicy(nothing) },
  },
];

function inPolicy(handler: Handler): Handler {
  return alike(handler, async (call) => {
    const id = call.params['l7policy_id'] ?? '';
    const policy = await findRow(call.deps.db.read, 'l7policy', id);
    return policy === undefined ? refusalAnswer(404, 'Bad Request', `L7Policy ${id} not found.`) : handler(call);
  });
}

const loadbalancerRoutes: readonly Route[] = [
  ...collection('/loadbalancers', 'load_balancer', {
    list: loadbalancers.listLoadBalancers,
    create: createLoadBalancer,
    show: loadbalancers.showLoadBalancer,
    update: loadbalancers.updateLoadBalancer,
    remove: loadbalancers.deleteLoadBalancer,
  }),
  { path: '/loadbalancers/:id/status', methods: { GET: loadbalancers.showStatusTree }, args: { GET: [] } },
  { path: '/loadbalancers/:id/statuses', methods: { GET: loadbalancers.showStatusTree }, args: { GET: [] } },
  { path: '/loadbalancers/:id/stats', methods: { GET: loadbalancers.showLoadBalancerStatistics }, args: { GET: [] } },
  { path: '/loadbalancers/:id/failover', methods: { PUT: loadbalancers.failoverLoadBalancer, DELETE: missing('id') } },
];

const partRoutes: readonly Route[] = [
  ...collection('/listeners', 'listener_', {
    list: listeners.listListeners,
    create: listeners.createListener,
    show: listeners.showListener,
    update: listeners.updateListener,
    remove: listeners.deleteListener,
  }),
  { path: '/listeners/:id/stats', methods: { GET: listeners.showListenerStatistics }, args: { GET: [] } },
  ...collection('/pools', 'pool_', {
    list: pools.listPools,
    create: pools.createPool,
    show: pools.showPool,
    update: pools.updatePool,
    remove: pools.deletePool,
  }),
  ...memberRoutes,
  ...collection('/healthmonitors', 'health_monitor_', {
    list: healthmonitors.listHealthMonitors,
    create: healthmonitors.createHealthMonitor,
    show: healthmonitors.showHealthMonitor,
    update: healthmonitors.updateHealthMonitor,
    remove: healthmonitors.deleteHealthMonitor,
  }),
  ...collection('/l7policies', 'l7policy_', {
    list: l7policies.listPolicies,
    create: l7policies.createPolicy,
    show: l7policies.showPolicy,
    update: l7policies.updatePolicy,
    remove: l7policies.deletePolicy,
  }),
  ...ruleRoutes,
];

const quotaRoutes: readonly Route[] = [
  { path: '/quotas', methods: { GET: quotas.listQuotas, PUT: missing('project_id'), DELETE: missing('project_id') } },
  {
    path: '/quotas/:id',
    methods: { GET: quotas.showQuota, PUT: quotas.updateQuota, DELETE: quotas.deleteQuota },
    args: { GET: [] },
    names: true,
  },
  { path: '/quotas/:id/default', methods: { GET: quotas.showDefaultQuota }, args: { GET: [] }, names: true },
  { path: '/quotas/:id/usage', methods: { GET: quotas.showQuotaUsage }, args: { GET: [] }, names: true },
];

const providerRoutes: readonly Route[] = [
  { path: '/providers', methods: { GET: providers.listProviders } },
  { path: '/providers/:id', methods: {}, allow: 'GET' },
  { path: '/providers/:id/:any', methods: {}, allow: 'GET' },
  { path: '/providers/:id/flavor_capabilities', methods: { GET: providers.listFlavorCapabilities } },
  { path: '/providers/:id/availability_zone_capabilities', methods: { GET: providers.listZoneCapabilities } },
];

const flavorRoutes: readonly Route[] = [
  ...collection('/flavors', 'flavor_', offerHandlers(flavors), { put: 'id', delete: 'flavor_id' }),
  ...collection('/flavorprofiles', 'flavor_profile_', profileHandlers(flavors), { put: 'id', delete: 'flavor_profile_id' }),
  ...collection('/availabilityzones', 'availability_zone_', offerHandlers(availabilityZones), {
    put: 'name',
    delete: 'availability_zone_name',
  }),
  ...collection('/availabilityzoneprofiles', 'availability_zone_profile_', profileHandlers(availabilityZones), {
    put: 'id',
    delete: 'availability_zone_profile_id',
  }),
];

/** Below `/octavia`: what no tenant asks for. */
const operatorRoutes: readonly Route[] = [
  { path: '/quotas', methods: { GET: quotas.listQuotaUsages } },
  { path: '/amphorae', methods: { GET: amphorae.listAmphorae }, allow: 'DELETE, GET' },
  { path: '/amphorae/:id', methods: { GET: amphorae.showAmphora, DELETE: amphorae.deleteAmphora } },
  { path: '/amphorae/:id/:field', methods: { GET: amphorae.showAmphora } },
  { path: '/amphorae/:id/stats', methods: { GET: amphorae.showAmphoraStatistics } },
  { path: '/amphorae/:id/failover', methods: { PUT: amphorae.failoverAmphora } },
  { path: '/amphorae/:id/config', methods: { PUT: amphorae.configureAmphora } },
];

const root: Route = { path: '/', methods: { GET: () => ({ status: 200, body: 'v2' }) } };

/** Every route below `/v2/lbaas` (and below `/v2` itself). */
export const lbaasRoutes: readonly Route[] = [
  root,
  ...loadbalancerRoutes,
  ...partRoutes,
  ...quotaRoutes,
  ...providerRoutes,
  ...flavorRoutes,
];

/** Every route below `/v2/octavia`. */
export const octaviaRoutes: readonly Route[] = [root, ...operatorRoutes];

/** The routers by what follows `/v2`. */
export type Routers = { readonly lbaas: Router; readonly octavia: Router };

/** Builds the routers; `lbaas` also serves the paths without a prefix. */
export function createRouters(): Routers {
  return { lbaas: createRouter(lbaasRoutes), octavia: createRouter(octaviaRoutes) };
}

/** Finds what answers a path such as `/v2.0/lbaas/pools.json`. Throws `Fault` 400 for broken percent encoding. */
export function findRoute(routers: Routers, method: string, path: string): Match {
  const [, ...segments] = decodeSegments(path);
  const prefix = segments[0];
  if (prefix === 'lbaas') return routers.lbaas(method, segments.slice(1));
  return prefix === 'octavia' ? routers.octavia(method, segments.slice(1)) : routers.lbaas(method, segments);
}

function decodeSegments(path: string): string[] {
  const segments = path
    .replace(/^\/+/u, '')
    .replace(/\/+$/u, '')
    .replace(/\.json$/u, '')
    .split('/');
  try {
    // No row holds a NUL, and PostgreSQL refuses to look for one.
    return segments.map((segment) => decodeURIComponent(segment).replaceAll('\u0000', '\ufffd'));
  } catch (error) {
    throw new Fault(400, 'The path of the URL is not valid percent encoding of UTF-8.', { cause: error });
  }
}
