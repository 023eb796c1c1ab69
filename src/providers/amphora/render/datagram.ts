/** The UDP and SCTP listeners of a load balancer as a document for agents that pass datagrams on. Pure. */
import {
  type HealthMonitor,
  type Listener,
  type LoadBalancerTree,
  type Member,
  type Owner,
  type PoolTree,
  Terminal,
  transportOf,
  vipsOf,
} from '../../../model/index.ts';
import { parseAddress } from '../../../model/rules/addresses.ts';
import type {
  DatagramAlgorithm,
  DatagramConfig,
  DatagramListener,
  DatagramMember,
  DatagramMonitor,
  DatagramPool,
} from '../../../wire/datagram.ts';
import { checkedAddress, checkedCidr, isServed } from './lines.ts';
import { activeMonitor, probeSeconds, statusCodes } from './monitor.ts';
import { serverNumbers } from './server-number.ts';

/** Upstream's default: how long a client is remembered (seconds). */
const PERSISTENCE_TIMEOUT = 360;
/** IPVS remembers 31 days at most, nft a year; the API knows no most. */
const LONGEST_PERSISTENCE = 31 * 86_400;

/**
 * Renders the document; what is switched off, being deleted or was refused is left out. Throws `Terminal` with its owner for
 * what cannot be served, as `renderHaproxy` does.
 *
 * @param has_sctp_probes whether the amphora can ask by SCTP: its image has a program for it, or not
 */
export function renderDatagram(tree: LoadBalancerTree, has_sctp_probes = false): DatagramConfig {
  if (!tree.loadbalancer.admin_state_up) return { listeners: [] };
  const pools = new Map(tree.pools.filter((pool) => pool.admin_state_up && isServed(pool)).map((pool) => [pool.id, pool]));
  const listeners = tree.listeners.filter((each) => each.admin_state_up && isServed(each) && transportOf(each.protocol) !== 'tcp');
  const served = listeners.map((listener) => ({ listener, pool: pools.get(listener.default_pool_id ?? '') ?? null }));
  const marks = serverNumbers(
    served.flatMap(({ listener, pool }) => (pool?.members ?? []).filter(isServed).map((member) => markKey(listener, member))),
  );
  return { listeners: served.map(({ listener, pool }) => renderListener(tree, listener, pool, { marks, has_sctp_probes })) };
}

/** What all listeners are rendered with. */
type Given = { readonly marks: ReadonlyMap<string, number>; readonly has_sctp_probes: boolean };

const markKey = (listener: Listener, member: Member): string => `${listener.id}:${member.id}`;

function renderListener(tree: LoadBalancerTree, listener: Listener, pool: PoolTree | null, given: Given): DatagramListener {
  const owner: Owner = { type: 'listener', id: listener.id };
  return {
    id: listener.id,
    protocol: listener.protocol === 'SCTP' ? 'sctp' : 'udp',
    vips: vipsOf(tree.loadbalancer).map((vip) => checkedAddress(vip.ip_address, owner)),
    port: listener.protocol_port,
    allowed_cidrs: listener.allowed_cidrs.map((cidr) => checkedCidr(cidr, owner)),
    connection_limit: listener.connection_limit > 0 ? listener.connection_limit : null,
    pool: pool === null ? null : renderPool(pool, listener, given),
  };
}

const algorithms: Readonly<Record<string, DatagramAlgorithm>> = {
  ROUND_ROBIN: 'round_robin',
  LEAST_CONNECTIONS: 'least_connections',
  SOURCE_IP: 'source_ip',
};

function renderPool(pool: PoolTree, listener: Listener, { marks, has_sctp_probes }: Given): DatagramPool {
  const owner: Owner = { type: 'pool', id: pool.id };
  const algorithm = algorithms[pool.lb_algorithm];
  if (algorithm === undefined) throw new Terminal(owner, `the algorithm ${pool.lb_algorithm} is not supported`);
  const monitor = activeMonitor(pool.healthmonitor);
  return {
    id: pool.id,
    algorithm,
    persistence: persistenceOf(pool, owner),
    monitor: monitor === null ? null : renderMonitor(monitor, has_sctp_probes),
    members: pool.members.filter(isServed).map((member): DatagramMember => {
      const address = checkedAddress(member.address, { type: 'member', id: member.id });
      return {
        id: member.id,
        mark: marks.get(markKey(listener, member)) ?? 0,
        address,
        port: member.protocol_port,
        weight: member.weight,
        admin_state_up: member.admin_state_up,
        monitor_address: checkedAddress(member.monitor_address ?? address, { type: 'member', id: member.id }),
        monitor_port: member.monitor_port ?? member.protocol_port,
      };
    }),
  };
}

function persistenceOf(pool: PoolTree, owner: Owner): DatagramPool['persistence'] {
  const persistence = pool.session_persistence;
  if (persistence === null || persistence.type !== 'SOURCE_IP') return null;
  const timeout_seconds = persistence.persistence_timeout ?? PERSISTENCE_TIMEOUT;
  return {
    timeout_seconds: timeout_seconds > 0 ? Math.min(timeout_seconds, LONGEST_PERSISTENCE) : PERSISTENCE_TIMEOUT,
    ...prefixesOf(persistence.persistence_granularity, owner),
  };
}

/** The granularity is a netmask of IPv4, or of IPv6 (upstream: a prefix length is written there, too); the other family keeps single clients apart. */
function prefixesOf(granularity: string | null, owner: Owner): { readonly prefix4: number; readonly prefix6: number } {
  if (granularity === null) return { prefix4: 32, prefix6: 128 };
  const mask = parseAddress(granularity);
  const bits = mask?.version === 4 ? 32 : 128;
  const text = mask?.value.toString(2).padStart(bits, '0') ?? '';
  if (!/^1*0*$/u.test(text) || mask === null) throw new Terminal(owner, 'persistence_granularity is no netmask');
  const prefix = text.replaceAll('0', '').length;
  return mask.version === 4 ? { prefix4: prefix, prefix6: 128 } : { prefix4: 32, prefix6: prefix };
}

const probes: Readonly<Record<string, DatagramMonitor['type']>> = { 'UDP-CONNECT': 'udp-connect', TCP: 'tcp', HTTP: 'http' };

function renderMonitor(monitor: HealthMonitor, has_sctp_probes: boolean): DatagramMonitor {
  const owner: Owner = { type: 'healthmonitor', id: monitor.id };
  const type = monitor.type === 'SCTP' && has_sctp_probes ? 'sctp' : probes[monitor.type];
  if (type === undefined)
    throw new Terminal(owner, `health monitors of type ${monitor.type} are not supported: the kernel of amphorae has no SCTP`);
  const codes = statusCodes(monitor.expected_codes ?? '200', owner)
    .split(',')
    .map((code): readonly [number, number] => {
      const [from = '', to = from] = code.split('-');
      return [Number(from), Number(to)];
    });
  return {
    id: monitor.id,
    type,
    ...probeSeconds(monitor),
    rise: monitor.max_retries,
    fall: monitor.max_retries_down,
    method: monitor.http_method ?? 'GET',
    path: monitor.url_path ?? '/',
    codes,
    host: monitor.domain_name,
  };
}
