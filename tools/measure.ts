/** Prints how long files and functions are: `node tools/measure.ts [folder…]`, for src unless told otherwise. */
import { fileURLToPath } from 'node:url';
import { functionsOf } from './scan/functions.ts';
import type { Measured } from './scan/functions.ts';
import { readSources } from './scan/source.ts';
import type { Source } from './scan/source.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Median, 95th percentile (the value at index ⌊0.95 n⌋ of the sorted list) and largest. */
export type Spread = { readonly median: number; readonly p95: number; readonly max: number };

/** The spread of numbers; zeros for none. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  return { median: at(0.5), p95: at(0.95), max: sorted.at(-1) ?? 0 };
}

/** Lines of a file, blank ones and comments included. */
export function linesOf(source: Source): number {
  return source.text.split('\n').length - (source.text.endsWith('\n') ? 1 : 0);
}

function isTest(source: Source): boolean {
  return source.path.endsWith('.test.ts') || source.path.startsWith('test/');
}

function row(name: string, { median, p95, max }: Spread, count: number): string {
  return `${name.padEnd(12)} ${String(count).padStart(6)} ${String(median).padStart(7)} ${String(p95).padStart(5)} ${String(max).padStart(5)}`;
}

function longest(measured: readonly Measured[]): string[] {
  const sorted = measured.toSorted((a, b) => b.lines - a.lines).slice(0, 5);
  return sorted.map(({ path, line, name, lines }) => `  ${String(lines).padStart(4)}  ${path}:${line} ${name}`);
}

function print(folders: readonly string[]): void {
  const sources = readSources(root, folders);
  const code = sources.filter((source) => !isTest(source));
  const functions = code.flatMap(functionsOf);
  const files = code.map((source) => ({ path: source.path, line: 1, name: '', lines: linesOf(source) }));
  const tests = sources.filter(isTest);
  console.log(`${' '.repeat(12)}  count  median   p95   max`);
  console.log(row('files', spreadOf(files.map((file) => file.lines)), files.length));
  console.log(row('functions', spreadOf(functions.map((each) => each.lines)), functions.length));
  console.log(row('test files', spreadOf(tests.map(linesOf)), tests.length));
  console.log(['', 'longest files', ...longest(files), 'longest functions', ...longest(functions)].join('\n'));
}

if (import.meta.main) print(process.argv.length > 2 ? process.argv.slice(2) : ['src']);
