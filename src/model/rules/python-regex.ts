/**
 * Is a text a regular expression? The API's rules are Python's (`re`, 3.14), and so are the words in which a mistake is
 * told. Whether HAProxy's library takes it as well is known when HAProxy has read it; the two differ in rare escapes. Pure.
 */

/** What is being read, and how far; positions count characters. */
type Source = {
  readonly characters: readonly string[];
  at: number;
  /** Groups opened so far, the whole expression being number 0: their widths, or null while they are open. */
  readonly widths: (Width | null)[];
  readonly names: Map<string, number>;
  /** Groups that a condition names before they are known, and where. */
  readonly awaited: Map<number, number>;
  isVerbose: boolean;
  hasLooseLookBehind: boolean;
};

/** How many characters a part matches: at least and at most. */
type Width = readonly [number, number];

/** One part of a sequence: an anchor cannot be repeated, nor what is repeated already. */
type Item = { readonly kind: 'anchor' | 'repeat' | 'other'; readonly width: Width };

/** A mistake; the message ends with its position. */
class Mistake extends Error {}

const MAX_REPEAT = 4_294_967_295;
const one: Width = [1, 1];
const none: Width = [0, 0];
const digits = '0123456789';
const octal = '01234567';
const hexadecimal = '0123456789abcdefABCDEF';
const flags = 'iLmsxau';

