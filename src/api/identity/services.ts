/** `/v3/services`, `/v3/endpoints`, `/v3/regions`: the catalog as lists, to which administrators may add services of others. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AddedServices, CatalogRecords, Endpoint, Region, Service } from '../../cloud/local/identity/services.ts';
import { Fault } from '../../model/faults.ts';
import { callerOf, collection, linkTo, matching, ownCatalog, requireAdmin } from './context.ts';
import type { IdentityContext } from './context.ts';
import { anyTextAt, booleanAt, jsonBody, objectAt, requiredTextAt, textAt } from './fields.ts';
import type { JsonObject } from './fields.ts';
import { noContent, pathPart } from './http.ts';

type Listed = { readonly id: string } & Readonly<Record<string, unknown>>;
type Kind<T extends { readonly id: string }> = {
  readonly path: string;
  readonly plural: string;
  readonly singular: string;
  /** What this program offers itself, which cannot be changed. */
  readonly own: (request: FastifyRequest) => readonly Listed[];
  readonly added: CatalogRecords<T>;
  readonly show: (item: T) => Listed;
  /** Reads a body; with POST all that is needed has to be there. */
  readonly read: (body: JsonObject, isNew: boolean, request: FastifyRequest) => Promise<Partial<T>> | Partial<T>;
};

/** Adds the routes; everybody with a token may read what a token's catalog says anyway. */
export function addServiceRoutes(scope: FastifyInstance, context: IdentityContext): void {
  const { added } = context.identity;
  addKind(scope, context, servicesOf(context, added));
  addKind(scope, context, endpointsOf(context, added));
  addKind(scope, context, regionsOf(context, added));
}

function addKind<T extends { readonly id: string }>(scope: FastifyInstance, context: IdentityContext, kind: Kind<T>): void {
  const { path, plural, singular, added } = kind;
  const listed = async (request: FastifyRequest): Promise<readonly Listed[]> => {
    const all = [...kind.own(request), ...(await added.list()).map(kind.show)];
    return all.map((each) => ({ ...each, links: { self: linkTo(context, request, `${path}/${each.id}`) } }));
  };
  const get = async (request: FastifyRequest, id: string): Promise<Listed> => {
    const found = (await listed(request)).find((each) => each.id === id);
    if (found === undefined) throw new Fault(404, `Could not find ${singular}: ${id}.`);
    return found;
  };
  const changeable = async (request: FastifyRequest, action: string): Promise<string> => {
    requireAdmin(await callerOf(context, request), `${action}_${singular}`);
    const id = pathPart(request, 'id');
    if (kind.own(request).some((each) => each.id === id))
      throw new Fault(403, `The ${singular} ${id} is a part of this program: it cannot be changed.`);
    return id;
  };
  scope.get(path, async (request) => {
    await callerOf(context, request);
    return collection(context, request, plural, path, matching(await listed(request), request));
  });
  scope.get(`${path}/:id`, async (request) => {
    await callerOf(context, request);
    return { [singular]: await get(request, pathPart(request, 'id')) };
  });
  scope.post(path, async (request, reply) => {
    requireAdmin(await callerOf(context, request), `create_${singular}`);
    const spec = (await kind.read(objectAt(jsonBody(request.body), singular), true, request)) as Omit<T, 'id'> & { readonly id?: string };
    if (kind.own(request).some((each) => each.id === spec.id))
      throw new Fault(409, `Conflict occurred attempting to store ${singular} - Duplicate ID, ${spec.id ?? ''}.`);
    const made = await added.create(spec);
    reply.code(201);
    return { [singular]: await get(request, made.id) };
  });
  scope.patch(`${path}/:id`, async (request) => {
    const id = await changeable(request, 'update');
    await added.update(id, await kind.read(objectAt(jsonBody(request.body), singular), false, request));
    return { [singular]: await get(request, id) };
  });
  scope.delete(`${path}/:id`, async (request, reply) => {
    await added.remove(await changeable(request, 'delete'));
    return noContent(reply);
  });
}

