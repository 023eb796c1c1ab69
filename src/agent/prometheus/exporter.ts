/**
 * Metrics of PROMETHEUS listeners: HAProxy asks here, by a socket in the file system because the agent is not in the traffic
 * namespace; the answer is what HAProxy's own exporter says on another socket, under the names of the API's documentation.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { createInterface } from 'node:readline';
import { METRICS_EXPORTER_SOCKET, METRICS_SOCKET } from '../../wire/agent-api.ts';
import type { Log } from '../log.ts';
import { loadBetween, measureUse, type Use } from './load.ts';
import { gauge, translateLine } from './translate.ts';

/** HAProxy needs 5 ms for 100 servers. */
const LIMIT_MS = 4000;
/** The answer for 10,000 members would be 50 MB: more than an agent is worth. */
const MAX_BYTES = 32 * 1024 * 1024;

/** Serves metrics while the agent runs. */
export class MetricsExporter {
  readonly #run_dir: string;
  readonly #log: Log;
  readonly #server: Server;
  /** The scrape under way: whoever asks meanwhile gets its answer, so that many askers cost no more than one. */
  #scrape: Promise<Buffer> | undefined;
  #before: Use | undefined;

  constructor(run_dir: string, log: Log) {
    this.#run_dir = run_dir;
    this.#log = log;
    this.#server = createServer((_, response) => void this.#answer(response));
    this.#server.maxConnections = 64;
    this.#server.keepAliveTimeout = 1000;
  }

  /** Listens; what an agent before has left there is replaced. */
  async listen(): Promise<void> {
    const path = `${this.#run_dir}/${METRICS_SOCKET}`;
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(path, resolve));
    // HAProxy connects as nobody. Who else is in the amphora may read what it counts.
    await chmod(path, 0o666);
    this.#before = await measureUse();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(response: ServerResponse): Promise<void> {
    try {
      this.#scrape ??= this.#collect().finally(() => (this.#scrape = undefined));
      const body = await this.#scrape;
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4', 'cache-control': 'no-cache', 'content-length': body.length });
      response.end(body);
    } catch (error) {
      this.#log('warn', 'metrics could not be read from HAProxy', { error });
      response.writeHead(502).end();
    }
  }

  async #collect(): Promise<Buffer> {
    const [text, now] = await Promise.all([this.#translated(), measureUse()]);
    const { cpu, memory } = loadBetween(this.#before ?? now, now);
    this.#before = now;
    const own = gauge('octavia_loadbalancer_cpu', 'Load balancer CPU utilization (percentage).', cpu);
    return Buffer.concat([
      Buffer.from(own + gauge('octavia_loadbalancer_memory', 'Load balancer memory utilization (percentage).', memory)),
      text,
    ]);
  }

  #translated(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = request({
        socketPath: `${this.#run_dir}/${METRICS_EXPORTER_SOCKET}`,
        path: '/metrics',
        timeout: LIMIT_MS,
        agent: false,
      });
      call.on('timeout', () => call.destroy(new Error('HAProxy does not answer')));
      call.on('error', reject);
      call.on('response', (source) => {
        if (source.statusCode !== 200) call.destroy(new Error(`HAProxy answers ${source.statusCode}`));
        const chunks: Buffer[] = [];
        let length = 0;
        source.on('error', reject);
        const lines = createInterface({ input: source });
        lines.on('line', (line) => {
          const translated = translateLine(line);
          if (translated === undefined || length > MAX_BYTES) return;
          const chunk = Buffer.from(`${translated}\n`);
          length += chunk.length;
          chunks.push(chunk);
        });
        lines.on('close', () =>
          source.complete && length <= MAX_BYTES ? resolve(Buffer.concat(chunks)) : reject(new Error('half an answer')),
        );
      });
      call.end();
    });
  }
}
