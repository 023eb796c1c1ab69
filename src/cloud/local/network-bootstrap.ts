/** The networks that the first start makes. */
import type { Clock } from '../../lib/clock.ts';
import { guardRecord, insertOf, networkRecord, subnetRecord } from './network/records.ts';
import type { LocalNetwork, LocalSubnet } from './network/records.ts';
import { newNetwork, newSubnet } from './network/topology.ts';
import { RecordConflict } from './record-store.ts';
import type { RecordStore, StoredRecord } from './record-store.ts';

/** Which ranges the first start takes; later starts keep what is there. */
export type BootstrapNetworks = {
  readonly management_cidr: string;
  readonly tenant_cidr: string;
  /** Null: no IPv6 for tenants. Added at a later start too, when it was null before. */
  readonly tenant_cidr_v6: string | null;
  /** The range of the external network `public`, where floating IPs come from; null: there are none. Added at a later start, too. */
  readonly floating_cidr: string | null;
  /** Owner of both networks. */
  readonly service_project_id: string;
};

/** A network with its subnets. */
export type NetworkWithSubnets = { readonly network: LocalNetwork; readonly subnets: readonly LocalSubnet[] };

/** The default networks as they are, which may differ from what was asked for when they were there before. */
export type DefaultNetworks = {
  readonly management: NetworkWithSubnets;
  readonly tenant: NetworkWithSubnets;
  /** Null where there are no floating IPs. */
  readonly external: NetworkWithSubnets | null;
};

/** What bootstrapping needs. */
export type NetworkBootstrapContext = { readonly store: RecordStore; readonly clock: Clock };

/** Makes what is missing of `lb-mgmt-net` (seen by nobody but administrators), `private` and `public` (seen by everybody), and mends what a crash left half done. */
export async function bootstrapNetworks(context: NetworkBootstrapContext, wanted: BootstrapNetworks): Promise<DefaultNetworks> {
  const project_id = wanted.service_project_id;
  const reachable = { project_id, host_reachable: true };
  const management = await ensureNetwork(context, { ...reachable, name: 'lb-mgmt-net', description: 'Controllers and amphorae' });
  await ensureSubnet(context, management, 'lb-mgmt-subnet', wanted.management_cidr);
  const tenant = await ensureNetwork(context, {
    ...reachable,
    name: 'private',
    description: 'For everybody on this machine',
    shared: true,
  });
  await ensureSubnet(context, tenant, 'private-subnet', wanted.tenant_cidr);
  if (wanted.tenant_cidr_v6 !== null) await ensureSubnet(context, tenant, 'private-subnet-v6', wanted.tenant_cidr_v6);
  const external = wanted.floating_cidr === null ? null : await ensureExternal(context, project_id, wanted.floating_cidr);
  await mendGuards(context.store);
  return {
    management: await withSubnets(context.store, management),
    tenant: await withSubnets(context.store, tenant),
    external: external === null ? null : await withSubnets(context.store, external),
  };
}

async function ensureExternal(context: NetworkBootstrapContext, project_id: string, cidr: string): Promise<LocalNetwork> {
  const description = 'Where floating IPs come from';
  const network = await ensureNetwork(context, { project_id, name: 'public', description, host_reachable: false, is_external: true });
  // All but the range's ends can be given out: the host itself is the way to it, so there is no gateway.
  await ensureSubnet(context, network, 'public-subnet', cidr, { gateway_ip: null, enable_dhcp: false });
  return network;
}

async function ensureNetwork({ store, clock }: NetworkBootstrapContext, spec: Parameters<typeof newNetwork>[0]): Promise<LocalNetwork> {
  const find = async (): Promise<LocalNetwork | undefined> =>
    (await store.list<LocalNetwork>('network.network', { unique_key: spec.name }))[0];
  const present = await find();
  if (present !== undefined) return present;
  const network = newNetwork(spec, clock.now(), spec.name);
  await insertUnlessPresent(store, [networkRecord(network), guardRecord(network.id)]);
  return (await find()) ?? network;
}

async function ensureSubnet(
  { store, clock }: NetworkBootstrapContext,
  network: LocalNetwork,
  name: string,
  cidr: string,
  other: Pick<Parameters<typeof newSubnet>[0], 'gateway_ip' | 'enable_dhcp'> = {},
): Promise<void> {
  if ((await store.list<LocalSubnet>('network.subnet', { unique_key: name })).length > 0) return;
  const subnet = newSubnet({ name, cidr, network_id: network.id, project_id: network.project_id, ...other }, clock.now(), name);
  await insertUnlessPresent(store, [subnetRecord(subnet), guardRecord(subnet.id)]);
}

/** A crash while something was being removed leaves it shut: nothing could be put into it any more. */
async function mendGuards(store: RecordStore): Promise<void> {
  const networks = await store.list<LocalNetwork>('network.network');
  const subnets = await store.list<LocalSubnet>('network.subnet');
  for (const { id } of [...networks, ...subnets]) {
    const guard = guardRecord(id);
    if ((await store.get(guard.kind, guard.id)) === null) await insertUnlessPresent(store, [guard]);
  }
}

async function insertUnlessPresent(store: RecordStore, records: readonly StoredRecord[]): Promise<void> {
  try {
    await store.write(records.map(insertOf));
  } catch (error) {
    // Another controller's start was faster.
    if (!(error instanceof RecordConflict)) throw error;
  }
}

async function withSubnets(store: RecordStore, network: LocalNetwork): Promise<NetworkWithSubnets> {
  return { network, subnets: await store.list<LocalSubnet>('network.subnet', { name: network.id }) };
}
