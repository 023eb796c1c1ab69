/**
 * Features of the data plane as tests: each with every HAProxy that is here, each over IPv4 and over IPv6, all of a file in one
 * HAProxy. What a feature needs is rendered as the controllers render it.
 */
import { randomInt } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ListenerTree, PoolTree } from '../../../src/model/index.ts';
import { run } from '../../../src/lib/run.ts';
import { type Member, type MemberKind, startAnswering } from './members.ts';
import { type TestHaproxy, testHaproxies } from '../../../tools/suite/haproxies.ts';
import { namespacesUnavailable } from '../namespaces.ts';
import { type RenderedHaproxy, startRendered } from './rendered-haproxy.ts';
import { sampleId, sampleListener, sampleLoadBalancer, sampleMember, samplePool, sampleTree } from '../sample-trees.ts';
import { makeTestPki, opensslUnavailable, type TestPki } from './pki.ts';

/** A listener, and the pool behind it; ids, ports and what is not said are filled in. */
export type Service = { readonly listener?: Partial<ListenerTree>; readonly pool?: Partial<PoolTree> };

/** What a feature is made from. */
export type FeatureStage = {
  readonly pki: TestPki;
  readonly haproxy: TestHaproxy;
  /** Starts a member; on 127.0.0.1 unless told. */
  start(name: string, kind?: MemberKind, address?: string): Promise<Member>;
  /** Two members, `a` on IPv4 and `b` on IPv6. */
  pair(kind?: MemberKind): Promise<readonly [Member, Member]>;
  /** A reference to a secret with this content. */
  secret(content: string): string;
  /** A member as a pool has it; `change` may give it another port. */
  row(member: Pick<Member, 'address' | 'port'>, change?: Parameters<typeof sampleMember>[1]): PoolTree['members'][number];
  /** An address that swallows every packet; undefined where it cannot be had. */
  readonly blackhole: string | undefined;
};

/** A client's way to the services of a feature. */
export type Visit = {
  readonly family: 4 | 6;
  /** The VIP. */
  readonly address: string;
  /** Addresses of the other family and this one: what the client comes from. */
  readonly source: string;
  readonly ports: readonly number[];
  readonly listener_ids: readonly string[];
  readonly folder: string;
  readonly config: string;
};

/** A feature: a row of the table of features, what it is, and how it is seen. */
export type Feature = {
  readonly row: string;
  readonly what: string;
  readonly setup: (stage: FeatureStage) => Promise<{ readonly services: readonly Service[]; check(visit: Visit): Promise<void> }>;
  /** Why it cannot be tested here. */
  readonly skip?: string | false;
};

/** Makes a feature. */
export const feature = (row: string, what: string, setup: Feature['setup'], skip: string | false = false): Feature => ({
  row,
  what,
  setup,
  skip,
});

/** Registers the tests of a file. */
export function testFeatures(features: readonly Feature[]): void {
  const unavailable =
    namespacesUnavailable() ||
    opensslUnavailable() ||
    (process.env['OCTAVIA_TEST_ISOLATED'] === '1' ? false : 'needs a network of its own');
  for (const haproxy of testHaproxies()) {
    describe(haproxy.name, { timeout: 100_000 }, () => {
      let place: Place | undefined;
      before(async () => {
        if (!unavailable && haproxy.skip === false) place = await open(features, haproxy);
      });
      after(() => place?.close());
      for (const { row, what, skip } of features)
        for (const family of [4, 6] as const)
          test(`${row} · ${what} · IPv${family}`, { skip: unavailable || haproxy.skip || skip || false }, async (t) => {
            const reason = family === 6 && place?.hasIpv6 !== true ? 'the kernel has no IPv6' : undefined;
            if (reason !== undefined) return t.skip(reason);
            await place?.check(what, family);
          });
    });
  }
}

type Place = { readonly hasIpv6: boolean; check(what: string, family: 4 | 6): Promise<void>; close(): Promise<void> };

/** Drawn, so that files may run side by side. */
const octet = () => 1 + randomInt(253);

