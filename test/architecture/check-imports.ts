/** Checks of imports against the rules; each answers sentences, one for each violation. */
import { circlesOf, folderOf, importsOf } from '../../tools/scan/imports.ts';
import type { Import } from '../../tools/scan/imports.ts';
import { lineAt } from '../../tools/scan/source.ts';
import type { Source } from '../../tools/scan/source.ts';
import { folders, packages, pureExceptions, purePaths } from './rules.ts';

function isTest(path: string): boolean {
  return /\.(?:test|bench)\.ts$/u.test(path) || !path.startsWith('src/');
}

/** Imports from one folder of src to another that the rules do not name. Tests may use what they need. */
export function forbiddenEdges(sources: readonly Source[]): string[] {
  const imports = sources.filter((source) => !isTest(source.path)).flatMap(importsOf);
  return imports.flatMap((each) => {
    const [from, to] = [folderOf(each.from), folderOf(each.target)];
    const where = `${each.from}:${each.line} imports ${each.target}`;
    if (from === undefined) return [];
    if (/^(?:test|tools)\//u.test(each.target)) return [`${where}, but src does not know its tests and tools`];
    if (to === undefined || to === from) return [];
    const rule = folders[from];
    if (rule === undefined) return [`${where}, but src/${from} is in no rule of test/architecture/rules.ts`];
    if (rule.may.includes(to) || rule.may.includes('*')) return [];
    return [`${where}, but ${to === 'main' ? 'nothing imports main' : rule.because}`];
  });
}

/** Packages imported outside of the folders that may. */
export function forbiddenPackages(sources: readonly Source[]): string[] {
  const imports = sources.filter((source) => !isTest(source.path)).flatMap(importsOf);
  return imports.flatMap((each) => {
    const rule = packages.find(({ names }) => names.some((name) => each.target === name || each.target.startsWith(`${name}/`)));
    if (rule === undefined || rule.only.some((prefix) => each.from.startsWith(`src/${prefix}`))) return [];
    return [`${each.from}:${each.line} imports ${each.target}, but ${rule.because}`];
  });
}

/** Circles of imports between files. */
export function circles(sources: readonly Source[]): string[] {
  return circlesOf(sources.flatMap(importsOf)).map((circle) => circle.join(' → '));
}

/** Files that only pass on what others export; model/index.ts is the one that may. */
export function barrels(sources: readonly Source[]): string[] {
  const allowed = 'src/model/index.ts';
  return sources.flatMap((source) => {
    const reexport = importsOf(source).find((each: Import) => each.isReexport && /\bexport\s*\*/u.test(source.code));
    if (source.path === allowed || (reexport === undefined && !source.path.endsWith('/index.ts'))) return [];
    return [`${source.path} is a barrel: whoever imports it imports everything, so only ${allowed} is one`];
  });
}

const impure: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\./u, 'the clock'],
  [/\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/u, 'randomness'],
  [/\bprocess\.|\bfetch\(|\bset(?:Timeout|Interval|Immediate)\(|\bconsole\./u, 'the outside'],
];

/** Uses of clock, randomness, and input or output in files that are pure by the rules. */
export function impurities(sources: readonly Source[]): string[] {
  const pure = sources.filter(({ path }) => !isTest(path) && purePaths.some((pattern) => pattern.test(path)));
  return pure.flatMap((source) => {
    const imports = importsOf(source).filter(
      ({ target }) => target.startsWith('node:') && !pureExceptions.some((each) => each.path === source.path && each.target === target),
    );
    const uses = impure.flatMap(([pattern, what]) => {
      const at = source.code.search(pattern);
      return at === -1 ? [] : [`${source.path}:${lineAt(source.code, at)} uses ${what}, but it is pure: make it a parameter`];
    });
    return [...imports.map(({ target, line }) => `${source.path}:${line} imports ${target}, but it is pure`), ...uses];
  });
}

/** Places outside of main and config that read the environment or the arguments of the process. */
export function environmentReaders(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const folder = folderOf(source.path);
    if (isTest(source.path) || folder === 'main' || folder === 'config') return [];
    const at = source.code.search(/\bprocess\.(?:env|argv)\b/u);
    return at === -1
      ? []
      : [
          `${source.path}:${lineAt(source.code, at)} reads process.env or process.argv, but only main and config do: take it as a parameter`,
        ];
  });
}
