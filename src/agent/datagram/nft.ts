/**
 * UDP and SCTP listeners as rules of nft(8): pure text.
 *
 * One table. A packet for a VIP passes `arrive` (networks that may come in, limit, counter); the first of a flow passes `choose`,
 * where its listener's chain picks a member's chain, which marks the flow and sends it on; the kernel keeps the rest of the flow on
 * that way. `learn` notes where clients went. Rules are exchanged by one transaction; counters and what was learnt stay.
 */
import { isIP, isIPv6 } from 'node:net';
import { cidrContains, parseCidr } from '../../model/rules/addresses.ts';
import type { DatagramConfig, DatagramListener, DatagramMember, DatagramPool } from '../../wire/datagram.ts';

/** The table's name. */
export const TABLE = 'inet octavia_datagram';

/** What the rules depend on besides the configuration. */
export type Conditions = {
  /** Is a member well, as far as known? By mark. */
  readonly isUp: (mark: number) => boolean;
  /** Flows that a member has now, for the choice of the least loaded. By mark. */
  readonly flows: (mark: number) => number;
};

/** A chain: its hook, if it is one that packets come to by themselves, and its rules. */
type Chain = { readonly hook: string | null; readonly rules: readonly string[] };

/** What the table should hold, by name; of a map what it holds. */
export type Rules = {
  readonly chains: ReadonlyMap<string, Chain>;
  readonly counters: ReadonlySet<string>;
  readonly maps: ReadonlyMap<string, string>;
};

/** What the table holds already: rules put before, or names alone when it is not known what is behind them. */
export type Present = {
  readonly chains: ReadonlyMap<string, Chain | null>;
  readonly counters: ReadonlySet<string>;
  readonly maps: ReadonlyMap<string, string | null>;
};

const inbound = { arrive: 'arrive', choose: 'choose' } as const;

/** The names of what a listener has in the table. Clients that were remembered in another way are forgotten, with their map. */
export function namesOf(listener: Pick<DatagramListener, 'id' | 'pool'>) {
  const { timeout_seconds, prefix4, prefix6 } = listener.pool?.persistence ?? { timeout_seconds: 0, prefix4: 0, prefix6: 0 };
  const way = [timeout_seconds, prefix4, prefix6].map((each) => whole(each, 0, 0x7fffffff)).join('_');
  const id = listener.id.replaceAll('-', '').toLowerCase();
  if (!/^[0-9a-f]{32}$/u.test(id)) throw new TypeError('a listener has a UUID');
  return {
    choose: `choose_${id}`,
    arrive: `in_${id}`,
    leave: `out_${id}`,
    learn: `learn_${id}`,
    rx: `rx_${id}`,
    tx: `tx_${id}`,
    flows: `new_${id}`,
    clients4: `clients4_${id}_${way}`,
    clients6: `clients6_${id}_${way}`,
  } as const;
}

const memberChain = ({ mark }: DatagramMember): string => `member_${whole(mark, 1, 0x7fffffff)}`;

/**
 * The script that brings the table from what it holds to what it should hold. Chains that stay as they are are not touched: the
 * limit of flows is counted by its rule.
 */
