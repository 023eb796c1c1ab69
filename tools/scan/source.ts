/** Reads TypeScript without a compiler, well enough to measure it and to check its imports and comments. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One source file. `code` is as long as `text`, with spaces for comments and for the contents of strings and patterns. */
export type Source = { readonly path: string; readonly text: string; readonly code: string };

/** All TypeScript files below folders of the project, sorted by path. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  const paths = globSync(
    folders.map((folder) => `${folder}/**/*.ts`),
    { cwd: root },
  );
  return paths.toSorted().map((path) => sourceOf(path, readFileSync(join(root, path), 'utf8')));
}

/** A source from its text. */
export function sourceOf(path: string, text: string): Source {
  return { path, text, code: blanked(text) };
}

/** The number of the line, from 1, that an offset is on. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

/** What may stand before a `/` that starts a pattern; after anything else it divides. */
const beforePattern = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|delete|void|throw|new|await|yield|else|do))\s*$/u;

/** The text with all that is not code as spaces; quotes, backticks and line ends stay. */
export function blanked(text: string): string {
  const out = text.split('');
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to && at < out.length; at += 1) if (out[at] !== '\n') out[at] = ' ';
  };
  /** For each open `${` the number of braces open inside it. */
  const templates: number[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    const end = nextToken(text, at, char, out);
    if (end !== undefined) {
      blank(end.keep, end.to - end.tail);
      at = end.to;
    } else if (char === '`' || (char === '}' && templates.at(-1) === 0)) {
      if (char === '}') templates.pop();
      const stop = templateEnd(text, at + 1);
      blank(at + 1, stop);
      if (text[stop] === '$') templates.push(0);
      at = stop + (text[stop] === '$' ? 2 : 1);
    } else {
      if (templates.length > 0 && (char === '{' || char === '}')) templates.push((templates.pop() ?? 0) + (char === '{' ? 1 : -1));
      at += 1;
    }
  }
  return out.join('');
}

/** A comment, string or pattern at an offset: where blanking starts, where it ends, and how much of the end stays. */
type Token = { readonly keep: number; readonly to: number; readonly tail: number };

function nextToken(text: string, at: number, char: string | undefined, out: readonly string[]): Token | undefined {
  const next = text[at + 1];
  if (char === '/' && next === '/') return { keep: at, to: until(text, '\n', at), tail: 0 };
  if (char === '/' && next === '*') return { keep: at, to: until(text, '*/', at + 2) + 2, tail: 0 };
  if (char === "'" || char === '"') return { keep: at + 1, to: stringEnd(text, at, char), tail: 1 };
  if (char === '/' && beforePattern.test(out.slice(Math.max(0, at - 40), at).join('')))
    return { keep: at, to: patternEnd(text, at), tail: 0 };
  return undefined;
}

function until(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found === -1 ? text.length : found;
}

function stringEnd(text: string, from: number, quote: string): number {
  for (let at = from + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote || text[at] === '\n') return at + 1;
  }
  return text.length;
}

function patternEnd(text: string, from: number): number {
  let isInClass = false;
  for (let at = from + 1; at < text.length && text[at] !== '\n'; at += 1) {
    const char = text[at];
    if (char === '\\') at += 1;
    else if (char === '[') isInClass = true;
    else if (char === ']') isInClass = false;
    else if (char === '/' && !isInClass) return at + 1 + (/^[a-z]*/u.exec(text.slice(at + 1, at + 10))?.[0].length ?? 0);
  }
  return from + 1;
}

/** The offset of the `${` or the backtick that ends a stretch of a template's text. */
function templateEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '`' || (text[at] === '$' && text[at + 1] === '{')) return at;
  }
  return text.length;
}

/** The offset of the bracket that closes the one at `open`; the end of the text when there is none. */
export function closing(code: string, open: number): number {
  const pairs: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };
  const opener = code[open] ?? '(';
  const closer = pairs[opener];
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    if (code[at] === opener) depth += 1;
    else if (code[at] === closer && (depth -= 1) === 0) return at;
  }
  return code.length;
}
