/**
 * What an amphora is to do with datagrams: UDP and SCTP listeners, their pools and members, as one JSON document. It is put by
 * `PUT /1.0/loadbalancer/{amphora}/{lb}/datagram` to agents with the capability `datagram`; one without listeners ends the service.
 */

/** The transport protocols that are passed on packet by packet. */
export type DatagramProtocol = 'udp' | 'sctp';

/** How a member is chosen for a new flow. */
export type DatagramAlgorithm = 'round_robin' | 'least_connections' | 'source_ip';

/** A probe; `sctp` only where keepalived does it. `delay` and `timeout` are seconds; `rise` and `fall` are how many probes in a row change a member's health. */
export type DatagramMonitor = {
  readonly id: string;
  readonly type: 'udp-connect' | 'tcp' | 'http' | 'sctp';
  readonly delay: number;
  readonly timeout: number;
  readonly rise: number;
  readonly fall: number;
  readonly method: string;
  readonly path: string;
  /** The status codes that mean health, as ranges of both ends. */
  readonly codes: readonly (readonly [from: number, to: number])[];
  /** The Host header; null: the address. */
  readonly host: string | null;
};

/** A member behind one listener. */
export type DatagramMember = {
  readonly id: string;
  /** From 1 to 2^31 − 1, unique in the document, the same as long as the member is behind this listener: flows carry it as their mark. */
  readonly mark: number;
  readonly address: string;
  readonly port: number;
  /** 0: keeps its flows and gets no new ones. */
  readonly weight: number;
  readonly admin_state_up: boolean;
  readonly monitor_address: string;
  readonly monitor_port: number;
};

/** A pool behind one listener. */
export type DatagramPool = {
  readonly id: string;
  readonly algorithm: DatagramAlgorithm;
  /** A client, or all of a network of these prefix lengths, stays at its member until it was silent for so long; null: each flow for itself. */
  readonly persistence: { readonly timeout_seconds: number; readonly prefix4: number; readonly prefix6: number } | null;
  readonly monitor: DatagramMonitor | null;
  readonly members: readonly DatagramMember[];
};

/** A listener; `vips` are all addresses of the load balancer. */
export type DatagramListener = {
  readonly id: string;
  readonly protocol: DatagramProtocol;
  readonly vips: readonly string[];
  readonly port: number;
  /** Networks that clients may come from; empty: all. */
  readonly allowed_cidrs: readonly string[];
  /** Most flows at once; null: no limit. */
  readonly connection_limit: number | null;
  readonly pool: DatagramPool | null;
};

/** The document. */
export type DatagramConfig = { readonly listeners: readonly DatagramListener[] };

/** Reads a document as far as its outline goes; addresses and numbers are checked where they are written. Throws `TypeError`. */
export function readDatagramConfig(text: string): DatagramConfig {
  const config = JSON.parse(text) as Partial<DatagramConfig>;
  if (!Array.isArray(config?.listeners)) throw new TypeError('a datagram configuration has listeners');
  for (const listener of config.listeners as readonly Partial<DatagramListener>[]) {
    if (listener?.protocol !== 'udp' && listener?.protocol !== 'sctp') throw new TypeError('a listener passes on UDP or SCTP');
    if (typeof listener.id !== 'string' || !Array.isArray(listener.vips) || !Array.isArray(listener.allowed_cidrs))
      throw new TypeError('a listener has an id, addresses and networks');
    if (listener.pool !== null && !Array.isArray(listener.pool?.members)) throw new TypeError('a pool has members');
  }
  return config as DatagramConfig;
}
