/** Which files are tests, and which of them use a database. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** All test files below `root` whose path contains one of the patterns (all when there is none), sorted. */
export function findTestFiles(root: string, patterns: readonly string[]): string[] {
  const found = globSync(['src/**/*.test.ts', 'test/**/*.test.ts', 'tools/**/*.test.ts', 'test/clients/*.sh'], { cwd: root });
  return found
    .filter((path) => !path.startsWith('test/bench/'))
    .filter((path) => patterns.length === 0 || patterns.some((pattern) => path.includes(pattern)))
    .toSorted();
}

/** The module that gives tests their database: who imports it, directly or through other files of test/, runs on each database. */
const databaseSupport = 'test/support/database.ts';

/** True when a test file reaches `test/support/database.ts` by imports that stay within test/. */
export function usesDatabase(root: string, path: string, seen: Set<string> = new Set()): boolean {
  if (path === databaseSupport) return true;
  if (seen.has(path) || !existsSync(join(root, path))) return false;
  seen.add(path);
  if (path.endsWith('.sh')) return false;
  return relativeImports(readFileSync(join(root, path), 'utf8'))
    .map((specifier) => normalize(join(dirname(path), specifier)))
    .some((target) => target.startsWith('test/') && usesDatabase(root, target, seen));
}

function relativeImports(source: string): string[] {
  return [...source.matchAll(/^(?:(?:import|export|\})[^'\n]*|.*\bimport\()'(\.{1,2}\/[^']+)'/gmu)].map((match) => match[1] ?? '');
}
