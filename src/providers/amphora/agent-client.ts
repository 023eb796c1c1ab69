/** Speaks to the agents in amphorae: upstream's amphora REST API 1.0 over mutual TLS, and our additions where an agent announces them. */
import type { Amphora } from '../../model/index.ts';
import type { PlugNetworkRequest, PlugVipRequest } from '../../wire/agent-api.ts';

/** The VIP's interface to plug: the body of `POST /plug/vip/{vip}` and the VIP of its path. */
export type VipPlug = PlugVipRequest & { readonly vip: string };

/** What an agent is seen to have, its machine's answers and upstream's alike. */
export type ObservedAgent = {
  readonly api_version: string;
  readonly haproxy_version: string | null;
  /** What it can besides upstream's API; empty for upstream's agent. */
  readonly capabilities: readonly string[];
  /** The highest revision it has obeyed; 0: none, or an agent that does not count. */
  readonly revision: number;
  /** MD5 (hex) of the configuration that HAProxy is known to follow; null: none, or not known (put it again). */
  readonly configuration_md5: string | null;
  /** Does HAProxy run? */
  readonly running: boolean;
  /** Interfaces in the traffic namespace; from an agent that does not tell (upstream's): those that this process has plugged. */
  readonly plugged: readonly { readonly mac_address: string; readonly addresses: readonly string[] }[];
  /** The most connections that HAProxy can have there; null: not told. */
  readonly maxconn_limit: number | null;
  /** Changes when the instance boots; null: not told. */
  readonly boot_id: string | null;
  readonly base_path: string;
  readonly run_path: string;
};

/** The amphora refuses a configuration: what `haproxy -c` printed, for `ownerOfRefusal`. */
export class ConfigRefused extends Error {
  readonly output: string;

  constructor(output: string, options: { cause?: unknown } = {}) {
    super('the amphora refuses the configuration', options);
    this.name = 'ConfigRefused';
    this.output = output;
  }
}

/**
 * The agents of all amphorae.
 *
 * Every method throws `Retry` when the agent cannot be reached, does not answer in time, answers 5xx, or has already
 * obeyed a higher revision (another controller is newer); the reason of `signal` when that is aborted. `describe` alone
 * takes an unreachable agent as an answer.
 */
export interface AmphoraAgents {
  /**
   * What the agent says of itself; null: nobody answers (no address yet, refused, unreachable, no answer in time, wrong certificate).
   * Throws `Retry` only when it answers with an error.
   */
  describe(amphora: Amphora, signal: AbortSignal): Promise<ObservedAgent | null>;
  /** Plugs the VIP's interface; plugged already is success. */
  plugVip(amphora: Amphora, plug: VipPlug, revision: number, signal: AbortSignal): Promise<void>;
  /** Plugs an interface towards members; plugged already is success. */
  plugNetwork(amphora: Amphora, plug: PlugNetworkRequest, revision: number, signal: AbortSignal): Promise<void>;
  /** Makes HAProxy run with a configuration: started, changed in flight or reloaded, as the agent finds cheapest. Throws `ConfigRefused`. */
  putHaproxy(amphora: Amphora, loadbalancer_id: string, text: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Gives the agent a new certificate (PEM: key, certificate). */
  putCertificate(amphora: Amphora, pem: string, revision: number, signal: AbortSignal): Promise<void>;
  /** Stops HAProxy and removes its configuration; none there is success. */
  deleteHaproxy(amphora: Amphora, loadbalancer_id: string, revision: number, signal: AbortSignal): Promise<void>;
}
