/** Clients of the tests of features: a connection each, over TCP, HTTP, TLS and HTTP/2. */
import { once } from 'node:events';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestTls } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import type { Seen } from './members.ts';

/** Where to. */
export type To = { readonly address: string; readonly port: number };

/** An answer. `seen` is what an HTTP member saw; only with status 200. */
export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string; readonly seen: Seen };

/** TLS of a client; certificates are not checked unless `ca` is given. */
export type Tls = Pick<
  ConnectionOptions,
  'servername' | 'ca' | 'cert' | 'key' | 'minVersion' | 'maxVersion' | 'ciphers' | 'sigalgs' | 'ALPNProtocols'
>;

const limit_ms = 8000;

/** One request on a connection of its own. Throws when it is not answered. */
export function get({ address, port }: To, options: { path?: string; headers?: Record<string, string>; tls?: Tls } = {}): Promise<Answer> {
  const { path = '/', headers = {}, tls } = options;
  return new Promise((resolve, reject) => {
    const base = { host: address, port, path, headers, agent: false, timeout: limit_ms } as const;
    const call = tls === undefined ? request(base) : requestTls({ ...base, ...checking(tls) });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', reject);
    call.on('response', async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      const status = response.statusCode ?? 0;
      resolve({ status, headers: response.headers, body, seen: (body.startsWith('{') ? JSON.parse(body) : {}) as Seen });
    });
    call.end();
  });
}

/** The names of the members that answer some requests. */
export async function membersOf(to: To, count: number, options: Parameters<typeof get>[1] = {}): Promise<Set<string>> {
  const names = new Set<string>();
  for (let index = 0; index < count; index += 1) names.add((await get(to, options)).seen.member);
  return names;
}

/** A TLS connection once it is made. Throws what the handshake fails with; with TLS 1.3 a refusal of ours comes with the first bytes. */
export async function handshake({ address, port }: To, tls: Tls = {}): Promise<TLSSocket> {
  const socket = connectTls({ host: address, port, ...checking(tls), timeout: limit_ms });
  socket.on('timeout', () => socket.destroy(new Error('no handshake')));
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  return socket;
}

/** The names in the certificate that is shown. */
export async function shownTo(
  to: To,
  tls: Tls = {},
): Promise<{ name: string; key: string; protocol: string; alpn: string | false; cipher: string }> {
  const socket = await handshake(to, tls);
  const { subject, asn1Curve } = socket.getPeerCertificate() as { subject: { CN: string }; asn1Curve?: string };
  const shown = {
    name: subject.CN,
    key: asn1Curve === undefined ? 'rsa' : 'ec',
    protocol: socket.getProtocol() ?? '',
    alpn: socket.alpnProtocol ?? false,
    cipher: socket.getCipher().name,
  };
  socket.destroy();
  return shown;
}

const checking = (tls: Tls): ConnectionOptions => ({ rejectUnauthorized: tls.ca !== undefined, ...tls });

/** One request over HTTP/2. */
export async function getHttp2({ address, port }: To, tls: Tls = {}): Promise<{ readonly status: number; readonly seen: Seen }> {
  const host = address.includes(':') ? `[${address}]` : address;
  const session = connectHttp2(`https://${host}:${port}`, { ...checking(tls), ALPNProtocols: ['h2'] } as object);
  try {
    const failed = once(session, 'error').then(([error]) => Promise.reject(error as Error));
    const stream = session.request({ ':path': '/' });
    const answered = (async () => {
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      let body = '';
      for await (const chunk of stream) body += String(chunk);
      return { status: Number(headers[':status']), seen: JSON.parse(body) as Seen };
    })();
    return await Promise.race([answered, failed]);
  } finally {
    session.destroy();
  }
}

/** A TCP connection once it is made. */
export async function open({ address, port }: To): Promise<Socket> {
  const socket = connect({ host: address, port, timeout: limit_ms });
  socket.on('timeout', () => socket.destroy(new Error('silence')));
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  return socket;
}

/** Sends a text and answers what comes first. Throws when the connection is closed instead. */
export async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const closed = once(socket, 'close').then(() => Promise.reject(new Error('closed')));
  const [bytes] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
  return bytes.toString();
}

/** Waits until a condition holds. Throws after ten seconds. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await condition().catch(() => false)); await pause(20))
    if (Date.now() > end) throw new Error(`it did not come about: ${what}`);
}