async function open(features: readonly Feature[], haproxy: TestHaproxy): Promise<Place> {
  const vips = { 4: `127.${octet()}.${octet()}.${octet()}`, 6: `fd00:7e57:${octet()}::${octet()}` } as const;
  const hasIpv6 = await run('ip', ['-6', 'address', 'add', `${vips[6]}/128`, 'dev', 'lo', 'nodad']).then(
    () => true,
    () => false,
  );
  const members: Member[] = [];
  const secrets = new Map<string, string>();
  const stage = makeStage(haproxy, members, secrets, hasIpv6, await makeBlackhole());
  const set: { services: readonly Service[]; check(visit: Visit): Promise<void>; first: number }[] = [];
  let count = 0;
  for (const { setup, skip } of features) {
    if (typeof skip === 'string') set.push({ services: [], check: async () => undefined, first: count });
    else set.push({ ...(await setup(stage)), first: count });
    count += set.at(-1)?.services.length ?? 0;
  }
  const rows = set.flatMap(({ services }) => services).map(rowsOf);
  const additional_vips = hasIpv6 ? [{ subnet_id: sampleId('loadbalancer'), ip_address: vips[6], port_id: null, network_id: null }] : [];
  const tree = sampleTree({
    loadbalancer: sampleLoadBalancer({ vip_address: vips[4], additional_vips }),
    listeners: rows.map(({ listener }) => listener),
    pools: rows.flatMap(({ pool }) => (pool === null ? [] : [pool])),
  });
  let running: RenderedHaproxy | undefined;
  const close = async (): Promise<void> => {
    await running?.stop();
    for (const member of members) member.close();
    if (hasIpv6) await run('ip', ['-6', 'address', 'del', `${vips[6]}/128`, 'dev', 'lo']).catch(() => undefined);
  };
  try {
    running = await startRendered(tree, secrets, haproxy);
  } catch (error) {
    await close();
    throw error;
  }
  const { folder, text } = running;
  return {
    hasIpv6,
    close,
    async check(what, family) {
      const index = features.findIndex((each) => each.what === what);
      const { services, first, check } = set[index] ?? { services: [], first: 0, check: async () => undefined };
      const numbers = services.map((_, offset) => first + offset);
      await check({
        family,
        address: vips[family],
        source: family === 4 ? '127.0.0.1' : vips[6],
        ports: numbers.map(portOf),
        listener_ids: numbers.map((number) => sampleId('listener', number + 1)),
        folder,
        config: text,
      });
    },
  };
}

const portOf = (index: number): number => 7000 + index;

function rowsOf({ listener, pool }: Service, index: number) {
  const number = index + 1;
  const id = sampleId('pool', number);
  const monitor = pool?.healthmonitor;
  return {
    listener: sampleListener({
      id: sampleId('listener', number),
      protocol_port: portOf(index),
      default_pool_id: pool === undefined ? null : id,
      timeout_client_data: 10_000,
      ...listener,
    }),
    pool:
      pool === undefined
        ? null
        : samplePool({ id, ...pool, ...(monitor ? { healthmonitor: { ...monitor, id: sampleId('healthmonitor', number) } } : {}) }),
  };
}

let pki: TestPki | undefined;

function makeStage(
  haproxy: TestHaproxy,
  members: Member[],
  secrets: Map<string, string>,
  hasIpv6: boolean,
  blackhole: string | undefined,
): FeatureStage {
  pki ??= makeTestPki();
  let rows = 0;
  const start: FeatureStage['start'] = async (name, kind = { kind: 'http' }, address = '127.0.0.1') => {
    const member = await startAnswering(name, address, kind);
    members.push(member);
    return member;
  };
  return {
    pki,
    haproxy,
    blackhole,
    start,
    pair: async (kind) => [await start('a', kind), await start('b', kind, hasIpv6 ? '::1' : '127.0.0.1')],
    secret(content) {
      const ref = `secret-${secrets.size}`;
      secrets.set(ref, content);
      return ref;
    },
    row: ({ address, port }, change = {}) => sampleMember((rows += 1), { address, protocol_port: port, ...change }),
  };
}

let blackhole: Promise<string | undefined> | undefined;

/** A card without a wire: what is sent there is lost, and nobody says so. It goes with the test's network. */
function makeBlackhole(): Promise<string | undefined> {
  blackhole ??= (async () => {
    const [name, net] = [`hole${randomInt(1_000_000)}`, `198.19.${octet()}`];
    try {
      await run('ip', ['link', 'add', name, 'type', 'dummy']);
      await run('ip', ['address', 'add', `${net}.1/24`, 'dev', name]);
      await run('ip', ['link', 'set', name, 'up']);
      return `${net}.2`;
    } catch {
      return undefined;
    }
  })();
  return blackhole;
}
