/** `GET /healthcheck`: is this process fit to serve? In the form of oslo.middleware's. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiDeps } from '../deps.ts';
import { refusalAnswer } from './errors.ts';

/** Answers 200 or 503 in the media type that the caller prefers; 404 when it is off, 405 for methods other than GET and HEAD. */
export async function healthAnswer(deps: ApiDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (request.method === 'OPTIONS') return reply.send();
  const refusal = !deps.options.healthcheck_enabled
    ? refusalAnswer(404, 'Not Found')
    : ['GET', 'HEAD'].includes(request.method)
      ? null
      : refusalAnswer(405, 'Method Not Allowed', '', { allow: 'GET, HEAD' });
  if (refusal !== null)
    return reply
      .code(refusal.status)
      .headers(refusal.headers)
      .header('content-type', 'application/json')
      .send(Buffer.from(JSON.stringify(refusal.body)));
  const reasons = await failing(deps);
  reply.code(reasons.length === 0 ? 200 : 503).header('cache-control', 'no-store');
  const shown = reasons.length === 0 ? ['OK'] : reasons;
  const accept = request.headers.accept ?? '';
  if (accept.includes('application/json'))
    return reply.header('content-type', 'application/json').send(Buffer.from(JSON.stringify({ detailed: false, reasons: shown })));
  return reply.header('content-type', 'text/plain').send(Buffer.from(`${shown.join('\n')}\n`));
}

async function failing(deps: ApiDeps): Promise<string[]> {
  const checks = Object.entries({ database: () => deps.db.healthCheck(), ...deps.healthChecks });
  const results = await Promise.allSettled(checks.map(([, check]) => check()));
  return results.flatMap((result, index) => {
    if (result.status === 'fulfilled') return [];
    const [name] = checks[index] as [string, unknown];
    deps.log.warn({ check: name, err: result.reason }, 'a health check failed');
    return [`${name} failed`];
  });
}
