/** Clients of the traffic bench: GET / over connections that stay or over one for each request, plain, with TLS 1.3, or as streams of HTTP/2. */
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { Pool } from 'undici';
import type { RequestClient } from './requests.ts';

/** Where a client connects to. */
export type Peer = { readonly host: string; readonly port: number };

/** TLS 1.3 and nothing else; whose certificate it is does not matter here. */
const tls13 = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', rejectUnauthorized: false } satisfies ConnectionOptions;

/** HTTP/1.1 on at most so many connections that stay, one request at a time on each. */
export function keptClient({ host, port }: Peer, connections: number, hasTls = false): RequestClient {
  const pool = new Pool(`${hasTls ? 'https' : 'http'}://${host}:${port}`, { connections, pipelining: 1, connect: tls13, allowH2: false });
  return {
    async send({ method, path }) {
      const answer = await pool.request({ method, path });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${text.slice(0, 300)}`);
      return text;
    },
    close: () => pool.close(),
  };
}

/** HTTP/1.1 on a connection for each request, which the server closes; with TLS, each has a full handshake, as no session is offered. */
export function freshClient({ host, port }: Peer, hasTls = false): RequestClient {
  const open = (): Socket =>
    hasTls ? connectTls({ host, port, ...tls13, ALPNProtocols: ['http/1.1'] }) : connectTcp({ host, port, noDelay: true });
  return { send: () => askOnce(open(), host, hasTls ? 'secureConnect' : 'connect'), close: () => Promise.resolve() };
}

function askOnce(socket: Socket, host: string, ready: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.once(ready, () => socket.write(`GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.once('error', reject);
    socket.once('close', () => (text.startsWith('HTTP/1.1 200') ? resolve(text) : reject(new Error(`no answer: ${text.slice(0, 100)}`))));
  });
}

/** HTTP/2 over TLS 1.3: requests go as streams of so many connections by turns. */
export async function multiplexedClient({ host, port }: Peer, connections: number): Promise<RequestClient> {
  const sessions = await Promise.all(Array.from({ length: connections }, () => openSession(`https://${host}:${port}`)));
  let turn = 0;
  return {
    send: () => askStream(sessions[(turn += 1) % sessions.length] as ClientHttp2Session),
    close: async () => {
      await Promise.all(sessions.map((session) => new Promise<void>((resolve) => session.close(resolve))));
    },
  };
}

const openSession = (authority: string): Promise<ClientHttp2Session> =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(authority, tls13);
    session.once('connect', () => resolve(session));
    session.once('error', reject);
  });

function askStream(session: ClientHttp2Session): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/' });
    let [status, text] = [0, ''];
    stream.on('response', (headers) => (status = headers[':status'] ?? 0));
    stream.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    stream.once('error', reject);
    stream.once('end', () => (status === 200 ? resolve(text) : reject(new Error(`status ${status}`))));
  });
}
