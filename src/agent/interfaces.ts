/** Network cards of the amphora: found by MAC address, moved into the traffic namespace, given what their files say. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { run } from '../lib/run.ts';
import type { PluggedInterface } from '../wire/agent-api.ts';
import { refuse } from './answers.ts';
import { readJsonIfThere, replaceFile } from './files.ts';
import { announcement, cardCommands, withoutIpv6 } from './interface-commands.ts';
import { VIP_INTERFACE } from './interface-file.ts';
import type { InterfaceFile } from './interface-file.ts';
import type { Log } from './log.ts';
import type { Places } from './places.ts';
import { TrafficError } from './traffic.ts';
import type { Link, TrafficNamespace } from './traffic.ts';

/** After a card was plugged its addresses are announced again, for switches that were not ready for the first. */
const ANNOUNCE_AGAIN_MS = [1000, 3000];

/** The cards of the traffic namespace. Changes must not overlap; the REST API runs them one by one. */
export class Interfaces {
  readonly #places: Places;
  readonly #traffic: TrafficNamespace;
  readonly #log: Log;
  readonly #folder: string;

  constructor(places: Places, traffic: TrafficNamespace, log: Log) {
    this.#places = places;
    this.#traffic = traffic;
    this.#log = log;
    this.#folder = `${places.base_path}/interfaces`;
  }

