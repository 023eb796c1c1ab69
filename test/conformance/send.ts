/** Sends requests over HTTP as they are: any method, any header, any bytes. */
import { Agent, request as httpRequest } from 'node:http';
import type { Received, Send, Sent } from './normal-form.ts';

/** A sender with connections of its own; an answer of status 0 says that there was none. */
export type Sender = { readonly send: Send; close(): void };

/** Longest wait for an answer. */
const TIMEOUT_MS = 60_000;

/** Makes a sender to the server at this address. */
export function createSender(base_url: string): Sender {
  const { hostname, port } = new URL(base_url);
  const agent = new Agent({ keepAlive: true });
  const once = ({ method, path, headers, data }: Sent): Promise<Received> =>
    new Promise((resolve, reject) => {
      const length = data === null ? {} : { 'content-length': String(data.length) };
      const outgoing = httpRequest({ host: hostname, port, agent, method, path, headers: { ...headers, ...length }, timeout: TIMEOUT_MS });
      outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      outgoing.once('error', reject);
      outgoing.once('response', (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }));
      });
      outgoing.end(data);
    });
  const send: Send = async (request) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once(request);
      } catch (error) {
        // A kept connection may just have been closed by the server.
        if (attempt === 3) return { status: 0, headers: {}, body: Buffer.from(JSON.stringify({ 'no answer': String(error) })) };
      }
    }
  };
  return { send, close: () => agent.destroy() };
}
