/** Mechanical mutants of source text: each condition negated, each step dropped, each comparison shifted. Lines as formatted. */

/** One change of one file. */
export type Mutant = { readonly file: string; readonly line: number; readonly what: string; readonly text: string };

type Edit = { readonly line: number; readonly what: string; readonly lines: readonly string[] };

/** Every mutant of a file; `text` is the whole mutated file. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const lines = source.split('\n');
  const edits = lines.flatMap((line, index) =>
    [...negations(line), ...swaps(line), ...drops(lines, index)].map((edit) => ({ ...edit, line: index })),
  );
  return edits.map((edit): Mutant => {
    const changed = lines.toSpliced(edit.line, edit.lines.length === 0 ? 1 : edit.lines.length, ...edit.lines);
    return { file, line: edit.line + 1, what: edit.what, text: changed.join('\n') };
  });
}

/** `if (x)` becomes `if (!(x))`, where the condition ends on the line. */
function negations(line: string): Omit<Edit, 'line'>[] {
  const at = line.search(/\bif \(/u);
  if (isComment(line) || at < 0) return [];
  const open = line.indexOf('(', at);
  const close = closingOf(line, open);
  if (close < 0) return [];
  const condition = line.slice(open + 1, close);
  return [{ what: `negate: ${condition}`, lines: [`${line.slice(0, open)}(!(${condition}))${line.slice(close + 1)}`] }];
}

const exchanges: readonly (readonly [RegExp, string])[] = [
  [/ && /u, ' || '],
  [/ \|\| /u, ' && '],
  [/ === /u, ' !== '],
  [/ !== /u, ' === '],
  [/ < /u, ' >= '],
  [/ >= /u, ' < '],
  [/'=',/u, "'!=',"],
  [/'in',/u, "'not in',"],
  [/'!=',/u, "'=',"],
  [/'<=',/u, "'>',"],
  [/\.some\(/u, '.every('],
  [/\.every\(/u, '.some('],
];

/** Operators and comparisons exchanged, one at a time. */
function swaps(line: string): Omit<Edit, 'line'>[] {
  if (isComment(line) || /^import |^export type|^type /u.test(line)) return [];
  return exchanges.flatMap(([from, to]) =>
    from.test(line) ? [{ what: `${from.source.trim()} → ${to.trim()}`, lines: [line.replace(from, to)] }] : [],
  );
}

/** A statement that awaits, a `.where(...)`, a field of an UPDATE or a planned step left out. */
function drops(lines: readonly string[], index: number): Omit<Edit, 'line'>[] {
  const line = lines[index] as string;
  if (isComment(line)) return [];
  const isWhere = /^\s+\.where(?:Ref)?\(.*\)$/u.test(line) || /^\s+\.where\(.*\)\);?$/u.test(line);
  const isStatement = /^\s+(?:if \(.*\) )?await .*;$/u.test(line) || /^\s+(?:steps|plugs)\.push\(.*;$/u.test(line);
  const isSpread = /^\s+\.\.\..*,$/u.test(line);
  if (!isWhere && !isStatement && !isSpread) return [];
  return [{ what: `drop: ${line.trim()}`, lines: [line.endsWith(';') && isWhere ? ';' : ''] }];
}

const isComment = (line: string): boolean => /^\s*(?:\/\/|\/?\*)/u.test(line);

/** The parenthesis that closes the one at `open`; -1: not on this line. Quotes are respected. */
function closingOf(line: string, open: number): number {
  let depth = 0;
  let quote = '';
  for (let at = open; at < line.length; at += 1) {
    const character = line[at] as string;
    if (quote !== '') quote = character === quote ? '' : quote;
    else if (/['"`]/u.test(character)) quote = character;
    else if (character === '(') depth += 1;
    else if (character === ')') depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}
