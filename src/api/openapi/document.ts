/** The API as an OpenAPI 3.1 document, made from the routes, the resources and the readers of requests that serve it. */
import { availabilityZones, flavors } from '../flavors/kinds.ts';
import { isRefusal, type Route } from '../http/router.ts';
import { quotas } from '../quotas.ts';
import type { JsonSchema } from '../request/describe.ts';
import { filterNames } from '../request/list-args.ts';
import type { Resource } from '../resource.ts';
import * as resources from '../resources.ts';
import { lbaasRoutes, octaviaRoutes } from '../routes.ts';
import { ruleName } from '../policy/defaults.ts';
import { commonSchemas } from './answers.ts';
import { type Operation, requestSchemas, specialOperations, usualOperation } from './operations.ts';
import { answerSchema, refTo, schemaName } from './schemas.ts';

/** An OpenAPI document. */
export type OpenApi = {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> } & Readonly<Record<string, unknown>>;
};

/** An operation of the document. */
export type OpenApiOperation = {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Readonly<Record<string, unknown>>[];
  readonly requestBody?: { readonly required: true; readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  readonly responses: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
} & Readonly<Record<string, unknown>>;

/** Every resource that has a table of fields. */
export const allResources: readonly Resource[] = [
  ...Object.values(resources),
  ...[flavors, availabilityZones].flatMap((kind) => [kind.offers, kind.profiles]),
];

const summary = [
  'The OpenStack Load Balancing API v2, as this program serves it. Every path also answers below `/v2.0` instead of `/v2`, and those below',
  '`/v2/lbaas` also without `lbaas`. A suffix `.json` and a slash at the end are ignored. Bodies are JSON with the resource under its name;',
  'numbers and booleans may come as text, too. In requests null stands for the default. Times are UTC, without a zone.',
].join(' ');

/** The document. Throws when a route is described by nobody. */
export function apiDocument(): OpenApi {
  const paths = {
    '/': { get: plainOperation('list_versions', 'List the versions of the API', 'Discovery', refTo('Versions')) },
    ...pathsOf('/v2/lbaas', lbaasRoutes),
    ...pathsOf('/v2/octavia', octaviaRoutes),
  };
  const tags = [
    ...new Set(
      Object.values(paths).flatMap((each) => Object.values(each as object).flatMap((operation) => (operation as OpenApiOperation).tags)),
    ),
  ];
  return {
    openapi: '3.1.0',
    info: { title: 'Load Balancing', version: 'v2.30', description: summary, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'A token of the identity service.' } },
      schemas: {
        ...Object.fromEntries(allResources.map((resource) => [schemaName(resource), answerSchema(resource)])),
        ...Object.assign({}, ...allResources.filter(isMade).map(requestSchemas)),
        ...commonSchemas(),
      },
      responses: refusals,
    },
  } as unknown as OpenApi;
}

/** Is it made and changed by requests? */
const isMade = (resource: Resource): boolean => Object.values(resource.fields).some((field) => field.post !== undefined);

function plainOperation(operationId: string, title: string, tag: string, answer: JsonSchema): OpenApiOperation {
  return { operationId, summary: title, tags: [tag], security: [], responses: { 200: { description: 'Success.', ...json(answer) } } };
}

const json = (schema: JsonSchema): { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> } => ({
  content: { 'application/json': { schema } },
});

/** Routes that show one field of a resource, or that only exist to refuse, are no part of the API's description. */
const isOdd = ({ path }: Route): boolean => path === '/' || /:(?:field|any)$/u.test(path);

function pathsOf(prefix: string, routes: readonly Route[]): Record<string, Record<string, OpenApiOperation>> {
  const paths: Record<string, Record<string, OpenApiOperation>> = {};
  for (const route of routes.filter((each) => !isOdd(each))) {
    const operations = Object.entries(route.methods).flatMap(([method, handler]): [string, OpenApiOperation][] =>
      handler === undefined || isRefusal(handler) ? [] : [[method.toLowerCase(), operationOf(method, prefix, route.path)]],
    );
    if (operations.length > 0) paths[prefix + parameterPath(route.path)] = Object.fromEntries(operations);
  }
  return paths;
}

/** The parameter of a quota's path is a project, that of a zone its name. */
const parameterPath = (path: string): string =>
  path
    .replace(/^\/quotas\/:id/u, '/quotas/{project_id}')
    .replace(/^\/availabilityzones\/:id/u, '/availabilityzones/{name}')
    .replace(/^\/providers\/:id/u, '/providers/{provider}')
    .replaceAll(/:(\w+)/gu, '{$1}');

function operationOf(method: string, prefix: string, path: string): OpenApiOperation {
  const resource = resourceAt(path);
  const isCollection = !path.includes(':') || /\/[a-z]\w*$/u.test(path);
  const special = specialOperations[`${method} ${prefix}${path}`] ?? specialOperations[`${method} ${path}`];
  const operation = special ?? (resource === undefined ? null : usualOperation(resource, method, isCollection));
  if (operation === null) throw new Error(`${method} ${path} is described by nobody: add it to src/api/openapi/operations.ts`);
  return shownOperation(
    method,
    prefix === '/v2/octavia' ? `/octavia${path}` : path,
    operation,
    path.startsWith('/quotas') ? quotas : resource,
  );
}

