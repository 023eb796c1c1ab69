/** HTTPS for the REST API: only for clients with a certificate of the controllers' authority. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { GENERATION_HEADER } from '../wire/agent-api.ts';
import { Refusal, refuseByFramework } from './answers.ts';
import type { Answer, Call } from './answers.ts';
import type { Generations } from './generations.ts';
import { parseGeneration } from './generations.ts';
import type { Log } from './log.ts';
import { findRoute } from './router.ts';
import type { Route } from './router.ts';
import type { AgentSettings } from './settings.ts';
import type { Turns } from './turns.ts';

/** PEM texts: certificate and key of the agent, authority of its clients. */
export type ServerIdentity = { readonly server_pem: string; readonly client_ca: string };

/** What requests are handled with. */
export type ApiParts = {
  readonly routes: readonly Route[];
  readonly generations: Generations;
  /** Where changes wait for each other, also for those that come from elsewhere. */
  readonly turns: Turns;
  readonly log: Log;
};

/** Serves the API. Requests that change something or come with a generation run one at a time, each admitted when its turn comes. */
export class ApiServer {
  readonly #parts: ApiParts;
  readonly #server: Server;
  #identity: ServerIdentity;
  #minVersion: AgentSettings['agent_tls_protocol'];

  constructor(parts: ApiParts, identity: ServerIdentity, settings: AgentSettings) {
    this.#parts = parts;
    this.#identity = identity;
    this.#minVersion = settings.agent_tls_protocol;
    const connection = {
      requestCert: true,
      rejectUnauthorized: true,
      keepAliveTimeout: 75_000,
      headersTimeout: 10_000,
      requestTimeout: settings.agent_request_read_timeout_seconds * 1000,
      handshakeTimeout: 10_000,
    };
    this.#server = createServer({ ...this.#secureContext(), ...connection }, (request, response) => void this.#serve(request, response));
    this.#server.maxConnections = 128;
    this.#server.on('tlsClientError', (error) => parts.log('warn', 'client refused', { error }));
  }

  /** Begins to listen; without IPv6 in the kernel `::` becomes `0.0.0.0`. Throws the listener's error; answers the port. */
  async listen(host: string, port: number): Promise<number> {
    try {
      await this.#listenOn(host, port);
    } catch (error) {
      if (host !== '::' || !['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await this.#listenOn('0.0.0.0', port);
    }
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Shows another certificate from the next connection on. Throws OpenSSL's error when it cannot be used. */
  useCertificate(server_pem: string): void {
    this.#identity = { ...this.#identity, server_pem };
    this.#server.setSecureContext(this.#secureContext());
  }

  /** Takes what can change without a restart. */
  configure(settings: AgentSettings): void {
    this.#server.requestTimeout = settings.agent_request_read_timeout_seconds * 1000;
    if (settings.agent_tls_protocol === this.#minVersion) return;
    this.#minVersion = settings.agent_tls_protocol;
    this.#server.setSecureContext(this.#secureContext());
  }

  /** Waits for the change that is under way, and closes. */
  async close(): Promise<void> {
    await this.#parts.turns.run(async () => undefined);
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #secureContext() {
    const { server_pem, client_ca } = this.#identity;
    return { cert: server_pem, key: server_pem, ca: client_ca, minVersion: this.#minVersion };
  }

  #listenOn(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error: unknown) => this.#failed(request, error));
    const isText = typeof answer.body === 'string';
    const body = isText ? (answer.body as string) : JSON.stringify(answer.body);
    // A body that was not read to its end must not be taken for the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    response.writeHead(answer.status, {
      'content-type': isText ? 'text/plain' : 'application/json',
      'content-length': Buffer.byteLength(body),
      ...(answer.etag === undefined ? {} : { etag: answer.etag }),
    });
    response.end(body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    const { route, params } = findRoute(this.#parts.routes, request.method ?? '', path);
    const header = request.headers[GENERATION_HEADER];
    const generation = parseGeneration(Array.isArray(header) ? header[0] : header);
    const body = await readBody(request, route.limit_bytes);
    const call: Call = { params, body, generation, local_address: (request.socket.localAddress ?? '').replace(/^::ffff:/u, '') };
    // A look that comes with a generation is part of a pass: it waits for what is being changed, and ends the older passes.
    if (route.method === 'GET' && generation === undefined) return route.handler(call);
    return this.#parts.turns.run(async () => {
      if (generation !== undefined) await this.#parts.generations.admit(generation);
      return route.handler(call);
    });
  }

  #failed(request: IncomingMessage, error: unknown): Answer {
    const path = request.url ?? '';
    if (error instanceof Refusal) {
      this.#parts.log('warn', 'request refused', {
        method: request.method,
        path,
        status: error.status,
        reason: error.message.slice(0, 500),
      });
      return { status: error.status, body: error.body };
    }
    this.#parts.log('error', 'request failed', { method: request.method, path, error });
    return { status: 500, body: { message: 'Internal error', details: error instanceof Error ? error.message : String(error) } };
  }
}

async function readBody(request: IncomingMessage, limit_bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit_bytes) throw refuseByFramework(413, 'Request Entity Too Large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