/** Why Python does not compile this expression, in its words; null when it does. */
export function refuseRegex(expression: string): string | null {
  const source: Source = {
    characters: [...expression],
    at: 0,
    widths: [null],
    names: new Map(),
    awaited: new Map(),
    isVerbose: false,
    hasLooseLookBehind: false,
  };
  try {
    readAlternatives(source, 0);
    if (source.at < source.characters.length) throw mistake(source, 'unbalanced parenthesis');
    for (const [group, at] of source.awaited) if (group >= source.widths.length) throw placed(`invalid group reference ${group}`, at);
    return source.hasLooseLookBehind ? 'look-behind requires fixed-width pattern' : null;
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

const placed = (message: string, position: number): Mistake => new Mistake(`${message} at position ${position}`);
const mistake = (source: Source, message: string, back = 0): Mistake => placed(message, source.at - back);
const lengthOf = (text: string): number => [...text].length;
const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\')}'`;

/** The next character, or a backslash with what follows it; undefined at the end. */
function peek({ characters, at }: Source): string | undefined {
  const character = characters[at];
  if (character !== '\\') return character;
  const next = characters[at + 1];
  if (next === undefined) throw placed('bad escape (end of pattern)', at);
  return character + next;
}

function take(source: Source): string | undefined {
  const token = peek(source);
  source.at += token?.startsWith('\\') ? 2 : token === undefined ? 0 : 1;
  // Python looks one ahead, so an escape without end is told before anything else that is wrong here.
  peek(source);
  return token;
}

function takeIf(source: Source, token: string): boolean {
  if (peek(source) !== token) return false;
  take(source);
  return true;
}

function takeWhile(source: Source, allowed: string, most = Infinity): string {
  let text = '';
  for (let next = source.characters[source.at]; next !== undefined && allowed.includes(next) && text.length < most;) {
    text += next;
    source.at += 1;
    next = source.characters[source.at];
  }
  peek(source);
  return text;
}

function takeUntil(source: Source, end: string, what: string): string {
  let text = '';
  for (;;) {
    const token = take(source);
    if (token === undefined)
      throw text === '' ? mistake(source, `missing ${what}`) : mistake(source, `missing ${end}, unterminated name`, lengthOf(text));
    if (token !== end) {
      text += token;
      continue;
    }
    if (text === '') throw mistake(source, `missing ${what}`, 1);
    return text;
  }
}

function readAlternatives(source: Source, depth: number): Width {
  let width: Width | null = null;
  let isFirst = depth === 0;
  do {
    const branch = readSequence(source, depth, isFirst);
    width = width === null ? branch : [Math.min(width[0], branch[0]), Math.max(width[1], branch[1])];
    isFirst = false;
  } while (takeIf(source, '|'));
  return width;
}

function readSequence(source: Source, depth: number, isFirst: boolean): Width {
  const items: Item[] = [];
  for (;;) {
    const token = peek(source);
    if (token === undefined || token === '|' || token === ')') break;
    take(source);
    if (source.isVerbose && /^\s$/u.test(token)) continue;
    if (source.isVerbose && token === '#') {
      source.at = source.characters.length;
      break;
    }
    readItem(source, token, items, { depth, isFirst: isFirst && items.length === 0 });
  }
  return items.reduce<Width>(([least, most], { width }) => [least + width[0], most + width[1]], none);
}

type Place = { readonly depth: number; readonly isFirst: boolean };

function readItem(source: Source, token: string, items: Item[], place: Place): void {
  const add = (width: Width, kind: Item['kind'] = 'other'): void => void items.push({ kind, width });
  if (token.startsWith('\\')) {
    const { width, isAnchor } = readEscape(source, token);
    add(width, isAnchor ? 'anchor' : 'other');
  } else if (token === '[') {
    readSet(source);
    add(one);
  } else if ('*+?{'.includes(token)) readRepeat(source, token, items);
  else if (token === '(') {
    const width = readGroup(source, place);
    if (width !== null) add(width);
  } else if (token === '^' || token === '$') add(none, 'anchor');
  else add(one);
}

function readRepeat(source: Source, token: string, items: Item[]): void {
  const here = source.at;
  const bounds =
    token === '{' ? readBounds(source, here) : ({ '?': [0, 1], '*': [0, Infinity], '+': [1, Infinity] } as const)[token as '?'];
  if (bounds === null) {
    source.at = here;
    items.push({ kind: 'other', width: one });
    return;
  }
  const last = items.at(-1);
  if (last === undefined || last.kind === 'anchor') throw placed('nothing to repeat', here - 1);
  if (last.kind === 'repeat') throw placed('multiple repeat', here - 1);
  if (!takeIf(source, '?')) takeIf(source, '+');
  const most = last.width[1] === 0 || bounds[1] === 0 ? 0 : last.width[1] * bounds[1];
  items[items.length - 1] = { kind: 'repeat', width: [last.width[0] * bounds[0], most] };
}

/** The numbers in braces; null when they are not bounds but text. */
function readBounds(source: Source, here: number): Width | null {
  if (peek(source) === '}') return null;
  const low = takeWhile(source, digits);
  const high = takeIf(source, ',') ? takeWhile(source, digits) : low;
  if (!takeIf(source, '}')) return null;
  const least = low === '' ? 0 : Number(low);
  const most = high === '' ? Infinity : Number(high);
  if (least >= MAX_REPEAT || (most !== Infinity && most >= MAX_REPEAT)) throw new Mistake('the repetition number is too large');
  if (most < least) throw placed('min repeat greater than max repeat', here);
  return [least, most];
}

/** Reads what follows an opening parenthesis; null when it matches nothing by itself (a comment, flags). */
function readGroup(source: Source, place: Place): Width | null {
  const start = source.at - 1;
  if (!takeIf(source, '?')) return readBody(source, place, start, openGroup(source, null));
  const kind = take(source);
  switch (kind) {
    case undefined:
      throw mistake(source, 'unexpected end of pattern');
    case 'P':
      return readNamed(source, place, start);
    case ':':
    case '>':
      return readBody(source, place, start, null);
    case '#':
      while (peek(source) !== ')') if (take(source) === undefined) throw placed('missing ), unterminated comment', start);
      take(source);
      return null;
    case '=':
    case '!':
    case '<':
      return readLookAround(source, place, start, kind);
    case '(':
      return readCondition(source, place, start);
    default:
      if (kind === '-' || flags.includes(kind)) return readFlags(source, place, start, kind);
      throw mistake(source, `unknown extension ?${kind}`, lengthOf(kind) + 1);
  }
}

/** The number of a new group. */
function openGroup(source: Source, name: string | null): number {
  const group = source.widths.push(null) - 1;
  const before = name === null ? undefined : source.names.get(name);
  if (name !== null && before !== undefined)
    throw mistake(source, `redefinition of group name ${quoted(name)} as group ${group}; was group ${before}`, lengthOf(name) + 1);
  if (name !== null) source.names.set(name, group);
  return group;
}

function readBody(source: Source, { depth }: Place, start: number, group: number | null): Width {
  const width = readAlternatives(source, depth + 1);
  if (!takeIf(source, ')')) throw placed('missing ), unterminated subpattern', start);
  if (group !== null) source.widths[group] = width;
  return width;
}

function checkName(source: Source, name: string): void {
  if (!/^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(name))
    throw mistake(source, `bad character in group name ${quoted(name)}`, lengthOf(name) + 1);
}

function readNamed(source: Source, place: Place, start: number): Width {
  if (takeIf(source, '<')) {
    const name = takeUntil(source, '>', 'group name');
    checkName(source, name);
    return readBody(source, place, start, openGroup(source, name));
  }
  if (takeIf(source, '=')) {
    const name = takeUntil(source, ')', 'group name');
    checkName(source, name);
    return widthOf(source, groupNamed(source, name), lengthOf(name) + 1);
  }
  const other = take(source);
  if (other === undefined) throw mistake(source, 'unexpected end of pattern');
  throw mistake(source, `unknown extension ?P${other}`, lengthOf(other) + 2);
}

function groupNamed(source: Source, name: string): number {
  const group = source.names.get(name);
  if (group === undefined) throw mistake(source, `unknown group name ${quoted(name)}`, lengthOf(name) + 1);
  return group;
}

/** The width of a group that is referred to. */
function widthOf(source: Source, group: number, back: number): Width {
  const width = source.widths[group];
  if (width === null || width === undefined) throw mistake(source, 'cannot refer to an open group', back);
  return width;
}

function readLookAround(source: Source, place: Place, start: number, kind: '=' | '!' | '<'): Width {
  if (kind === '<') {
    const side = take(source);
    if (side === undefined) throw mistake(source, 'unexpected end of pattern');
    if (side !== '=' && side !== '!') throw mistake(source, `unknown extension ?<${side}`, lengthOf(side) + 2);
  }
  const width = readBody(source, place, start, null);
  if (kind === '<' && width[0] !== width[1]) source.hasLooseLookBehind = true;
  return none;
}

function readCondition(source: Source, { depth }: Place, start: number): Width {
  const name = takeUntil(source, ')', 'group name');
  if (/^\d+$/u.test(name)) {
    const group = Number(name);
    if (group === 0) throw mistake(source, 'bad group number', lengthOf(name) + 1);
    if (!source.awaited.has(group)) source.awaited.set(group, source.at - lengthOf(name) - 1);
  } else {
    checkName(source, name);
    groupNamed(source, name);
  }
  const yes = readSequence(source, depth + 1, false);
  const no = takeIf(source, '|') ? readSequence(source, depth + 1, false) : none;
  if (peek(source) === '|') throw mistake(source, 'conditional backref with more than two branches');
  if (!takeIf(source, ')')) throw placed('missing ), unterminated subpattern', start);
  return [Math.min(yes[0], no[0]), Math.max(yes[1], no[1])];
}

/** `(?im)` for the whole, or `(?i-m:…)` for a group. */
function readFlags(source: Source, place: Place, start: number, first: string): Width | null {
  const on = first === '-' ? { letters: '', end: '-' } : readLetters(source, first, ')-:', 'missing -, : or )');
  if (on.end === ')') {
    if (!place.isFirst || place.depth > 0) throw placed('global flags not at the start of the expression', start);
    if (on.letters.includes('x')) source.isVerbose = true;
    return null;
  }
  let off = '';
  if (on.end === '-') {
    const letter = take(source);
    if (letter === undefined) throw mistake(source, 'missing flag');
    if (!flags.includes(letter)) throw mistake(source, /^\p{L}$/u.test(letter) ? 'unknown flag' : 'missing flag', lengthOf(letter));
    off = readLetters(source, letter, ':', 'missing :').letters;
    if (/[auL]/u.test(off)) throw mistake(source, "bad inline flags: cannot turn off flags 'a', 'u' and 'L'");
    if ([...off].some((each) => on.letters.includes(each))) throw mistake(source, 'bad inline flags: flag turned on and off', 1);
  }
  const before = source.isVerbose;
  source.isVerbose = (before || on.letters.includes('x')) && !off.includes('x');
  const width = readBody(source, place, start, null);
  source.isVerbose = before;
  return width;
}

function readLetters(source: Source, first: string, ends: string, missing: string): { letters: string; end: string } {
  let letters = first;
  for (;;) {
    if (letters.includes('L')) throw mistake(source, "bad inline flags: cannot use 'L' flag with a str pattern");
    if (letters.includes('a') && letters.includes('u')) throw mistake(source, "bad inline flags: flags 'a', 'u' and 'L' are incompatible");
    const letter = take(source);
    if (letter === undefined) throw mistake(source, missing);
    if (ends.includes(letter)) return { letters, end: letter };
    if (!flags.includes(letter)) throw mistake(source, /^\p{L}$/u.test(letter) ? 'unknown flag' : missing, lengthOf(letter));
    letters += letter;
  }
}

/** Escapes of a code: their letter and how many hexadecimal digits follow. */
const codeLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** The character of an escape that names one; undefined when it names none. */
function readCharacter(source: Source, escape: string): number | undefined {
  const letter = escape.slice(1);
  const simple = 'a\u0007f\u000cn\u000ar\u000dt\u0009v\u000b\\\\'.match(/../gsu)?.find((pair) => pair.startsWith(letter));
  if (simple !== undefined) return simple.codePointAt(1);
  const wanted = codeLengths[letter];
  if (wanted !== undefined) {
    const code = takeWhile(source, hexadecimal, wanted);
    if (code.length < wanted) throw mistake(source, `incomplete escape ${escape}${code}`, 2 + code.length);
    if (Number.parseInt(code, 16) > 0x10_ff_ff) throw mistake(source, `bad escape ${escape}${code}`, 2 + code.length);
    return Number.parseInt(code, 16);
  }
  if (letter === 'N') {
    if (!takeIf(source, '{')) throw mistake(source, 'missing {');
    takeUntil(source, '}', 'character name');
    return 0;
  }
  return undefined;
}

function octalOf(source: Source, text: string): number {
  const value = Number.parseInt(text, 8);
  if (value > 0o377) throw mistake(source, `octal escape value \\${text} outside of range 0-0o377`, text.length + 1);
  return value;
}

function readEscape(source: Source, escape: string): { readonly width: Width; readonly isAnchor: boolean } {
  const letter = escape.slice(1);
  if ('AbBZz'.includes(letter)) return { width: none, isAnchor: true };
  const character = { width: one, isAnchor: false };
  if ('dDsSwW'.includes(letter) || readCharacter(source, escape) !== undefined) return character;
  if (letter === '0') {
    takeWhile(source, octal, 2);
    return character;
  }
  if (digits.includes(letter)) return { width: readReference(source, letter), isAnchor: false };
  if (/^[A-Za-z]$/u.test(letter)) throw mistake(source, `bad escape ${escape}`, 2);
  return character;
}

/** `\1`, or `\123` in octal. */
function readReference(source: Source, first: string): Width {
  let text = first + takeWhile(source, digits, 1);
  const next = source.characters[source.at];
  if (text.length === 2 && [...text].every((each) => octal.includes(each)) && next !== undefined && octal.includes(next)) {
    text += takeWhile(source, octal, 1);
    octalOf(source, text);
    return one;
  }
  if (Number(text) >= source.widths.length) throw mistake(source, `invalid group reference ${Number(text)}`, text.length);
  return widthOf(source, Number(text), text.length + 1);
}

/** Reads a set up to its bracket. */
function readSet(source: Source): void {
  const here = source.at - 1;
  const next = (): string => {
    const token = take(source);
    if (token === undefined) throw placed('unterminated character set', here);
    return token;
  };
  takeIf(source, '^');
  for (let isEmpty = true; ; isEmpty = false) {
    const from = next();
    if (from === ']' && !isEmpty) return;
    const low = readSetItem(source, from);
    if (!takeIf(source, '-')) continue;
    const to = next();
    if (to === ']') return;
    const high = readSetItem(source, to);
    if (low === null || high === null || high < low)
      throw mistake(source, `bad character range ${from}-${to}`, lengthOf(from) + 1 + lengthOf(to));
  }
}

/** The character of one item of a set; null for a class such as `\d`. */
function readSetItem(source: Source, token: string): number | null {
  if (!token.startsWith('\\')) return token.codePointAt(0) ?? 0;
  const letter = token.slice(1);
  if ('dDsSwW'.includes(letter)) return null;
  if (letter === 'b') return 8;
  const character = readCharacter(source, token);
  if (character !== undefined) return character;
  if (octal.includes(letter)) return octalOf(source, letter + takeWhile(source, octal, 2));
  if (/^[A-Za-z89]$/u.test(letter)) throw mistake(source, `bad escape ${token}`, 2);
  return letter.codePointAt(0) ?? 0;
}
