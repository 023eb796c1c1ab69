/**
 * Reads the text of a policy rule in the syntax of oslo.policy: `role:member and project_id:%(project_id)s`, with `and`,
 * `or`, `not`, parentheses, `@` (always), `!` (never), and the older form of lists in lists.
 */
import type { Check, Template } from './check.ts';

/** A rule that cannot be read; the message goes on after the rule's name. */
export class PolicySyntaxError extends Error {}

type Token = '(' | ')' | 'and' | 'or' | 'not' | { readonly check: Check };

/** The check that a rule of a policy file stands for. Throws `PolicySyntaxError`. */
export function parseRule(rule: unknown): Check {
  if (typeof rule === 'string') return parseText(rule);
  if (Array.isArray(rule)) return parseLists(rule);
  // oslo.policy takes an absent value for "everybody": one forgotten word would open everything.
  throw new PolicySyntaxError('has no rule: write "@" for everybody or "!" for nobody');
}

function parseText(text: string): Check {
  const tokens = tokensOf(text);
  if (tokens.length === 0) return { kind: 'always' };
  const reader = { tokens, at: 0 };
  const check = readOr(reader);
  if (reader.at < tokens.length) throw new PolicySyntaxError(`cannot be read after its word ${reader.at}: ${text}`);
  return check;
}

/** `[["role:a", "rule:b"], ["role:c"]]`: any of the inner lists, all checks of which hold. */
function parseLists(rule: readonly unknown[]): Check {
  if (rule.length === 0) return { kind: 'always' };
  const inner = rule.filter((each) => !(Array.isArray(each) && each.length === 0) && each !== '');
  if (inner.length === 0) return { kind: 'never' };
  return joined(
    'or',
    inner.map((each) =>
      joined(
        'and',
        (Array.isArray(each) ? (each as unknown[]) : [each]).map((part) => {
          if (typeof part !== 'string') throw new PolicySyntaxError(`has the part ${JSON.stringify(part)} that is no text`);
          return parseCheck(part.trim());
        }),
      ),
    ),
  );
}

const joined = (kind: 'and' | 'or', checks: readonly Check[]): Check => (checks.length === 1 ? (checks[0] as Check) : { kind, checks });

/** Words are what stands between blanks, without parentheses at their ends: those inside, as in `%(project_id)s`, belong to the word. */
function tokensOf(text: string): Token[] {
  return text
    .split(/\s+/u)
    .filter((each) => each !== '')
    .flatMap((each): Token[] => {
      const [, before = '', word = '', after = ''] = /^(\(*)(.*?)(\)*)$/u.exec(each) ?? [];
      const tokens: Token[] = Array.from(before, () => '(' as const);
      const lower = word.toLowerCase();
      if (lower === 'and' || lower === 'or' || lower === 'not') tokens.push(lower);
      else if (word !== '') tokens.push({ check: parseCheck(word) });
      return [...tokens, ...Array.from(after, () => ')' as const)];
    });
}

type TokenReader = { readonly tokens: readonly Token[]; at: number };

function readOr(reader: TokenReader): Check {
  const checks = [readAnd(reader)];
  while (take(reader, 'or')) checks.push(readAnd(reader));
  return joined('or', checks);
}

function readAnd(reader: TokenReader): Check {
  const checks = [readNot(reader)];
  while (take(reader, 'and')) checks.push(readNot(reader));
  return joined('and', checks);
}

function readNot(reader: TokenReader): Check {
  if (take(reader, 'not')) return { kind: 'not', check: readNot(reader) };
  if (take(reader, '(')) {
    const inner = readOr(reader);
    if (!take(reader, ')')) throw new PolicySyntaxError('lacks a closing parenthesis');
    return inner;
  }
  const token = reader.tokens[reader.at];
  if (typeof token !== 'object')
    throw new PolicySyntaxError(`has ${token === undefined ? 'its end' : `"${token}"`} where a check must stand`);
  reader.at += 1;
  return token.check;
}

function take(reader: TokenReader, token: Token): boolean {
  if (reader.tokens[reader.at] !== token) return false;
  reader.at += 1;
  return true;
}

function parseCheck(word: string): Check {
  if (word === '@' || word === '') return { kind: 'always' };
  if (word === '!') return { kind: 'never' };
  const colon = word.indexOf(':');
  if (colon < 0) throw new PolicySyntaxError(`has the word "${word}", which is no check: it needs a colon, as in role:${word}`);
  const kind = word.slice(0, colon);
  const match = word.slice(colon + 1);
  if (kind === 'rule') return { kind, name: match };
  if (kind === 'role') return { kind, name: parseTemplate(match) };
  if (kind === 'is_admin') return { kind, expected: match.toLowerCase() === 'true' };
  if (kind === 'http' || kind === 'https') throw new PolicySyntaxError(`asks a server (${word}), which is not supported`);
  const text = parseTemplate(match);
  const constant = constantOf(kind);
  return constant === null ? { kind: 'attribute', path: kind.split('.'), text } : { kind: 'constant', value: constant, text };
}

/** What a constant of Python is as text; null: it is a name. */
function constantOf(word: string): string | null {
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/u.exec(word);
  if (quoted !== null) return quoted[1] ?? quoted[2] ?? '';
  return /^(?:True|False|None|-?\d+)$/u.test(word) ? word : null;
}

function parseTemplate(text: string): Template {
  const parts: (string | { key: string })[] = [];
  let end = 0;
  for (const { 0: whole, 1: key, index } of text.matchAll(/%(?:\(([^)]*)\)s|%)/gu)) {
    if (index > end) parts.push(text.slice(end, index));
    parts.push(key === undefined ? '%' : { key });
    end = index + whole.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  if (parts.some((part) => typeof part === 'string' && part.includes('%') && part !== '%'))
    throw new PolicySyntaxError(`has "${text}", in which a % stands alone: names are written %(project_id)s, a percent sign %%`);
  return parts;
}
