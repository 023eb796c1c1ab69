/** What the machine does with traffic besides carrying it, as the embedded network service wants it to be. */

/** A floating IP with the address that it stands for. */
export type Translation = {
  readonly floating_ip_address: string;
  readonly fixed_ip_address: string;
  /** The subnet of the fixed address. */
  readonly cidr: string;
};

/** Traffic that a filter lets through; null is any. */
export type FilterRule = {
  readonly version: 4 | 6;
  /** A number of IANA's list. */
  readonly protocol: number | null;
  /** Ports, or for ICMP its type and code. */
  readonly least: number | null;
  readonly most: number | null;
  /** Addresses and subnets that it may come from. */
  readonly remotes: readonly string[] | null;
};

/** What reaches some addresses behind a port: what a rule lets through, and nothing else. */
export type PortFilter = { readonly port_id: string; readonly addresses: readonly string[]; readonly rules: readonly FilterRule[] };

/** How fast a port may receive (`ingress`) and send (`egress`); null: without limit. */
export type PortLimit = {
  readonly port_id: string;
  readonly mac_address: string;
  readonly ingress: Rate | null;
  readonly egress: Rate | null;
};

/** A rate with the burst that is allowed above it: kbit/s and kbit. */
export type Rate = { readonly kbps: number; readonly burst_kbit: number };

/** All of it. */
export type Traffic = {
  /** Ranges of floating IPs. */
  readonly ranges: readonly string[];
  readonly translations: readonly Translation[];
  readonly filters: readonly PortFilter[];
  readonly limits: readonly PortLimit[];
};

/** Nothing to do. */
export const noTraffic: Traffic = { ranges: [], translations: [], filters: [], limits: [] };
