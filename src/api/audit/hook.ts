/** Writes an event of each answered request to the log. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller } from '../../cloud/identity.ts';
import { newId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import { auditEvent, type AuditMap } from './event.ts';

/** What is audited. */
export type Audit = {
  readonly map: AuditMap;
  /** Methods of requests that are left out, in capitals. */
  readonly ignored: readonly string[];
};

const callers = new WeakMap<FastifyRequest, Caller>();

/** Remembers who sent a request, for its event. */
export function noteCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
}

/** Adds the writing of events for requests to the load-balancer API. Values of the query are written, as they are in any log of requests; bodies and tokens are not. */
export function addAudit(app: FastifyInstance, audit: Audit, log: Logger, now: () => number): void {
  app.addHook('onResponse', async (request, reply) => {
    if (!/^\/v2(?:\.0)?(?:\/|\?|$)/u.test(request.raw.url ?? '') || audit.ignored.includes(request.method)) return;
    const event = auditEvent(audit.map, {
      id: newId(),
      request_id: request.id,
      time: new Date(now()).toISOString(),
      method: request.method,
      url: request.raw.url ?? '',
      host: request.headers.host ?? 'localhost',
      address: request.ip,
      agent: request.headers['user-agent'],
      status: reply.statusCode,
      caller: callers.get(request) ?? null,
    });
    log.info({ event }, 'audit.http.response');
  });
}
