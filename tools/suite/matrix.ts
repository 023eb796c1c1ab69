/** The matrix of data-plane features: what was seen with which HAProxy, or with nft, over IPv4 and over IPv6. Pure. */
import type { TestResult } from './reporter.ts';

const pattern = /^(HAProxy [\d.]+|nft) › ([A-Z]\d+) · (.+) · (IPv[46])$/u;
const marks = { passed: 'yes', failed: 'FAIL', skipped: 'skip' } as const;

/** The lines of the matrix of all tests that are called `HAProxy 2.6 › C1 · what it is · IPv4`; none when there are no such tests. */
export function matrixOf(tests: readonly TestResult[]): readonly string[] {
  const found = tests.flatMap((test) => {
    const [, haproxy, row, what, family] = pattern.exec(test.name) ?? [];
    return haproxy === undefined ? [] : [{ ...test, feature: `${row} ${what}`, column: `${haproxy} ${family}` }];
  });
  if (found.length === 0) return [];
  const columns = [...new Set(found.map((each) => each.column))].toSorted();
  const features = [...new Set(found.map((each) => each.feature))].toSorted();
  const width = Math.max(...features.map((each) => each.length));
  const reasons = [...new Set(found.filter((each) => each.outcome === 'skipped').map((each) => each.reason))];
  const cell = (feature: string, column: string): string => {
    const test = found.find((each) => each.feature === feature && each.column === column);
    if (test === undefined) return '-';
    return test.outcome === 'skipped' ? `skip [${reasons.indexOf(test.reason) + 1}]` : marks[test.outcome];
  };
  return [
    ['Feature'.padEnd(width), ...columns].join('  '),
    ...features.map((feature) =>
      [feature.padEnd(width), ...columns.map((column) => cell(feature, column).padEnd(column.length))].join('  ').trimEnd(),
    ),
    ...reasons.map((reason, index) => `[${index + 1}] ${reason}`),
  ];
}
