/** The member: a server that takes traffic (api-ref "Members"). */
import Type from 'typebox';
import { type Fields, identity, integer, Ip, NullableIp, nullableInteger, NullableUuid, oneOf, type RowOf, Tags, Uuid } from './field.ts';

/** The fields of a member. */
export const memberFields = {
  ...identity,
  pool_id: { schema: Uuid, hidden: true },
  address: { schema: Ip, post: 'mandatory' },
  protocol_port: { schema: integer(1, 65_535), post: 'mandatory' },
  weight: { schema: integer(0, 256), post: 'optional', put: true, fallback: 1 },
  backup: { schema: Type.Boolean(), post: 'optional', put: true, fallback: false },
  subnet_id: { schema: NullableUuid, post: 'optional', fallback: null },
  monitor_address: { schema: NullableIp, post: 'optional', put: true, fallback: null },
  monitor_port: { schema: nullableInteger(1, 65_535), post: 'optional', put: true, fallback: null },
  vnic_type: { schema: oneOf(['normal', 'direct']) },
  tags: { schema: Tags, post: 'optional', put: true, fallback: [], computed: true },
} as const satisfies Fields;

/** A member as it is stored. */
export type Member = RowOf<typeof memberFields>;
