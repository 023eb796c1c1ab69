/** Flavors and availability zones themselves (api-ref "Flavors", "Availability Zones"). */
import { deleteOffer, insertOffer, isOfferUsed, lockOffer, updateOffer } from '../../db/profiles.ts';
import { ForeignKeyViolation, UniqueViolation } from '../../db/errors.ts';
import { newId } from '../../lib/ids.ts';
import { Fault, type Flavor } from '../../model/index.ts';
import type { Answer, Call, Handler } from '../call.ts';
import { enforce } from '../policy/enforce.ts';
import { notFound, showMany, showOne } from '../read.ts';
import { presenterOf, type Row } from '../resource.ts';
import { readObject } from '../request/read-object.ts';
import { changedColumns, newColumns } from '../request/fill.ts';
import { invalid, type JsonObject, objectReader, shapeOf } from '../request/validate.ts';
import type { Kind } from './kinds.ts';

/** The handlers of one kind's offers. */
export function offerHandlers(kind: Kind): Readonly<Record<'list' | 'create' | 'show' | 'update' | 'remove', Handler>> {
  const { offers } = kind;
  const create = objectReader(shapeOf(offers.fields, 'post'));
  const update = objectReader(shapeOf(offers.fields, 'put'));
  return {
    list: (call) => showMany(call, offers),
    show: (call) => showOne(call, offers),
    create: (call) => createOffer(call, kind, readObject(call, offers, create)),
    update: (call) => changeOffer(call, kind, readObject(call, offers, update)),
    remove: (call) => removeOffer(call, kind),
  };
}

const present = ({ offers }: Kind, row: object): unknown => ({ [offers.root]: presenterOf(offers)(row as Row, []) });

async function createOffer(call: Call, kind: Kind, body: JsonObject): Promise<Answer> {
  enforce(call, kind.offers.policy, 'post', call.caller.project_id);
  for (const name of ['name', 'enabled', kind.profile_id]) if (body[name] === null) throw invalid(name, null, 'Mandatory field missing.');
  const row = {
    ...(kind.key === 'id' && { id: newId() }),
    ...newColumns(kind.offers.fields, body, call.deps.options),
    [kind.profile_id]: (body[kind.profile_id] as string).toLowerCase(),
  } as unknown as Flavor;
  await named(kind, row.name, () =>
    call.deps.db
      .tx((tx) => insertOffer(tx, kind.offers.table as 'flavor', row))
      .catch((error: unknown) => {
        if (!(error instanceof ForeignKeyViolation)) throw error;
        throw new Fault(400, `${kind.profiles.title} ${String(body[kind.profile_id])} not found.`, { cause: error });
      }),
  );
  return { status: 201, body: present(kind, row) };
}

/** A second one of the same name is refused. */
async function named<T>(kind: Kind, name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof UniqueViolation)) throw error;
    throw new Fault(409, `A ${kind.offerInMessages} of ${name} already exists.`, { cause: error });
  }
}

async function changeOffer(call: Call, kind: Kind, body: JsonObject): Promise<Answer> {
  const key = call.params['id'] ?? '';
  enforce(call, kind.offers.policy, 'put', call.caller.project_id);
  for (const name of ['name', 'enabled']) if (body[name] === null) throw invalid(name, null, 'Mandatory field missing.');
  const change = changedColumns(kind.offers.fields, body, call.deps.options) as Partial<Flavor>;
  const after = await named(kind, change.name ?? key, () =>
    call.deps.db.tx(async (tx) => {
      const row = await lockOffer(tx, kind.offers.table, key);
      if (row === undefined) throw notFound(kind.offers.title, key);
      await updateOffer(tx, kind.offers.table as 'flavor', key, change);
      return { ...row, ...change };
    }),
  );
  return { status: 200, body: present(kind, after) };
}

async function removeOffer(call: Call, kind: Kind): Promise<Answer> {
  const key = call.params['id'] ?? '';
  enforce(call, kind.offers.policy, 'delete', call.caller.project_id);
  await call.deps.db.tx(async (tx) => {
    // Whoever makes a load balancer with it holds it until the load balancer's row is there.
    if ((await lockOffer(tx, kind.offers.table, key)) === undefined) throw notFound(kind.offers.title, key);
    if (await isOfferUsed(tx, kind.offers.table, key))
      throw new Fault(409, `${kind.offers.title} ${key} is in use and cannot be modified.`);
    await deleteOffer(tx, kind.offers.table, key);
  });
  return { status: 204 };
}
