/** What a new load balancer gets from the flavor and the availability zone that it names (api-ref "Create a Load Balancer"). */
import type { Tx } from '../../db/database.ts';
import { findFlavor, findZone, holdOffer } from '../../db/profiles.ts';
import { Fault, type FlavorData, type LoadBalancer, type ZoneData } from '../../model/index.ts';
import { refusal } from '../../model/rules/listener.ts';
import type { Call } from '../call.ts';
import { providerOf } from '../change.ts';
import type { JsonObject } from '../request/validate.ts';
import { checkData } from './check-data.ts';
import { NIL_UUID } from './kinds.ts';

/** A flavor or an availability zone with what its profile says; absent: the request names none, null: there is none of this name. */
type Named = { readonly enabled: boolean; readonly provider_name: string; readonly data: unknown } | null;

/** What a request names, looked up but not judged yet. */
export type Choice = {
  readonly flavor_id?: string | null;
  readonly availability_zone?: string | null;
  readonly flavor?: Named;
  readonly zone?: Named;
};

/** Looks up what a request names. */
export async function findChoice(call: Call, body: JsonObject): Promise<Choice> {
  const { read } = call.deps.db;
  const named = (name: string): string | null | undefined => (Object.hasOwn(body, name) ? (body[name] as string | null) : undefined);
  const flavor_id = named('flavor_id');
  const availability_zone = named('availability_zone');
  return {
    ...(flavor_id !== undefined && { flavor_id, flavor: parsed(flavor_id === null ? undefined : await findFlavor(read, flavor_id)) }),
    ...(availability_zone !== undefined && {
      availability_zone,
      zone: parsed(availability_zone === null ? undefined : await findZone(read, availability_zone)),
    }),
  };
}

const parsed = (row: { readonly enabled: boolean; readonly provider_name: string; readonly text: string } | undefined): Named =>
  row === undefined ? null : { enabled: row.enabled, provider_name: row.provider_name, data: JSON.parse(row.text) as unknown };

// What a provider takes that is not this one's need not be an object.
const object = (named: Named | undefined): object =>
  typeof named?.data === 'object' && named.data !== null && !Array.isArray(named.data) ? named.data : {};

/** What the flavor says; empty without one. */
export const flavorOf = ({ flavor }: Choice): FlavorData => object(flavor);

/** What the availability zone says; empty without one. */
export const zoneOf = ({ zone }: Choice): ZoneData => object(zone);

/**
 * Judges what the request names, and decides on the provider. Throws `Fault` 400 for what does not exist, is disabled or belongs to
 * another provider, 501 for what the provider does not understand (any more).
 */
export async function chooseProvider(call: Call, body: JsonObject, choice: Choice): Promise<string> {
  const { flavor, zone, flavor_id } = choice;
  checkOffered('flavor', 'Invalid flavor_id.', flavor, flavor_id);
  checkOffered('availability_zone', 'Invalid availability zone.', zone, choice.availability_zone);
  const asked = body['provider'] as string | null | undefined;
  const wanted = flavor?.provider_name || null;
  if (wanted !== null && asked !== undefined && asked !== wanted)
    throw new Fault(400, `Flavor '${flavor_id}' is not compatible with provider '${asked ?? 'None'}'`);
  const name = wanted ?? (asked || call.deps.options.default_provider_driver);
  const provider = providerOf(call.deps, name);
  if (flavor && hasData(flavor)) await checkData(name, provider.metadata?.flavor, flavor.data);
  if (zone && hasData(zone)) await checkData(name, provider.metadata?.availability_zone, zone.data);
  return name;
}

const hasData = ({ data }: NonNullable<Named>): boolean => typeof data !== 'object' || data === null || Object.keys(data).length > 0;

function checkOffered(option: string, invalid: string, named: Named | undefined, key: string | null | undefined): void {
  if (named === undefined) return;
  // The reference keeps a disabled one under this key.
  if (named === null && key !== NIL_UUID) throw refusal(invalid);
  if (named?.enabled !== true) throw new Fault(400, `The selected ${option} is not allowed in this deployment: ${key}`);
}

/** Keeps what the request names from going or being disabled until the load balancer's row is there. Throws `Fault` 400. */
export async function holdChoice(tx: Tx, { flavor_id, availability_zone }: Choice): Promise<void> {
  if (flavor_id && !(await holdOffer(tx, 'flavor', flavor_id)))
    throw new Fault(400, `The selected flavor is not allowed in this deployment: ${flavor_id}`);
  if (availability_zone && !(await holdOffer(tx, 'availability_zone', availability_zone)))
    throw new Fault(400, `The selected availability_zone is not allowed in this deployment: ${availability_zone}`);
}

/** The kind of the VIP's port. Throws `Fault` 400 when security groups are asked for on one that cannot have any. */
export function vnicTypeOf(flavor: FlavorData, vip_sg_ids: readonly string[]): LoadBalancer['vip_vnic_type'] {
  if (flavor.sriov_vip !== true) return 'normal';
  checkVnicGroups('direct', vip_sg_ids);
  return 'direct';
}

/** Throws `Fault` 400: a virtual function bypasses what filters packets of a group. */
export function checkVnicGroups(vip_vnic_type: LoadBalancer['vip_vnic_type'], vip_sg_ids: readonly string[]): void {
  if (vip_vnic_type === 'direct' && vip_sg_ids.length > 0) throw refusal('VIP Security Groups are not allowed with VNIC direct type');
}
