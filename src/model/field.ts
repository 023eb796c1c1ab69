/**
 * How a resource is declared: one table of fields, from which the row type, the request validation, the list filters
 * and the API reference are all derived. Property name = JSON key = column.
 */
import Type, { type Static, type TSchema } from 'typebox';

/** One field of a resource: its JSON type and what a request may do with it. */
export type Field = {
  readonly schema: TSchema;
  /** May a create request carry it? Absent: no. */
  readonly post?: 'mandatory' | 'optional';
  /** May an update request carry it? Absent: no. */
  readonly put?: true;
  /** The value stored when a create request leaves it out, and when a request says `null` (api-ref: null resets, absence keeps). */
  readonly fallback?: unknown;
  /** The name of the configuration option (`group.option`) that gives the fallback instead. */
  readonly fallback_option?: string;
  /** Stored and used, but never shown in an answer. */
  readonly hidden?: true;
  /** Hidden, but an answer has it when it is not null: an addition that clients of the reference do not meet in good times. */
  readonly shown_when_set?: true;
  /** Shown in an answer but not a column: computed from other rows (`listeners`, `pools`, `tags` …). */
  readonly computed?: true;
};

/** The fields of a resource in the order in which requests are validated. */
export type Fields = Readonly<Record<string, Field>>;

/** The row of a resource: every field that is not computed. */
export type RowOf<F extends Fields> = {
  [K in keyof F as F[K] extends { computed: true } ? never : K]: Static<F[K]['schema']>;
};

/** A UUID in its canonical text form. */
export const Uuid = Type.String({ format: 'uuid' });
/** A UUID or null. */
export const NullableUuid = Type.Union([Uuid, Type.Null()]);
/** Text of at most `max` characters. */
export const text = (max = 255) => Type.String({ maxLength: max });
/** Text of at most `max` characters, or null. */
export const nullableText = (max = 255) => Type.Union([text(max), Type.Null()]);
/** An integer between two bounds, both allowed. */
export const integer = (minimum: number, maximum?: number) => Type.Integer(maximum === undefined ? { minimum } : { minimum, maximum });
/** An integer between two bounds, or null. */
export const nullableInteger = (minimum: number, maximum?: number) => Type.Union([integer(minimum, maximum), Type.Null()]);
/** One of a closed list of words. */
export const oneOf = <const T extends readonly string[]>(words: T) => Type.Unsafe<T[number]>({ type: 'string', enum: [...words] });
/** One of a closed list of words, or null. */
export const nullableOneOf = <const T extends readonly string[]>(words: T) => Type.Union([oneOf(words), Type.Null()]);
/** An IPv4 or IPv6 address. */
export const Ip = Type.String({ format: 'ip' });
/** An IPv4 or IPv6 address, or null. */
export const NullableIp = Type.Union([Ip, Type.Null()]);
/** An IPv4 or IPv6 network in CIDR notation. */
export const Cidr = Type.String({ format: 'cidr' });
/** UTC time as the API writes it: `YYYY-MM-DDTHH:MM:SS`, no zone. */
export const Timestamp = Type.String({ format: 'octavia-time' });
/** UTC time or null (never changed). */
export const NullableTimestamp = Type.Union([Timestamp, Type.Null()]);
/** Free labels of a resource; kept in a table of their own. */
export const Tags = Type.Array(text(255));
/** References to other resources by id, as answers carry them. */
export const IdRefs = Type.Array(Type.Object({ id: Uuid }));

/** Fields that every resource with a life cycle begins with. */
export const identity = {
  id: { schema: Uuid },
  project_id: { schema: nullableText(36), post: 'optional' },
  name: { schema: nullableText(255), post: 'optional', put: true, fallback: null },
  provisioning_status: { schema: oneOf(['ACTIVE', 'ERROR', 'DELETED', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE']) },
  operating_status: { schema: oneOf(['ONLINE', 'OFFLINE', 'DEGRADED', 'ERROR', 'DRAINING', 'NO_MONITOR']) },
  admin_state_up: { schema: Type.Boolean(), post: 'optional', put: true, fallback: true },
  created_at: { schema: Timestamp },
  updated_at: { schema: NullableTimestamp },
  /** Why the resource is in ERROR, for its owner to read; null otherwise. An addition to the API: old clients ignore it. */
  fault: { schema: nullableText(2000), hidden: true, shown_when_set: true },
  /** Did HAProxy or the provider refuse just this resource? Then it is left out until it is changed again. */
  refused: { schema: Type.Boolean(), hidden: true },
} as const satisfies Fields;
