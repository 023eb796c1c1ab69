/** HTTPS connections to agents: both sides show a certificate, and the agent's must bear the amphora's id. */
import type { Pool } from 'undici';
import { type Amphora, Retry } from '../../model/index.ts';
import type { KeyedCertificate } from './pki.ts';

/** How agents are reached. */
export type ConnectionOptions = {
  /** PEM: the only authority that agents are checked against. */
  readonly server_ca: string;
  /** What we show to agents. */
  readonly client: KeyedCertificate;
  /** `[haproxy_amphora] bind_port`. */
  readonly port: number;
  /** `[haproxy_amphora] lb_network_interface`: the way to IPv6 link-local addresses. */
  readonly lb_network_interface: string | null;
  /** `[haproxy_amphora] rest_request_conn_timeout` and `rest_request_read_timeout`, in milliseconds. */
  readonly connect_timeout_ms: number;
  readonly read_timeout_ms: number;
  /** Most amphorae whose connections are kept at once; 256 unless told. */
  readonly max_amphorae?: number;
};

/** One call. */
export type AgentRequest = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal;
  /** Longest wait for the answer where it is less than for other calls. */
  readonly read_timeout_ms?: number | undefined;
};

/** What came back, whatever the status. */
export type AgentResponse = { readonly status: number; readonly etag: string | null; readonly text: string };

/** Nobody answers there: not listening, unreachable, silent, or not the agent of this amphora. */
export class AgentUnreachable extends Retry {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'AgentUnreachable';
  }
}

/** An answer of an agent is never longer; a longer one is not read. */
const MAX_RESPONSE_BYTES = 4 * 2 ** 20;
/** A kept connection that the agent closed in the same moment: the call is worth a second try, all calls may be repeated. */
const closedCodes: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/** Owns the connections to agents, kept per amphora, the longest unused ones closed when there are many. */
export class AgentConnections {
  readonly #options: ConnectionOptions;
  readonly #pools = new Map<string, Pool>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Calls an agent. Throws `AgentUnreachable`, or the reason of the signal when that is aborted. */
  async request(amphora: Amphora, call: AgentRequest): Promise<AgentResponse> {
    try {
      return await this.#send(amphora, call);
    } catch (error) {
      if (!closedCodes.has(codeOf(error)) || call.signal.aborted) throw this.#explained(amphora, call, error);
    }
    try {
      return await this.#send(amphora, call);
    } catch (error) {
      throw this.#explained(amphora, call, error);
    }
  }

  /** Closes all connections once their calls have ended. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.close()));
  }

  async #send(amphora: Amphora, { method, path, body, headers, signal, read_timeout_ms }: AgentRequest): Promise<AgentResponse> {
    signal.throwIfAborted();
    const pool = await this.#poolOf(amphora);
    const wait_ms = read_timeout_ms ?? this.#options.read_timeout_ms;
    const response = await pool.request({
      method,
      path,
      body: body ?? null,
      headers: { 'user-agent': 'Octavia HAProxy Rest Client/1.0', ...headers },
      signal,
      headersTimeout: wait_ms,
      bodyTimeout: wait_ms,
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_RESPONSE_BYTES) throw new Retry('the answer of an agent is too long');
      chunks.push(chunk);
    }
    const etag = response.headers.etag;
    return { status: response.statusCode, etag: typeof etag === 'string' ? etag : null, text: Buffer.concat(chunks).toString() };
  }

  async #poolOf(amphora: Amphora): Promise<Pool> {
    const address = this.#addressOf(amphora);
    const key = `${amphora.id} ${address}`;
    const kept = this.#pools.get(key);
    const pool = kept ?? (await this.#open(amphora, address));
    // Inserted again: the map's order is the order of use.
    const current = this.#pools.get(key) ?? pool;
    this.#pools.delete(key);
    this.#pools.set(key, current);
    const [oldest] = this.#pools;
    if (this.#pools.size > (this.#options.max_amphorae ?? 256) && oldest !== undefined) {
      this.#pools.delete(oldest[0]);
      void oldest[1].close();
    }
    return current;
  }

  #addressOf(amphora: Amphora): string {
    const address = amphora.lb_network_ip;
    if (address === null) throw new AgentUnreachable(`amphora ${amphora.id} has no address on the management network yet`);
    const interfaceName = this.#options.lb_network_interface;
    return interfaceName !== null && /^fe[89ab]/iu.test(address) ? `${address}%${interfaceName}` : address;
  }

  /** The name in URL, TLS and check is the amphora's id; the address is only where we dial. */
  async #open(amphora: Amphora, address: string): Promise<Pool> {
    // Loaded at the first call: a controller is ready sooner.
    const { default: undici } = await import('undici');
    const { server_ca, client, port, connect_timeout_ms } = this.#options;
    const connector = undici.buildConnector({
      ca: server_ca,
      cert: client.certificate,
      key: client.key.reveal(),
      timeout: connect_timeout_ms,
      allowH2: false,
      // A resumed session would not be checked again.
      maxCachedSessions: 0,
    });
    return new undici.Pool(`https://${amphora.id}:${port}`, {
      connect: (target, callback) => connector({ ...target, hostname: address, servername: amphora.id }, callback),
      connections: 2,
      pipelining: 1,
    });
  }

  #explained(amphora: Amphora, call: AgentRequest, error: unknown): unknown {
    if (call.signal.aborted) return call.signal.reason;
    if (error instanceof Retry) return error;
    const code = codeOf(error);
    return new AgentUnreachable(`the agent of amphora ${amphora.id} does not answer ${call.method} ${call.path} (${code})`, {
      cause: error,
    });
  }
}

/** `ECONNREFUSED`, `UND_ERR_CONNECT_TIMEOUT`, `ERR_TLS_CERT_ALTNAME_INVALID` and the like. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
