/** The HAProxy configuration of an amphora, rendered from the load balancer's tree: pure text, one owner per line. */
import type { Amphora, ListenerTree, LoadBalancerTree, Owner, PoolTree } from '../../../model/index.ts';
import { transportOf } from '../../../model/index.ts';
import { complaintsOf } from '../../../wire/haproxy-check.ts';
import { type ConfigSection, writeConfig } from '../../../wire/haproxy-text.ts';
import { renderBackend } from './backend.ts';
import { connectionLimit, renderFrontend } from './frontend.ts';
import { inOrder, servedPolicies, type ServedPolicy } from './l7.ts';
import { isServed, line } from './lines.ts';
import { renderMetrics } from './metrics.ts';
import { activeMonitor } from './monitor.ts';
import { globalLogLines, isLoggedByDefault } from './log.ts';
import { peerName, renderPeers } from './peers.ts';
import { type Rendered, type RenderSettings, tlsPlaceOf } from './settings.ts';
import { crtList, isTlsListener } from './tls-files.ts';

export type { Rendered, RenderSettings } from './settings.ts';

/** HAProxy's own bound, as upstream caps it. */
const largestMaxconn = 1_000_000;

/** A frontend to be: a listener, its policies in effect, its default pool when that is served, and all pools that it sends to. */
type Service = {
  readonly listener: ListenerTree;
  readonly policies: readonly ServedPolicy[];
  readonly pool: PoolTree | null;
  readonly pools: readonly PoolTree[];
};

/**
 * Renders the configuration of one amphora: all listeners but UDP and SCTP, and nothing that is switched off,
 * being deleted or was refused before. Sections are named as upstream's: frontend `<listener>`, backend `<pool>:<listener>`, server
 * `<member>`.
 *
 * Throws `Terminal` with its owner for what cannot be served or written: mark the owner as refused and render again, its
 * siblings are not at fault.
 */
export function renderHaproxy(tree: LoadBalancerTree, amphora: Amphora, settings: RenderSettings): Rendered {
  const services = servicesOf(tree, settings);
  const peers = renderPeers(tree, amphora);
  const sections: ConfigSection[] = [
    renderGlobal(tree, amphora, services, settings),
    renderDefaults(settings),
    ...(peers === null ? [] : [peers]),
    ...(services.some(({ listener }) => listener.protocol === 'PROMETHEUS') ? renderMetrics(settings) : []),
    ...services.flatMap(({ listener, policies, pool, pools }) => [
      renderFrontend(tree.loadbalancer, listener, { pool_id: pool?.id ?? null, policies }, settings),
      ...pools.map((each) => renderBackend(each, listener, peers?.name ?? null, settings)),
    ]),
  ];
  return { ...writeConfig(sections), crt_lists: crtListsOf(tree, services, settings), frontends: services.length };
}

/** The lists of certificates, by name. */
function crtListsOf(tree: LoadBalancerTree, services: readonly Service[], settings: RenderSettings): Record<string, string> {
  const { folder, outcomes } = tlsPlaceOf(settings, tree.loadbalancer.id);
  const lists = services.filter(({ listener }) => isTlsListener(listener)).map(({ listener }) => crtList(listener, outcomes, folder));
  return Object.fromEntries(lists.map(({ name, text }) => [name, text]));
}

/** Whose line HAProxy refuses in its output (`haproxy -c`); null when it names none or the line is no resource's. */
export function ownerOfRefusal(output: string, rendered: Rendered): Owner | null {
  return complaintsOf(output, rendered).find((complaint) => complaint.owner !== undefined)?.owner ?? null;
}

function servicesOf(tree: LoadBalancerTree, settings: RenderSettings): Service[] {
  if (!tree.loadbalancer.admin_state_up) return [];
  const pools = new Map(tree.pools.filter((pool) => pool.admin_state_up && isServed(pool)).map((pool) => [pool.id, pool]));
  return tree.listeners
    .filter((listener) => listener.admin_state_up && isServed(listener) && transportOf(listener.protocol) === 'tcp')
    .map((listener) => {
      const policies = inOrder(servedPolicies(listener, pools), settings.l7_policy_order);
      const pool = pools.get(listener.default_pool_id ?? '') ?? null;
      const redirects = policies.map(({ policy }) => pools.get(policy.redirect_pool_id ?? '')).filter((each) => each !== undefined);
      return { listener, policies, pool, pools: [...new Set([...(pool === null ? [] : [pool]), ...redirects])] };
    });
}

/** No `daemon`: the agent runs HAProxy in the foreground as master and worker, upstream's unit overrides it. */
function renderGlobal(tree: LoadBalancerTree, amphora: Amphora, services: readonly Service[], settings: RenderSettings): ConfigSection {
  const { id, topology } = tree.loadbalancer;
  const { run_as, nbthread, close_spread_seconds, hard_stop_after_seconds } = settings;
  const hasPing = services.some(({ pools }) => pools.some((pool) => activeMonitor(pool.healthmonitor)?.type === 'PING'));
  const lines = [
    ...(run_as === null ? [] : [line('user', run_as.user)]),
    ...(run_as === null || run_as.group === null ? [] : [line('group', run_as.group)]),
    ...globalLogLines(amphora, settings),
    line('stats', 'socket', `${settings.run_path}/${id}.sock`, 'mode', '600', 'level', 'admin', 'expose-fd', 'listeners'),
    line('server-state-file', `${settings.base_path}/${id}/servers-state`),
    line('maxconn', String(globalMaxconn(services, settings))),
    ...(nbthread === null ? [] : [line('nbthread', String(nbthread))]),
    ...(close_spread_seconds === null ? [] : [line('close-spread-time', `${close_spread_seconds}s`)]),
    ...(hard_stop_after_seconds === null ? [] : [line('hard-stop-after', `${hard_stop_after_seconds}s`)]),
    ...(topology === 'ACTIVE_STANDBY' ? [line('localpeer', peerName(amphora.id))] : []),
    ...(hasPing ? [line('external-check'), line('insecure-fork-wanted')] : []),
  ];
  return { kind: 'global', lines };
}

/**
 * Room for all listeners, and never less than the default: HAProxy cannot raise it while it runs, and a listener's limit
 * must change without a reload.
 */
function globalMaxconn(services: readonly Service[], settings: RenderSettings): number {
  const sum = services.reduce((total, { listener }) => total + connectionLimit(listener, settings), 0);
  return Math.min(Math.max(sum, settings.default_connection_limit), settings.maxconn_limit ?? largestMaxconn, largestMaxconn);
}

function renderDefaults(settings: RenderSettings): ConfigSection {
  const lines = [
    ...(isLoggedByDefault(settings) ? [line('log', 'global')] : []),
    line('retries', '3'),
    line('option', 'redispatch', '1'),
    // Splicing saves four fifths of the processor time of large bodies (TCP: two fifths, for a fifth more with small messages; `splice-auto`
    // spliced neither, ADR 21); its pipes are why maxconn_limit counts files twice.
    line('option', 'splice-request'),
    line('option', 'splice-response'),
    line('option', 'http-keep-alive'),
  ];
  return { kind: 'defaults', lines };
}
