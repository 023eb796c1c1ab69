/**
 * Whether HAProxy's own check can come later: a configuration that differs from a checked one only in servers whose words it has
 * checked before, in numbers, addresses, and lists of literal patterns, cannot fail it. The check takes 30 ms of processor time, as much as all the rest of
 * such a change together. Pure but for remembering what was read.
 */
import { isIP } from 'node:net';
import type { ConfigSection } from '../../wire/haproxy-text.ts';
import { sectionsOf } from './sections.ts';
import { parseServerLine } from './server-line.ts';
import { withoutVersions } from './words.ts';

const MAX_WEIGHT = 256;
const MAX_NUMBER = 2 ** 31 - 1;

/** Words whose value may be another one, and what it must be like. */
const values: Readonly<Record<string, (value: string) => boolean>> = {
  weight: (value) => isNumber(value, 0, MAX_WEIGHT),
  id: (value) => isNumber(value, 1, MAX_NUMBER),
  addr: (value) => isIP(value.replaceAll(/^\[|\]$/gu, '')) !== 0,
  port: (value) => isNumber(value, 1, 65_535),
  cookie: isName,
};

/** Is `text` surely right when `checked` is? */
export const isRightByForm = (checked: string, text: string): boolean => haveSameForm(sectionsOf(checked), sectionsOf(text));

/**
 * Is `text` right when `checked` is, and the worker takes the certificates that differ? It reads a certificate as the check would
 * (`set ssl cert`, `commit ssl cert`), and keeps the old one when it is bad. Not so authorities, which a reload exchanges.
 */
export const isRightWhenTaken = (checked: string, text: string): boolean =>
  haveSameForm(withoutCertificates(sectionsOf(checked)), withoutCertificates(sectionsOf(text)));

type Sections = readonly ConfigSection[] | undefined;

/** The versions of certificates and of lists of certificates made equal. */
function withoutCertificates(sections: Sections): Sections {
  const equal = (tokens: readonly string[]): readonly string[] =>
    tokens.map((token, index) => (['crt', 'crt-list'].includes(tokens[index - 1] ?? '') ? withoutVersions(token) : token));
  return sections?.map((section) => ({ ...section, lines: section.lines.map((line) => ({ ...line, tokens: equal(line.tokens) })) }));
}

function haveSameForm(before: Sections, after: Sections): boolean {
  return (
    before !== undefined &&
    after !== undefined &&
    before.length === after.length &&
    before.every((section, index) => isSectionRight(section, after[index]))
  );
}

function isSectionRight(before: ConfigSection, after: ConfigSection | undefined): boolean {
  if (after === undefined || after.kind !== before.kind || after.name !== before.name) return false;
  const [one, other] = [otherLines(before), otherLines(after)];
  return one.length === other.length && one.every((line, index) => line === other[index]) && areServersRight(before, after);
}

/** Ways to compare texts, for which no pattern is wrong: not so expressions, numbers and networks. */
const textMethods: ReadonlySet<string> = new Set(['str', 'beg', 'end', 'sub']);

/** Lines that are no servers, as text; the limit of a frontend may be any number, and a list of literal patterns any version of it. */
function otherLines({ kind, lines }: ConfigSection): readonly string[] {
  const others = kind === 'backend' ? lines.filter(({ tokens }) => tokens[0] !== 'server') : lines;
  return others.map(({ tokens }) => {
    const isLimit = kind === 'frontend' && tokens.length === 2 && tokens[0] === 'maxconn' && isNumber(tokens[1] ?? '', 1, 1_000_000);
    const isLiteral = tokens[0] === 'acl' && textMethods.has(tokens[tokens.indexOf('-m') + 1] ?? '');
    return isLimit ? 'maxconn' : JSON.stringify(isLiteral ? tokens.map(withoutVersions) : tokens);
  });
}

function areServersRight(before: ConfigSection, after: ConfigSection): boolean {
  if (after.kind !== 'backend') return true;
  const known = new Set(before.lines.map(({ tokens }) => shapeOf(tokens)));
  const servers = after.lines.filter(({ tokens }) => tokens[0] === 'server');
  const areUnique = (words: readonly (string | undefined)[]): boolean => {
    const given = words.filter((word) => word !== undefined);
    return new Set(given).size === given.length;
  };
  return (
    servers.every(({ tokens }) => {
      const shape = shapeOf(tokens);
      return shape !== null && known.has(shape);
    }) &&
    areUnique(servers.map(({ tokens }) => tokens[1])) &&
    areUnique(servers.map(({ tokens }) => (tokens.includes('id') ? tokens[tokens.indexOf('id') + 1] : undefined)))
  );
}

/** The words of a server without what may differ; null when one of those is not as it must be. */
function shapeOf(tokens: readonly string[]): string | null {
  const line = parseServerLine(tokens);
  if (
    line === undefined ||
    line.unknown !== null ||
    !isName(line.name) ||
    isIP(line.address) === 0 ||
    !isNumber(String(line.port), 1, 65_535)
  )
    return null;
  const shape: string[] = [];
  for (let index = 3; index < tokens.length; index += 1) {
    const word = tokens[index] ?? '';
    const isValid = values[word];
    if (isValid === undefined) {
      if (word !== 'disabled' && word !== 'backup') shape.push(word);
      continue;
    }
    if (!isValid(tokens[index + 1] ?? '')) return null;
    // Where probes go may be said or not; the rest is said always or never.
    if (word !== 'addr' && word !== 'port') shape.push(word);
    index += 1;
  }
  return shape.join(' ');
}

function isNumber(text: string, least: number, most: number): boolean {
  return /^\d{1,10}$/u.test(text) && Number(text) >= least && Number(text) <= most;
}

function isName(text: string): boolean {
  return /^[A-Za-z0-9_.:-]{1,128}$/u.test(text);
}
