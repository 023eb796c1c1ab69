/** The kinds of traffic that are compared with bare HAProxy: a listener of the API each, what stands for it by hand, and clients. */
import type { BareShape } from './haproxies.ts';
import type { RequestClient } from './requests.ts';
import { freshClient, keptClient, multiplexedClient, type Peer } from './traffic-clients.ts';

/** How clients of a listener connect. */
export type Way = {
  readonly connections: string;
  /** Requests of a series, and how many are under way at a time. */
  readonly count: number;
  readonly concurrency: number;
  open(peer: Peer): RequestClient | Promise<RequestClient>;
};

/** One kind. */
export type Kind = {
  readonly name: string;
  /** As the API calls it, of listener and pool. */
  readonly protocol: 'HTTP' | 'TCP' | 'TERMINATED_HTTPS';
  readonly pool_protocol: 'HTTP' | 'TCP';
  readonly bare: BareShape;
  readonly ways: readonly Way[];
};

const kept = (hasTls: boolean, count = 20_000): Way => ({
  connections: '16 kept',
  count,
  concurrency: 16,
  open: (peer) => keptClient(peer, 16, hasTls),
});
const fresh = (hasTls: boolean, count: number): Way => ({
  connections: hasTls ? 'one each, full handshake' : 'one each',
  count,
  concurrency: 16,
  open: (peer) => freshClient(peer, hasTls),
});

/** All of them. Members speak HTTP/1.1 always; through TCP it is HTTP that is passed on. */
export const kinds: readonly Kind[] = [
  {
    name: 'HTTP',
    protocol: 'HTTP',
    pool_protocol: 'HTTP',
    bare: { mode: 'http', hasTls: false },
    ways: [kept(false), fresh(false, 8000)],
  },
  {
    name: 'TLS 1.3',
    protocol: 'TERMINATED_HTTPS',
    pool_protocol: 'HTTP',
    bare: { mode: 'http', hasTls: true },
    ways: [kept(true), fresh(true, 2000)],
  },
  {
    name: 'HTTP/2',
    protocol: 'TERMINATED_HTTPS',
    pool_protocol: 'HTTP',
    bare: { mode: 'http', hasTls: true },
    ways: [{ connections: '4 kept, 8 streams each', count: 20_000, concurrency: 32, open: (peer) => multiplexedClient(peer, 4) }],
  },
  {
    name: 'TCP',
    protocol: 'TCP',
    pool_protocol: 'TCP',
    bare: { mode: 'tcp', hasTls: false },
    ways: [kept(false), fresh(false, 8000)],
  },
];
