/** What a run of the tests prints, and whether it was good. */
import { existsSync, readFileSync } from 'node:fs';
import type { FileResult } from './run-file.ts';

/** A skip that is accepted where `CI=true`: the pattern is a part of `path: test: reason`. */
export type KnownSkip = { readonly pattern: string; readonly reason: string };

/** Collects results, prints a line for each file, and the totals. */
export class Summary {
  readonly #known: readonly KnownSkip[];
  readonly #isStrict: boolean;
  readonly #print: (line: string) => void;
  readonly counts = { passed: 0, failed: 0, skipped: 0 };
  readonly #failures: string[] = [];
  readonly #skips = new Map<string, string[]>();

  constructor(options: { known: readonly KnownSkip[]; isStrict: boolean; print: (line: string) => void }) {
    this.#known = options.known;
    this.#isStrict = options.isStrict;
    this.#print = options.print;
  }

  /** Takes the result of one file on one database. */
  add(database: string, { path, seconds, tests }: FileResult): void {
    const title = database === 'sqlite' ? path : `${path} [${database}]`;
    const own = { passed: 0, failed: 0, skipped: 0 };
    for (const { name, outcome, reason } of tests) {
      own[outcome] += 1;
      this.counts[outcome] += 1;
      if (outcome === 'skipped') this.skip(`${title}: ${name}`, reason);
      if (outcome === 'failed' && reason !== '') this.fail(`${title}: ${name}`, reason);
    }
    const parts = [
      `${own.passed} passed`,
      own.failed > 0 ? `${own.failed} FAILED` : '',
      own.skipped > 0 ? `${own.skipped} skipped` : '',
    ].filter(Boolean);
    this.#print(`${own.failed > 0 ? '✖' : '✔'} ${title}  ${parts.join(', ')}  ${seconds.toFixed(1)} s`);
  }

  /** Notes a skip; where only known ones are accepted another one is a failure. */
  skip(what: string, reason: string): void {
    this.#skips.set(reason, [...(this.#skips.get(reason) ?? []), what]);
    if (!this.#isStrict || this.#known.some(({ pattern }) => `${what}: ${reason}`.includes(pattern))) return;
    this.counts.failed += 1;
    this.fail(what, `was skipped (${reason}), which test/known-skips.json does not list; with CI=true that is a failure`);
  }

  /** Notes a failure to be told at the end. */
  fail(what: string, reason: string): void {
    this.#failures.push(`✖ ${what}\n    ${reason.replaceAll('\n', '\n    ')}`);
  }

  /** Prints failures, skips with their reasons, and the line of totals; true when all is well. */
  finish(): boolean {
    for (const [reason, whats] of this.#skips) this.#print(`\nSkipped (${reason}):\n  ${whats.join('\n  ')}`);
    if (this.#failures.length > 0) this.#print(`\n${this.#failures.join('\n\n')}`);
    const { passed, failed, skipped } = this.counts;
    if (passed + failed === 0) this.#print('\nNo test ran.');
    this.#print(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
    return failed === 0 && passed > 0;
  }
}

/** The list of accepted skips; empty where there is no such file. */
export function readKnownSkips(path: string): KnownSkip[] {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as KnownSkip[]) : [];
}
