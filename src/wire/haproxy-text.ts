/**
 * The line forms of haproxy.cfg: the writer that the renderer uses and the reader that the agent uses.
 *
 * A file is a list of sections, a section a list of lines, a line a list of tokens. A token is any text without control
 * characters: what reaches HAProxy's parser as one word is exactly that text, whatever it contains, because there is one
 * quoting function (HAProxy 2.6 configuration manual, section 2.2 "Quoting and escaping"). Some words are read a second
 * time by HAProxy: log formats (`escapeLogFormat`), arguments of sample fetches in parentheses, and ACL patterns that
 * begin with a dash (write `--` before them); quoting does not change what they mean there.
 */
import { Terminal } from '../model/faults.ts';
import type { Owner } from '../model/faults.ts';
import type { ListFile } from './list-files.ts';

/** One directive: its words, the resource that it stands for when that is another one than the section's, and the lists that it names. */
export type ConfigLine = {
  readonly tokens: readonly string[];
  readonly owner?: Owner | undefined;
  readonly lists?: readonly ListFile[] | undefined;
};

/** The sections that we write. */
export type SectionKind = 'global' | 'defaults' | 'peers' | 'frontend' | 'backend';

/** A section; `owner` holds for its header and for each of its lines without an owner. `global` and `defaults` have no name. */
export type ConfigSection = {
  readonly kind: SectionKind;
  readonly name?: string | undefined;
  readonly owner?: Owner | undefined;
  readonly lines: readonly ConfigLine[];
};

/** The text of a file, the owner of each of its lines (`owners[n - 1]` is that of line n), and the lists that must lie beside it. */
export type WrittenConfig = {
  readonly text: string;
  readonly owners: readonly (Owner | undefined)[];
  readonly lists: readonly ListFile[];
};

/** HAProxy reads no more words than this in one line (MAX_LINE_ARGS); split a longer list over several lines. */
export const MAX_TOKENS_PER_LINE = 64;

const kinds: ReadonlySet<string> = new Set<SectionKind>(['global', 'defaults', 'peers', 'frontend', 'backend']);
const indent = '    ';
const plainToken = /^[A-Za-z0-9_\-./:,%+=@()[\]{}*!|<>^~?&;]+$/u;
const plainLine = /^[A-Za-z0-9_\-./:,%+=@()[\]{}*!|<>^~?&;]+(?: [A-Za-z0-9_\-./:,%+=@()[\]{}*!|<>^~?&;]+)*$/u;
// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u001f\u007f]/u;

/**
 * One word as it stands in the file: as it is when that is safe, else in single quotes, where HAProxy gives no character
 * a meaning. Throws `TypeError` for control characters (a line break would start a directive) and lone surrogates (they
 * would reach HAProxy as another character).
 */
export function quoteToken(token: string): string {
  if (plainToken.test(token)) return token;
  if (controlCharacter.test(token)) throw new TypeError('a word of haproxy.cfg cannot contain control characters');
  if (!token.isWellFormed()) throw new TypeError('a word of haproxy.cfg must be well-formed Unicode');
  return `'${token.replaceAll("'", `'\\''`)}'`;
}

/** Text that a log format (also the values of `set-header` and of `redirect`) shows as it is: percent signs doubled. */
export function escapeLogFormat(text: string): string {
  return text.replaceAll('%', '%%');
}

/**
 * Writes a file: a header line per section, an indented line per directive, a blank line between sections.
 *
 * Throws `Terminal` with the owner of the line that cannot be written (a refused token, more than
 * `MAX_TOKENS_PER_LINE` words, no words), or `TypeError` when that line has no owner.
 */
export function writeConfig(sections: readonly ConfigSection[]): WrittenConfig {
  const texts: string[] = [];
  const owners: (Owner | undefined)[] = [];
  const lists = new Map<string, ListFile>();
  const add = (text: string, owner: Owner | undefined): void => {
    texts.push(text);
    owners.push(owner);
  };
  for (const [index, section] of sections.entries()) {
    if (index > 0) add('', undefined);
    add(written(headerTokens(section), section.owner), section.owner);
    for (const line of section.lines) {
      const owner = line.owner ?? section.owner;
      add(indent + written(line.tokens, owner), owner);
      for (const list of line.lists ?? []) lists.set(list.name, list);
    }
  }
  return { text: texts.map((text) => `${text}\n`).join(''), owners, lists: [...lists.values()] };
}

function headerTokens(section: ConfigSection): string[] {
  return section.name === undefined ? [section.kind] : [section.kind, section.name];
}

function written(tokens: readonly string[], owner: Owner | undefined): string {
  try {
    if (tokens.length === 0) throw new TypeError('a line of haproxy.cfg needs at least one word');
    if (tokens.length > MAX_TOKENS_PER_LINE) throw new TypeError(`a line of haproxy.cfg holds at most ${MAX_TOKENS_PER_LINE} words`);
    return tokens.map(quoteToken).join(' ');
  } catch (error) {
    if (owner === undefined || !(error instanceof Error)) throw error;
    throw new Terminal(owner, error.message, { cause: error });
  }
}

/**
 * Reads a file back into sections without owners, or answers undefined when it is not exactly what `writeConfig` writes
 * (comments, other quoting, other sections): who asks must then treat the file as one unknown whole.
 */
export function readConfig(text: string): readonly ConfigSection[] | undefined {
  const sections: { kind: SectionKind; name?: string; lines: ConfigLine[] }[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const tokens = readTokens(line.startsWith(indent) ? line.slice(indent.length) : line);
    if (tokens === undefined) return undefined;
    if (line.startsWith(indent)) {
      const section = sections.at(-1);
      if (section === undefined) return undefined;
      section.lines.push({ tokens });
      continue;
    }
    const [kind = '', name, ...more] = tokens;
    if (!isSectionKind(kind) || more.length > 0) return undefined;
    sections.push(name === undefined ? { kind, lines: [] } : { kind, name, lines: [] });
  }
  return isWhatWeWrite(sections, text) ? sections : undefined;
}

function isSectionKind(word: string): word is SectionKind {
  return kinds.has(word);
}

/** Reading is lenient (blank lines anywhere, needless quotes); this makes it exact without a second grammar. */
function isWhatWeWrite(sections: readonly ConfigSection[], text: string): boolean {
  try {
    return writeConfig(sections).text === text;
  } catch {
    return false;
  }
}

/** The words of one line, or undefined when a quote is left open or a character would need quoting. */
function readTokens(line: string): string[] | undefined {
  // Nearly all lines: a thousand members are read in a third of the time.
  if (plainLine.test(line)) return line.split(' ');
  const tokens: string[] = [];
  let rest = line;
  for (;;) {
    const word = /^(?:'[^']*'|\\'|[^\s'"\\#$])+/u.exec(rest)?.[0];
    if (word === undefined) return undefined;
    tokens.push(word.replaceAll(/'([^']*)'|\\'/gu, (whole, inside?: string) => (whole === "\\'" ? "'" : (inside ?? ''))));
    rest = rest.slice(word.length);
    if (rest === '') return tokens;
    if (!rest.startsWith(' ')) return undefined;
    rest = rest.slice(1);
  }
}
