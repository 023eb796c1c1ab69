/** Rows and heartbeats for the tests of the health manager and of housekeeping. */
import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { TestContext } from 'node:test';
import type { Database, Tx } from '../../src/db/database.ts';
import type { Tables } from '../../src/db/tables.ts';
import type { Amphora, Listener, LoadBalancer } from '../../src/model/index.ts';
import { encodeHeartbeat, type Heartbeat } from '../../src/wire/heartbeat.ts';
import { sampleRow } from '../support/rows.ts';

/** The key that the tests' heartbeats are signed with. */
export const testKey = 'a key for tests';

/** What one test load balancer is made of: ids, and what deviates from a healthy one. */
export type Planted = {
  readonly loadbalancer: string;
  readonly listener: string;
  readonly pool: string;
  readonly members: readonly string[];
  readonly amphora: string;
};

/** Wishes for a planted load balancer. */
export type Wishes = {
  readonly loadbalancer?: Partial<LoadBalancer>;
  readonly listener?: Partial<Listener>;
  readonly amphora?: Partial<Amphora>;
  /** The amphora was last heard so many milliseconds ago; absent: never. */
  readonly heard_ago_ms?: number;
};

/** An ACTIVE load balancer with a listener, a pool of two members and an ALLOCATED amphora; operating statuses OFFLINE. */
export async function plant(db: Database, wishes: Wishes = {}): Promise<Planted> {
  return db.tx((tx) => plantIn(tx, db, wishes));
}

/** The same within a transaction, for many at once. */
export async function plantIn(tx: Tx, db: Database, wishes: Wishes = {}): Promise<Planted> {
  const [loadbalancer, listener, pool, amphora, ...members] = Array.from({ length: 6 }, () => randomUUID()) as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const active = { provisioning_status: 'ACTIVE', operating_status: 'OFFLINE', admin_state_up: true } as const;
  await insert(tx, 'loadbalancer', { id: loadbalancer, ...active, topology: 'SINGLE', provider: 'amphora', ...wishes.loadbalancer });
  await insert(tx, 'pool', { id: pool, loadbalancer_id: loadbalancer, ...active });
  const port = { protocol: 'HTTP', protocol_port: 80, default_pool_id: pool } as const;
  await insert(tx, 'listener', { id: listener, loadbalancer_id: loadbalancer, ...active, ...port, ...wishes.listener });
  for (const [index, id] of members.entries()) {
    await insert(tx, 'member', { id, pool_id: pool, ...active, address: `192.0.2.${index}`, protocol_port: 80 });
  }
  const serving = { status: 'ALLOCATED', role: 'STANDALONE', compute_id: `compute-${amphora}` } as const;
  await insert(tx, 'amphora', { id: amphora, loadbalancer_id: loadbalancer, ...serving, ...wishes.amphora });
  await tx
    .insertInto('reconciliation')
    .values({ ...idle, loadbalancer_id: loadbalancer })
    .execute();
  if (wishes.heard_ago_ms !== undefined) {
    await tx
      .insertInto('amphora_health')
      .values((eb) => ({ amphora_id: amphora, last_seen_ms: eb(db.nowMs(), '-', wishes.heard_ago_ms!), busy: false }))
      .execute();
  }
  return { loadbalancer, listener, pool, members, amphora };
}

const idle = {
  generation: 1,
  applied_generation: 1,
  lease_owner: null,
  lease_until_ms: 0,
  fence: 1,
  attempts: 0,
  started_ms: null,
  not_before_ms: 0,
  reason: null,
} as const;

type Resource = 'loadbalancer' | 'listener' | 'pool' | 'member' | 'amphora';

/** Inserts a row of which only some columns matter. */
export async function insert<T extends Resource>(tx: Tx, table: T, row: Partial<Tables[T]>): Promise<void> {
  await tx
    .insertInto(table as Resource)
    .values(sampleRow(table, row) as never)
    .execute();
}

/** A heartbeat of a planted load balancer: everything up, unless changed. */
export function beatOf(
  planted: Planted,
  change: {
    seq?: number;
    members?: readonly string[];
    stats?: Partial<Heartbeat['listeners'][string]['stats']>;
    listeners?: Heartbeat['listeners'];
    boot_id?: string;
    ver?: 2 | 3;
  } = {},
): Heartbeat & { ver: 2 | 3 } {
  const stats = { tx: 0, rx: 0, conns: 0, totconns: 0, ereq: 0, ...change.stats };
  const words = change.members ?? ['UP', 'UP'];
  return {
    ver: change.ver ?? 3,
    id: planted.amphora,
    seq: change.seq ?? 1,
    ...(change.boot_id === undefined ? {} : { boot_id: change.boot_id }),
    listeners: change.listeners ?? { [planted.listener]: { status: 'OPEN', stats } },
    pools: {
      [`${planted.pool}:${planted.listener}`]: {
        status: words.every((word) => word.startsWith('DOWN')) ? 'DOWN' : 'UP',
        members: Object.fromEntries(planted.members.map((id, index) => [id, words[index] ?? 'UP'])),
      },
    },
  };
}

/** Sends datagrams to a receiver; the socket is closed when the test ends. */
export function withSender(
  t: TestContext,
  to: { readonly address: string; readonly port: number },
): (datagram: Heartbeat | Buffer, key?: string) => Promise<void> {
  const socket = createSocket(to.address.includes(':') ? 'udp6' : 'udp4');
  t.after(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return (datagram, key = testKey) =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.isBuffer(datagram) ? datagram : encodeHeartbeat(datagram as Heartbeat & { ver: 2 | 3 }, key);
      socket.send(bytes, to.port, to.address, (error) => (error === null ? resolve() : reject(error)));
    });
}

/** The operating statuses of everything planted: load balancer, listener, pool, members. */
export async function statusesOf(db: Database, planted: Planted): Promise<string[]> {
  const pick = async (table: 'loadbalancer' | 'listener' | 'pool' | 'member', id: string): Promise<string> => {
    const row = await db.read.selectFrom(table).select('operating_status').where('id', '=', id).executeTakeFirst();
    return row?.operating_status ?? 'none';
  };
  const { loadbalancer, listener, pool, members } = planted;
  return Promise.all([
    pick('loadbalancer', loadbalancer),
    pick('listener', listener),
    pick('pool', pool),
    ...members.map((id) => pick('member', id)),
  ]);
}

/** Waits until the condition holds; fails with what was last seen when it does not within the deadline. */
export async function until<T>(look: () => Promise<T> | T, isFound: (seen: T) => boolean, deadline_ms = 5000): Promise<T> {
  const end = performance.now() + deadline_ms;
  for (;;) {
    const seen = await look();
    if (isFound(seen)) return seen;
    if (performance.now() > end) throw new Error(`not within ${deadline_ms} ms; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