function servicesOf(context: IdentityContext, { services }: AddedServices): Kind<Service> {
  return {
    path: '/services',
    plural: 'services',
    singular: 'service',
    own: (request) => ownCatalog(context, request).map(({ id, type, name }) => ({ id, type, name, description: '', enabled: true })),
    added: services,
    show: (service) => service,
    read: (body, isNew) => {
      const type = isNew ? requiredTextAt(body, 'type') : textAt(body, 'type');
      return {
        ...(isNew ? { name: '', description: '', enabled: true } : {}),
        ...textsOf(body, ['name', 'description']),
        ...enabledOf(body),
        ...given({ type }),
      };
    },
  };
}

function endpointsOf(context: IdentityContext, { services, endpoints, regions }: AddedServices): Kind<Endpoint> {
  const own = (request: FastifyRequest): readonly Listed[] =>
    ownCatalog(context, request).flatMap((service) =>
      service.endpoints.map((each) => ({ ...each, service_id: service.id, enabled: true })),
    );
  return {
    path: '/endpoints',
    plural: 'endpoints',
    singular: 'endpoint',
    own,
    added: endpoints,
    show: (endpoint) => ({ ...endpoint, region: endpoint.region_id }),
    read: async (body, isNew) => {
      const text = (key: string): string | undefined => (isNew ? requiredTextAt(body, key, 1024) : textAt(body, key, { max: 1024 }));
      const [service_id, url, side] = [text('service_id'), text('url'), text('interface')];
      if (side !== undefined && side !== 'public' && side !== 'internal' && side !== 'admin')
        throw new Fault(400, "Invalid input for field 'interface': it is not one of public, internal, admin.");
      if (url !== undefined && !/^https?:\/\/[^\s"<>]+$/u.test(url))
        throw new Fault(400, "Invalid input for field 'url': it is not an address.");
      if (service_id !== undefined && !(await services.list()).some((each) => each.id === service_id))
        throw new Fault(400, `Could not find service: ${service_id}. Endpoints of this program's own services cannot be added.`);
      const region_id = textAt(body, 'region_id', { nullable: true }) ?? textAt(body, 'region', { nullable: true });
      if (region_id !== undefined && region_id !== context.region && !(await regions.list()).some((each) => each.id === region_id))
        throw new Fault(400, `Could not find region: ${region_id}.`);
      return {
        ...(isNew ? { region_id: null, enabled: true } : {}),
        ...enabledOf(body),
        ...given({ service_id, url, interface: side, region_id }),
      };
    },
  };
}

function regionsOf(context: IdentityContext, { regions }: AddedServices): Kind<Region> {
  return {
    path: '/regions',
    plural: 'regions',
    singular: 'region',
    own: () => [{ id: context.region, description: '', parent_region_id: null }],
    added: regions,
    show: (region) => region,
    read: (body, isNew) => {
      const id = isNew ? textAt(body, 'id') : undefined;
      if (id !== undefined && !/^[\w.:-]{1,64}$/u.test(id))
        throw new Fault(400, "Invalid input for field 'id': it has other characters than letters, digits and . : _ -");
      const parent_region_id = textAt(body, 'parent_region_id', { nullable: true });
      return {
        ...(isNew ? { description: '', parent_region_id: null } : {}),
        ...textsOf(body, ['description']),
        ...given({ id, parent_region_id }),
      };
    },
  };
}

function textsOf<K extends string>(body: JsonObject, keys: readonly K[]): { readonly [key in K]?: string } {
  return Object.fromEntries(keys.flatMap((key) => (body[key] === undefined ? [] : [[key, anyTextAt(body, key, 1024)]]))) as {
    [key in K]?: string;
  };
}

function enabledOf(body: JsonObject): { readonly enabled?: boolean } {
  return given({ enabled: booleanAt(body, 'enabled') });
}

/** The members that are there. */
function given<T extends object>(members: T): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
