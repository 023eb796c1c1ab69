/** Who calls: the interface that each kind of identity implements (embedded, Keystone, noauth). */

import type { AccessRule } from './access-rules.ts';

/** The caller of a request, as its token tells. */
export type Caller = {
  readonly user_id: string | null;
  readonly user_name: string | null;
  /** The project of the token; null with noauth, or for a token without scope. */
  readonly project_id: string | null;
  readonly domain_id: string | null;
  readonly roles: readonly string[];
  /** Everything is allowed: noauth, or the role `admin` (the load-balancer API goes by its policy instead). */
  readonly is_admin: boolean;
  readonly system_scope: boolean;
  /** Roles of the service that passes the request on, by its own token; absent without one. */
  readonly service_roles?: readonly string[];
  /** The only requests that its application credential may be used for; absent: any. */
  readonly access_rules?: readonly AccessRule[];
};

/** Turns the token of a request into its caller. */
export interface Identity {
  /**
   * Throws `Fault` 401 when the token is missing, expired, revoked or forged, 503 when the identity service cannot be asked.
   * `service_token` is that of a service that passes on a user's request.
   */
  authenticate(token: string | undefined, service_token?: string): Promise<Caller>;
}
