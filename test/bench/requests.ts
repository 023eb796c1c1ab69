/** Many requests to an API over a few connections that stay open, with the time of each. */
import { Pool } from 'undici';
import { cpuSeconds, preciseCpuSeconds } from './machine.ts';

/** A request to be sent. */
export type BenchRequest = { readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'; readonly path: string; readonly body?: unknown };

/** What a series of requests took. */
export type Series = {
  readonly count: number;
  readonly seconds: number;
  readonly durations_ms: readonly number[];
  /** Of the processes that were watched. */
  readonly cpu_seconds: number;
  /** Bodies of the answers, when they were asked for. */
  readonly bodies: readonly string[];
};

/** A client that keeps its connections. */
export type RequestClient = {
  /** Sends one request. Throws unless the answer is 2xx. */
  send(request: BenchRequest): Promise<string>;
  close(): Promise<void>;
};

/** Opens a client with at most so many connections, one request at a time on each. */
export function openClient(base_url: string, connections: number, headers: Readonly<Record<string, string>> = {}): RequestClient {
  const pool = new Pool(base_url, { connections, pipelining: 1 });
  return {
    async send({ method, path, body }) {
      const withBody = body === undefined ? {} : { body: JSON.stringify(body) };
      const contentType = body === undefined ? {} : { 'content-type': 'application/json' };
      const answer = await pool.request({ method, path, headers: { ...headers, ...contentType }, ...withBody });
      const text = await answer.body.text();
      if (answer.statusCode < 200 || answer.statusCode > 299)
        throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
      return text;
    },
    close: () => pool.close(),
  };
}

/** How a series is run. */
export type SeriesOptions = {
  readonly count: number;
  /** Requests under way at a time. */
  readonly concurrency: number;
  /** The processes whose processor time is counted; asked at the beginning and at the end. */
  readonly watched: () => readonly number[];
  readonly keepBodies?: boolean;
  /** Counts the living threads of the processes to the nanosecond, and not their children. */
  readonly isPrecise?: boolean;
};

/** Sends `count` requests, the n-th as `requestOf(n)` says; each next one goes when one has been answered. */
export async function runSeries(client: RequestClient, requestOf: (n: number) => BenchRequest, options: SeriesOptions): Promise<Series> {
  const durations_ms: number[] = [];
  const bodies: string[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let n = next++; n < options.count; n = next++) {
      const begun = performance.now();
      const body = await client.send(requestOf(n));
      durations_ms.push(performance.now() - begun);
      if (options.keepBodies === true) bodies[n] = body;
    }
  };
  const clock = options.isPrecise === true ? preciseCpuSeconds : cpuSeconds;
  const [cpu, begun] = [clock(options.watched()), performance.now()];
  await Promise.all(Array.from({ length: options.concurrency }, lane));
  const seconds = (performance.now() - begun) / 1000;
  return { count: options.count, seconds, durations_ms, cpu_seconds: clock(options.watched()) - cpu, bodies };
}
