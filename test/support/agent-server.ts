/** An agent with state behind real TLS: speaks as ours or as upstream's, and misbehaves on demand. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Socket } from 'node:net';
import type { Authority, IssuedCertificate } from '../../src/providers/amphora/pki.ts';
import { type AgentInfo, type AgentState, GENERATION_HEADER, STALE_GENERATION } from '../../src/wire/agent-api.ts';

/** What it is, and whom it trusts. */
export type AgentServerOptions = {
  readonly kind: 'ours' | 'upstream';
  readonly amphora_id: string;
  readonly certificate: IssuedCertificate;
  readonly clients: Authority;
};

/** An answer: status, body (an object becomes JSON), headers. */
type Answer = { readonly status: number; readonly body?: object | string; readonly headers?: Record<string, string> };

/** One call as it came in. */
export type SeenCall = { readonly method: string; readonly path: string; readonly body: string; readonly generation: string | undefined };

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

/** The agent; `close` frees its port and ends all its connections. */
export class AgentServer {
  readonly calls: SeenCall[] = [];
  /** What `haproxy -c` prints; null: it accepts. */
  refusal: string | null = null;
  /** Answers this to every call while it is not null. */
  mishap: Answer | null = null;
  /** Leaves calls without an answer. */
  isSilent = false;
  certificate = '';
  /** The agent's own configuration, as it was last put. */
  agent_conf = '';
  running = false;
  boot_id = 'boot-1';
  readonly configurations = new Map<string, { text: string; loaded: string | null }>();
  /** Upstream's UDP and SCTP listeners: id → what its keepalived was given, and whether it runs. */
  readonly lvs = new Map<string, { text: string; isRunning: boolean }>();
  /** Ours. */
  datagram: AgentState['datagram'] = null;
  readonly plugged = new Map<string, readonly string[]>();
  /** Load balancer → name → content. */
  readonly tls_files = new Map<string, Map<string, string>>();
  readonly #options: AgentServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #generation = 0;

