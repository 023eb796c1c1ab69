/** What a heartbeat says about the operating status of a load balancer and everything below it. Pure. */
import { isPending, type OperatingStatus } from '../model/index.ts';
import type { Heartbeat, PoolBeat } from '../wire/heartbeat.ts';
import type { ListenerSummary, LoadBalancerSummary, MemberSummary, PoolSummary, StatusChange, WatchedType } from './summary.ts';

/** What follows from one heartbeat. */
export type Derived = {
  /** Only what differs from the summary; members first, the load balancer last. */
  readonly changes: readonly StatusChange[];
  /**
   * Does the amphora serve the listeners it should? When not, the heartbeat is no sign of health: an amphora that lost
   * its configuration must fall silent and be replaced. True while that cannot be told (a change is under way).
   */
  readonly serves_all: boolean;
  /** Listeners that should be served and are not reported. */
  readonly missing_listeners: readonly string[];
  /** Listeners that are reported and should not be served. */
  readonly surplus_listeners: readonly string[];
};

/**
 * Derives statuses by the rules of Octavia's health manager.
 *
 * Kept from there: a listener is ONLINE when OPEN, DEGRADED when FULL, and when it is not reported ERROR or (if it need not
 * be) OFFLINE; a pool is ONLINE when UP, ERROR when DOWN, DEGRADED when UP with a member in ERROR, OFFLINE when not
 * reported; a member that is not reported is OFFLINE unless it is NO_MONITOR; the load balancer follows the worst of them.
 *
 * Better here: a listener in ERROR degrades the load balancer (there it may be ONLINE with every listener dead); a disabled
 * load balancer stays OFFLINE; a pool behind several listeners has the worse of its reports (there the first one wins);
 * what is not reported keeps its status while a change is under way (there an amphora that is being built, and serves
 * nothing yet, takes the whole tree OFFLINE); identities of listeners are compared, not their number.
 *
 * @param settled false while the newest configuration may not have reached the amphora when it sent this heartbeat
 */
export function deriveStatus(summary: LoadBalancerSummary, heartbeat: Heartbeat, settled = true): Derived {
  const view: View = {
    changing: !settled || isPending(summary.provisioning_status),
    comparable: settled && summary.admin_state_up && summary.provisioning_status === 'ACTIVE',
  };
  const collected = new Collected(summary.admin_state_up);
  const reports = poolReports(heartbeat);
  for (const pool of summary.pools) derivePool(pool, reports.get(pool.id), view, collected);
  deriveListeners(summary, heartbeat, view, collected);
  collected.note('loadbalancer', summary, collected.worst);
  const { missing, surplus } = view.comparable ? compareListeners(summary.listeners, heartbeat) : nothingToCompare;
  return {
    changes: collected.changes,
    serves_all: missing.length === 0 && surplus.length === 0,
    missing_listeners: missing,
    surplus_listeners: surplus,
  };
}

/** Puts changes into the summary that they were derived from, so that the next heartbeat is compared with them. */
export function applyChanges(summary: LoadBalancerSummary, changes: readonly StatusChange[]): void {
  if (changes.length === 0) return;
  const rows = new Map<string, { operating_status: OperatingStatus }>([[`loadbalancer ${summary.id}`, summary]]);
  for (const listener of summary.listeners) rows.set(`listener ${listener.id}`, listener);
  for (const pool of summary.pools) {
    rows.set(`pool ${pool.id}`, pool);
    for (const member of pool.members) rows.set(`member ${member.id}`, member);
  }
  for (const change of changes) {
    const row = rows.get(`${change.type} ${change.id}`);
    if (row !== undefined) row.operating_status = change.operating_status;
  }
}

/** `changing`: what is not reported says nothing. `comparable`: what is not reported is an error. */
type View = { readonly changing: boolean; readonly comparable: boolean };

const nothingToCompare = { missing: [], surplus: [] } as const;

/** The changes found so far and the load balancer's status as far as they decide it. */
class Collected {
  readonly changes: StatusChange[] = [];
  worst: OperatingStatus;

  constructor(enabled: boolean) {
    this.worst = enabled ? 'ONLINE' : 'OFFLINE';
  }

  note(
    type: WatchedType,
    row: { readonly id: string; readonly operating_status: OperatingStatus },
    operating_status: OperatingStatus,
  ): void {
    if (row.operating_status !== operating_status) this.changes.push({ type, id: row.id, operating_status });
  }

  /** Lowers ONLINE to DEGRADED, and either to ERROR; a disabled load balancer stays OFFLINE. */
  lower(to: 'DEGRADED' | 'ERROR'): void {
    if (this.worst === 'ONLINE' || (this.worst === 'DEGRADED' && to === 'ERROR')) this.worst = to;
  }
}

