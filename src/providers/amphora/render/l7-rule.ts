/** One L7 rule as HAProxy's ACL. */
import { type L7Rule, type Owner, Terminal } from '../../../model/index.ts';
import { isQuotedValue } from '../../../model/rules/l7rule.ts';
import type { ConfigLine } from '../../../wire/haproxy-text.ts';
import { aclFile, isListEntry, listPath } from '../../../wire/list-files.ts';
import { fetchArgument, ownedLine } from './lines.ts';

/** How HAProxy compares, by the API's word (`-m <method>`). */
const methods: Readonly<Record<L7Rule['compare_type'], string>> = {
  REGEX: 'reg',
  STARTS_WITH: 'beg',
  ENDS_WITH: 'end',
  CONTAINS: 'sub',
  EQUAL_TO: 'str',
};

/** Where lists lie, when the agent takes them. */
export type ListPlace = { readonly base_path: string; readonly loadbalancer_id: string };

/** The owner of a rule's lines. */
export const ownerOfRule = (rule: L7Rule): Owner => ({ type: 'l7rule', id: rule.id });

/** The text that a rule compares with: quotes around a value of a header are not part of it, as the reference's HAProxy reads them, too. */
export function patternOf({ type, compare_type, value }: L7Rule): string {
  const mayBeQuoted = compare_type !== 'REGEX' && type !== 'COOKIE' && type !== 'SSL_DN_FIELD';
  return mayBeQuoted && isQuotedValue(value) ? value.slice(1, -1) : value;
}

/** What a rule looks at and how it compares, as words of an ACL without the pattern. Throws `Terminal`. */
export function comparisonOf(rule: L7Rule): string[] {
  const method = ['-m', methods[rule.compare_type]];
  switch (rule.type) {
    case 'HOST_NAME':
      return ['req.hdr(host)', '-i', ...method];
    case 'PATH':
      return ['path', ...method];
    case 'FILE_TYPE':
      // The end of the path, without a dot that the value does not have: as the reference does it.
      return ['path', '-m', rule.compare_type === 'EQUAL_TO' ? 'end' : methods[rule.compare_type]];
    case 'HEADER':
      return [`req.hdr(${keyOf(rule, nameCharacters)})`, ...method];
    case 'COOKIE':
      return [`req.cook(${keyOf(rule, nameCharacters)})`, ...method];
    case 'SSL_DN_FIELD':
      return [`ssl_c_s_dn(${keyOf(rule, /^[A-Za-z][A-Za-z0-9-]*$/u)})`, ...method];
    case 'SSL_VERIFY_RESULT':
      if (!/^[0-9]{1,9}$/u.test(rule.value)) throw new Terminal(ownerOfRule(rule), 'the value is not the number of a result');
      return ['ssl_c_verify', '-m', 'int'];
    case 'SSL_CONN_HAS_CERT':
      return ['ssl_c_used'];
  }
}

/** RFC 9110, token; and the comma, which the API lets pass: no header has such a name. */
const nameCharacters = /^[a-zA-Z0-9!#$%&'*+,\-.^_`|~]+$/u;

function keyOf(rule: L7Rule, allowed: RegExp): string {
  if (rule.key === null || !allowed.test(rule.key))
    throw new Terminal(ownerOfRule(rule), `the key is not one of a rule of type ${rule.type}`);
  return fetchArgument(rule.key);
}

/**
 * The ACL of a rule, under the rule's id. With a place for lists the pattern lies in one of its own, so that another value needs
 * no reload; else in the line, after `--`, as it may begin with a dash.
 */
export function ruleLine(rule: L7Rule, place: ListPlace | null): ConfigLine {
  const owner = ownerOfRule(rule);
  const words = ['acl', rule.id, ...comparisonOf(rule)];
  if (rule.type === 'SSL_CONN_HAS_CERT') return ownedLine(owner, ...words);
  const pattern = patternOf(rule);
  if (place === null || !isListEntry(pattern)) return ownedLine(owner, ...words, '--', pattern);
  const list = aclFile(`l7-${rule.id}`, [pattern]);
  return { tokens: [...words, '-f', listPath(place.base_path, place.loadbalancer_id, list.name)], owner, lists: [list] };
}

/** A rule in a condition. */
export const term = ({ id, invert }: L7Rule): string => (invert ? `!${id}` : id);
