/** Every route that the program serves, read from what serves them, so that a new one is asked without anybody remembering it. */
import { isRefusal, type Route } from '../../src/api/http/router.ts';
import { apiDocument, type OpenApiOperation } from '../../src/api/openapi/document.ts';
import type { JsonSchema } from '../../src/api/request/describe.ts';
import { lbaasRoutes, octaviaRoutes } from '../../src/api/routes.ts';
import type { Registered } from './program.ts';

/** The services by the form of their errors. */
export type Service = 'load-balancer' | 'identity' | 'network' | 'key-manager';

/** A route: `path` has its parameters as `:id`. */
export type ServedRoute = {
  readonly service: Service;
  readonly method: string;
  readonly path: string;
  /** What a body may hold, where the description of the API says so. */
  readonly body?: JsonSchema;
  /** The names of the query that mean something there. */
  readonly query: readonly string[];
  /** It exists only to refuse. */
  readonly refuses: boolean;
};

/** How a route is named in reports. */
export const nameOf = ({ method, path }: Pick<ServedRoute, 'method' | 'path'>): string => `${method} ${path}`;

/** The service that answers a path. */
export function serviceOf(path: string): Service {
  const [, first] = path.split(/[/?]/u);
  return first === 'identity' || first === 'network' || first === 'key-manager' ? first : 'load-balancer';
}

const document = apiDocument();

/** The definitions that schemas of the document refer to. */
export const definitions = document.components.schemas;

/** All of them: the load balancers' from their own tables, the others from what was registered with the HTTP server. */
export function servedRoutes(registered: readonly Registered[]): ServedRoute[] {
  const own = registered.filter(({ method, url }) => !/^\/v2(?:\.0)?(?:\/|$)/u.test(url) && !(isForAll(url) && method !== 'GET'));
  const others = own.map(({ method, url }): ServedRoute => ({
    service: serviceOf(url),
    method,
    path: url,
    query: filtersOf(url),
    refuses: false,
  }));
  return [...balancerRoutes('/v2/lbaas', lbaasRoutes), ...balancerRoutes('/v2/octavia', octaviaRoutes), ...others];
}

/** Documents that answer every method alike. */
const isForAll = (url: string): boolean => ['/', '/healthcheck', '/openapi.json'].includes(url);

function balancerRoutes(prefix: string, routes: readonly Route[]): ServedRoute[] {
  return routes.flatMap((route) =>
    Object.entries(route.methods).map(([method, handler]): ServedRoute => {
      const path = route.path === '/' ? prefix : `${prefix}${route.path}`;
      const operation = described(method, path);
      return {
        service: 'load-balancer',
        method,
        path,
        query: (operation?.parameters ?? []).flatMap((each) => (each['in'] === 'query' ? [String(each['name'])] : [])),
        refuses: isRefusal(handler),
        ...bodyOf(operation),
      };
    }),
  );
}

/** The same whatever parameters are called. */
const shapeOf = (path: string): string => path.replaceAll(/:\w+|\{\w+\}/gu, '{}');

const operations = new Map(
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${shapeOf(path)}`, operation] as const),
  ),
);

const described = (method: string, path: string): OpenApiOperation | undefined => operations.get(`${method} ${shapeOf(path)}`);

function bodyOf(operation: OpenApiOperation | undefined): { readonly body?: JsonSchema } {
  const schema = operation?.requestBody?.content['application/json']?.schema;
  return schema === undefined ? {} : { body: schema };
}

/** What lists of the other services can be asked for, whichever list it is. */
function filtersOf(url: string): readonly string[] {
  const paging = ['limit', 'marker', 'sort_key', 'sort_dir', 'page_reverse', 'fields', 'name', 'id'];
  switch (serviceOf(url)) {
    case 'network':
      return [
        ...paging,
        'network_id',
        'project_id',
        'tenant_id',
        'tags',
        'tags-any',
        'not-tags',
        'not-tags-any',
        'fixed_ips',
        'shared',
        'ip_version',
      ];
    case 'identity':
      return [
        ...paging,
        'domain_id',
        'enabled',
        'user.id',
        'role.id',
        'scope.project.id',
        'include_names',
        'nocatalog',
        'allow_expired',
        'type',
      ];
    case 'key-manager':
      return [
        'limit',
        'offset',
        'name',
        'alg',
        'mode',
        'bits',
        'secret_type',
        'type',
        'created',
        'updated',
        'expiration',
        'sort',
        'acl_only',
      ];
    case 'load-balancer':
      return [];
  }
}
