/** What the fields of an L7 rule demand of each other (api-ref "Create an L7 Rule"). Pure. */
import { Fault } from '../faults.ts';
import type { L7Rule } from '../l7rule.ts';
import { refuseRegex } from './python-regex.ts';

/** The part of a rule that says what it matches; null where a request cleared a field that must have a value. */
export type RuleCondition = { readonly [Name in 'type' | 'compare_type' | 'key' | 'value']: L7Rule[Name] | null };

/** Characters of the name of a header or a cookie; the comma is none, but the API has always taken it. */
const nameCharacters = /^[a-zA-Z0-9!#$%&'*+,\-.^_`|~]+$/u;
const cookieCharacters = /^[a-zA-Z0-9!#$%&'()*+,\-./:<=>?@[\]^_`{|}~]+$/u;
const headerCharacters = /^[\u0021-\u007e]+$/u;
const quotedHeaderCharacters = /^"[\u0020-\u007e\t]*"$/u;

/** Is the value a quoted one, whose quotes do not belong to what is compared (RFC 7230, quoted-string)? */
export const isQuotedValue = (value: string): boolean => value.length > 1 && quotedHeaderCharacters.test(value);

/** Rules of these types have no key: an update takes it away. */
export const keylessTypes: readonly (L7Rule['type'] | null)[] = ['HOST_NAME', 'PATH', 'FILE_TYPE'];

/** Checks a rule; throws `Fault` 400 in the reference's words. */
export function checkRule(rule: RuleCondition): void {
  const refusal = refuseRule(rule);
  if (refusal !== null) throw new Fault(400, `Error parsing L7Rule: ${refusal}`);
}

const invalid = (message: string): string => `Invalid L7 Rule: ${message}`;

/** Why a rule is none; null when it is one. */
export function refuseRule({ type, compare_type, key, value }: RuleCondition): string | null {
  if (value === null || value === '') return invalid('L7 rule type requires a value');
  switch (type) {
    case 'HEADER':
    case 'COOKIE':
      if (key === null || key === '') return invalid('L7 rule type requires a key');
      if (!nameCharacters.test(key)) return 'Invalid characters in key';
      return type === 'HEADER' ? refuseHeaderValue(compare_type, value, 'header value') : refuseCookieValue(compare_type, value);
    case 'HOST_NAME':
    case 'PATH':
      return refuseHeaderValue(compare_type, value, 'comparison value');
    case 'FILE_TYPE':
      if (compare_type !== 'REGEX' && compare_type !== 'EQUAL_TO') return unknownComparison;
      return refuseHeaderValue(compare_type, value, 'comparison value');
    case 'SSL_CONN_HAS_CERT':
    case 'SSL_VERIFY_RESULT':
      return refuseKeyless(type, compare_type, key, value);
    case 'SSL_DN_FIELD':
      return refuseDnField(compare_type, key, value);
    default:
      return invalid('invalid rule type');
  }
}

const unknownComparison = invalid('invalid comparison type for rule type');

const refuseExpression = (value: string): string | null => {
  const refusal = refuseRegex(value);
  return refusal === null ? null : `Unable to parse regular expression: ${refusal}`;
};

function refuseHeaderValue(compare_type: L7Rule['compare_type'] | null, value: string, what: string): string | null {
  if (compare_type === null) return unknownComparison;
  if (compare_type === 'REGEX') return refuseExpression(value);
  return headerCharacters.test(value) || isQuotedValue(value) ? null : `Invalid characters in ${what}`;
}

function refuseCookieValue(compare_type: L7Rule['compare_type'] | null, value: string): string | null {
  if (compare_type === null) return unknownComparison;
  if (compare_type === 'REGEX') return refuseExpression(value);
  return cookieCharacters.test(value) ? null : 'Invalid characters in cookie value';
}

function refuseKeyless(
  type: 'SSL_CONN_HAS_CERT' | 'SSL_VERIFY_RESULT',
  compare_type: L7Rule['compare_type'] | null,
  key: string | null,
  value: string,
): string | null {
  if (key !== null && key !== '') return invalid(`L7rule type ${type} does not use the "key" field.`);
  if (type === 'SSL_CONN_HAS_CERT' && value.toLowerCase() !== 'true') return invalid(`L7rule value ${value} is not a boolean True string.`);
  if (type === 'SSL_VERIFY_RESULT' && !/^[0-9]+$/u.test(value)) return invalid(`L7rule type ${type} needs a int value, which is >= 0`);
  if (compare_type !== 'EQUAL_TO') return invalid(`L7rule type ${type} only supports the EQUAL_TO compare type.`);
  return null;
}

function refuseDnField(compare_type: L7Rule['compare_type'] | null, key: string | null, value: string): string | null {
  const refusal = compare_type === 'REGEX' ? refuseExpression(value) : null;
  if (refusal !== null) return refusal;
  if (key === null || key === '') return invalid('L7rule type SSL_DN_FIELD needs to specify a key and a value.');
  if (!/^[a-zA-Z][A-Za-z0-9-]*$/u.test(key)) return invalid('Invalid L7rule distinguished name field.');
  // The reference takes this, and its HAProxy then does not start.
  return compare_type === null ? unknownComparison : null;
}
