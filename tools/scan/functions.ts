/** Where functions begin and end. Functions without a name belong to the one around them. */
import { closing, lineAt } from './source.ts';
import type { Source } from './source.ts';

/** A function with a name, and how many lines it is long. */
export type Measured = { readonly path: string; readonly name: string; readonly line: number; readonly lines: number };

const declaration = /\bfunction\s*\*?\s*(#?\w+)\s*(?:<[^()]*>)?\s*\(/gu;
const method = /^[ \t]*(?:(?:public|private|protected|static|override|async|get|set)\s+)*\*?\s*(#?\w+)\s*(?:<[^()]*>)?\(/gmu;
const bound = /(?:\b(?:const|let)\s+|^[ \t]*(?:readonly\s+)?)(#?\w+)(?:\s*:[^=;{}]*)?\s*[=:]\s*(?:async\s*)?(?:<[^()]*>)?\(/gmu;
const notNames = new Set([
  'if',
  'for',
  'while',
  'switch',
  'catch',
  'return',
  'function',
  'await',
  'super',
  'typeof',
  'new',
  'throw',
  'do',
  'else',
  'with',
]);

/** All functions with a name: declarations, methods, accessors, constructors, and functions bound to a name. */
export function functionsOf(source: Source): Measured[] {
  const { code } = source;
  const found = new Map<number, Measured>();
  const take = (pattern: RegExp, isArrow: boolean): void => {
    for (const match of code.matchAll(pattern)) {
      const name = match[1] ?? '';
      const open = match.index + match[0].length - 1;
      const end = notNames.has(name) ? undefined : bodyEnd(code, closing(code, open) + 1, isArrow);
      if (end === undefined || found.has(open)) continue;
      const line = lineAt(code, match.index + match[0].length - match[0].trimStart().length);
      found.set(open, { path: source.path, name, line, lines: lineAt(code, end) - line + 1 });
    }
  };
  take(declaration, false);
  take(method, false);
  take(bound, true);
  return [...found.values()].toSorted((a, b) => a.line - b.line);
}

/** The offset of the end of the body that follows a list of parameters; undefined when none does. */
function bodyEnd(code: string, from: number, isArrow: boolean): number | undefined {
  let at = skipSpace(code, from);
  if (code[at] === ':') at = typeEnd(code, at + 1);
  if (isArrow) {
    if (!code.startsWith('=>', at)) return undefined;
    at = skipSpace(code, at + 2);
    return code[at] === '{' ? closing(code, at) : expressionEnd(code, at);
  }
  return code[at] === '{' ? closing(code, at) : undefined;
}

function skipSpace(code: string, from: number): number {
  let at = from;
  while (/\s/u.test(code[at] ?? 'x')) at += 1;
  return at;
}

/** The end of a type: at `=>` or `{` that starts the body, or where no type can go on. A `{` with a type after it is a type. */
function typeEnd(code: string, from: number): number {
  let at = skipSpace(code, from);
  let isExpected = true;
  while (at < code.length) {
    const char = code[at] ?? '';
    if (char === '{' && !isExpected) return at;
    if (char === '{' || char === '(' || char === '[') {
      at = skipSpace(code, closing(code, at) + 1);
      if (char === '(' && code.startsWith('=>', at)) at = skipSpace(code, at + 2);
      else isExpected = false;
      continue;
    }
    if (code.startsWith('=>', at) || /[;,)=]/u.test(char)) return at;
    if (char === '<') {
      at = skipSpace(code, skipAngles(code, at) + 1);
      isExpected = false;
      continue;
    }
    isExpected =
      /[|&:?]/u.test(char) || /\b(?:is|keyof|typeof|readonly|extends|infer|asserts)$/u.test(code.slice(Math.max(0, at - 9), at + 1));
    at = skipSpace(code, at + 1);
  }
  return at;
}

function skipAngles(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at += 1) {
    if (code[at] === '<') depth += 1;
    else if (code[at] === '>' && code[at - 1] !== '=' && (depth -= 1) === 0) return at;
  }
  return open;
}

/** The end of an expression: the first `;`, `,` or closing bracket outside of brackets, or a line that ends it. */
function expressionEnd(code: string, from: number): number {
  for (let at = from; at < code.length; at += 1) {
    const char = code[at] ?? '';
    if ('([{'.includes(char)) at = closing(code, at);
    else if (';,)]}'.includes(char)) return at;
  }
  return code.length;
}
