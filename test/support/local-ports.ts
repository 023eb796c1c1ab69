/** Ports and addresses of a local cloud in tests, kept in a file, so that a second process and one after a crash see the same. */
import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WiredNetwork, WiredSubnet, ManagementAddress, PortWiring } from '../../src/cloud/local/fabric/wiring.ts';
import { randomMac } from './namespaces.ts';

/** A network of a test, and addresses in its subnets by number. */
export type TestNetwork = {
  readonly network: WiredNetwork;
  readonly subnets: readonly WiredSubnet[];
  readonly base4: string;
  readonly base6: string;
};

type Stored = {
  readonly ports: Readonly<Record<string, PortWiring>>;
  readonly allocated: Readonly<Record<string, ManagementAddress>>;
  readonly next: number;
};

/** Address number `host` in a network's IPv4 subnet. */
export function ipv4(on: TestNetwork, host: number): string {
  return `${on.base4}.${host}`;
}

/** Address number `host` in a network's IPv6 subnet. */
export function ipv6(on: TestNetwork, host: number): string {
  return `${on.base6}::${host.toString(16)}`;
}

/** The embedded network service's place in tests. Every call reads and writes the file anew. */
export class TestPorts {
  readonly #path: string;
  readonly #management: TestNetwork;

  constructor(state_dir: string, management: TestNetwork) {
    this.#path = join(state_dir, 'test-ports.json');
    this.#management = management;
  }

  find(port_id: string): PortWiring | null {
    return this.#read().ports[port_id] ?? null;
  }

  add(on: TestNetwork): PortWiring {
    const wiring = { port: { id: randomUUID(), mac_address: randomMac() }, network: on.network, subnets: on.subnets };
    const stored = this.#read();
    this.#write({ ...stored, ports: { ...stored.ports, [wiring.port.id]: wiring } });
    return wiring;
  }

  remove(port_id: string): void {
    const stored = this.#read();
    this.#write({ ...stored, ports: Object.fromEntries(Object.entries(stored.ports).filter(([id]) => id !== port_id)) });
  }

  allocate(amphora_id: string): ManagementAddress {
    const known = this.#read().allocated[amphora_id];
    if (known !== undefined) return known;
    const { port } = this.add(this.#management);
    const stored = this.#read();
    const made = { port, address: ipv4(this.#management, stored.next), prefix: 24, gateway: ipv4(this.#management, 1) };
    this.#write({ ...stored, next: stored.next + 1, allocated: { ...stored.allocated, [amphora_id]: made } });
    return made;
  }

  release(amphora_id: string): void {
    const stored = this.#read();
    const found = stored.allocated[amphora_id];
    if (found === undefined) return;
    this.remove(found.port.id);
    this.#write({ ...this.#read(), allocated: Object.fromEntries(Object.entries(stored.allocated).filter(([id]) => id !== amphora_id)) });
  }

  /** The amphorae that hold an address now. */
  allocated(): readonly string[] {
    return Object.keys(this.#read().allocated);
  }

  #read(): Stored {
    try {
      return JSON.parse(readFileSync(this.#path, 'utf8')) as Stored;
    } catch {
      return { ports: {}, allocated: {}, next: 10 };
    }
  }

  #write(stored: Stored): void {
    writeFileSync(`${this.#path}.new`, JSON.stringify(stored));
    renameSync(`${this.#path}.new`, this.#path);
  }
}