export function script(rules: Rules, present: Present): string {
  const isSame = (name: string, chain: Chain): boolean => JSON.stringify(present.chains.get(name)) === JSON.stringify(chain);
  const changed = [...rules.chains].filter(([name, chain]) => !isSame(name, chain));
  const gone = (names: Iterable<string>, wanted: { has(name: string): boolean }, kind: string): string[] =>
    [...names].filter((name) => !wanted.has(name)).map((name) => `delete ${kind} ${TABLE} ${checkedName(name)}`);
  const staleChains = [...present.chains.keys()].filter((name) => !rules.chains.has(name));
  const lines = [
    `add table ${TABLE}`,
    ...[...rules.counters].filter((name) => !present.counters.has(name)).map((name) => `add counter ${TABLE} ${name}`),
    ...[...rules.maps].filter(([name]) => !present.maps.has(name)).map(([name, type]) => `add map ${TABLE} ${name} ${type}`),
    ...changed.map(([name, { hook }]) => `add chain ${TABLE} ${name}${hook === null ? '' : ` { ${hook} }`}`),
    // Those that go are emptied first, as they may name each other.
    ...[...changed.map(([name]) => name), ...staleChains].map((name) => `flush chain ${TABLE} ${checkedName(name)}`),
    ...changed.flatMap(([name, chain]) => chain.rules.map((rule) => `add rule ${TABLE} ${name} ${rule}`)),
    ...gone(present.chains.keys(), rules.chains, 'chain'),
    ...gone(present.maps.keys(), rules.maps, 'map'),
    ...gone(present.counters, rules.counters, 'counter'),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

type Body = { readonly chains: Map<string, Chain>; readonly counters: Set<string>; readonly maps: Map<string, string> };

/** What the table holds for a configuration. Throws `TypeError` for what no rule can be made of. */
export function rulesOf({ listeners }: DatagramConfig, conditions: Conditions): Rules {
  const body: Body = { chains: new Map(), counters: new Set(), maps: new Map() };
  const learners: string[] = [];
  for (const listener of listeners) {
    const names = namesOf(listener);
    for (const counter of [names.rx, names.tx, names.flows]) body.counters.add(counter);
    body.chains.set(names.arrive, { hook: null, rules: arriveRules(listener, names.rx) });
    body.chains.set(names.leave, { hook: null, rules: [`counter name ${names.tx}`] });
    addPool(body, listener, conditions, learners);
  }
  body.chains.set(inbound.arrive, {
    hook: 'type filter hook prerouting priority mangle; policy accept;',
    rules: dispatch(listeners, 'daddr', 'dport', (names) => names.arrive),
  });
  body.chains.set(inbound.choose, {
    hook: 'type nat hook prerouting priority dstnat; policy accept;',
    rules: dispatch(listeners, 'daddr', 'dport', (names) => names.choose),
  });
  // Nothing but these flows may cross the amphora, in either direction.
  body.chains.set('pass', { hook: 'type filter hook forward priority filter; policy drop;', rules: ['ct status dnat accept'] });
  body.chains.set('learn', {
    hook: 'type filter hook postrouting priority filter; policy accept;',
    rules: learners.length === 0 ? [] : [`ct direction original ct status dnat ct mark vmap { ${learners.join(', ')} }`],
  });
  // Members answer through the amphora, wherever their own way to the client would lead.
  body.chains.set('hide', { hook: 'type nat hook postrouting priority srcnat; policy accept;', rules: ['ct status dnat masquerade'] });
  body.chains.set('leave', {
    hook: 'type filter hook postrouting priority 200; policy accept;',
    rules: dispatch(listeners, 'saddr', 'sport', (names) => names.leave),
  });
  return body;
}

/** To each listener's chain by address, protocol and port; one look-up, however many there are. */
function dispatch(
  listeners: readonly DatagramListener[],
  address: 'daddr' | 'saddr',
  port: 'dport' | 'sport',
  chainOf: (names: ReturnType<typeof namesOf>) => string,
): string[] {
  const entries = listeners.flatMap((listener) =>
    listener.vips.map((vip) => ({
      isV6: isIPv6(checked(vip)),
      text: `${vip} . ${listener.protocol} . ${whole(listener.port, 1, 65_535)} : goto ${chainOf(namesOf(listener))}`,
    })),
  );
  return [false, true].flatMap((isV6) => {
    const own = entries.filter((entry) => entry.isV6 === isV6).map(({ text }) => text);
    return own.length === 0 ? [] : [`${isV6 ? 'ip6' : 'ip'} ${address} . meta l4proto . th ${port} vmap { ${own.join(', ')} }`];
  });
}

function arriveRules({ allowed_cidrs, connection_limit }: DatagramListener, counter: string): string[] {
  const of = (isV6: boolean): string[] => allowed_cidrs.filter((cidr) => isIPv6(checkedCidr(cidr).split('/')[0] ?? '') === isV6);
  const refuse = (isV6: boolean): string => {
    const [family, word] = isV6 ? ['ipv6', 'ip6'] : ['ipv4', 'ip'];
    const cidrs = of(isV6);
    return cidrs.length === 0 ? `meta nfproto ${family} drop` : `${word} saddr != { ${withoutCovered(cidrs).join(', ')} } drop`;
  };
  return [
    ...(allowed_cidrs.length === 0 ? [] : [refuse(false), refuse(true)]),
    ...(connection_limit === null ? [] : [`ct state new ct count over ${whole(connection_limit, 1, 0x7fffffff)} drop`]),
    `counter name ${counter}`,
  ];
}

/** nft refuses overlapping networks in one set; those that lie in another say nothing new. */
function withoutCovered(cidrs: readonly string[]): readonly string[] {
  const networks = [...new Set(cidrs)].map((cidr) => ({ cidr, address: cidr.split('/')[0] ?? '', prefix: parseCidr(cidr)?.prefix ?? 0 }));
  const covers = (wide: (typeof networks)[number], narrow: (typeof networks)[number]): boolean =>
    cidrContains(wide.cidr, narrow.address) && (wide.prefix < narrow.prefix || (wide.prefix === narrow.prefix && wide.cidr < narrow.cidr));
  return networks.filter((each) => !networks.some((other) => covers(other, each))).map(({ cidr }) => cidr);
}

function addPool(body: Body, listener: DatagramListener, conditions: Conditions, learners: string[]): void {
  const names = namesOf(listener);
  const count = `counter name ${names.flows}`;
  const { pool } = listener;
  if (pool === null) {
    body.chains.set(names.choose, { hook: null, rules: [count] });
    return;
  }
  const able = pool.members.filter((member) => member.admin_state_up && conditions.isUp(member.mark));
  for (const member of pool.members)
    body.chains.set(memberChain(member), { hook: null, rules: [`ct mark set ${member.mark}`, target(member, listener)] });
  const remembered = pool.persistence === null ? [] : persistenceRules(pool, names, able);
  const fresh = selection(pool, able, conditions).flatMap(({ isV6, rule }) => [`meta nfproto ${isV6 ? 'ipv6' : 'ipv4'} ${rule}`]);
  body.chains.set(names.choose, { hook: null, rules: [count, ...remembered, ...fresh] });
  if (pool.persistence === null) return;
  const { timeout_seconds, prefix4, prefix6 } = pool.persistence;
  const map = (type: string): string =>
    `{ type ${type} : mark; flags dynamic,timeout; timeout ${whole(timeout_seconds, 1, 0x7fffffff)}s; size 65535; }`;
  body.maps.set(names.clients4, map('ipv4_addr'));
  body.maps.set(names.clients6, map('ipv6_addr'));
  body.chains.set(names.learn, {
    hook: null,
    rules: [
      `meta nfproto ipv4 update @${names.clients4} { ip saddr${masked(prefix4, false)} : ct mark }`,
      `meta nfproto ipv6 update @${names.clients6} { ip6 saddr${masked(prefix6, true)} : ct mark }`,
    ],
  });
  learners.push(...pool.members.map((member) => `${member.mark} : goto ${names.learn}`));
}

/** Where a client went before is where it goes again, as long as that member is well; also one that gets no new clients. */
function persistenceRules(pool: DatagramPool, names: ReturnType<typeof namesOf>, able: readonly DatagramMember[]): string[] {
  if (able.length === 0 || pool.persistence === null) return [];
  const targets = able.map((member) => `${member.mark} : goto ${memberChain(member)}`).join(', ');
  const { prefix4, prefix6 } = pool.persistence;
  return [
    `meta mark set ip saddr${masked(prefix4, false)} map @${names.clients4} meta mark vmap { ${targets} }`,
    `meta mark set ip6 saddr${masked(prefix6, true)} map @${names.clients6} meta mark vmap { ${targets} }`,
  ];
}

function target(member: DatagramMember, listener: DatagramListener): string {
  const address = checked(member.address);
  const port = whole(member.port, 1, 65_535);
  return isIPv6(address)
    ? `meta l4proto ${listener.protocol} dnat ip6 to [${address}]:${port}`
    : `meta l4proto ${listener.protocol} dnat ip to ${address}:${port}`;
}

/** The rules that choose among the members that get new flows, for each family that has some. */
function selection(pool: DatagramPool, able: readonly DatagramMember[], conditions: Conditions): { isV6: boolean; rule: string }[] {
  return [false, true].flatMap((isV6) => {
    const members = able.filter((member) => member.weight > 0 && isIPv6(member.address) === isV6);
    if (members.length === 0) return [];
    const slots = pool.algorithm === 'source_ip' ? rendezvous(members) : shares(weightsOf(pool, members, conditions));
    const total = slots.at(-1)?.to ?? 0;
    const entries = slots.map(({ from, to, index }) => {
      const range = to === from ? String(from) : `${from}-${to}`;
      return `${range} : goto ${memberChain(members[index] as DatagramMember)}`;
    });
    const source =
      pool.algorithm === 'source_ip' ? `jhash ${isV6 ? 'ip6' : 'ip'} saddr mod ${SLOTS} seed 0x6f637461` : `numgen inc mod ${total + 1}`;
    return [{ isV6, rule: `${source} vmap { ${entries.join(', ')} }` }];
  });
}

type Slots = { readonly from: number; readonly to: number; readonly index: number };

/** Whole weights; with the least loaded in favour: what a member has per weight counts against it. */
function weightsOf(pool: DatagramPool, members: readonly DatagramMember[], conditions: Conditions): readonly number[] {
  const weights = members.map((member) => whole(member.weight, 1, 256));
  if (pool.algorithm !== 'least_connections') return weights;
  const shares_ = weights.map((weight, index) => weight / (1 + conditions.flows((members[index] as DatagramMember).mark) / weight));
  const largest = Math.max(...shares_);
  return shares_.map((share) => Math.max(1, Math.round((100 * share) / largest)));
}

/** Ranges of consecutive numbers as long as the weights, without their common factor. */
function shares(weights: readonly number[]): Slots[] {
  const divisor = weights.reduce(greatestCommon);
  let from = 0;
  return weights.map((weight, index) => {
    const slot = { from, to: from + weight / divisor - 1, index };
    from = slot.to + 1;
    return slot;
  });
}

const greatestCommon = (a: number, b: number): number => (b === 0 ? a : greatestCommon(b, a % b));

/** Clients hash to one of so many numbers. */
const SLOTS = 1024;

/**
 * Each number to the member with the highest draw (weighted rendezvous hashing): when a member comes or goes, only the numbers that
 * it takes or leaves change hands.
 */
function rendezvous(members: readonly DatagramMember[]): Slots[] {
  const slots: { from: number; to: number; index: number }[] = [];
  for (let number = 0; number < SLOTS; number += 1) {
    let [best, index] = [-Infinity, 0];
    for (const [at, { mark, weight }] of members.entries()) {
      const draw = weight / -Math.log(fraction(mark, number));
      if (draw > best) [best, index] = [draw, at];
    }
    const last = slots.at(-1);
    if (last?.index === index) last.to = number;
    else slots.push({ from: number, to: number, index });
  }
  return slots;
}

/** A number in (0, 1) drawn from two (a round of MurmurHash3's finalizer). */
function fraction(mark: number, number: number): number {
  let state = Math.imul(mark ^ Math.imul(number + 1, 0x9e3779b1), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  state ^= state >>> 16;
  return ((state >>> 0) + 0.5) / 2 ** 32;
}

function masked(prefix: number, isV6: boolean): string {
  const bits = isV6 ? 128 : 32;
  const length = whole(prefix, 0, bits);
  if (length === bits) return '';
  const mask = ((1n << BigInt(length)) - 1n) << BigInt(bits - length);
  if (!isV6) return ` & ${[24n, 16n, 8n, 0n].map((shift) => (mask >> shift) & 255n).join('.')}`;
  return ` & ${Array.from({ length: 8 }, (_, at) => ((mask >> BigInt(112 - 16 * at)) & 0xffffn).toString(16)).join(':')}`;
}

function checked(address: string): string {
  if (typeof address !== 'string' || isIP(address) === 0 || address.includes('%')) throw new TypeError('not an IP address');
  return address;
}

function checkedCidr(cidr: string): string {
  const [address = '', prefix = '0', rest] = String(cidr).split('/');
  if (rest !== undefined || !/^\d{1,3}$/u.test(prefix)) throw new TypeError('not a network');
  whole(Number(prefix), 0, isIPv6(checked(address)) ? 128 : 32);
  return cidr;
}

function whole(value: number, from: number, to: number): number {
  if (!Number.isInteger(value) || value < from || value > to) throw new TypeError(`not a whole number from ${from} to ${to}`);
  return value;
}

function checkedName(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,99}$/u.test(name)) throw new TypeError('not a name of ours');
  return name;
}
