/** Names of everything that one state folder makes on this machine; each carries the state id, so that two states never meet. */
import { createHash, randomBytes } from 'node:crypto';

/** Where network namespaces have their names (ip-netns(8)). */
export const NETNS_DIR = '/run/netns';

/** Environment variable that marks each process of an instance with the state id, so that it is found without any record. */
export const STATE_MARK = 'OCTAVIA_STATE_ID';
/** Environment variable that marks each process of an instance with the instance's id. */
export const COMPUTE_MARK = 'OCTAVIA_COMPUTE_ID';

/** Names that a state has once. */
export type StateNames = {
  /** The namespace that holds all bridges. */
  readonly fabric: string;
  /** How interfaces in the host's namespace begin: legs of tenant networks, and of the management network. */
  readonly tenantLegs: string;
  readonly managementLegs: string;
  /** Both ends of the wire whose host side has the floating IPs. */
  readonly floating: { readonly fabricSide: string; readonly hostSide: string };
  /** The nft table (family inet) in the host's namespace. */
  readonly table: string;
  /** The folder in each cgroup hierarchy. */
  readonly cgroup: string;
};

/** A new state id: six hexadecimal digits. Drawn once for a state folder and recorded there. */
export function newStateId(): string {
  return randomBytes(3).toString('hex');
}

/** True for what `newStateId` answers; everything that takes a state id refuses anything else, because names and paths are made of it. */
export function isStateId(text: string): boolean {
  return /^[0-9a-f]{6}$/u.test(text);
}

/** The names that a state has once. Throws when the id is not six hexadecimal digits. */
export function stateNames(state_id: string): StateNames {
  if (!isStateId(state_id)) throw new Error(`not a state id: ${JSON.stringify(state_id)}`);
  return {
    fabric: `oct-${state_id}`,
    tenantLegs: `oct${state_id}`,
    managementLegs: `ocm${state_id}`,
    floating: { fabricSide: `f${state_id}floating`, hostSide: `ocf${state_id}floats` },
    table: `oct_${state_id}`,
    cgroup: `oct-${state_id}`,
  };
}

/** The two network namespaces of an instance: `management` has the agent, `traffic` has HAProxy (inside, it is `amphora-haproxy`). */
export function instanceNamespaces(state_id: string, compute_id: string): { readonly management: string; readonly traffic: string } {
  const base = `oct-${state_id}-${compute_id.replaceAll('-', '').slice(0, 12)}`;
  return { management: base, traffic: `${base}-t` };
}

/** The bridge of a network; lives in the fabric's namespace. */
export function bridgeName(state_id: string, network_id: string): string {
  return `b${state_id}${digest(network_id, 8)}`;
}

/** Both ends of the wire of a port: at the bridge, and in the namespace that it is plugged into. */
export function wireNames(state_id: string, port_id: string): { readonly bridgeSide: string; readonly farSide: string } {
  const rest = `${state_id}${digest(port_id, 8)}`;
  return { bridgeSide: `v${rest}`, farSide: `p${rest}` };
}

/** Both ends of a network's leg to the host. */
export function legNames(
  state_id: string,
  network: { readonly id: string; readonly is_management: boolean },
): { readonly bridgeSide: string; readonly hostSide: string } {
  const names = stateNames(state_id);
  return {
    bridgeSide: `l${state_id}${digest(network.id, 8)}`,
    hostSide: `${network.is_management ? names.managementLegs : names.tenantLegs}${digest(network.id, 6)}`,
  };
}

/** Interface names end at 15 characters: after the state id 8 remain, and base 32 puts 40 bits into them where hexadecimal has 32. */
function digest(id: string, length: number): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const bytes = createHash('sha256').update(id).digest().subarray(0, length);
  return Array.from(bytes, (byte) => alphabet[byte & 31]).join('');
}
