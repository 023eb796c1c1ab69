/** Providers and what their flavors and availability zones can say (api-ref "Providers"). */
import { Fault } from '../model/index.ts';
import type { Answer, Call } from './call.ts';
import { providerOf } from './change.ts';
import { readFields } from './request/list-args.ts';
import { enforce } from './policy/enforce.ts';

type Described = { readonly name: string; readonly description: string };

/** `GET /providers` */
export function listProviders(call: Call): Answer {
  enforce(call, 'provider', 'get_all', call.caller.project_id);
  const list = Object.entries(call.deps.options.enabled_provider_drivers).map(([name, description]) => ({ name, description }));
  return { status: 200, body: { providers: selectFields(call, list) } };
}

/** `GET /providers/:id/flavor_capabilities` */
export const listFlavorCapabilities = (call: Call): Answer => listCapabilities(call, 'provider-flavor', 'flavor', 'flavor_capabilities');

/** `GET /providers/:id/availability_zone_capabilities` */
export const listZoneCapabilities = (call: Call): Answer =>
  listCapabilities(call, 'provider-availability-zone', 'availability_zone', 'availability_zone_capabilities');

function listCapabilities(call: Call, policy: string, of: 'flavor' | 'availability_zone', root: string): Answer {
  enforce(call, policy, 'get_all', call.caller.project_id);
  const name = call.params['id'] ?? '';
  const known = providerOf(call.deps, name).metadata;
  if (known === undefined) throw new Fault(501, `Provider '${name}' does not support a requested action: listing capabilities`);
  // A repeated filter asks for something that is both.
  const fits = (field: keyof Described, value: string): boolean => call.query.all(field).every((asked) => asked === value);
  const list = known[of].capabilities
    .filter(({ name: its, description }) => fits('name', its) && fits('description', description))
    .map(({ name: its, description }) => ({ name: its, description }));
  return { status: 200, body: { [root]: selectFields(call, list) } };
}

function selectFields(call: Call, list: readonly Described[]): unknown[] {
  const only = readFields(call.query, call.deps.options);
  return only === null ? [...list] : list.map((each) => Object.fromEntries(Object.entries(each).filter(([name]) => only.has(name))));
}
