/** The differences that are meant: `differences.md`, an entry for each case, each with its reason. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A case in which another answer is meant; `kind` says how it differs. */
export type KnownDifference = {
  readonly suite: string;
  readonly case: string;
  readonly kind: 'better' | 'different';
  readonly reason: string;
};

/** The file of the entries. */
export const differencesPath = fileURLToPath(new URL('differences.md', import.meta.url));

/** `- suite "case" kind: reason`; the case is JSON text, so that it may hold anything. */
const ENTRY = /^- ([a-z0-9-]+) ("(?:[^"\\]|\\.)*") (better|different): (\S.*)$/u;

/** Reads the entries. Throws for a line that looks like one and is none, and for a case that stands there twice. */
export function readDifferences(text: string = readFileSync(differencesPath, 'utf8')): KnownDifference[] {
  const seen = new Set<string>();
  return text
    .split('\n')
    .filter((line) => line.startsWith('- '))
    .map((line) => {
      const [, suite, quoted, kind, reason] = ENTRY.exec(line) ?? [];
      if (suite === undefined || quoted === undefined || reason === undefined) throw new Error(`not an entry: ${line}`);
      const key = `${suite} ${quoted}`;
      if (seen.has(key)) throw new Error(`entered twice: ${key}`);
      seen.add(key);
      return { suite, case: JSON.parse(quoted) as string, kind: kind as KnownDifference['kind'], reason };
    });
}

/** The line of an entry. */
export const entryLine = (entry: KnownDifference): string =>
  `- ${entry.suite} ${JSON.stringify(entry.case)} ${entry.kind}: ${entry.reason}`;
