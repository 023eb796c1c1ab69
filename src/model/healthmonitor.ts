/** The health monitor: how the members of a pool are probed (api-ref "Health Monitor"). */
import Type from 'typebox';
import { type Fields, identity, IdRefs, integer, nullableOneOf, nullableText, oneOf, type RowOf, Tags, Uuid } from './field.ts';

/** The kinds of probe. */
export const monitorTypes = ['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP'] as const;

/** The methods of an HTTP probe. */
export const monitorMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS', 'CONNECT', 'PATCH'] as const;

/** One code, codes with commas between, or a range. */
const expectedCodesPattern = String.raw`^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$`;

/** A host name; an underscore may only begin a label. */
const domainNamePattern = String.raw`^(?=.{1,253}\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|$))+$`;

/** The fields of a health monitor; `delay` and `timeout` are seconds. */
export const healthmonitorFields = {
  ...identity,
  type: { schema: oneOf(monitorTypes), post: 'mandatory' },
  delay: { schema: integer(0), post: 'mandatory', put: true },
  timeout: { schema: integer(0), post: 'mandatory', put: true },
  max_retries: { schema: integer(1, 10), post: 'mandatory', put: true },
  max_retries_down: { schema: integer(1, 10), post: 'optional', put: true, fallback: 3 },
  http_method: { schema: nullableOneOf(monitorMethods), post: 'optional', put: true, fallback: null },
  url_path: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  expected_codes: {
    schema: Type.Union([Type.String({ maxLength: 64, pattern: expectedCodesPattern }), Type.Null()]),
    post: 'optional',
    put: true,
    fallback: null,
  },
  http_version: {
    schema: Type.Union([Type.Unsafe<number>({ type: 'number', enum: [1, 1.1] }), Type.Null()]),
    post: 'optional',
    put: true,
    fallback: null,
  },
  domain_name: {
    schema: Type.Union([Type.String({ minLength: 1, maxLength: 255, pattern: domainNamePattern }), Type.Null()]),
    post: 'optional',
    put: true,
    fallback: null,
  },
  pool_id: { schema: Uuid, post: 'mandatory', hidden: true },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
  pools: { schema: IdRefs, computed: true },
} as const satisfies Fields;

/** A health monitor as it is stored. */
export type HealthMonitor = RowOf<typeof healthmonitorFields>;
