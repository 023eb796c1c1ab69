/** `/v3/services`, `/v3/endpoints`, `/v3/regions`: the catalog as lists. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Fault } from '../../model/faults.ts';
import { callerOf, catalogFor, collection, linkTo, matching } from './context.ts';
import type { IdentityContext } from './context.ts';
import { pathPart } from './http.ts';

type Listed = { readonly id: string } & Readonly<Record<string, unknown>>;
type Kind = {
  readonly path: string;
  readonly plural: string;
  readonly singular: string;
  readonly list: (request: FastifyRequest) => readonly Listed[];
};

/** Adds the routes; everybody with a token may read what a token's catalog says anyway. */
export function addServiceRoutes(scope: FastifyInstance, context: IdentityContext): void {
  for (const kind of kindsOf(context)) {
    scope.get(kind.path, async (request) => {
      await callerOf(context, request);
      return collection(context, request, kind.plural, kind.path, matching(kind.list(request), request));
    });
    scope.get(`${kind.path}/:id`, async (request) => {
      await callerOf(context, request);
      const id = pathPart(request, 'id');
      const found = kind.list(request).find((each) => each.id === id);
      if (found === undefined) throw new Fault(404, `Could not find ${kind.singular}: ${id}.`);
      return { [kind.singular]: found };
    });
  }
}

function kindsOf(context: IdentityContext): readonly Kind[] {
  const services = (request: FastifyRequest): readonly Listed[] =>
    catalogFor(context, request).map(({ id, type, name }) => {
      return { id, type, name, description: '', enabled: true, links: { self: linkTo(context, request, `/services/${id}`) } };
    });
  const endpoints = (request: FastifyRequest): readonly Listed[] =>
    catalogFor(context, request).flatMap((service) =>
      service.endpoints.map((each) => {
        return { ...each, service_id: service.id, enabled: true, links: { self: linkTo(context, request, `/endpoints/${each.id}`) } };
      }),
    );
  const regions = (request: FastifyRequest): readonly Listed[] => [
    {
      id: context.region,
      description: '',
      parent_region_id: null,
      links: { self: linkTo(context, request, `/regions/${context.region}`) },
    },
  ];
  const groups = (): readonly Listed[] => [];
  return [
    { path: '/services', plural: 'services', singular: 'service', list: services },
    { path: '/endpoints', plural: 'endpoints', singular: 'endpoint', list: endpoints },
    { path: '/regions', plural: 'regions', singular: 'region', list: regions },
    { path: '/groups', plural: 'groups', singular: 'group', list: groups },
  ];
}
