/** The bridges of a state: one per network, all in one namespace, with legs to the host for networks that it may reach. */
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../../lib/log.ts';
import { run } from '../../../lib/run.ts';
import { KeyedMutex, withFileLock } from './exclusive.ts';
import { applyFilters } from './filters.ts';
import { applyFirewall } from './firewall.ts';
import { applyFloating } from './floating.ts';
import { applyLimit } from './limits.ts';
import {
  checkedAddress,
  checkedInterface,
  checkedMac,
  checkedNamespace,
  hasIpv6,
  ipBatch,
  isAlreadyThere,
  isMissing,
  namespaceInode,
} from './ip.ts';
import { bridgeName, legNames, stateNames, wireNames } from './names.ts';
import { noTraffic } from './traffic.ts';
import type { PortLimit, Traffic } from './traffic.ts';
import type { StateNames } from './names.ts';
import type { WiredNetwork, WiredSubnet, PortWiring } from './wiring.ts';

/** What a fabric is made for. */
export type FabricOptions = {
  readonly state_id: string;
  /** The state folder; the lock that keeps processes apart lies in it. */
  readonly state_dir: string;
  readonly log: Logger;
  /** What is to be done with traffic now; not given: nothing. */
  readonly traffic?: () => Promise<Traffic>;
};

/** An interface in a namespace that some test, demo or member program made. */
export type PlugOptions = {
  readonly mac: string;
  readonly name: string;
  /** With prefix, like `198.18.1.20/24`; the interface is brought up with them. */
  readonly addresses?: readonly string[];
  /** Becomes the default route of that namespace. */
  readonly gateways?: readonly string[];
};

/**
 * Makes and removes bridges, legs and wires. Everything is made when it is first needed, found when it is there already, and may be
 * asked for by several processes at once.
 */
export class LocalFabric {
  readonly #options: FabricOptions;
  readonly #names: StateNames;
  readonly #mutex = new KeyedMutex();
  /** What this process knows to be there: network id → how it was asked for. Void when the namespace is another one. */
  readonly #known = new Map<string, string>();
  #inode: number | null = null;
  /** What was applied last, so that what did not change is not done again. */
  #applied = '';

  constructor(options: FabricOptions) {
    this.#options = options;
    this.#names = stateNames(options.state_id);
  }

  /** The name of the namespace that holds the bridges, for `ip -n`. */
  get namespace(): string {
    return this.#names.fabric;
  }

  /** The inode of that namespace now: wires made in another one are gone. Null before the first `ensure`. */
  get inode(): number | null {
    return namespaceInode(this.#names.fabric);
  }

  /** Makes a network's bridge, and its leg to the host when it is reachable. Throws `CommandError` when the kernel refuses. */
  async ensure(network: WiredNetwork, subnets: readonly WiredSubnet[]): Promise<void> {
    const gateways = subnets.map(({ cidr, gateway_ip }) => [cidr, gateway_ip]);
    const wanted = JSON.stringify([network.mtu, network.host_reachable, network.is_management, gateways]);
    const isKnown = (): boolean => this.#inode !== null && this.inode === this.#inode && this.#known.get(network.id) === wanted;
    if (isKnown()) return;
    await this.#exclusively(async () => {
      if (isKnown()) return;
      await this.#ensureNamespace();
      await this.#ensureBridge(network);
      const leg = legNames(this.#options.state_id, network);
      if (network.host_reachable || network.is_management) await this.#ensureLeg(network, subnets);
      else await this.#removeLink(leg.bridgeSide);
      this.#known.set(network.id, wanted);
    });
  }

