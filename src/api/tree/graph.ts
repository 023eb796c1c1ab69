/** A whole tree in one create request: which rows it comes to, with names resolved and rules checked. */
import {
  Fault,
  type HealthMonitor,
  type L7Policy,
  type L7PolicyTree,
  type L7Rule,
  type Listener,
  type ListenerTree,
  type LoadBalancer,
  maxRulesPerPolicy,
  type Member,
  type Pool,
} from '../../model/index.ts';
import { checkMonitor } from '../../model/rules/healthmonitor.ts';
import { positionAmong, shifted, shiftForNew } from '../../model/rules/l7policy.ts';
import { checkListenerPlace, checkPoolBehind, refusal } from '../../model/rules/listener.ts';
import { duplicateMember, memberKey } from '../../model/rules/member.ts';
import { hasTagTwice, orderedTags } from '../request/fill.ts';
import { newPolicy, newRule, wantedPosition } from './new-l7.ts';
import { type Birth, namesIn, newHealthMonitor, newListener, newMember, newPool } from './new-rows.ts';
import type { JsonObject } from '../request/validate.ts';

/** The rows of a tree below its load balancer, and their tags. */
export type Graph = {
  readonly listeners: Listener[];
  readonly pools: Pool[];
  readonly members: Member[];
  readonly healthmonitors: HealthMonitor[];
  readonly l7policies: L7Policy[];
  readonly l7rules: L7Rule[];
  readonly tags: { readonly id: string; readonly tags: readonly string[] }[];
};

const list = (value: unknown): readonly JsonObject[] => (value as readonly JsonObject[] | null | undefined) ?? [];

/** Builds the rows below a new load balancer. Throws `Fault` 400, 404 or 409. */
export function buildGraph(body: JsonObject, loadbalancer: LoadBalancer, birth: Birth): Graph {
  const graph: Graph = { listeners: [], pools: [], members: [], healthmonitors: [], l7policies: [], l7rules: [], tags: [] };
  const listeners = list(body['listeners']);
  const definitions = collectPools(listeners, list(body['pools']));
  const byName = new Map<string, Pool>();
  for (const definition of definitions) {
    const pool = addPool(graph, definition, loadbalancer.id, birth);
    if (typeof definition['name'] === 'string') byName.set(definition['name'], pool);
  }
  for (const each of listeners) addListener(graph, each, byName, loadbalancer, birth);
  return graph;
}

/** A pool of which only the name is given stands for another pool of the request. */
const isReference = (pool: JsonObject): boolean =>
  Object.keys(pool).every((name) => name === 'name' || name === 'admin_state_up' || name === 'tls_enabled');

/** Every pool that the request defines, listed or embedded in a listener or in a policy. */
function collectPools(listeners: readonly JsonObject[], listed: readonly JsonObject[]): JsonObject[] {
  const mentioned = listeners.flatMap((listener) => [
    listener['default_pool'],
    ...list(listener['l7policies']).map((policy) => policy['redirect_pool']),
  ]) as readonly (JsonObject | null | undefined)[];
  const embedded = mentioned.flatMap((pool) => {
    if (pool === null || pool === undefined) return [];
    if (typeof pool['name'] !== 'string') throw refusal('Pools must be named when creating a fully populated loadbalancer.');
    return isReference(pool) ? [] : [pool];
  });
  const all = [...listed, ...embedded];
  const names = all.map((pool) => pool['name']).filter((name) => typeof name === 'string');
  if (new Set(names).size < names.length) throw refusal('Pool names must be unique when creating a fully populated loadbalancer.');
  for (const pool of all) {
    const missing = ['protocol', 'lb_algorithm'].find((name) => (pool[name] ?? null) === null);
    if (missing !== undefined) throw refusal(`Pool definition for '${String(pool['name'] ?? '')}' missing required attribute: ${missing}`);
  }
  return all;
}

