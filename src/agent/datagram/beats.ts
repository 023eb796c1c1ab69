/** What heartbeats say of UDP and SCTP listeners and their pools: pure. */
import type { DatagramConfig, DatagramListener, DatagramPool } from '../../wire/datagram.ts';
import type { ListenerBeat, PoolBeat } from '../../wire/heartbeat.ts';
import type { Counter } from './kernel.ts';
import { namesOf } from './nft.ts';

/** What was seen of the kernel. */
export type Seen = {
  readonly counters: ReadonlyMap<string, Counter>;
  /** Flows by mark. */
  readonly flows: ReadonlyMap<number, number>;
  readonly isUp: (mark: number) => boolean;
};

/** Listeners and pools as in a heartbeat; counters are totals. Pools go by their id alone, as upstream has those of UDP. */
export function beatsOf(
  config: DatagramConfig,
  seen: Seen,
): { readonly listeners: Record<string, ListenerBeat>; readonly pools: Record<string, PoolBeat> } {
  return {
    listeners: Object.fromEntries(config.listeners.map((listener) => [listener.id, listenerBeat(listener, seen)])),
    pools: Object.fromEntries(config.listeners.flatMap(({ pool }) => (pool === null ? [] : [[pool.id, poolBeat(pool, seen)]]))),
  };
}

function listenerBeat(listener: DatagramListener, { counters, flows }: Seen): ListenerBeat {
  const names = namesOf(listener);
  const conns = (listener.pool?.members ?? []).reduce((sum, { mark }) => sum + (flows.get(mark) ?? 0), 0);
  const isFull = listener.connection_limit !== null && conns >= listener.connection_limit;
  const stats = {
    tx: counters.get(names.tx)?.bytes ?? 0,
    rx: counters.get(names.rx)?.bytes ?? 0,
    conns,
    totconns: counters.get(names.flows)?.packets ?? 0,
    ereq: 0,
  };
  return { status: isFull ? 'FULL' : 'OPEN', stats };
}

function poolBeat(pool: DatagramPool, { isUp }: Seen): PoolBeat {
  const words = pool.members.map((member) => {
    if (!member.admin_state_up) return 'MAINT';
    if (pool.monitor === null) return member.weight === 0 ? 'DRAIN' : 'no check';
    if (!isUp(member.mark)) return 'DOWN';
    return member.weight === 0 ? 'DRAIN' : 'UP';
  });
  const isDown = pool.monitor !== null && words.length > 0 && words.every((word) => word === 'DOWN');
  return { status: isDown ? 'DOWN' : 'UP', members: Object.fromEntries(pool.members.map((member, at) => [member.id, words[at] ?? ''])) };
}
