/** From HAProxy's counters to a heartbeat: pure. */
import type { Heartbeat, ListenerBeat, ListenerStatistics, PoolBeat } from '../wire/heartbeat.ts';

/** What HAProxy says at one moment; `stats` are totals since the start of worker `pid`. */
export type Sample = {
  readonly pid: number;
  readonly listeners: Readonly<Record<string, ListenerBeat>>;
  readonly pools: Readonly<Record<string, PoolBeat>>;
  /** Listeners whose totals are the kernel's and outlive every worker. */
  readonly lasting?: ReadonlySet<string>;
  /** True when it says nothing of the listeners that it lacks. */
  readonly is_part?: boolean;
};

/** Reads the answer to `show info;show stat`. Throws `Error` when it is none. */
export function parseSample(text: string): Sample {
  const pid = Number(/^Pid: (\d+)$/mu.exec(text)?.[1]);
  const start = text.indexOf('# pxname,');
  if (Number.isNaN(pid) || start < 0) throw new Error('HAProxy did not answer with its statistics');
  const [header = '', ...rows] = text.slice(start + 2).split('\n');
  const columns = header.split(',');
  const at = (name: string): number => columns.indexOf(name);
  const [proxy, server, status, weight] = [at('pxname'), at('svname'), at('status'), at('weight')];
  const numbers = { scur: at('scur'), slim: at('slim'), bin: at('bin'), bout: at('bout'), stot: at('stot'), ereq: at('ereq') };
  const listeners: [string, ListenerBeat][] = [];
  const pools = new Map<string, { status: 'UP' | 'DOWN'; members: [string, string][] }>();
  for (const row of rows) {
    const fields = row.split(',');
    const name = fields[proxy] ?? '';
    // The frontends of a PROMETHEUS listener and HAProxy's own (`<HTTPCLIENT>`) are no listeners of a tenant.
    if (fields.length < columns.length - 1 || name.includes('prometheus') || name.startsWith('<')) continue;
    const word = fields[status] ?? '';
    const count = (column: number): number => Number(fields[column] ?? 0) || 0;
    if (fields[server] === 'FRONTEND') listeners.push([name, listenerBeat((key) => count(numbers[key]))]);
    else if (fields[server] === 'BACKEND') poolOf(pools, name).status = word.startsWith('DOWN') ? 'DOWN' : 'UP';
    else poolOf(pools, name).members.push([fields[server] ?? '', word.startsWith('UP') && count(weight) === 0 ? 'DRAIN' : word]);
  }
  const beats = [...pools].map(([name, pool]) => [name, { status: pool.status, members: Object.fromEntries(pool.members) }] as const);
  return { pid, listeners: Object.fromEntries(listeners), pools: Object.fromEntries(beats) };
}

/** Without servers that the configuration does not have: those that were removed and still have connections. */
export function onlyMembers(sample: Sample, members: ReadonlyMap<string, ReadonlySet<string>> | undefined): Sample {
  if (members === undefined) return sample;
  const pools = Object.entries(sample.pools).map(([name, pool]) => {
    const known = members.get(name);
    const kept = Object.entries(pool.members).filter(([member]) => known?.has(member) !== false);
    return [name, { ...pool, members: Object.fromEntries(kept) }] as const;
  });
  return { ...sample, pools: Object.fromEntries(pools) };
}

function poolOf(pools: Map<string, { status: 'UP' | 'DOWN'; members: [string, string][] }>, name: string) {
  const found = pools.get(name) ?? { status: 'UP' as const, members: [] };
  pools.set(name, found);
  return found;
}

function listenerBeat(count: (name: 'scur' | 'slim' | 'bin' | 'bout' | 'stot' | 'ereq') => number): ListenerBeat {
  const isFull = count('slim') > 0 && count('scur') >= count('slim');
  const stats = { tx: count('bout'), rx: count('bin'), conns: count('scur'), totconns: count('stot'), ereq: count('ereq') };
  return { status: isFull ? 'FULL' : 'OPEN', stats };
}

type Counters = Omit<ListenerStatistics, 'conns'>;
const counterNames = ['tx', 'rx', 'totconns', 'ereq'] as const;

/** What is known of one listener: the totals of a worker as last seen, and what was added since the last heartbeat. */
export type Ledger = Readonly<Record<string, { readonly pid: number; readonly seen: Counters; readonly added: Counters }>>;

/**
 * Adds what a sample shows beyond the ledger. Another worker counts from zero, so all that it has is new; so is everything
 * of counters that went down. Listeners that are gone are forgotten, unless the sample is only a part.
 */
export function addSample(ledger: Ledger, sample: Sample): Ledger {
  const entries = Object.entries(sample.listeners).map(([id, { stats }]) => {
    const before = ledger[id];
    const pid = sample.lasting?.has(id) === true ? 0 : sample.pid;
    const isSame = before?.pid === pid && counterNames.every((name) => stats[name] >= before.seen[name]);
    const counters = (of: (name: (typeof counterNames)[number]) => number): Counters => ({
      tx: of('tx'),
      rx: of('rx'),
      totconns: of('totconns'),
      ereq: of('ereq'),
    });
    const added = counters((name) => (before?.added[name] ?? 0) + stats[name] - (isSame ? before.seen[name] : 0));
    return [id, { pid, seen: counters((name) => stats[name]), added }] as const;
  });
  return { ...(sample.is_part === true ? ledger : {}), ...Object.fromEntries(entries) };
}

/** HAProxy's sample with what the engine of UDP and SCTP tells; undefined: there is none, null: it does not work now. */
export function withDatagrams(
  sample: Sample | undefined,
  told: Pick<Sample, 'listeners' | 'pools'> | null | undefined,
): Sample | undefined {
  if (told === undefined) return sample;
  if (told === null) return sample === undefined ? undefined : { ...sample, is_part: true };
  return {
    pid: sample?.pid ?? 0,
    listeners: { ...sample?.listeners, ...told.listeners },
    pools: { ...sample?.pools, ...told.pools },
    lasting: new Set(Object.keys(told.listeners)),
    is_part: sample === undefined,
  };
}

/** The ledger after a heartbeat has told what was added. */
export function settle(ledger: Ledger): Ledger {
  const zero: Counters = { tx: 0, rx: 0, totconns: 0, ereq: 0 };
  return Object.fromEntries(Object.entries(ledger).map(([id, entry]) => [id, { ...entry, added: zero }]));
}

/** What a heartbeat of version 3 says of the listeners and pools; without a sample: that nothing answers. */
export function beatOf(sample: Sample | undefined, ledger: Ledger): Pick<Heartbeat, 'listeners' | 'pools'> {
  if (sample === undefined) return { listeners: {}, pools: {} };
  const listeners = Object.entries(sample.listeners).map(([id, { status, stats }]) => {
    const added = ledger[id]?.added ?? { tx: 0, rx: 0, totconns: 0, ereq: 0 };
    return [id, { status, stats: { ...added, conns: stats.conns } }] as const;
  });
  return { listeners: Object.fromEntries(listeners), pools: sample.pools };
}

/** Equal for two samples that tell the same statuses: when it changes, a heartbeat goes out at once. */
export function statusesOf(sample: Sample | undefined): string {
  if (sample === undefined) return '';
  return JSON.stringify([Object.entries(sample.listeners).map(([id, { status }]) => [id, status]), sample.pools]);
}
