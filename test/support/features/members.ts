/** Members in the test's own process, which tell what they were sent: HTTP, HTTPS, PROXY protocol, bytes. */
import { once } from 'node:events';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TestCertificate } from './pki.ts';

/** What an HTTP member answers as JSON. */
export type Seen = {
  readonly member: string;
  readonly method: string;
  readonly url: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** How it was reached, when by TLS: name asked for, protocol chosen, who the client says to be, version, cipher. */
  readonly tls: {
    readonly servername: string | false;
    readonly alpn: string | false;
    readonly client: string | null;
    readonly cipher: string;
  } | null;
};

/** A member. */
export type Member = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** HTTP requests as they came, newest last; PROXY headers of connections as hexadecimal. */
  readonly seen: Seen[];
  readonly proxyHeaders: string[];
  /** The status of every answer; 200 first. */
  status: number;
  close(): void;
};

/** How one is started. */
export type MemberKind =
  | { readonly kind: 'http' | 'echo' | 'greeting' | 'proxy' }
  | { readonly kind: 'https'; readonly certificate: TestCertificate; readonly clientCa?: string; readonly alpn?: readonly string[] };

/** Starts one on a free port. */
export async function startAnswering(name: string, address: string, kind: MemberKind): Promise<Member> {
  const member = { name, address, port: 0, seen: [] as Seen[], proxyHeaders: [] as string[], status: 200, close: () => undefined };
  const sockets = new Set<Socket>();
  const server = serverOf(member, kind);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, address);
  await once(server, 'listening');
  return Object.assign(member, {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
}

type Open = Omit<Member, 'close' | 'port'> & { status: number };

function serverOf(member: Open, kind: MemberKind): Server {
  const answer = (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
    const socket = request.socket as TLSSocket;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://member');
    const seen: Seen = {
      member: member.name,
      method: request.method ?? '',
      url: request.url ?? '',
      version: request.httpVersion,
      headers: { ...request.headers } as Record<string, string>,
      tls:
        kind.kind === 'https'
          ? {
              servername: (socket as unknown as { servername: string | false }).servername,
              alpn: socket.alpnProtocol ?? false,
              client: socket.getPeerCertificate()?.subject?.CN?.toString() ?? null,
              cipher: socket.getCipher().name,
            }
          : null,
    };
    member.seen.push(seen);
    const end = (): void => {
      response.statusCode = pathname === '/unhealthy' ? 500 : member.status;
      response.setHeader('set-cookie', `it's=session-${member.name}; Path=/`);
      (response as ServerResponse).end(JSON.stringify(seen));
    };
    const ms = Number(searchParams.get('ms'));
    if (ms > 0) setTimeout(end, ms);
    else end();
  };
  switch (kind.kind) {
    case 'http':
      return createHttp(answer);
    case 'https': {
      const { certificate, clientCa, alpn = ['h2', 'http/1.1'] } = kind;
      const client = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false };
      return createSecureServer(
        { cert: certificate.chain, key: certificate.key, allowHTTP1: true, ALPNProtocols: [...alpn], ...client },
        answer,
      );
    }
    case 'echo':
      return createServer((socket) => void socket.on('data', (chunk) => socket.write(`${member.name} ${chunk.toString()}`)));
    case 'greeting':
      return createServer((socket) => void socket.write(`${member.name} greets`));
    case 'proxy':
      return createServer((socket) => readProxyHeader(member, socket));
  }
}

/** Takes the PROXY header off and answers the HTTP request behind it. */
function readProxyHeader(member: Open, socket: Socket): void {
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const isBinary = bytes.subarray(0, 12).toString('hex') === '0d0a0d0a000d0a515549540a';
    const end = isBinary ? (bytes.length < 16 ? -1 : 16 + bytes.readUInt16BE(14)) : bytes.indexOf('\r\n') + 2;
    if (end < 2 || bytes.length <= end) return;
    member.proxyHeaders.push(isBinary ? bytes.subarray(0, end).toString('hex') : bytes.subarray(0, end - 2).toString('latin1'));
    bytes = Buffer.alloc(0);
    const body = JSON.stringify({ member: member.name });
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  });
}
