/** The routes that every network resource has: list, show, create, update, delete and tags. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../../cloud/identity.ts';
import type { NetworkFault } from '../../cloud/local/network/faults.ts';
import { isObject, jsonBody } from '../identity/fields.ts';
import type { JsonObject } from '../identity/fields.ts';
import { baseUrl, noContent, queryOf } from '../identity/http.ts';
import { badRequest, tags as readTags, text } from './attributes.ts';
import { callerOf, requireOwner } from './context.ts';
import type { NetworkContext } from './context.ts';
import { chosen, selectPage } from './list.ts';
import type { Query } from './list.ts';

/** A thing that belongs to a project. */
export type Owned = { readonly id: string; readonly project_id: string | null };

/** A resource; writing is left out where it cannot be written. */
export type Collection<T extends Owned> = {
  /** Below the root: `/networks`. */
  readonly path: string;
  readonly singular: string;
  readonly plural: string;
  /** All that the caller may see. */
  readonly list: (caller: Caller, query: Query) => Promise<readonly T[]>;
  /** Null when there is none, or the caller may not see it. */
  readonly find: (id: string, caller: Caller) => Promise<T | null>;
  readonly missing: (id: string) => NetworkFault;
  readonly show: (items: readonly T[], caller: Caller) => Promise<readonly JsonObject[]> | readonly JsonObject[];
  readonly create?: (body: JsonObject, caller: Caller) => Promise<T>;
  readonly update?: (item: T, body: JsonObject, caller: Caller) => Promise<T>;
  readonly remove?: (item: T, caller: Caller) => Promise<void>;
  readonly setTags?: (item: T, tags: readonly string[]) => Promise<unknown>;
};

/** Adds the routes of a resource. */
export function addCollection<T extends Owned>(scope: FastifyInstance, context: NetworkContext, collection: Collection<T>): void {
  const { path, singular, plural, create, update, remove } = collection;
  const shown = async (item: T, caller: Caller): Promise<JsonObject> => (await collection.show([item], caller))[0] ?? {};
  scope.get(path, async (request) => {
    const caller = await callerOf(context, request);
    const query = queryOf(request);
    const page = selectPage(await collection.show(await candidates(collection, caller, query), caller), query);
    const links = [linkOf(context, request, path, 'next', page.next), linkOf(context, request, path, 'previous', page.previous)].flat();
    return { [plural]: page.items, ...(links.length === 0 ? {} : { [`${plural}_links`]: links }) };
  });
  scope.get(`${path}/:id`, async (request) => {
    const caller = await callerOf(context, request);
    return { [singular]: chosen(await shown(await get(collection, request, caller), caller), queryOf(request)) };
  });
  if (create !== undefined) {
    scope.post(path, async (request, reply) => {
      const caller = await callerOf(context, request);
      const item = await create(bodyOf(request, singular), caller);
      reply.code(201);
      return { [singular]: await shown(item, caller) };
    });
  }
  if (update !== undefined) {
    scope.put(`${path}/:id`, async (request) => {
      const caller = await callerOf(context, request);
      const item = await get(collection, request, caller);
      requireOwner(caller, item);
      return { [singular]: await shown(await update(item, bodyOf(request, singular), caller), caller) };
    });
  }
  if (remove !== undefined) {
    scope.delete(`${path}/:id`, async (request, reply) => {
      const caller = await callerOf(context, request);
      const item = await get(collection, request, caller);
      requireOwner(caller, item);
      await remove(item, caller);
      return noContent(reply);
    });
  }
  addTagRoutes(scope, context, collection);
}

function addTagRoutes<T extends Owned>(scope: FastifyInstance, context: NetworkContext, collection: Collection<T>): void {
  const { setTags } = collection;
  if (setTags === undefined) return;
  const path = `${collection.path}/:id/tags`;
  const tagsOf = async (
    request: FastifyRequest,
  ): Promise<{ readonly item: T; readonly tags: readonly string[]; readonly caller: Caller }> => {
    const caller = await callerOf(context, request);
    const item = await get(collection, request, caller);
    return { item, caller, tags: (item as { readonly tags?: readonly string[] }).tags ?? [] };
  };
  const change = async (request: FastifyRequest, next: (tags: readonly string[]) => readonly string[]): Promise<readonly string[]> => {
    const { item, tags, caller } = await tagsOf(request);
    requireOwner(caller, item);
    const changed = readTags(next(tags), 'tags');
    await setTags(item, changed);
    return changed;
  };
  const named = (request: FastifyRequest): string => text((request.params as { readonly tag?: string }).tag, 'tag');
  scope.get(path, async (request) => ({ tags: (await tagsOf(request)).tags }));
  scope.put(path, async (request) => ({ tags: await change(request, () => readTags(jsonBody(request.body)['tags'], 'tags')) }));
  scope.delete(path, async (request, reply) => {
    await change(request, () => []);
    return noContent(reply);
  });
  scope.get(`${path}/:tag`, async (request, reply) => {
    if ((await tagsOf(request)).tags.includes(named(request))) return noContent(reply);
    throw collection.missing(named(request));
  });
  scope.put(`${path}/:tag`, async (request, reply) => {
    await change(request, (tags) => [...tags, named(request)]);
    return reply.code(201).send();
  });
  scope.delete(`${path}/:tag`, async (request, reply) => {
    await change(request, (tags) => tags.filter((tag) => tag !== named(request)));
    return noContent(reply);
  });
}

/** With ids in the query only those are looked up, so that finding one of many is cheap. */
async function candidates<T extends Owned>(collection: Collection<T>, caller: Caller, query: Query): Promise<readonly T[]> {
  const ids = query.get('id');
  if (ids === undefined || ids.length > 50) return collection.list(caller, query);
  const found = await Promise.all([...new Set(ids)].map((id) => collection.find(id, caller)));
  return found.filter((item) => item !== null);
}

async function get<T extends Owned>(collection: Collection<T>, request: FastifyRequest, caller: Caller): Promise<T> {
  const { id = '' } = request.params as { readonly id?: string };
  const item = await collection.find(id, caller);
  if (item === null) throw collection.missing(id.slice(0, 64));
  return item;
}

function bodyOf(request: FastifyRequest, singular: string): JsonObject {
  const value = jsonBody(request.body)[singular];
  if (!isObject(value)) throw badRequest(`Unable to find '${singular}' in request body`);
  return value;
}

function linkOf(
  context: NetworkContext,
  request: FastifyRequest,
  path: string,
  rel: string,
  query: URLSearchParams | null,
): readonly object[] {
  return query === null ? [] : [{ rel, href: `${baseUrl(request, context.base_url ?? null)}${context.root}${path}?${query.toString()}` }];
}
