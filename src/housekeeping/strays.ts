/** Finds what exists in the cloud without a row, and rows in service without what should exist. */
import type { Compute, Instance } from '../cloud/compute.ts';
import type { Port, PortService } from '../cloud/network.ts';
import type { Database } from '../db/database.ts';
import { findLiving, listInService } from '../db/upkeep.ts';

/** Where strays are looked for; a cloud without one of the two has none of its kind. */
export type StrayPlaces = {
  readonly db: Database;
  readonly compute: Pick<Compute, 'listInstances'> | null;
  readonly ports: Pick<PortService, 'listPorts'> | null;
};

/** What was found. Nothing is changed by finding. */
export type Strays = {
  /** Instances of ours whose amphora has no row, or a DELETED one. */
  readonly instances: readonly Instance[];
  /** Ports of ours whose amphora or load balancer has no row, or a DELETED one. */
  readonly ports: readonly Port[];
  /** Amphorae in service whose instance is not listed, or is in ERROR. */
  readonly lost: readonly { readonly id: string; readonly loadbalancer_id: string; readonly instance: 'missing' | 'ERROR' }[];
  /** How many instances and ports of ours there are. */
  readonly seen: { readonly instances: number; readonly ports: number };
};

/** How our ports are marked: those of VIPs and those of amphorae. */
const portOwners = ['Octavia', 'Octavia:amphora'] as const;

/**
 * Looks once. Rows are read after the cloud was asked: a row is always made before what belongs to it, so whatever the cloud
 * lists has its row by then. The reverse is not sure, for a cloud may list late; so what is found counts only when it is
 * found again (see `SweepMemory`).
 */
export async function findStrays({ db, compute, ports }: StrayPlaces): Promise<Strays> {
  const inService = compute === null ? [] : await listInService(db);
  const instances = compute === null ? [] : await compute.listInstances({});
  const ours = ports === null ? [] : (await Promise.all(portOwners.map((device_owner) => ports.listPorts({ device_owner })))).flat();
  const owners = ours.map(ownerOf);
  const living = await findLiving(db, {
    amphorae: [...instances.map((each) => each.amphora_id), ...owners.flatMap((each) => (each?.type === 'amphora' ? [each.id] : []))],
    loadbalancers: owners.flatMap((each) => (each?.type === 'loadbalancer' ? [each.id] : [])),
  });
  const byId = new Map(instances.map((each) => [each.compute_id, each]));
  return {
    instances: instances.filter((each) => !living.amphorae.has(each.amphora_id) && each.status !== 'DELETING'),
    ports: ours.filter((_, index) => {
      const owner = owners[index];
      if (owner === undefined) return false;
      return owner.type === 'amphora' ? !living.amphorae.has(owner.id) : !living.loadbalancers.has(owner.id);
    }),
    lost: inService.flatMap(({ id, loadbalancer_id, compute_id }): Strays['lost'][number][] => {
      const instance = byId.get(compute_id);
      if (instance === undefined) return [{ id, loadbalancer_id, instance: 'missing' }];
      return instance.status === 'ERROR' ? [{ id, loadbalancer_id, instance: 'ERROR' }] : [];
    }),
    seen: { instances: instances.length, ports: ours.length },
  };
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const amphoraPort = new RegExp(`^octavia-lb-(?:vrrp|member)-(${uuid})$`, 'u');
const amphoraDevice = new RegExp(`^amphora-(${uuid})$`, 'u');
const vipDevice = new RegExp(`^lb-(${uuid})$`, 'u');

/** What a port of ours belongs to, by its device, or by its name where the cloud put an instance in place of the device. */
export function ownerOf(
  port: Pick<Port, 'name' | 'device_id'>,
): { readonly type: 'amphora' | 'loadbalancer'; readonly id: string } | undefined {
  const amphora = amphoraDevice.exec(port.device_id)?.[1] ?? amphoraPort.exec(port.name)?.[1];
  if (amphora !== undefined) return { type: 'amphora', id: amphora };
  const loadbalancer = vipDevice.exec(port.device_id)?.[1];
  return loadbalancer === undefined ? undefined : { type: 'loadbalancer', id: loadbalancer };
}

/** Did we make this VIP port? One that a tenant brought is given back, not deleted. */
export const isOwnVipPort = (port: Pick<Port, 'name' | 'device_id'>): boolean =>
  port.name === `octavia-lb-${port.device_id.slice('lb-'.length)}`;

/** Of what is found each time, only what was found the time before as well counts. */
export class SweepMemory {
  #before = new Set<string>();

  /** Those that were there the last time too; remembers all for the next time. */
  confirm<T>(found: readonly T[], keyOf: (each: T) => string): readonly T[] {
    const confirmed = found.filter((each) => this.#before.has(keyOf(each)));
    this.#before = new Set(found.map(keyOf));
    return confirmed;
  }
}
