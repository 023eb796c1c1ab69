/** Flavor profiles and availability zone profiles (api-ref "Flavor Profiles", "Availability Zone Profiles"). */
import { deleteOffer, findOffer, insertOffer, isProfileUsed, lockOffer, updateOffer } from '../../db/profiles.ts';
import type { Tx } from '../../db/database.ts';
import { newId } from '../../lib/ids.ts';
import { Fault, type FlavorProfile } from '../../model/index.ts';
import type { Answer, Call, Handler } from '../call.ts';
import { providerOf } from '../change.ts';
import { enforce } from '../policy/enforce.ts';
import { notFound, showMany, showOne } from '../read.ts';
import { presenterOf, type Row } from '../resource.ts';
import { readObject } from '../request/read-object.ts';
import { invalid, type JsonObject, objectReader, shapeOf } from '../request/validate.ts';
import { checkData, invalidOption, parseData } from './check-data.ts';
import { type Kind, NIL_UUID } from './kinds.ts';

/** The handlers of one kind's profiles. */
export function profileHandlers(kind: Kind): Readonly<Record<'list' | 'create' | 'show' | 'update' | 'remove', Handler>> {
  const { profiles } = kind;
  const create = objectReader(shapeOf(profiles.fields, 'post'));
  const update = objectReader(shapeOf(profiles.fields, 'put'));
  return {
    list: (call) => showMany(call, profiles),
    show: (call) => showProfile(call, kind),
    create: (call) => createProfile(call, kind, readObject(call, profiles, create)),
    update: (call) => updateProfile(call, kind, readObject(call, profiles, update)),
    remove: (call) => removeProfile(call, kind),
  };
}

/** The columns that every profile has; the data stands under the kind's own name. */
type Named = Pick<FlavorProfile, 'id' | 'name' | 'provider_name'>;

const present = ({ profiles }: Kind, row: Named): unknown => ({ [profiles.root]: presenterOf(profiles)(row as Row, []) });

const inUse = (kind: Kind, id: string): Fault => new Fault(409, `${kind.profileInMessages} ${id} is in use and cannot be modified.`);

async function showProfile(call: Call, kind: Kind): Promise<Answer> {
  if (call.params['id'] === NIL_UUID) throw notFound(kind.profileInMessages, NIL_UUID);
  return showOne(call, kind.profiles);
}

async function createProfile(call: Call, kind: Kind, body: JsonObject): Promise<Answer> {
  enforce(call, kind.profiles.policy, 'post', call.caller.project_id);
  for (const name of ['name', 'provider_name']) if (body[name] === null) throw invalid(name, null, 'Mandatory field missing.');
  const data = parseData(kind.data, body[kind.data] as string | null);
  await checkWithProvider(call, kind, body['provider_name'] as string, data);
  const row = { id: newId(), ...body } as unknown as FlavorProfile;
  await call.deps.db.tx((tx) => insertOffer(tx, kind.profiles.table as 'flavor_profile', row));
  return { status: 201, body: present(kind, row) };
}

/** An empty name stands for the default provider. */
async function checkWithProvider(call: Call, kind: Kind, name: string, data: unknown): Promise<void> {
  const provider = providerOf(call.deps, name || null);
  await checkData(name || call.deps.options.default_provider_driver, provider.metadata?.[kind.metadata], data);
}

async function updateProfile(call: Call, kind: Kind, body: JsonObject): Promise<Answer> {
  const id = call.params['id'] ?? '';
  enforce(call, kind.profiles.policy, 'put', call.caller.project_id);
  if (id === NIL_UUID) throw notFound(kind.profileInMessages, id);
  for (const name of ['name', 'provider_name', kind.data]) if (body[name] === null) throw invalidOption(name, null);
  const { db } = call.deps;
  await refuseUsed(db.read, kind, id, body);
  const text = body[kind.data] as string | undefined;
  const data = text === undefined ? undefined : parseData(kind.data, text);
  const before = (await findOffer(db.read, kind.profiles.table, id)) as Named | undefined;
  if (before === undefined) throw notFound(kind.profiles.title, id);
  if (data !== undefined) await checkWithProvider(call, kind, (body['provider_name'] as string | undefined) ?? before.provider_name, data);
  const after = await db.tx(async (tx) => {
    const row = (await lockOffer(tx, kind.profiles.table, id)) as Named | undefined;
    if (row === undefined) throw notFound(kind.profiles.title, id);
    await refuseUsed(tx, kind, id, body);
    await updateOffer(tx, kind.profiles.table, id, body);
    return { ...row, ...body };
  });
  return { status: 200, body: present(kind, after) };
}

/** What load balancers were made with does not change under them: only the name of a used profile may. */
async function refuseUsed(reader: Tx | Call['deps']['db']['read'], kind: Kind, id: string, body: JsonObject): Promise<void> {
  const changes = Object.hasOwn(body, kind.data) || Object.hasOwn(body, 'provider_name');
  if (changes && (await isProfileUsed(reader, kind.profiles.table, id))) throw inUse(kind, id);
}

async function removeProfile(call: Call, kind: Kind): Promise<Answer> {
  const id = call.params['id'] ?? '';
  enforce(call, kind.profiles.policy, 'delete', call.caller.project_id);
  await call.deps.db.tx(async (tx) => {
    if ((await lockOffer(tx, kind.profiles.table, id)) === undefined) throw notFound(kind.profileInMessages, id);
    if (await isProfileUsed(tx, kind.profiles.table, id)) throw inUse(kind, id);
    await deleteOffer(tx, kind.profiles.table, id);
  });
  return { status: 204 };
}
