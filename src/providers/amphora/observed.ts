/** What a pass sees of the outside before it plans: the input of `plan` beside the tree. */
import type { Instance } from '../../cloud/compute.ts';
import type { Network, Port, Subnet } from '../../cloud/network.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Amphora } from '../../model/index.ts';
import type { ObservedAgent } from './agent-client.ts';
import type { Rendered } from './render/haproxy.ts';

/** A file that an amphora should have in its folder of certificates. */
export type WantedFile = {
  /** MD5 (hex) of the content. */
  readonly md5: string;
  /** Null: the amphora has it, and the secret cannot be read now. */
  readonly content: Secret | null;
};

/** A rendered configuration and its MD5. */
export type RenderedConfiguration = Rendered & { readonly md5: string };

/** The configuration that an amphora should run, and what should be in its folder of certificates, by name. */
export type WantedConfiguration = RenderedConfiguration & { readonly tls_files: ReadonlyMap<string, WantedFile> };

/** The document of UDP and SCTP listeners, its MD5, and for upstream's agents, which do not read it, a keepalived's configuration for each listener. */
export type WantedDatagram = {
  readonly text: string;
  readonly md5: string;
  readonly lvs: readonly { readonly id: string; readonly text: string }[] | null;
};

/** One amphora row beside what exists of it. */
export type AmphoraView = {
  readonly amphora: Amphora;
  /** Instances of its name, the oldest first; more than one only after a crash in a cloud without unique names. */
  readonly instances: readonly Instance[];
  /** Its ports by name: the VRRP port and ports towards members. */
  readonly ports: readonly Port[];
  /** Null: its agent does not answer. */
  readonly agent: ObservedAgent | null;
  /** Null while the agent does not answer, or when there is nothing to run. */
  readonly wanted: WantedConfiguration | null;
  /** What it should pass on of UDP and SCTP; null while the agent does not answer, or when there is nothing to pass on. */
  readonly wanted_datagram: WantedDatagram | null;
};

/** How long things may take; all in milliseconds. */
export type PlanLimits = {
  /** From asking for an instance until its agent answers ([controller_worker] amp_active_retries × amp_active_wait_sec). */
  readonly boot_timeout_ms: number;
  /** How long a cloud may take to list an instance that it said it made. */
  readonly late_listing_ms: number;
  /** How long an agent that once worked may be silent while a change waits for it. */
  readonly silence_timeout_ms: number;
};

/** Everything outside that concerns one load balancer, at one moment. */
export type Observed = {
  readonly now_ms: number;
  /** When the present work began. */
  readonly started_ms: number;
  /** Fresh ids for rows that the plan makes. */
  readonly new_ids: readonly string[];
  readonly amphorae: readonly AmphoraView[];
  /** Ports of the VIP (device `lb-<id>`). */
  readonly vip_ports: readonly Port[];
  /** Subnets of the VIPs and of members, by id; those that do not exist are absent. */
  readonly subnets: ReadonlyMap<string, Subnet>;
  readonly networks: ReadonlyMap<string, Network>;
  /** Instances of the load balancer whose amphora row is gone. */
  readonly stray_instances: readonly Instance[];
  readonly limits: PlanLimits;
};

/** The name of an amphora's instance, and the device of its ports. */
export const instanceName = (amphora_id: string): string => `amphora-${amphora_id}`;
/** The name of the VIP's port. */
export const vipPortName = (loadbalancer_id: string): string => `octavia-lb-${loadbalancer_id}`;
/** The device of the VIP's port. */
export const vipDevice = (loadbalancer_id: string): string => `lb-${loadbalancer_id}`;
/** The name of an amphora's port on the VIP's network. */
export const vrrpPortName = (amphora_id: string): string => `octavia-lb-vrrp-${amphora_id}`;
/** The name of an amphora's ports on members' networks. */
export const memberPortName = (amphora_id: string): string => `octavia-lb-member-${amphora_id}`;
/** The owner of ports that amphorae have. */
export const amphoraPortOwner = 'Octavia:amphora';
/** The owner of VIP ports that we made. */
export const vipPortOwner = 'Octavia';
