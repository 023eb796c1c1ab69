/** Two haproxy.cfg compared by what they mean: sections by name, lines as sets, rules of traffic in order. Pure. */
import type { Difference } from './differences.ts';

/** A configuration: header of a section (`frontend X`) → its lines, words with single blanks between. */
export type Meaning = ReadonlyMap<string, readonly string[]>;

/** Words after these on a `server` or `bind` line belong to them. */
const withArgument = new Set(
  'weight verify inter fall rise addr port cookie sni ciphers ciphersuites alpn check-alpn crt ca-file crl-file crt-list ssl-min-ver ssl-max-ver mode level expose-fd id'.split(
    ' ',
  ),
);

/** Reads a configuration, whoever wrote it: blanks in words are escaped or quoted, comments left out. */
export function meaningOf(text: string): Meaning {
  const sections = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.trim().startsWith('#')) continue;
    const words = wordsOf(line.trim());
    if (/^\s/u.test(line)) current.push(canonical(words));
    else sections.set(words.join(' '), (current = []));
  }
  return sections;
}

function wordsOf(line: string): string[] {
  const words = line.match(/(?:\\.|'[^']*'|[^\s'\\])+/gu) ?? [];
  return words.map((word) =>
    word.replaceAll(/\\(.)|'([^']*)'/gu, (_, escaped?: string, quoted?: string) => escaped ?? quoted ?? '').replaceAll(' ', '␣'),
  );
}

/** The order of the words of a server or bind line means nothing, but for what belongs to what. */
function canonical(words: readonly string[]): string {
  const [first = '', ...rest] = words;
  const fixed = first === 'server' ? 2 : first === 'bind' ? 1 : rest.length;
  const groups: string[] = [];
  for (let index = fixed; index < rest.length; index += 1) {
    const word = rest[index] ?? '';
    groups.push(withArgument.has(word) ? `${word} ${rest[(index += 1)] ?? ''}` : word);
  }
  return [first, ...rest.slice(0, fixed), ...groups.toSorted()].join(' ');
}

/** Lines whose order decides what happens to traffic. */
const isOrdered = (line: string): boolean => /^(?:http-request|http-response|tcp-request|redirect|use_backend) /u.test(line);

/**
 * The reference's meaning after all known differences; `used` gets the numbers of those that applied. Lines that only we have are
 * taken out of ours.
 */
export function explain(
  shape: string,
  reference: Meaning,
  ours: Meaning,
  differences: readonly Difference[],
  used: Set<number>,
): { expected: unknown; actual: unknown } {
  const change = (header: string, line: string): string[] => {
    let lines = [line];
    for (const [index, { where, shape: only = shape, from, to }] of differences.entries()) {
      if (from === null || only !== shape || !where.test(header)) continue;
      lines = lines.flatMap((each) => {
        if (!from.test(each)) return [each];
        used.add(index);
        return to === null ? [] : each.replace(from, to).split('\n');
      });
    }
    return lines.map((each) => canonical(each.split(' ')));
  };
  const isExtra = (header: string, line: string): boolean =>
    differences.some(({ where, from, to }, index) => {
      const matches = from === null && to !== null && where.test(header) && new RegExp(to, 'u').test(line);
      if (matches) used.add(index);
      return matches;
    });
  const shown = (lines: readonly string[]) => ({ lines: lines.toSorted(), order: lines.filter(isOrdered) });
  const expected = [...reference].map(([header, lines]) => [header, shown(lines.flatMap((line) => change(header, line)))] as const);
  const actual = [...ours].map(([header, lines]) => [header, shown(lines.filter((line) => !isExtra(header, line)))] as const);
  return { expected: Object.fromEntries(expected), actual: Object.fromEntries(actual) };
}
