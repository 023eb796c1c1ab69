/** The L7 rule: one condition of an L7 policy on a request (api-ref "L7 Rules"). */
import Type from 'typebox';
import { type Fields, identity, oneOf, type RowOf, Tags, Uuid } from './field.ts';

/** What of a request or its connection a rule looks at. */
export const l7ruleTypes = [
  'COOKIE',
  'FILE_TYPE',
  'HEADER',
  'HOST_NAME',
  'PATH',
  'SSL_CONN_HAS_CERT',
  'SSL_VERIFY_RESULT',
  'SSL_DN_FIELD',
] as const;

/** How a rule compares. */
export const l7ruleCompareTypes = ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'] as const;

/** How many rules a policy may have. */
export const maxRulesPerPolicy = 50;

/** Text without line breaks. */
const singleLine = { maxLength: 255, pattern: String.raw`^[^\r\n]*$` } as const;

const { name: _name, ...nameless } = identity;

/** The fields of an L7 rule. */
export const l7ruleFields = {
  ...nameless,
  type: { schema: oneOf(l7ruleTypes), post: 'mandatory', put: true },
  compare_type: { schema: oneOf(l7ruleCompareTypes), post: 'mandatory', put: true },
  /** The name of a header, a cookie or a field of a distinguished name. */
  key: { schema: Type.Union([Type.String(singleLine), Type.Null()]), post: 'optional', put: true, fallback: null },
  value: { schema: Type.String(singleLine), post: 'mandatory', put: true },
  invert: { schema: Type.Boolean(), post: 'optional', put: true, fallback: false },
  l7policy_id: { schema: Uuid, hidden: true },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
} as const satisfies Fields;

/** An L7 rule as it is stored. */
export type L7Rule = RowOf<typeof l7ruleFields>;
