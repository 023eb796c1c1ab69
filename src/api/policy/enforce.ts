/** Asking the policy on the way of a request. */
import { Fault } from '../../model/index.ts';
import type { Call } from '../call.ts';
import { createPolicy, type Policy } from './policy.ts';

/** What is asked of: the request's caller and the rules in force. */
export type Asking = { readonly caller: Call['caller']; readonly deps: { readonly policy?: (() => Policy) | undefined } };

/** The rules without a policy file. */
const defaultPolicy = createPolicy();

/** May the caller of the request do this in this project (null: in no particular one)? */
export function isAllowed({ caller, deps }: Asking, resource: string, action: string, project_id: string | null): boolean {
  return (deps.policy?.() ?? defaultPolicy).allows(caller, resource, action, project_id);
}

/** Throws `Fault` 403 when the caller may not. */
export function enforce(call: Asking, resource: string, action: string, project_id: string | null): void {
  if (!isAllowed(call, resource, action, project_id)) throw forbidden();
}

/** The fault of a refused request. */
export const forbidden = (): Fault => new Fault(403, 'Policy does not allow this request to be performed.');

/** The caller with the rights of an administrator, if the rules in force make it one. */
export function withRights(caller: Call['caller'], policy: Policy = defaultPolicy): Call['caller'] {
  const is_admin = policy.isAdmin(caller);
  return is_admin === caller.is_admin ? caller : { ...caller, is_admin };
}

/**
 * Which project a list is limited to: null for all of them. Without the right to see all, it is the caller's own unless
 * the request names one. Throws `Fault` 403.
 */
export function projectOfList(call: Asking, resource: string, asked: string | null): string | null {
  if (isAllowed(call, resource, 'get_all-global', asked)) return asked;
  const project_id = asked ?? call.caller.project_id;
  if (project_id === null) throw forbidden();
  enforce(call, resource, 'get_all', project_id);
  return project_id;
}
