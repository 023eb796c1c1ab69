/** What every route of the identity facade works with. */
import type { FastifyRequest } from 'fastify';
import { requireAccess } from '../../cloud/access-rules.ts';
import type { Caller } from '../../cloud/identity.ts';
import type { LocalIdentity } from '../../cloud/local/identity.ts';
import type { Logger } from '../../lib/log.ts';
import { Fault } from '../../model/faults.ts';
import { addedCatalog, catalogAt } from './catalog.ts';
import type { CatalogEntry, CatalogService } from './catalog.ts';
import { accessPaths, baseUrl, queryOf, tokenOf } from './http.ts';

/** How the facade is mounted. */
export type IdentityFacadeOptions = {
  readonly identity: LocalIdentity;
  /** `http://127.0.0.1:9876`; null or absent: the address that each client used (its Host header). */
  readonly base_url?: string | null;
  /** Default `/identity`. */
  readonly prefix?: string;
  /** Default `RegionOne`. */
  readonly region?: string;
  /** Default: identity, load-balancer and network. */
  readonly services?: readonly CatalogService[];
  /** Where bugs are written; default: the application's log. */
  readonly log?: Logger;
};

/** The options with their defaults filled in. */
export type IdentityContext = Required<Omit<IdentityFacadeOptions, 'log'>>;

/** Who sent a request. Throws `Fault` 401. */
export async function callerOf(context: IdentityContext, request: FastifyRequest): Promise<Caller> {
  const caller = await context.identity.authenticate(tokenOf(request));
  requireOwnAccess(context, request, caller);
  return caller;
}

/** Throws `Fault` 401 when the caller's application credential is not for this request; anybody may look at a token. */
export function requireOwnAccess(context: IdentityContext, request: FastifyRequest, caller: Caller): void {
  const paths = accessPaths(request, context.prefix);
  if (request.method === 'GET' && paths.some((path) => path.endsWith('/v3/auth/tokens'))) return;
  requireAccess(caller, { service: 'identity', method: request.method, paths });
}

/** Throws `Fault` 403 unless the caller is an administrator, or is `user_id`. */
export function requireAdmin(caller: Caller, action: string, user_id?: string): void {
  if (caller.is_admin || (user_id !== undefined && caller.user_id === user_id)) return;
  throw new Fault(403, `You are not authorized to perform the requested action: identity:${action}.`);
}

/** The address of something of this facade. */
export function linkTo(context: IdentityContext, request: FastifyRequest, path: string): string {
  return `${baseUrl(request, context.base_url)}${context.prefix}/v3${path}`;
}

/** The catalog as the sender of a request can reach it: what this program offers, and what administrators added. */
export async function catalogFor(
  context: IdentityContext,
  request: FastifyRequest,
  project_id: string | null,
): Promise<readonly CatalogEntry[]> {
  const { services, endpoints } = context.identity.added;
  const added = await services.list();
  return [...ownCatalog(context, request), ...(added.length === 0 ? [] : addedCatalog(added, await endpoints.list(), project_id))];
}

/** What this program offers, as the sender of a request can reach it. */
export function ownCatalog(context: IdentityContext, request: FastifyRequest): readonly CatalogEntry[] {
  return catalogAt(baseUrl(request, context.base_url), context.region, context.services);
}

/** A list as Keystone answers it. There is one page. */
export function collection(
  context: IdentityContext,
  request: FastifyRequest,
  name: string,
  path: string,
  items: readonly object[],
): object {
  return { [name]: items, links: { next: null, self: linkTo(context, request, path), previous: null } };
}

/** Those items whose shown attributes equal what the query asks for; parameters that are no attribute are ignored, as Keystone does. */
export function matching<T extends object>(items: readonly T[], request: FastifyRequest): readonly T[] {
  const wanted = [...queryOf(request)];
  return items.filter((item) =>
    wanted.every(([key, values]) => {
      const value = Object.hasOwn(item, key) ? (item as Readonly<Record<string, unknown>>)[key] : undefined;
      if (value === undefined || (typeof value === 'object' && value !== null)) return true;
      return values.some((each) => String(value) === (typeof value === 'boolean' ? truth(each) : each));
    }),
  );
}

/** Keystone takes anything but these for true. */
function truth(text: string): string {
  return String(!['false', '0', 'no', 'off', 'f', 'n'].includes(text.toLowerCase()));
}