  /** Removes a network's bridge and leg; wires that are still plugged stay without a bridge. One that is not there is success. */
  async remove(network_id: string): Promise<void> {
    await this.#exclusively(async () => {
      this.#known.delete(network_id);
      if (this.inode === null) return;
      const { bridgeSide } = legNames(this.#options.state_id, { id: network_id, is_management: false });
      await this.#removeLink(bridgeSide);
      await this.#removeLink(bridgeName(this.#options.state_id, network_id));
    });
  }

  /**
   * The lines of `ip -n <fabric> -batch -` that make the wire of a port: the far end appears in the namespace with the port's
   * hardware address, down and without addresses. The network must be ensured.
   *
   * @param farName the far end's name; by default one made of the port's id
   */
  wireLines(wiring: PortWiring, netns: string, farName?: string): readonly string[] {
    const { bridgeSide, farSide } = wireNames(this.#options.state_id, wiring.port.id);
    return this.#wireLines(wiring.network, {
      bridgeSide,
      farSide: farName ?? farSide,
      mac: wiring.port.mac_address,
      netns,
    });
  }

  /** Plugs a port into a namespace; one that is plugged there already is plugged anew, so that it is surely whole. */
  async plug(wiring: PortWiring, netns: string): Promise<void> {
    await this.ensure(wiring.network, wiring.subnets);
    const { bridgeSide } = wireNames(this.#options.state_id, wiring.port.id);
    await this.#makeWire(wiring.network, bridgeSide, this.wireLines(wiring, netns), () => this.ensure(wiring.network, wiring.subnets));
  }

  /** Slows a port down that was just plugged into a namespace; null takes nothing away. */
  async limit(limit: PortLimit | null, netns: string): Promise<void> {
    if (limit !== null) await applyLimit(this.#options.state_id, limit, netns);
  }

  /**
   * Makes translations, filters and limits what they are to be. Asked by several at once, the last one sees the newest. Throws
   * `CommandError` when the kernel refuses.
   *
   * @param netnsOf the namespace that a port is plugged into
   * @param lifted limits of ports that have none any more
   */
  async applyTraffic(netnsOf: (port_id: string) => string | null, lifted: readonly PortLimit[] = []): Promise<void> {
    await this.#exclusively(async () => {
      await this.#ensureNamespace();
      const traffic = await this.#traffic();
      await this.#applyTraffic(traffic);
      for (const limit of [...lifted, ...traffic.limits]) await applyLimit(this.#options.state_id, limit, netnsOf(limit.port_id));
    });
  }

  /** Removes the wire of a port; one that is not there is success. */
  async unplug(port_id: string): Promise<void> {
    if (this.inode === null) return;
    await this.#removeLink(wireNames(this.#options.state_id, port_id).bridgeSide);
  }

  /** Plugs any namespace below /run/netns into a network that was ensured; for members, demonstrations and tests. */
  async plugNamespace(network: WiredNetwork, netns: string, options: PlugOptions): Promise<void> {
    const { bridgeSide } = wireNames(this.#options.state_id, `${netns}/${options.name}`);
    const farSide = checkedInterface(options.name);
    const lines = this.#wireLines({ ...network, is_management: false }, { bridgeSide, farSide, mac: options.mac, netns });
    await this.#makeWire(network, bridgeSide, lines, () => Promise.resolve());
    const addresses = (options.addresses ?? []).map(splitCidr).filter(({ address }) => hasIpv6() || !address.includes(':'));
    await ipBatch(
      [
        'link set lo up',
        ...addresses.map(({ address, prefix }) => addressLine(address, prefix, farSide)),
        `link set ${farSide} up`,
        ...(options.gateways ?? [])
          .filter((gateway) => hasIpv6() || !gateway.includes(':'))
          .map((gateway) => gatewayLine(gateway, farSide)),
      ],
      checkedNamespace(netns),
    );
  }

  #wireLines(network: WiredNetwork, wire: { bridgeSide: string; farSide: string; mac: string; netns: string }): readonly string[] {
    const mtu = `mtu ${Number(network.mtu)}`;
    const bridge = bridgeName(this.#options.state_id, network.id);
    const far = `peer name ${wire.farSide} ${mtu} address ${checkedMac(wire.mac)} netns ${checkedNamespace(wire.netns)}`;
    return [
      `link add name ${wire.bridgeSide} index ${newIndex()} up ${mtu} master ${bridge} type veth ${far}`,
      // Agents talk to controllers, never to each other: one that is taken over reaches no other.
      ...(network.is_management ? [`link set ${wire.bridgeSide} type bridge_slave isolated on`] : []),
    ];
  }

  /** Old wires of the same name are removed first when they are in the way; a bridge that somebody removed is made again. */
  async #makeWire(network: WiredNetwork, bridgeSide: string, lines: readonly string[], ensureAgain: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await ipBatch(lines, this.#names.fabric);
        return;
      } catch (error) {
        if (attempt >= 3) throw error;
        if (isAlreadyThere(error)) {
          await this.#removeLink(bridgeSide);
        } else if (isMissing(error) && attempt === 1) {
          this.#known.delete(network.id);
          await ensureAgain();
        } else {
          throw error;
        }
      }
    }
  }

  async #exclusively(fn: () => Promise<void>): Promise<void> {
    await this.#mutex.run('fabric', () => withFileLock(join(this.#options.state_dir, 'fabric.lock'), fn));
  }

  async #ensureNamespace(): Promise<void> {
    const name = this.#names.fabric;
    if (this.#inode !== null && this.inode === this.#inode) return;
    this.#known.clear();
    if (this.inode === null) {
      // A name without a namespace behind it, as a crash can leave it, would be in the way.
      if (existsSync(`/run/netns/${name}`)) await run('ip', ['netns', 'delete', name]);
      await run('ip', ['netns', 'add', name]);
    }
    await run('nsenter', [`--net=/run/netns/${name}`, 'sh', '-c', FABRIC_SETTINGS]);
    this.#applied = '';
    await this.#applyTraffic(await this.#traffic());
    this.#inode = this.inode;
    this.#options.log.debug({ namespace: name }, 'bridges have a namespace');
  }

  #traffic(): Promise<Traffic> {
    return this.#options.traffic?.() ?? Promise.resolve(noTraffic);
  }

  async #applyTraffic(traffic: Traffic): Promise<void> {
    const { state_id } = this.#options;
    const { ranges, translations, filters } = traffic;
    const wanted = JSON.stringify([ranges, translations, filters]);
    if (wanted === this.#applied) return;
    this.#applied = '';
    await applyFirewall(state_id, translations);
    await applyFloating(state_id, traffic);
    await applyFilters(state_id, filters);
    this.#applied = wanted;
  }

  async #ensureBridge(network: WiredNetwork): Promise<void> {
    const bridge = bridgeName(this.#options.state_id, network.id);
    const settings = `mtu ${Number(network.mtu)}`;
    try {
      // Without snooping and spanning tree a port forwards from its first moment, and no querier is needed.
      await ipBatch(
        [`link add name ${bridge} up ${settings} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`],
        this.#names.fabric,
      );
    } catch (error) {
      if (!isAlreadyThere(error)) throw error;
      await ipBatch([`link set ${bridge} ${settings} up`], this.#names.fabric);
    }
  }

  async #ensureLeg(network: WiredNetwork, subnets: readonly WiredSubnet[]): Promise<void> {
    const { bridgeSide, hostSide } = legNames(this.#options.state_id, network);
    const bridge = bridgeName(this.#options.state_id, network.id);
    const mtu = `mtu ${Number(network.mtu)}`;
    try {
      const line = `link add name ${bridgeSide} index ${newIndex()} up ${mtu} master ${bridge} type veth peer name ${hostSide} ${mtu} netns ${process.pid}`;
      await ipBatch([line], this.#names.fabric);
    } catch (error) {
      if (!isAlreadyThere(error)) throw error;
      await ipBatch([`link set ${bridgeSide} master ${bridge} up ${mtu}`], this.#names.fabric);
    }
    setUpLeg(hostSide);
    const gateways = subnets.flatMap((subnet) => gatewayOf(subnet, hasIpv6On(hostSide)));
    const lines = gateways.map(({ address, prefix }) => addressLine(address, prefix, hostSide));
    await ipBatch([...lines, `link set ${hostSide} up ${mtu}`]);
  }

  async #removeLink(name: string): Promise<void> {
    try {
      await ipBatch([`link delete ${name}`], this.#names.fabric);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

/**
 * An interface index that the far end, in a namespace that counts from 1, cannot have: of a pair whose ends have the same
 * index the kernel takes the link for one without a peer, and tells that it came up with up to a second's delay.
 */
const newIndex = (): number => randomInt(2 ** 20, 2 ** 31 - 1);

/** Bridged packets must not pass the firewall of the namespace (the kernel's default), and bridges need no addresses of their own. */
const FABRIC_SETTINGS = `
for setting in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$setting" ] || echo 0 > "$setting"; done
for setting in default all; do setting=/proc/sys/net/ipv6/conf/$setting/disable_ipv6; [ ! -e "$setting" ] || echo 1 > "$setting"; done
exec ip link set lo up`;

/** A line that gives an interface an address, without waiting for duplicates: this program hands them out itself. */
export function addressLine(address: string, prefix: number, link: string): string {
  return `address replace ${checkedAddress(address, prefix)} dev ${link}${address.includes(':') ? ' nodad' : ''}`;
}

/** A line that makes an address the way out of a namespace. */
export function gatewayLine(gateway: string, link: string): string {
  const address = checkedAddress(gateway, gateway.includes(':') ? 128 : 32).split('/')[0] ?? '';
  return `route replace default via ${address} dev ${link}`;
}

function gatewayOf(subnet: WiredSubnet, mayUseIpv6: boolean): readonly { readonly address: string; readonly prefix: number }[] {
  if (subnet.gateway_ip === null || (subnet.ip_version === 6 && !mayUseIpv6)) return [];
  return [{ address: subnet.gateway_ip, prefix: splitCidr(subnet.cidr).prefix }];
}

/** A host's owner may have switched IPv6 off by sysctl, with the kernel still speaking it. */
function hasIpv6On(link: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, 'utf8').trim() === '0';
  } catch {
    return false;
  }
}

function splitCidr(cidr: string): { readonly address: string; readonly prefix: number } {
  const [address = '', prefix = ''] = cidr.split('/');
  return { address, prefix: Number(prefix) };
}

/**
 * Machines of a tenant must not teach the host routes, nor learn by ARP which addresses it has elsewhere. An ARP or neighbour
 * question that came before a new port of the bridge forwards is asked again after 50 ms instead of a second: that second
 * would be most of the time that a load balancer takes to be made.
 */
function setUpLeg(link: string): void {
  const settings = [
    `ipv6/conf/${link}/accept_ra=0`,
    `ipv6/conf/${link}/accept_redirects=0`,
    `ipv4/conf/${link}/accept_redirects=0`,
    `ipv4/conf/${link}/send_redirects=0`,
    `ipv4/conf/${link}/arp_ignore=1`,
    ...['ipv4', 'ipv6'].flatMap((family) => [`${family}/neigh/${link}/retrans_time_ms=50`, `${family}/neigh/${link}/mcast_solicit=60`]),
  ];
  for (const setting of settings) {
    const [path, value = ''] = setting.split('=');
    try {
      writeFileSync(`/proc/sys/net/${path}`, value);
    } catch {
      // Read-only in some containers: a loss of depth, not of function; the firewall above does not rest on it.
    }
  }
}
