/** Services, endpoints and regions that administrators add to the catalog beside what this program offers. */
import { Fault } from '../../../model/faults.ts';
import { notFound, refuseDuplicate } from './faults.ts';
import { newIdentityId } from './records.ts';
import type { RecordKind, RecordStore, StoredRecord } from '../record-store.ts';

/** A service of somebody else. */
export type Service = {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
};

/** Where it is; the address may have `$(project_id)s` in it. */
export type Endpoint = {
  readonly id: string;
  readonly service_id: string;
  readonly interface: 'public' | 'internal' | 'admin';
  readonly region_id: string | null;
  readonly url: string;
  readonly enabled: boolean;
};

/** A region; its id is its name. */
export type Region = { readonly id: string; readonly description: string; readonly parent_region_id: string | null };

/** Reads and writes one kind of these. */
export interface CatalogRecords<T extends { readonly id: string }> {
  list(): Promise<readonly T[]>;
  /** Throws `Fault` 409 when there is one of that id. */
  create(spec: Omit<T, 'id'> & { readonly id?: string }): Promise<T>;
  /** Throws `Fault` 404. */
  update(id: string, change: Partial<Omit<T, 'id'>>): Promise<T>;
  /** Throws `Fault` 404. */
  remove(id: string): Promise<void>;
}

/** What administrators add to the catalog. */
export type AddedServices = {
  readonly services: CatalogRecords<Service>;
  readonly endpoints: CatalogRecords<Endpoint>;
  readonly regions: CatalogRecords<Region>;
};

/** Them in a store; a service takes its endpoints along. */
export function createAddedServices(store: RecordStore): AddedServices {
  const services = records<Service>(store, 'identity.service', 'service');
  const endpoints = records<Endpoint>(store, 'identity.endpoint', 'endpoint');
  const regions = records<Region>(store, 'identity.region', 'region');
  return {
    endpoints,
    services: {
      ...services,
      async remove(id) {
        for (const endpoint of await endpoints.list()) if (endpoint.service_id === id) await endpoints.remove(endpoint.id);
        await services.remove(id);
      },
    },
    regions: {
      ...regions,
      async remove(id) {
        if ((await endpoints.list()).some((endpoint) => endpoint.region_id === id))
          throw new Fault(409, `Unable to delete region ${id} because it has endpoints.`);
        await regions.remove(id);
      },
    },
  };
}

function records<T extends { readonly id: string }>(store: RecordStore, kind: RecordKind, type: string): CatalogRecords<T> {
  const recordOf = (body: T): StoredRecord<T> => ({ kind, id: body.id, project_id: null, name: null, unique_key: body.id, body });
  const get = async (id: string): Promise<T> => (await store.get<T>(kind, id)) ?? notFound(type, id);
  return {
    list: () => store.list<T>(kind),
    async create({ id = newIdentityId(), ...spec }) {
      const made = { id, ...spec } as unknown as T;
      await refuseDuplicate(type, id, () => store.write([{ action: 'insert', record: recordOf(made) }]));
      return made;
    },
    async update(id, change) {
      const after = { ...(await get(id)), ...change };
      await store.write([{ action: 'update', record: recordOf(after) }]);
      return after;
    },
    async remove(id) {
      await get(id);
      await store.write([{ action: 'delete', kind, id }]);
    },
  };
}