function deriveListeners(summary: LoadBalancerSummary, heartbeat: Heartbeat, view: View, collected: Collected): void {
  let failed = 0;
  let expected = 0;
  for (const listener of summary.listeners) {
    const status = listenerStatus(listener, heartbeat, view);
    collected.note('listener', listener, status);
    if (status === 'DEGRADED') collected.lower('DEGRADED');
    if (listener.admin_state_up) expected += 1;
    if (status === 'ERROR') failed += 1;
  }
  if (failed > 0) collected.lower(failed >= expected ? 'ERROR' : 'DEGRADED');
}

function listenerStatus(listener: ListenerSummary, heartbeat: Heartbeat, view: View): OperatingStatus {
  const beat = own(heartbeat.listeners, listener.id);
  if (beat !== undefined) return beat.status === 'OPEN' ? 'ONLINE' : 'DEGRADED';
  if (!listener.admin_state_up) return 'OFFLINE';
  if (view.changing) return listener.operating_status;
  return view.comparable ? 'ERROR' : 'OFFLINE';
}

function derivePool(pool: PoolSummary, report: PoolReport | undefined, view: View, collected: Collected): void {
  if (report === undefined) {
    if (!view.changing) collected.note('pool', pool, 'OFFLINE');
    else if (pool.operating_status === 'ERROR' || pool.operating_status === 'DEGRADED') collected.lower(pool.operating_status);
    return;
  }
  let status: OperatingStatus = report.is_up ? 'ONLINE' : 'ERROR';
  if (!report.is_up) collected.lower('ERROR');
  for (const member of pool.members) {
    const words = report.members.get(member.id);
    if (words === undefined && view.changing) continue;
    const memberStatus = statusOfMember(member, words);
    collected.note('member', member, memberStatus);
    if (words === undefined || memberStatus !== 'ERROR') continue;
    if (status === 'ONLINE') status = 'DEGRADED';
    collected.lower('DEGRADED');
  }
  collected.note('pool', pool, status);
}

function statusOfMember(member: MemberSummary, words: readonly string[] | undefined): OperatingStatus {
  if (words === undefined) return member.operating_status === 'NO_MONITOR' ? 'NO_MONITOR' : 'OFFLINE';
  const statuses = words.map((word) => memberStatus(word) ?? member.operating_status);
  return worstFirst.find((status) => statuses.includes(status)) ?? member.operating_status;
}

/** Of several reports about one member the first of these holds. */
const worstFirst = ['ERROR', 'OFFLINE', 'DRAINING', 'DEGRADED', 'NO_MONITOR', 'ONLINE'] as const;

/** The status that HAProxy's word for a server means; undefined: the word says nothing (RESTARTING, or one that is unknown). */
export function memberStatus(word: string): OperatingStatus | undefined {
  if (word.startsWith('UP')) return 'ONLINE';
  if (word.startsWith('DOWN')) return 'ERROR';
  if (word.startsWith('DRAIN')) return 'DRAINING';
  if (word.startsWith('MAINT')) return 'OFFLINE';
  return word === 'no check' ? 'NO_MONITOR' : undefined;
}

type PoolReport = { is_up: boolean; readonly members: Map<string, string[]> };

/** The reports by pool: HAProxy has one backend for each listener that uses the pool. */
function poolReports(heartbeat: Heartbeat): Map<string, PoolReport> {
  const reports = new Map<string, PoolReport>();
  for (const [key, beat] of Object.entries(heartbeat.pools)) {
    const colon = key.indexOf(':');
    mergeReport(reports, colon < 0 ? key : key.slice(0, colon), beat);
  }
  return reports;
}

function mergeReport(reports: Map<string, PoolReport>, pool_id: string, beat: PoolBeat): void {
  const report = reports.get(pool_id) ?? { is_up: true, members: new Map<string, string[]>() };
  reports.set(pool_id, report);
  if (beat.status === 'DOWN') report.is_up = false;
  for (const [member_id, word] of Object.entries(beat.members)) {
    const words = report.members.get(member_id);
    if (words === undefined) report.members.set(member_id, [word]);
    else words.push(word);
  }
}

/** A listener whose own change failed may or may not be served: the amphora may hold its last accepted form, or none. */
function compareListeners(listeners: readonly ListenerSummary[], heartbeat: Heartbeat): { missing: string[]; surplus: string[] } {
  const allowed = new Set(listeners.filter((each) => each.admin_state_up || each.provisioning_status !== 'ACTIVE').map((each) => each.id));
  const missing = listeners.filter(
    (each) => each.admin_state_up && each.provisioning_status === 'ACTIVE' && own(heartbeat.listeners, each.id) === undefined,
  );
  return { missing: missing.map((each) => each.id), surplus: Object.keys(heartbeat.listeners).filter((id) => !allowed.has(id)) };
}

/** An amphora names the keys: `constructor` must not find what every object inherits. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
