/** Numbers of a bench: percentiles, rounding, and tables of them for people. */
import type { Row } from './part.ts';

/** The value below which `share` (0 to 1) of the values lie (nearest rank); NaN without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** The usual two of a list of durations. */
export const p50p99 = (durations_ms: readonly number[]): { p50_ms: number; p99_ms: number } => ({
  p50_ms: rounded(percentile(durations_ms, 0.5)),
  p99_ms: rounded(percentile(durations_ms, 0.99)),
});

/** Three significant digits: more would only be noise. */
export function rounded(value: number): number {
  return Number.isFinite(value) ? Number(value.toPrecision(Math.abs(value) >= 1000 ? 4 : 3)) : value;
}

/** MiB of bytes. */
export const mebibytes = (bytes: number): number => rounded(bytes / 2 ** 20);

/** Rows as text in columns; a column that a row lacks stays empty. */
export function tableText(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [columns, ...rows.map((row) => columns.map((column) => textOf(row[column])))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const isNumeric = columns.map((column) => rows.every((row) => typeof (row[column] ?? 0) === 'number'));
  const lines = cells.map((line) => line.map((cell, i) => pad(cell, widths[i] ?? 0, isNumeric[i] ?? false)).join('  '));
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return lines.map((line) => `  ${line.trimEnd()}`).join('\n');
}

const textOf = (value: Row[string] | undefined): string => (value === null || value === undefined ? '' : String(value));
const pad = (cell: string, width: number, toRight: boolean): string => (toRight ? cell.padStart(width) : cell.padEnd(width));
