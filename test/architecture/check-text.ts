/** Checks of sizes, comments and names; each answers sentences, one for each violation. */
import { dirname } from 'node:path';
import { linesOf } from '../../tools/measure.ts';
import { functionsOf } from '../../tools/scan/functions.ts';
import { lineAt } from '../../tools/scan/source.ts';
import type { Source } from '../../tools/scan/source.ts';
import { limits, longer } from './rules.ts';

function mayBeLonger(what: string): boolean {
  return longer.some((each) => each.what === what);
}

/** Files, functions and folders beyond the limits. */
export function tooLarge(sources: readonly Source[]): string[] {
  const files = sources.filter((source) => linesOf(source) > limits.file && !mayBeLonger(source.path));
  const functions = sources
    .flatMap(functionsOf)
    .filter(({ path, name, lines }) => lines > limits.function && !mayBeLonger(`${path} ${name}`));
  const counts = new Map<string, number>();
  for (const { path } of sources) if (!/\.(?:test|bench)\.ts$/u.test(path)) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
  const folders = [...counts].filter(([folder, count]) => count > limits.folder && !mayBeLonger(folder));
  return [
    ...files.map((source) => `${source.path} has ${linesOf(source)} lines; ${limits.file} are the limit`),
    ...functions.map(({ path, line, name, lines }) => `${path}:${line} ${name} has ${lines} lines; ${limits.function} are the limit`),
    ...folders.map(([folder, count]) => `${folder} has ${count} files; ${limits.folder} are the limit`),
  ];
}

const exported = /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:const|let|function\*?|class|type|interface)\s+(\w+)/gmu;

/** Exported declarations without a doc comment directly above. */
export function undocumented(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const seen = new Set<string>();
    return [...source.code.matchAll(exported)].flatMap((match) => {
      const name = match[1] ?? '';
      // Overloads share the comment of the first; a type and a value of one name share one as well.
      if (seen.has(name)) return [];
      seen.add(name);
      return hasDocAbove(source.text, match.index) ? [] : [`${source.path}:${lineAt(source.text, match.index)} ${name} has no doc comment`];
    });
  });
}

function hasDocAbove(text: string, at: number): boolean {
  const lines = text.slice(0, at).trimEnd().split('\n');
  while (lines.at(-1)?.trimStart().startsWith('//') === true) lines.pop();
  const above = lines.join('\n').trimEnd();
  return above.endsWith('*/') && above.lastIndexOf('/**') > above.slice(0, -2).lastIndexOf('*/');
}

/** Names of files that are not kebab-case, or that say nothing. */
export function badNames(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path }) => {
    const name = path.split('/').at(-1) ?? '';
    if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.bench)?\.ts$/u.test(name)) return [`${path} is not named in kebab-case`];
    return /(?:^|-)(?:utils?|helpers?|misc|common)(?:[-.]|$)/u.test(name)
      ? [`${path} has a name that says nothing about what is in it`]
      : [];
  });
}

/** Marks of work left undone, and of generated text. */
export function leftovers(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const at = text.search(/\b(?:TODO|FIXME|XXX)\b|\b(?:describe|it|test)\.only\(/u);
    return at === -1 ? [] : [`${path}:${lineAt(text, at)} has ${text.slice(at, at + 12).trim()}: do it, or say why not`];
  });
}