  /**
   * Makes a card what `describe` says of it (called with the name that it will have) and keeps that for later starts.
   * Answers false when nothing about it was new; missing addresses are mended even then.
   *
   * Throws a refusal: 404 when no card has the MAC address, 500 when the kernel refuses.
   *
   * @param local_address the agent's own address, whose card is never touched
   */
  async plug(mac_address: string, local_address: string, describe: (name: string) => InterfaceFile): Promise<boolean> {
    const { links, link } = await this.#find(mac_address, local_address);
    const files = await this.#files();
    const before = files.find((file) => file.mac_address === mac_address);
    const isVip = describe(VIP_INTERFACE).if_type === 'vip';
    const name = isVip
      ? VIP_INTERFACE
      : (before?.name ??
        freeName(
          links.filter((each) => each !== link),
          files,
        ));
    const file = describe(name);
    const other = links.find((each) => each.ifname === name && each.address !== mac_address);
    if (other !== undefined) throw refuse(500, 'Error plugging VIP', `${name} is another card`);
    await this.#apply(file, link, before);
    await mkdir(this.#folder, { recursive: true });
    await replaceFile(`${this.#folder}/${name}.json`, JSON.stringify(file, undefined, 1));
    this.#announceAgain(file);
    return link.ifname !== name || JSON.stringify(before) !== JSON.stringify(file);
  }

  /** Gives each known card again what it is to have: after a boot, or when the namespace was made anew. Errors are logged. */
  async restore(): Promise<void> {
    for (const file of await this.#files()) {
      try {
        const { link } = await this.#find(file.mac_address, undefined);
        await this.#apply(file, link, file);
      } catch (error) {
        this.#log('error', 'card could not be set up again', { name: file.name, error });
      }
    }
  }

  /** The card of the VIP as it was asked for; undefined before. */
  async vipFile(): Promise<InterfaceFile | undefined> {
    return (await this.#files()).find((file) => file.if_type === 'vip');
  }

  /** The cards that were plugged and are there, with the addresses that they have. */
  async plugged(): Promise<readonly PluggedInterface[]> {
    const files = await this.#files();
    if (files.length === 0) return [];
    const links = await this.#traffic.links();
    return files.flatMap((file) => {
      const link = links.find((each) => each.address === file.mac_address && each.ifname === file.name);
      if (link === undefined) return [];
      const own = link.addr_info.filter((each) => each.scope === 'global').map((each) => each.local);
      // keepalived's addresses come and go: that they are not here does not mean that they were not asked for.
      const others = file.addresses
        .filter((each) => each.octavia_owned === false && !own.includes(each.address))
        .map((each) => each.address);
      const vip = file.vip === undefined ? {} : { vip: file.vip };
      return [{ mac_address: file.mac_address, interface: file.name, ...vip, addresses: [...own, ...others] }];
    });
  }

  /** The name of the card that has an address; undefined when none has it. */
  async interfaceOf(address: string): Promise<string | undefined> {
    return (await this.#traffic.links()).find((link) => link.addr_info.some((each) => each.local === address))?.ifname;
  }

  /** Bytes sent and received by each card of the traffic namespace. */
  async counters(): Promise<Readonly<Record<string, { network_tx: number; network_rx: number }>>> {
    const links = (await this.#traffic.counters()).filter((link) => link.ifname !== 'lo');
    return Object.fromEntries(
      links.map((link) => [link.ifname, { network_tx: link.stats64?.tx.bytes ?? 0, network_rx: link.stats64?.rx.bytes ?? 0 }]),
    );
  }

  async #apply(file: InterfaceFile, link: Link, before: InterfaceFile | undefined): Promise<void> {
    // Not `isIPv6(vip)` alone: additional VIPs and members may be of either family.
    const hasIpv6 = existsSync('/proc/net/if_inet6');
    if (!hasIpv6 && file.vip?.includes(':') === true) throw refuse(500, 'Error plugging VIP', 'the kernel has no IPv6');
    const possible = hasIpv6 ? file : withoutIpv6(file);
    if (possible.addresses.length < file.addresses.length)
      this.#log('warn', 'the kernel has no IPv6: some addresses are left out', { name: file.name });
    const { needed, lenient } = cardCommands(possible, link, before, true);
    try {
      await this.#traffic.ip(needed);
      await this.#traffic.ipWhereItWorks(lenient);
    } catch (error) {
      throw refuse(500, 'Error plugging VIP', error instanceof Error ? error.message : String(error), error);
    }
  }

  #announceAgain(file: InterfaceFile): void {
    for (const wait of ANNOUNCE_AGAIN_MS) {
      setTimeout(() => {
        this.#traffic.ip([announcement(file)]).catch((error: unknown) => this.#log('warn', 'addresses could not be announced', { error }));
      }, wait).unref();
    }
  }

  /** The card with a MAC address, moved into the traffic namespace when it is still outside, and all cards there. */
  async #find(mac_address: string, local_address: string | undefined): Promise<{ links: readonly Link[]; link: Link }> {
    const ofCard = (links: readonly Link[]): Link | undefined => links.find((each) => each.address === mac_address);
    try {
      const links = await this.#traffic.links();
      const link = ofCard(links);
      if (link !== undefined) return { links, link };
      const outside = ofCard(JSON.parse(await run('ip', ['-json', 'address', 'show'])) as Link[]);
      // The card that the controllers reach us by would take us with it.
      const isOurs = outside === undefined || outside.addr_info.some((each) => each.local === local_address) || outside.ifname === 'lo';
      if (outside === undefined || isOurs)
        throw refuse(404, 'No suitable network interface found', `No card has the MAC address ${mac_address}`);
      await run('ip', ['link', 'set', 'dev', outside.ifname, 'down']);
      await run('ip', ['link', 'set', 'dev', outside.ifname, 'netns', this.#places.traffic_netns]);
      const after = await this.#traffic.links();
      return { links: after, link: ofCard(after) ?? outside };
    } catch (error) {
      if (error instanceof TrafficError) throw refuse(500, 'Error plugging VIP', error.message, error);
      throw error;
    }
  }

  async #files(): Promise<readonly InterfaceFile[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const found = await Promise.all(
      names.filter((name) => /^eth\d+\.json$/u.test(name)).map((name) => readJsonIfThere<InterfaceFile>(`${this.#folder}/${name}`)),
    );
    return found.filter((file) => file !== undefined);
  }
}

/** Cards towards members are eth2, eth3, …; eth1 waits for the VIP. */
function freeName(links: readonly Link[], files: readonly InterfaceFile[]): string {
  const taken = new Set([...links.map((link) => link.ifname), ...files.map((file) => file.name), VIP_INTERFACE]);
  for (let index = 2; ; index += 1) if (!taken.has(`eth${index}`)) return `eth${index}`;
}
