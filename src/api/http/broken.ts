/** Answers to what Node could not read as HTTP: there is no request then, only a socket and the bytes at which reading stopped. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { newId } from '../../lib/ids.ts';
import { refusalAnswer } from './errors.ts';
import { findForm } from './forms.ts';

/** What Node tells of it. */
export type BrokenRequest = { readonly code?: string; readonly rawPacket?: unknown };

/** Answers unknown methods as the API does, all else with 400 or 431 in the form of the service that was meant, and closes the connection. */
export async function answerBrokenRequest(app: FastifyInstance, { code, rawPacket }: BrokenRequest, socket: Socket): Promise<void> {
  if (!socket.writable) return void socket.destroy();
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : '';
  const [, method, url] = /^([A-Za-z-]{1,20}) (\/\S*) HTTP\/1\.[01]\r\n/u.exec(packet) ?? [];
  if (code === 'HPE_INVALID_METHOD' && url !== undefined) return answerUnknownMethod(app, url, packet, socket);
  const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  const title = status === 431 ? 'Request Header Fields Too Large' : 'Bad Request';
  const form = findForm(app, url ?? '');
  const body = form === null ? refusalAnswer(status, title).body : form({ status, message: title, cause: undefined });
  writeRaw(socket, status, title, {}, JSON.stringify(body), method === 'HEAD');
}

/** Answers what Node would close the connection for, or answer without a word: tunnels, and expectations that nobody meets. */
export function answerOddities(app: FastifyInstance): void {
  const { server } = app;
  server.on('connect', (_request, socket) => {
    socket.on('error', () => socket.destroy());
    const { body } = refusalAnswer(405, 'Method Not Allowed');
    writeRaw(socket, 405, 'Method Not Allowed', { allow: 'GET, POST, PUT, DELETE' }, JSON.stringify(body));
  });
  server.on('checkExpectation', (request, response) => {
    const [status, title] = [417, 'Expectation Failed'];
    const form = findForm(app, request.url ?? '');
    const body = form === null ? refusalAnswer(status, title).body : form({ status, message: title, cause: undefined });
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close', 'x-openstack-request-id': `req-${newId()}` });
    response.end(JSON.stringify(body));
  });
}

/** An unknown method is to the API what TRACE is: a method that no path has. */
async function answerUnknownMethod(app: FastifyInstance, url: string, packet: string, socket: Socket): Promise<void> {
  const headers = Object.fromEntries(
    ['x-auth-token', 'host'].flatMap((name) => {
      const value = new RegExp(`\\r\\n${name}: *([^\\r\\n]*)`, 'iu').exec(packet)?.[1];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const answer = await app.inject({ method: 'TRACE' as 'GET', url, headers });
  const kept = Object.fromEntries(
    ['allow', 'x-openstack-request-id'].flatMap((name) => (name in answer.headers ? [[name, String(answer.headers[name])]] : [])),
  );
  writeRaw(socket, answer.statusCode, answer.statusMessage, kept, answer.body);
}

function writeRaw(
  socket: Duplex,
  status: number,
  title: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  isHead = false,
): void {
  const lines = Object.entries({
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    'x-openstack-request-id': `req-${newId()}`,
    ...headers,
  });
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${isHead ? '' : body}`);
}
