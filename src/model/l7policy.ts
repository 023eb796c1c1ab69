/** The L7 policy: what is done with requests to a listener that all of its rules match (api-ref "L7 Policies"). */
import Type from 'typebox';
import { type Fields, identity, IdRefs, integer, nullableText, NullableUuid, oneOf, type RowOf, Tags, Uuid } from './field.ts';

/** What a policy does. */
export const l7policyActions = ['REDIRECT_TO_POOL', 'REDIRECT_TO_URL', 'REDIRECT_PREFIX', 'REJECT'] as const;

/** The status codes of a redirect. */
export const redirectHttpCodes = [301, 302, 303, 307, 308] as const;

/** The last position there can be: who asks for it is appended. */
export const maxPosition = 2_147_483_647;

/** The fields of an L7 policy. */
export const l7policyFields = {
  ...identity,
  description: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  action: { schema: oneOf(l7policyActions), post: 'mandatory', put: true },
  redirect_pool_id: { schema: NullableUuid, post: 'optional', put: true, fallback: null },
  redirect_url: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  redirect_prefix: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  /** From 1, without gaps among the policies of a listener that are not being deleted. */
  position: { schema: integer(1, maxPosition), post: 'optional', put: true, fallback: maxPosition },
  listener_id: { schema: Uuid, post: 'mandatory' },
  rules: { schema: IdRefs, computed: true },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
  redirect_http_code: {
    schema: Type.Union([Type.Unsafe<(typeof redirectHttpCodes)[number]>({ type: 'integer', enum: [...redirectHttpCodes] }), Type.Null()]),
    post: 'optional',
    put: true,
    fallback: null,
  },
} as const satisfies Fields;

/** An L7 policy as it is stored. */
export type L7Policy = RowOf<typeof l7policyFields>;