/** The resource whose collection the path is, or is one of. */
function resourceAt(path: string): Resource | undefined {
  const collection = path
    .split('/')
    .filter((part) => part !== '' && !part.startsWith(':'))
    .at(-1);
  return allResources.find((resource) => resource.plural.replaceAll('_', '') === collection);
}

function shownOperation(method: string, path: string, operation: Operation, resource: Resource | undefined): OpenApiOperation {
  const { kind, body, answer, policy } = operation;
  const name = `${method.toLowerCase()}${path.replaceAll(/[/:]+/gu, '_')}`;
  return {
    operationId: name,
    summary: operation.summary,
    tags: [operation.tag],
    'x-policy': policy.map((each) => ruleName(...(each.split(':') as [string, string]))),
    parameters: [...pathParameters(path), ...queryParameters(operation, resource)],
    ...(body !== undefined && { requestBody: { required: true, ...json(body) } }),
    responses: {
      [operation.status]: { description: 'Success.', ...(answer !== undefined && json(answer)) },
      ...Object.fromEntries(refusalsOf(kind, path).map((status) => [status, { $ref: `#/components/responses/${status}` }])),
    },
  };
}

function pathParameters(path: string): Record<string, unknown>[] {
  return [...parameterPath(path).matchAll(/\{(\w+)\}/gu)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

const paging: Readonly<Record<string, string>> = {
  limit: 'The most entries in one page.',
  marker: 'The id of the last entry of the page before.',
  page_reverse: 'True: the page before the marker.',
  sort: 'Keys to sort by, as key:direction with commas between.',
  sort_key: 'Keys to sort by.',
  sort_dir: 'asc or desc for each of these keys.',
  fields: 'Only these fields; may be given more than once. The answer then lacks others, also required ones.',
};
const tagFilters: Readonly<Record<string, string>> = {
  tags: 'Only entries with all of these tags.',
  'tags-any': 'Only entries with one of these tags.',
  'not-tags': 'Only entries without all of these tags.',
  'not-tags-any': 'Only entries without any of these tags.',
};

function queryParameters({ kind, query = {} }: Operation, resource: Resource | undefined): Record<string, unknown>[] {
  const isList = kind === 'list' && resource !== undefined;
  const filters = isList ? [...filterNames(resource), ...Object.keys(resource.amongFilters ?? {})] : [];
  const arguments_: Record<string, string> = {
    ...query,
    ...(kind === 'show' && { fields: paging['fields'] ?? '' }),
    ...(isList && paging),
    ...(isList && 'project_id' in resource.fields && { project_id: 'Only those of this project.' }),
    ...(isList && 'tags' in resource.fields && tagFilters),
    ...Object.fromEntries(filters.map((name) => [name, `Only those with this ${name}.`])),
  };
  return Object.entries(arguments_).map(([name, description]) => ({
    name,
    in: 'query',
    description,
    schema: name === 'fields' ? { type: 'array', items: { type: 'string' } } : { type: 'string' },
    ...(name === 'fields' && { style: 'form', explode: true }),
  }));
}

function refusalsOf(kind: Operation['kind'], path: string): number[] {
  const hasId = path.includes(':');
  if (kind === 'list') return hasId ? [400, 401, 403, 404, 406, 503] : [400, 401, 403, 406, 503];
  if (kind === 'show' || kind === 'read') return hasId ? [400, 401, 403, 404, 406, 503] : [401, 403, 406, 503];
  return kind === 'act' ? [400, 401, 403, 404, 406, 409, 503] : [400, 401, 403, 404, 406, 409, 413, 415, 501, 503];
}

const refusal = (description: string, ...names: readonly string[]): Readonly<Record<string, unknown>> => ({
  description,
  ...json(names.length === 1 ? refTo(names[0] ?? '') : { anyOf: names.map(refTo) }),
});

const refusals: Readonly<Record<number, unknown>> = {
  400: refusal('Something in the request is not allowed; the text names it.', 'Fault', 'Refusal'),
  401: refusal('The token is missing, expired or revoked.', 'Unauthorized'),
  403: refusal('The policy or a quota does not allow it.', 'Fault'),
  404: refusal('There is no such thing.', 'Fault', 'Refusal'),
  406: refusal('The caller does not take JSON.', 'Refusal'),
  409: refusal('A change is under way, or something like it is there already.', 'Fault'),
  413: refusal('The body is too large.', 'Refusal'),
  415: refusal('The body is not JSON.', 'Fault'),
  501: refusal('The provider cannot do it.', 'Fault'),
  503: {
    ...refusal('Something is busy or away; try again after Retry-After seconds.', 'Fault'),
    headers: { 'Retry-After': { schema: { type: 'integer' }, description: 'Seconds.' } },
  },
};
