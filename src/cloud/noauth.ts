/** No authentication at all (`auth_strategy = noauth`): everyone is an administrator. Only for loopback and laboratories. */
import type { Caller, Identity } from './identity.ts';

/** Whoever calls: no user, no project, every right. */
export const everyone: Caller = {
  user_id: null,
  user_name: null,
  project_id: null,
  domain_id: null,
  roles: ['admin'],
  is_admin: true,
  system_scope: false,
};

/** An identity that accepts every token and none. */
export function createNoAuth(): Identity {
  return { authenticate: () => Promise.resolve(everyone) };
}
