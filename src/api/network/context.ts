/** What every route of the network facade works with. */
import type { FastifyRequest } from 'fastify';
import { requireAccess } from '../../cloud/access-rules.ts';
import type { Caller, Identity } from '../../cloud/identity.ts';
import type { LocalNetworkService } from '../../cloud/local/network-service.ts';
import type { Logger } from '../../lib/log.ts';
import { accessPaths, tokenOf } from '../identity/http.ts';
import { forbidden } from './attributes.ts';

/** How the facade is mounted. */
export type NetworkFacadeOptions = {
  readonly network: LocalNetworkService;
  readonly identity: Identity;
  /** `http://127.0.0.1:9876`; null or absent: the address that each client used (its Host header). */
  readonly base_url?: string | null;
  /** Where bugs are written; default: the application's log. */
  readonly log?: Logger;
};

/** The options and the path that the resources are below, such as `/network/v2.0`. */
export type NetworkContext = NetworkFacadeOptions & { readonly root: string };

/** Who sent a request. Throws `Fault` 401. */
export async function callerOf(context: NetworkContext, request: FastifyRequest): Promise<Caller> {
  const caller = await context.identity.authenticate(tokenOf(request));
  requireAccess(caller, { service: 'network', method: request.method, paths: accessPaths(request, context.root.replace(/\/v2\.0$/u, '')) });
  return caller;
}

/** Whose things a caller may see, as `NetworkCatalog` takes it: null is everybody's. A token without a project sees what is shared. */
export function scopeOf(caller: Caller): string | null {
  return caller.is_admin ? null : (caller.project_id ?? '');
}

const readOnlyRoles = new Set(['reader', 'load-balancer_observer', 'load-balancer_global_observer']);

/** Throws `Fault` 403 for callers who may only read. */
export function requireWriter(caller: Caller): void {
  const may = caller.is_admin || (caller.project_id !== null && caller.roles.some((role) => !readOnlyRoles.has(role)));
  if (!may) throw forbidden('a role that may write is needed');
}

/** Throws `Fault` 403 unless the thing belongs to the caller's project. */
export function requireOwner(caller: Caller, thing: { readonly project_id: string | null }): void {
  requireWriter(caller);
  if (!caller.is_admin && thing.project_id !== caller.project_id) throw forbidden('it belongs to another project');
}

/** The project that a new thing belongs to: the caller's, or for administrators the one they name. Throws `Fault` 403. */
export function ownerOf(caller: Caller, asked: string | undefined): string | null {
  requireWriter(caller);
  if (asked === undefined || asked === caller.project_id) return caller.project_id;
  if (!caller.is_admin) throw forbidden('the project_id of another project is for administrators');
  return asked;
}
