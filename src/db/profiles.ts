/**
 * Flavors, availability zones and their profiles: four tables of one kind. What uses what is decided under row locks, because
 * READ COMMITTED would let a profile change while somebody begins to use it.
 */
import type { Kysely, Updateable } from 'kysely';
import { forUpdate } from './database.ts';
import type { Tables } from './tables.ts';

type Reader = Kysely<Tables>;

/** The tables of profiles, each with the table of what uses it, how that names the profile, and how load balancers name that. */
export const users = {
  flavor_profile: { table: 'flavor', column: 'flavor_profile_id' },
  availability_zone_profile: { table: 'availability_zone', column: 'availability_zone_profile_id' },
} as const;

/** A table of profiles. */
export type ProfileTable = keyof typeof users;

/** A table of what load balancers name. */
export type OfferTable = (typeof users)[ProfileTable]['table'];

/** How each is known: its key, and the column of load balancers that names it. */
const keys = {
  flavor: { key: 'id', named_by: 'flavor_id' },
  availability_zone: { key: 'name', named_by: 'availability_zone' },
} as const;

type AnyTable = ProfileTable | OfferTable;

const keyOf = (table: AnyTable): 'id' | 'name' => (table === 'availability_zone' ? 'name' : 'id');

// Kysely checks columns against one table; these queries are of whichever table is given.
const rowOf = (reader: Reader, table: AnyTable, key: string) =>
  reader
    .selectFrom(table as 'flavor')
    .selectAll()
    .where(keyOf(table), '=', key);

/** One row by its key; undefined when there is none. */
export async function findOffer<T extends AnyTable>(reader: Reader, table: T, key: string): Promise<Tables[T] | undefined> {
  return (await rowOf(reader, table, key).executeTakeFirst()) as Tables[T] | undefined;
}

/** One row by its key, locked until the transaction ends: nobody begins to use it meanwhile. */
export async function lockOffer<T extends AnyTable>(tx: Reader, table: T, key: string): Promise<Tables[T] | undefined> {
  return (await forUpdate(
    rowOf(tx, table, key) as never as { forUpdate(): never; executeTakeFirst(): Promise<unknown> },
  ).executeTakeFirst()) as Tables[T] | undefined;
}

/** Is the row there and enabled? It stays there until the transaction ends; others may do the same at the same time. */
export async function holdOffer(tx: Reader, table: OfferTable, key: string): Promise<boolean> {
  const row = await rowOf(tx, table, key).forShare().executeTakeFirst();
  return row?.enabled === true;
}

/** Inserts a row. Throws `UniqueViolation`, or `ForeignKeyViolation` when its profile does not exist. */
export async function insertOffer<T extends AnyTable>(tx: Reader, table: T, row: Tables[T]): Promise<void> {
  await tx
    .insertInto(table as 'flavor')
    .values(row as Tables['flavor'])
    .execute();
}

/** Changes a row. Throws `UniqueViolation`. */
export async function updateOffer<T extends AnyTable>(tx: Reader, table: T, key: string, change: Partial<Tables[T]>): Promise<void> {
  if (Object.keys(change).length === 0) return;
  await tx
    .updateTable(table as 'flavor')
    .set(change as Updateable<Tables['flavor']>)
    .where(keyOf(table), '=', key)
    .execute();
}

/** Removes a row. */
export async function deleteOffer(tx: Reader, table: AnyTable, key: string): Promise<void> {
  await tx
    .deleteFrom(table as 'flavor')
    .where(keyOf(table), '=', key)
    .execute();
}

/** Does a flavor (an availability zone) use this profile? */
export async function isProfileUsed(tx: Reader, table: ProfileTable, id: string): Promise<boolean> {
  const { table: by, column } = users[table];
  const row = await tx
    .selectFrom(by as 'flavor')
    .select('name')
    .where(column as 'flavor_profile_id', '=', id)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Does a load balancer that is not DELETED name this flavor (availability zone)? */
export async function isOfferUsed(tx: Reader, table: OfferTable, key: string): Promise<boolean> {
  const row = await tx
    .selectFrom('loadbalancer')
    .select('id')
    .where(keys[table].named_by, '=', key)
    .where('provisioning_status', '!=', 'DELETED')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** What a load balancer that names this flavor gets: is it offered now, by which provider, and what does it say (JSON text)? */
export const findFlavor = (reader: Reader, id: string) =>
  reader
    .selectFrom('flavor')
    .innerJoin('flavor_profile as profile', 'profile.id', 'flavor.flavor_profile_id')
    .select(['flavor.enabled', 'profile.provider_name', 'profile.flavor_data as text'])
    .where('flavor.id', '=', id)
    .executeTakeFirst();

/** The same of an availability zone. */
export const findZone = (reader: Reader, name: string) =>
  reader
    .selectFrom('availability_zone as zone')
    .innerJoin('availability_zone_profile as profile', 'profile.id', 'zone.availability_zone_profile_id')
    .select(['zone.enabled', 'profile.provider_name', 'profile.availability_zone_data as text'])
    .where('zone.name', '=', name)
    .executeTakeFirst();
