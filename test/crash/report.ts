/** Adds up histories for people to read. */
import type { HistoryResult } from './history.ts';

/** The sum of many histories. */
export type Total = {
  histories: number;
  crashes: number;
  freezes: number;
  leases: number;
  thefts: number;
  histories_with_theft: number;
  actions: Record<string, number>;
  bad: HistoryResult[];
};

/** Nothing yet. */
export const emptyTotal = (): Total => ({
  histories: 0,
  crashes: 0,
  freezes: 0,
  leases: 0,
  thefts: 0,
  histories_with_theft: 0,
  actions: {},
  bad: [],
});

/** Adds one history. */
export function addHistory(total: Total, result: HistoryResult): void {
  total.histories += 1;
  total.crashes += result.crashes;
  total.freezes += result.freezes;
  total.leases += result.leases;
  total.thefts += result.thefts;
  total.histories_with_theft += result.thefts > 0 ? 1 : 0;
  for (const [name, times] of Object.entries(result.actions)) total.actions[name] = (total.actions[name] ?? 0) + times;
  if (result.problems.length > 0) total.bad.push(result);
}

/** A table, then the seeds of what went wrong. */
export function describeTotal(total: Total): string {
  const rows = [
    ['histories', total.histories],
    ['crashes', total.crashes],
    ['freezes', total.freezes],
    ['leases taken', total.leases],
    ['leases stolen', total.thefts],
    ['histories with a stolen lease', total.histories_with_theft],
    ...Object.entries(total.actions).map(([name, times]) => [`action ${name}`, times] as const),
    ['histories that ended stuck, leaking or stale', total.bad.length],
  ] as const;
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(9)}`);
  return [...lines, ...total.bad.slice(0, 10).map((result) => `seed ${result.seed}: ${result.problems.join('; ')}`)].join('\n');
}