  constructor(options: AgentServerOptions) {
    this.#options = options;
    const { certificate, clients } = options;
    this.#server = createServer({
      cert: certificate.certificate,
      key: certificate.key.reveal(),
      ca: clients.certificate.toString(),
      requestCert: true,
      rejectUnauthorized: true,
    });
    this.#server.on('connection', (socket: Socket) => this.#sockets.add(socket));
    this.#server.on('tlsClientError', () => undefined);
    this.#server.on('request', (request, response) => void this.#serve(request, response));
  }

  /** Listens on a free port of the loopback. */
  async listen(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** How many connections came in since the start. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Ends the connections, as an agent that is started again does. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.dropConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const generation = request.headers[GENERATION_HEADER];
    const call = {
      method: request.method ?? '',
      path: request.url ?? '',
      body: Buffer.concat(chunks).toString(),
      generation: typeof generation === 'string' ? generation : undefined,
    };
    this.calls.push(call);
    if (this.isSilent) return;
    const { status, body = {}, headers } = this.mishap ?? this.#answer(call);
    const isText = typeof body === 'string';
    response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json', ...headers });
    response.end(isText ? body : JSON.stringify(body));
  }

  #answer(call: SeenCall): Answer {
    if (this.#options.kind === 'ours' && call.generation !== undefined) {
      if (Number(call.generation) < this.#generation) return { status: 409, body: { message: STALE_GENERATION } };
      this.#generation = Number(call.generation);
    }
    const [, version, ...path] = call.path.split('/');
    const [what = '', first = '', second = ''] = path;
    if (version !== '1.0') return { status: 404, body: { error: '404 Not Found', http_code: 404 } };
    switch (`${call.method} ${what}`) {
      case 'GET info':
        return { status: 200, body: this.#info() };
      case 'GET details':
        return {
          status: 200,
          body: {
            ...this.#info(),
            haproxy_count: this.running ? this.configurations.size : 0,
            lvs_listener_process_count: [...this.lvs.values()].filter(({ isRunning }) => isRunning).length,
          },
        };
      case 'GET listeners':
        return {
          status: 200,
          body: [...this.lvs].map(([uuid, { isRunning }]) => ({ status: isRunning ? 'ACTIVE' : 'OFFLINE', uuid, type: 'UDP' })),
        };
      case 'PUT listeners':
        if (this.#options.kind === 'ours' || path[3] !== 'udp_listener')
          return { status: 404, body: { error: '404 Not Found', http_code: 404 } };
        this.lvs.set(second, { text: call.body, isRunning: false });
        return { status: 200, body: { message: 'OK' } };
      case 'DELETE listeners':
        if (this.lvs.delete(first)) return { status: 200, body: { message: 'OK' } };
        this.configurations.delete(first);
        this.tls_files.delete(first);
        this.running = false;
        return { status: 200, body: { message: 'OK' } };
      case 'POST plug':
        return this.#plug(first === 'vip' ? [second] : [], call.body);
      case 'PUT config':
        this.agent_conf = call.body;
        return { status: 202, body: { message: 'OK' } };
      case 'PUT certificate':
        this.certificate = call.body;
        return { status: 202, body: { message: 'OK' } };
      default:
        return what === 'loadbalancer'
          ? this.#loadbalancer(call, path.slice(1))
          : { status: 404, body: { error: '404 Not Found', http_code: 404 } };
    }
  }

  #info(): AgentInfo {
    const info = { hostname: 'amphora', api_version: '1.0', haproxy_version: '2.6.12', keepalived_version: '', ipvsadm_version: '' };
    if (this.#options.kind === 'upstream') return info;
    const held = [...this.configurations].map(([id, { text, loaded }]) => {
      const loaded_md5 = this.running && loaded !== null ? md5(loaded) : null;
      return [id, { md5: md5(text), loaded_md5, running: this.running, pid: null, generation: this.#generation }] as const;
    });
    const state = {
      boot_id: this.boot_id,
      amphora_id: this.#options.amphora_id,
      generation: this.#generation,
      base_path: '/var/lib/octavia',
      run_path: '/run/octavia',
      cert_path: '/var/lib/octavia/certs',
      certificates: Object.fromEntries(
        [...this.tls_files].map(([id, files]) => [id, Object.fromEntries([...files].map(([name, text]) => [name, md5(text)]))]),
      ),
      loadbalancers: Object.fromEntries(held),
      plugged: [...this.plugged].map(([mac_address, addresses], index) => ({ mac_address, addresses, interface: `eth${index + 1}` })),
      ping_command: null,
      datagram: this.datagram,
      maxconn_limit: 9986,
    };
    return { ...info, capabilities: ['generation', 'loaded-md5'], octavia: state };
  }

  #plug(vips: readonly string[], body: string): Answer {
    const plug = JSON.parse(body) as Record<string, unknown> & {
      mac_address: string;
      fixed_ips?: { ip_address: string }[];
      vrrp_ip?: string;
    };
    if (plug.mac_address === 'ff:ff:ff:ff:ff:ff') return { status: 404, body: { message: 'No suitable network interface found' } };
    const isPlugged = this.plugged.has(plug.mac_address);
    const own = plug.vrrp_ip === undefined ? [] : [plug.vrrp_ip];
    this.plugged.set(plug.mac_address, [...vips, ...own, ...(plug.fixed_ips ?? []).map((ip) => ip.ip_address)]);
    return isPlugged ? { status: 409, body: { message: 'Interface already plugged' } } : { status: 202, body: { message: 'OK' } };
  }

  #loadbalancer(call: SeenCall, path: readonly string[]): Answer {
    const [first = '', second = '', third = ''] = path;
    const listener = this.lvs.get(first);
    if (call.method === 'PUT' && listener !== undefined && second === 'reload') {
      listener.isRunning = true;
      return { status: 202, body: { message: 'OK' } };
    }
    if (call.method === 'PUT' && third === 'datagram') {
      const isEmpty = (JSON.parse(call.body) as { listeners: unknown[] }).listeners.length === 0;
      this.datagram = isEmpty ? null : { md5: md5(call.body), applied_md5: md5(call.body), running: true };
      return { status: 202, body: { message: 'OK' } };
    }
    if (call.method === 'PUT' && third === 'haproxy') {
      if (first !== this.#options.amphora_id) return { status: 404, body: { message: 'Not this amphora' } };
      if (this.refusal !== null) return { status: 400, body: { message: 'Invalid request', details: this.refusal } };
      this.configurations.set(second, { text: call.body, loaded: this.configurations.get(second)?.loaded ?? null });
      return { status: 202, body: { message: 'OK' }, headers: { etag: `"${md5(call.body)}"` } };
    }
    if (second === 'certificates') return this.#certificate(call, first, third);
    const held = this.configurations.get(first);
    if (held === undefined) return { status: 404, body: { message: 'Listener Not Found' } };
    if (call.method === 'GET') return { status: 200, body: held.text, headers: { etag: `"${md5(held.text)}"` } };
    if (second === 'reload' || second === 'start') {
      held.loaded = held.text;
      this.running = true;
    } else this.running = false;
    const octavia = { how: 'reload', commands: 0, reason: 'a test', took_ms: 1 };
    return { status: 202, body: this.#options.kind === 'ours' ? { message: 'OK', details: '', octavia } : { message: 'OK' } };
  }

  #certificate(call: SeenCall, loadbalancer_id: string, name: string): Answer {
    const files = this.tls_files.get(loadbalancer_id) ?? new Map<string, string>();
    this.tls_files.set(loadbalancer_id, files);
    if (!/^[\w.-]+\.pem$/u.test(name)) return { status: 400, body: { message: 'Filename has wrong format' } };
    if (call.method === 'PUT') files.set(name, call.body);
    if (call.method === 'DELETE') files.delete(name);
    const held = files.get(name);
    if (held === undefined && call.method === 'GET') return { status: 404, body: { message: 'Certificate Not Found' } };
    return { status: 200, body: call.method === 'GET' ? { md5sum: md5(held ?? '') } : { message: 'OK' } };
  }
}
