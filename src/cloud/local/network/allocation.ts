/** Which addresses of a subnet are free. The store's unique keys decide; what is remembered here only makes the first guess a good one. */
import type { FixedIp } from '../../network.ts';
import { contains, firstFree, formatAddress, hostsOf, parseAddress, parseCidr, rangeOf } from './addresses.ts';
import type { Range } from './addresses.ts';
import { NetworkFault } from './faults.ts';
import type { Allocation, LocalSubnet } from './records.ts';
import type { RecordStore } from '../record-store.ts';

/** Chooses addresses and remembers which are on their way into the store. */
export interface AddressBook {
  /** Any free address, promised to nobody else in this process until `settle`. Throws `NetworkFault` 409 when there is none. */
  choose(subnet: LocalSubnet): Promise<FixedIp>;
  /** The promises were written, or (`written` false) came to nothing: then what was remembered of their subnets is forgotten. */
  settle(promised: readonly FixedIp[], written: boolean): void;
  /** These addresses are free again. */
  release(freed: readonly FixedIp[]): void;
}

type Remembered = { readonly taken: Set<bigint> };

/** An address book over a store. Reads the addresses of a subnet once, then only after a surprise. */
export function createAddressBook(store: RecordStore): AddressBook {
  const remembered = new Map<string, Promise<Remembered>>();
  const promised = new Map<string, Set<bigint>>();
  const cursors = new Map<string, bigint>();
  const recall = (subnet_id: string): Promise<Remembered> => {
    const known = remembered.get(subnet_id) ?? readTaken(store, subnet_id);
    remembered.set(subnet_id, known);
    known.catch(() => remembered.delete(subnet_id));
    return known;
  };
  const guess = async (subnet: LocalSubnet): Promise<bigint | null> => {
    const { taken } = await recall(subnet.id);
    const mine = promised.get(subnet.id) ?? new Set();
    // On from the last one, not the lowest: an address just given back may still be in others' neighbour tables.
    const from = cursors.get(subnet.id) ?? 0n;
    const value = firstFree(usableRanges(subnet), from, (each) => taken.has(each) || mine.has(each));
    if (value === null) return null;
    promised.set(subnet.id, mine.add(value));
    cursors.set(subnet.id, value + 1n);
    return value;
  };
  /** Changes what is remembered, or is about to be: a reading under way may or may not have seen the change. */
  const amend = (subnet_id: string, change: (taken: Set<bigint>) => void): void => {
    remembered.get(subnet_id)?.then(
      ({ taken }) => change(taken),
      () => undefined,
    );
  };
  return {
    async choose(subnet) {
      let value = await guess(subnet);
      if (value === null) {
        // Full, as far as remembered: another controller may have given some back.
        remembered.delete(subnet.id);
        value = await guess(subnet);
      }
      if (value === null)
        throw new NetworkFault(409, 'IpAddressGenerationFailure', `No more IP addresses available on network ${subnet.network_id}.`);
      return { subnet_id: subnet.id, ip_address: formatAddress({ version: subnet.ip_version, value }) };
    },
    settle(addresses, written) {
      for (const { subnet_id, value } of valuesOf(addresses)) {
        const mine = promised.get(subnet_id);
        if (!written) remembered.delete(subnet_id);
        amend(subnet_id, (taken) => {
          taken.add(value);
          mine?.delete(value);
        });
        if (!remembered.has(subnet_id)) mine?.delete(value);
      }
    },
    release(addresses) {
      for (const { subnet_id, value } of valuesOf(addresses)) amend(subnet_id, (taken) => taken.delete(value));
    },
  };
}

/** An address that was asked for, in its one written form. Throws `NetworkFault` 400 when the subnet cannot give it, 409 when it is the gateway's. */
export function namedAddress(subnet: LocalSubnet, ip_address: string): FixedIp {
  const address = parseAddress(ip_address);
  const cidr = parseCidr(subnet.cidr);
  if (address === null || cidr === null || !contains(hostsOf(cidr), address)) {
    throw new NetworkFault(400, 'InvalidIpForSubnet', `IP address ${ip_address} is not a valid IP for the specified subnet.`);
  }
  const text = formatAddress(address);
  if (text === subnet.gateway_ip) throw addressTaken(text, subnet.network_id);
  return { subnet_id: subnet.id, ip_address: text };
}

/** The 409 for an address that somebody has. */
export function addressTaken(ip_address: string, network_id: string): NetworkFault {
  const message = `IP address ${ip_address} already allocated in subnet of network ${network_id}.`;
  return new NetworkFault(409, 'IpAddressAlreadyAllocated', message);
}

/** The ranges of a subnet's pools. */
export function usableRanges(subnet: Pick<LocalSubnet, 'allocation_pools'>): readonly Range[] {
  return subnet.allocation_pools.flatMap((pool) => rangeOf(pool) ?? []);
}

async function readTaken(store: RecordStore, subnet_id: string): Promise<Remembered> {
  const allocations = await store.list<Allocation>('network.allocation', { name: subnet_id });
  return { taken: new Set(valuesOf(allocations).map((each) => each.value)) };
}

function valuesOf(addresses: readonly FixedIp[]): readonly { readonly subnet_id: string; readonly value: bigint }[] {
  return addresses.map(({ subnet_id, ip_address }) => ({ subnet_id, value: parseAddress(ip_address)?.value ?? 0n }));
}
