/** What a file imports. */
import { dirname, join, normalize } from 'node:path';
import { lineAt } from './source.ts';
import type { Source } from './source.ts';

/** One import or re-export. `target` is the path of a file of the project, or the name of a package as written. */
export type Import = {
  readonly from: string;
  readonly target: string;
  readonly line: number;
  /** True where nothing is left of it when types are stripped. */
  readonly isType: boolean;
  readonly isReexport: boolean;
};

const statement = /\b(import|export)\b(\s+type\b)?([^;'"()=]*?\bfrom\s*|\s*\(?\s*)(['"])( +)\4/gu;

/** All imports of a file, static and dynamic. */
export function importsOf(source: Source): Import[] {
  return [...source.code.matchAll(statement)].flatMap((match) => {
    const [whole, word, type, names = ''] = match;
    if (word === 'export' && !names.includes('from')) return [];
    const start = match.index + whole.length - 1 - (match[5]?.length ?? 0);
    const written = source.text.slice(start, start + (match[5]?.length ?? 0));
    // Of `import { type A }` the import itself stays, and the file is loaded: only `import type` vanishes.
    const isType = type !== undefined;
    return [
      {
        from: source.path,
        target: resolved(source.path, written),
        line: lineAt(source.text, match.index),
        isType,
        isReexport: word === 'export',
      },
    ];
  });
}

function resolved(from: string, written: string): string {
  return written.startsWith('.') ? normalize(join(dirname(from), written)) : written;
}

/** The folder of `src` that a path is in, such as `db`; undefined outside of src. */
export function folderOf(path: string): string | undefined {
  return /^src\/([^/]+)\//u.exec(path)?.[1];
}

/** Circles of imports, each as the list of its files; imports of types alone make none, as nothing is left of them at run time. */
export function circlesOf(imports: readonly Import[]): string[][] {
  const edges = new Map<string, string[]>();
  for (const { from, target, isType } of imports) if (!isType) edges.set(from, [...(edges.get(from) ?? []), target]);
  const done = new Set<string>();
  const circles: string[][] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const seen = trail.indexOf(path);
    if (seen !== -1) circles.push([...trail.slice(seen), path]);
    if (seen !== -1 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return circles;
}
