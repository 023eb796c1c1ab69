/** `GET /openapi.json`: the description of the API, for everybody. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiDocument } from '../openapi/document.ts';
import { refusalAnswer } from './errors.ts';

let text: Buffer | null = null;

/** Answers GET and HEAD; it is made at the first request and the same for as long as the program runs. */
export function answerDocument(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (request.method === 'OPTIONS') return reply.send();
  reply.header('content-type', 'application/json');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    const { status, body, headers } = refusalAnswer(405, 'Method Not Allowed', '', { allow: 'GET, HEAD' });
    return reply
      .code(status)
      .headers(headers)
      .send(Buffer.from(JSON.stringify(body)));
  }
  text ??= Buffer.from(JSON.stringify(apiDocument()));
  return reply.header('cache-control', 'max-age=300').send(text);
}
