import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { refuseRegex } from './python-regex.ts';

/** Expressions and what Python 3.14 says of each; null: it compiles. */
const judged: readonly (readonly [string, string | null])[] = [
  ['(', 'missing ), unterminated subpattern at position 0'],
  ['[', 'unterminated character set at position 0'],
  ['*', 'nothing to repeat at position 0'],
  ['a**', 'multiple repeat at position 2'],
  ['a)', 'unbalanced parenthesis at position 1'],
  ['(?P<a', 'missing >, unterminated name at position 4'],
  ['(?<a>x)', 'unknown extension ?<a at position 1'],
  ['(?P<a>x)(?P=a)', null],
  ['\\', 'bad escape (end of pattern) at position 0'],
  ['*\\', 'bad escape (end of pattern) at position 1'],
  ['a{2,1}', 'min repeat greater than max repeat at position 2'],
  ['a{4294967295}', 'the repetition number is too large'],
  ['[b-a]', 'bad character range b-a at position 1'],
  ['[\\d-z]', 'bad character range \\d-z at position 1'],
  ['\\q', 'bad escape \\q at position 0'],
  ['\\p{L}', 'bad escape \\p at position 0'],
  ['\\d', null],
  ['(?i)a', null],
  ['a(?i)', 'global flags not at the start of the expression at position 1'],
  ['(?z)', 'unknown extension ?z at position 1'],
  ['(?au)', "bad inline flags: flags 'a', 'u' and 'L' are incompatible at position 4"],
  ['(?x) a # b', null],
  ['\\Z', null],
  ['\\z', null],
  ['(?:a', 'missing ), unterminated subpattern at position 0'],
  ['a++', null],
  ['x{,3}', null],
  ['[[:alpha:]]', null],
  ['[]', 'unterminated character set at position 0'],
  ['[^]', 'unterminated character set at position 0'],
  ['[]a-]', null],
  ['\\1', 'invalid group reference 1 at position 1'],
  ['(a)\\2', 'invalid group reference 2 at position 4'],
  ['(a\\1)', 'cannot refer to an open group at position 2'],
  ['\\777', 'octal escape value \\777 outside of range 0-0o377 at position 0'],
  ['\\x1', 'incomplete escape \\x1 at position 0'],
  ['\\u12', 'incomplete escape \\u12 at position 0'],
  ['\\N{DIGIT ONE}', null],
  ['(?#c)a', null],
  ['(?=a)*', null],
  ['^*', 'nothing to repeat at position 1'],
  ['(?<=a+)b', 'look-behind requires fixed-width pattern'],
  ['(?<=ab|cd)e', null],
  ['(?(1)a|b)', 'invalid group reference 1 at position 3'],
  ['(a)(?(1)b|c)', null],
  ['(a)(?(1)b|c|d)', 'conditional backref with more than two branches at position 11'],
  ['(?>a)', null],
  ['(?-i:a)', null],
  ['a|*', 'nothing to repeat at position 2'],
  ['', null],
  ['(|)', null],
  ['{', null],
  ['a{', null],
  ['(?P<1>a)', "bad character in group name '1' at position 4"],
  ['(?P<a>x)(?P<a>y)', "redefinition of group name 'a' as group 2; was group 1 at position 12"],
  ['^/(a|b).*$', null],
  ['ä', null],
];

test('an expression is judged as Python judges it, in the same words', () => {
  for (const [expression, verdict] of judged) assert.equal(refuseRegex(expression), verdict, expression);
});

test('every text gets a verdict, and a literal one is an expression', () => {
  const parts = fc.constantFrom(...judged.flatMap(([expression]) => [...expression]), '(?P<', '\\x', '(?(', '[^', '{1,', '(?<!');
  fc.assert(
    fc.property(fc.array(fc.oneof(parts, fc.string({ unit: 'binary' })), { maxLength: 20 }), (texts) => {
      const verdict = refuseRegex(texts.join(''));
      assert.ok(verdict === null || verdict.length > 0);
    }),
  );
  fc.assert(fc.property(fc.stringMatching(/^[a-z0-9/_ -]*$/u), (text) => assert.equal(refuseRegex(text), null)));
});