function addPool(graph: Graph, body: JsonObject, loadbalancer_id: string, birth: Birth): Pool {
  const pool = newPool(body, loadbalancer_id, birth);
  remember(graph, pool.id, body);
  graph.pools.push(pool);
  const monitor = (body['healthmonitor'] as JsonObject | null | undefined) ?? null;
  if (monitor !== null) addMonitor(graph, monitor, pool, birth);
  const keys = new Set<string>();
  for (const each of list(body['members'])) {
    // As in the reference, where the health monitor comes after the members: the first heartbeat tells more.
    const member = newMember(each, { id: pool.id, hasMonitor: false }, birth);
    if (keys.has(memberKey(member))) throw duplicateMember(member);
    keys.add(memberKey(member));
    remember(graph, member.id, each);
    graph.members.push(member);
  }
  return pool;
}

function addMonitor(graph: Graph, body: JsonObject, pool: Pool, birth: Birth): void {
  const monitor = newHealthMonitor(body, pool.id, birth);
  checkMonitor(monitor, namesIn(body), pool.protocol, birth.options);
  remember(graph, monitor.id, body);
  graph.healthmonitors.push(monitor);
}

function addListener(graph: Graph, body: JsonObject, pools: ReadonlyMap<string, Pool>, loadbalancer: LoadBalancer, birth: Birth): void {
  const bare = newListener(body, loadbalancer.id, birth);
  const pool = poolNamed(body['default_pool'], pools);
  const listener = pool === undefined ? bare : { ...bare, default_pool_id: pool.id };
  checkListenerPlace(listener, loadbalancer, graph.listeners, graph.pools);
  remember(graph, listener.id, body);
  graph.listeners.push(listener);
  addPolicies(graph, list(body['l7policies']), listener, pools, birth);
}

/** The pool that a listener or a policy names or embeds; undefined when it has none. Throws `Fault` 400. */
function poolNamed(mention: unknown, pools: ReadonlyMap<string, Pool>): Pool | undefined {
  const named = (mention as JsonObject | null | undefined) ?? null;
  if (named === null) return undefined;
  const pool = pools.get(named['name'] as string);
  if (pool === undefined) throw refusal(`Pool '${String(named['name'])}' was referenced but no full definition was found.`);
  return pool;
}

function addPolicies(
  graph: Graph,
  requests: readonly JsonObject[],
  listener: Listener,
  pools: ReadonlyMap<string, Pool>,
  birth: Birth,
): void {
  if (listener.protocol === 'PROMETHEUS' && requests.length > 0)
    throw new Fault(400, 'Protocol PROMETHEUS listeners cannot have child objects.');
  let placed: L7Policy[] = [];
  for (const body of requests) {
    const pool = poolNamed(body['redirect_pool'], pools);
    if (pool !== undefined) checkPoolBehind(listener.protocol, pool.protocol);
    const position = positionAmong(placed.length, wantedPosition(body));
    const policy = newPolicy({ ...body, redirect_pool_id: pool?.id ?? null }, listener.id, position, birth);
    remember(graph, policy.id, body);
    placed = [...shifted(placed, shiftForNew(position, placed.length)), policy];
    addRules(graph, list(body['rules']), policy, birth);
  }
  graph.l7policies.push(...placed.toSorted((a, b) => a.position - b.position));
}

function addRules(graph: Graph, requests: readonly JsonObject[], policy: L7Policy, birth: Birth): void {
  if (requests.length > maxRulesPerPolicy) throw new Fault(409, `Too many rules on L7 policy ${policy.id}`);
  for (const body of requests) {
    const rule = newRule(body, policy.id, birth);
    remember(graph, rule.id, body);
    graph.l7rules.push(rule);
  }
}

/** The listeners of a graph with their policies and rules. */
export function listenerTrees(graph: Graph): ListenerTree[] {
  const rules = Map.groupBy<string, L7Rule>(graph.l7rules, (rule) => rule.l7policy_id);
  const policies = Map.groupBy<string, L7PolicyTree>(
    graph.l7policies.map((policy) => ({ ...policy, rules: rules.get(policy.id) ?? [] })),
    (policy) => policy.listener_id,
  );
  return graph.listeners.map((listener) => ({ ...listener, l7policies: policies.get(listener.id) ?? [] }));
}

function remember(graph: Graph, id: string, body: JsonObject): void {
  if (hasTagTwice(body)) throw new Fault(409, 'Already an entity with that specified id.');
  graph.tags.push({ id, tags: orderedTags(body) });
}
