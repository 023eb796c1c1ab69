/** Requests that a browser sends: which origins may, and which are refused where nobody needs a token. */
import type { FastifyRequest } from 'fastify';
import { Fault } from '../../model/index.ts';
import type { ApiOptions } from '../deps.ts';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/iu;

/**
 * Throws `Fault` 403 for a request that a foreign web page made a browser send. Only without tokens: with them a page has
 * nothing to send. A page is known by its `Origin`, or (after DNS rebinding) by a `Host` that is not ours.
 */
export function checkSender(request: FastifyRequest, options: ApiOptions): void {
  if (!options.noauth) return;
  const { origin, host } = request.headers;
  const isOurs =
    options.allowed_hosts === null || host === undefined || loopback.test(host) || options.allowed_hosts.includes(host.toLowerCase());
  if (!isOurs) throw new Fault(403, `Requests for host ${host} are refused while nobody needs a token.`);
  const isOwn = origin === undefined || origin === `${request.protocol}://${host}` || options.allowed_origins.includes(origin);
  if (!isOwn) throw new Fault(403, `Requests from ${origin} are refused while nobody needs a token.`);
}

/** The headers that let pages of the allowed origins read the answer (Fetch standard, CORS protocol). */
export function corsHeaders(request: FastifyRequest, options: ApiOptions): Record<string, string> {
  const { origin } = request.headers;
  if (origin === undefined || !(options.allowed_origins.includes(origin) || options.allowed_origins.includes('*'))) return {};
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET,PUT,POST,DELETE',
    'access-control-allow-headers': 'Content-Type,X-Auth-Token,X-Openstack-Request-Id',
    'access-control-expose-headers': 'X-Auth-Token,X-Openstack-Request-Id',
    vary: 'Origin',
  };
}
