/** From outcomes to figures: how many cases of each resource are equal, better, worded differently, or different. */
import { isDifferent } from './compare.ts';
import type { KnownDifference } from './differences.ts';
import type { Outcome } from './replay.ts';

/** How one case came out. */
export type Verdict = 'equal' | 'better' | 'text' | 'different';

/** The figures of one resource. */
export type Row = Readonly<Record<Verdict, number>> & { readonly suite: string; readonly cases: number };

/** All figures; `unexplained` are the cases that no entry speaks of, `stale` the entries that no case needs (any more). */
export type Report = {
  readonly rows: readonly Row[];
  readonly total: Row;
  readonly explained: number;
  readonly unexplained: readonly Outcome[];
  readonly stale: readonly KnownDifference[];
};

/** The verdict over one case. */
export function verdictOf({ differences }: Outcome): Verdict {
  if (differences.some(({ kind }) => isDifferent(kind))) return 'different';
  if (differences.some(({ kind }) => kind === 'better')) return 'better';
  return differences.length > 0 ? 'text' : 'equal';
}

const keyOf = (suite: string, name: string): string => `${suite} ${name}`;

/** Counts outcomes, and looks up what is known about them. Entries about suites that were not replayed are left alone. */
export function reportOf(outcomes: readonly Outcome[], known: readonly KnownDifference[]): Report {
  const suites = [...new Set(outcomes.map(({ suite }) => suite))];
  const kinds = new Map(known.map((each) => [keyOf(each.suite, each.case), each.kind]));
  const needed = new Set<string>();
  const unexplained = outcomes.filter((outcome) => {
    const verdict = verdictOf(outcome);
    if (verdict !== 'different' && verdict !== 'better') return false;
    const key = keyOf(outcome.suite, outcome.case);
    if (kinds.get(key) !== verdict) return true;
    needed.add(key);
    return false;
  });
  const rows = suites.map((suite) =>
    rowOf(
      suite,
      outcomes.filter((each) => each.suite === suite),
    ),
  );
  return {
    rows,
    total: rowOf('all', outcomes),
    explained: needed.size,
    unexplained,
    stale: known.filter((each) => suites.includes(each.suite) && !needed.has(keyOf(each.suite, each.case))),
  };
}

function rowOf(suite: string, outcomes: readonly Outcome[]): Row {
  const counts = { equal: 0, better: 0, text: 0, different: 0 };
  for (const outcome of outcomes) counts[verdictOf(outcome)] += 1;
  return { suite, cases: outcomes.length, ...counts };
}

/** The report as a table, with what is unexplained below it. */
export function reportText({ rows, total, explained, unexplained, stale }: Report): string {
  const columns = ['cases', 'equal', 'better', 'text', 'different'] as const;
  const line = (first: string, cells: readonly (string | number)[]): string =>
    first.padEnd(22) + cells.map((cell) => String(cell).padStart(10)).join('');
  const table = [
    line('resource', columns),
    ...[...rows, total].map((row) =>
      line(
        row.suite,
        columns.map((name) => row[name]),
      ),
    ),
  ];
  return [
    ...table,
    '',
    `${explained} differences are meant and have an entry in differences.md, ${unexplained.length} are unexplained.`,
    ...unexplained.flatMap(outcomeLines),
    ...stale.map((each) => `no longer needed: ${each.suite} ${JSON.stringify(each.case)} ${each.kind}`),
  ].join('\n');
}

/** What differs in one case, for people to read. */
export function outcomeLines(outcome: Outcome): string[] {
  const cut = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'absent')).slice(0, 240);
  return [
    `${outcome.suite} ${JSON.stringify(outcome.case)}`,
    ...outcome.differences.map(
      ({ kind, path, theirs, ours }) => `    ${kind} ${path}\n      theirs ${cut(theirs)}\n      ours   ${cut(ours)}`,
    ),
  ];
}
