/** What every route of the key manager's facade works with. */
import type { FastifyRequest } from 'fastify';
import { requireAccess } from '../../cloud/access-rules.ts';
import type { Caller, Identity } from '../../cloud/identity.ts';
import { type Action, may, mayList, mayMake } from '../../cloud/local/secrets/access.ts';
import type { KeyManager } from '../../cloud/local/secrets/key-manager.ts';
import type { Entity, StoredContainer, StoredSecret } from '../../cloud/local/secrets/records.ts';
import type { Logger } from '../../lib/log.ts';
import { Fault } from '../../model/faults.ts';
import { accessPaths, baseUrl, header, tokenOf } from '../identity/http.ts';

/** How the facade is mounted. */
export type SecretsFacadeOptions = {
  readonly keyManager: KeyManager;
  readonly identity: Identity;
  /** `http://127.0.0.1:9876`; null or absent: the address that each client used (its Host header). */
  readonly base_url?: string | null;
  /** Default `/key-manager`. */
  readonly prefix?: string;
  /** Where bugs are written; default: the application's log. */
  readonly log?: Logger;
};

/** The options with their defaults filled in. */
export type SecretsContext = Required<Omit<SecretsFacadeOptions, 'log'>>;

/** Who sent a request; without identity the project may come in a header. Throws `Fault` 401. */
export async function callerOf(context: SecretsContext, request: FastifyRequest): Promise<Caller> {
  const caller = await context.identity.authenticate(tokenOf(request));
  requireAccess(caller, { service: 'key-manager', method: request.method, paths: accessPaths(request, context.prefix) });
  const named = header(request, 'x-project-id');
  return caller.user_id === null && caller.is_admin && named !== undefined ? { ...caller, project_id: named.slice(0, 64) } : caller;
}

/** The address of something of this facade. */
export function linkTo(context: SecretsContext, request: FastifyRequest, path: string): string {
  return `${baseUrl(request, context.base_url)}${context.prefix}/v1${path}`;
}

const notAllowed = (operation: string): Fault =>
  new Fault(403, `${operation} attempt not allowed - please review your user/project privileges`);

/** Throws `Fault` 403 unless the caller may list what its project has. */
export function requireList(caller: Caller, operation: string): void {
  if (!mayList(caller)) throw notAllowed(operation);
}

/** Throws `Fault` 403 unless the caller may make something in its project. */
export function requireMake(caller: Caller, operation: string): void {
  if (!mayMake(caller)) throw notAllowed(operation);
}

/** Throws `Fault` 403 unless the caller may do this with a secret or container. */
export async function requireMay(
  context: SecretsContext,
  action: Action,
  caller: Caller,
  entity: Entity,
  operation: string,
): Promise<void> {
  if (!may(action, caller, entity, await context.keyManager.findAcl(entity.id))) throw notAllowed(operation);
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

const idOf = (request: FastifyRequest, invalid: string): string => {
  const { id = '' } = request.params as { readonly id?: string };
  if (!uuid.test(id)) throw new Fault(404, invalid);
  return id.toLowerCase();
};

/** The secret of the route. Throws `Fault` 404. */
export async function secretOf(context: SecretsContext, request: FastifyRequest): Promise<StoredSecret> {
  const secret = await context.keyManager.findSecret(idOf(request, 'Not Found. Provided secret id is invalid.'));
  if (secret === null) throw new Fault(404, 'Secret not found.');
  return secret;
}

/** The container of the route. Throws `Fault` 404. */
export async function containerOf(context: SecretsContext, request: FastifyRequest): Promise<StoredContainer> {
  const container = await context.keyManager.findContainer(idOf(request, 'Not Found. Provided container id is invalid.'));
  if (container === null) throw new Fault(404, 'Secrets container not found.');
  return container;
}

/** Does the client speak API version 1.1, in which secrets show their consumers? */
export function speaksConsumers(request: FastifyRequest): boolean {
  return /(?:^|,)\s*key-manager\s+(?:1\.[1-9]\d*|latest)\s*(?:,|$)/u.test(header(request, 'openstack-api-version') ?? '');
}
