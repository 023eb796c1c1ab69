/**
 * The heartbeat of an amphora: one UDP datagram in the format that Octavia's agent and health manager speak.
 *
 * datagram = zlib stream (level 9) of the JSON, then the HMAC-SHA256 of that stream as 64 hexadecimal digits. Old senders
 * append the 32 raw bytes instead. The JSON has three versions; `decodeHeartbeat` gives one shape for all.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import type { ChangeCounts } from './agent-api.ts';

/** Bytes and connections of a listener; `conns` is the present number, the others see `Heartbeat.ver`. */
export type ListenerStatistics = {
  readonly tx: number;
  readonly rx: number;
  readonly conns: number;
  readonly totconns: number;
  readonly ereq: number;
};

/** A listener as its amphora sees it: FULL when it has as many sessions as its limit allows. */
export type ListenerBeat = { readonly status: 'OPEN' | 'FULL'; readonly stats: ListenerStatistics };

/** A pool and its members with the words of HAProxy: `UP`, `UP 1/3`, `DOWN`, `DRAIN`, `MAINT`, `no check`, … */
export type PoolBeat = { readonly status: 'UP' | 'DOWN'; readonly members: Readonly<Record<string, string>> };

/** What an amphora tells of its HAProxy for operators: how it was changed, the most connections that it can have, and lines of logs that were lost. */
export type HaproxyReport = Omit<ChangeCounts, 'old_workers' | 'leaving'> & {
  readonly maxconn_limit: number;
  readonly lost_log_lines: number;
};

/**
 * One heartbeat.
 *
 * `ver` tells what `stats` hold: totals since HAProxy's start (1, 2) or what was added since the last heartbeat (3).
 * Keys: listeners by listener id; pools by `<pool id>:<listener id>` (HAProxy) or `<pool id>` (UDP and SCTP); members by id.
 */
export type Heartbeat = {
  readonly ver: 1 | 2 | 3;
  /** Id of the amphora. */
  readonly id: string;
  /** Counts up with each heartbeat of one agent process. */
  readonly seq: number;
  /** Of one agent process; with it `seq` only grows. Our own addition: upstream's agent sends none, its receiver ignores it. */
  readonly boot_id?: string | undefined;
  /** Our own addition, too. */
  readonly haproxy?: HaproxyReport | undefined;
  readonly listeners: Readonly<Record<string, ListenerBeat>>;
  readonly pools: Readonly<Record<string, PoolBeat>>;
};

/** Why a datagram is refused. `forged`: no key fits. The other two had the right key, or were no heartbeat at all. */
export type HeartbeatRefusal = 'forged' | 'malformed' | 'too-large';

/** What `decodeHeartbeat` finds. */
export type DecodedHeartbeat =
  | { readonly ok: true; readonly message: Heartbeat }
  | { readonly ok: false; readonly reason: HeartbeatRefusal };

/** The largest datagram that UDP over IPv4 carries: 65535 less 20 bytes of IP and 8 bytes of UDP header. */
export const MAX_DATAGRAM_BYTES = 65_507;

/** A stream that inflates to more is refused; 3,000 members need about 0.2 MB. */
export const MAX_JSON_BYTES = 2 * 1024 * 1024;

const HEX_DIGEST_BYTES = 64;
const RAW_DIGEST_BYTES = 32;

/**
 * The datagram of a heartbeat (versions 2 and 3; nobody sends version 1 any more).
 * Throws `RangeError` when it would not fit into a datagram: too many members to report in one.
 */
export function encodeHeartbeat(message: Heartbeat & { readonly ver: 2 | 3 }, key: string): Buffer {
  const compressed = deflateSync(JSON.stringify(message), { level: 9 });
  const datagram = Buffer.concat([compressed, Buffer.from(createHmac('sha256', key).update(compressed).digest('hex'), 'ascii')]);
  if (datagram.length > MAX_DATAGRAM_BYTES) throw new RangeError(`a heartbeat of ${datagram.length} bytes does not fit into a datagram`);
  return datagram;
}

/**
 * Checks and reads a datagram; never throws. The signature is checked before anything is inflated, in constant time.
 *
 * @param keys the keys that are valid now; several while a key is being replaced
 */
export function decodeHeartbeat(datagram: Uint8Array, keys: readonly string[]): DecodedHeartbeat {
  if (datagram.length > MAX_DATAGRAM_BYTES) return refused('too-large');
  if (datagram.length <= RAW_DIGEST_BYTES) return refused('malformed');
  const compressed = signedPart(datagram, keys);
  if (compressed === undefined) return refused('forged');
  let text: string;
  try {
    text = inflateSync(compressed, { maxOutputLength: MAX_JSON_BYTES }).toString('utf8');
  } catch (error) {
    return refused((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too-large' : 'malformed');
  }
  const message = parseMessage(text);
  return message === undefined ? refused('malformed') : { ok: true, message };
}

function refused(reason: HeartbeatRefusal): DecodedHeartbeat {
  return { ok: false, reason };
}

/** What one of the keys has signed, with the digest in either form. */
function signedPart(datagram: Uint8Array, keys: readonly string[]): Uint8Array | undefined {
  const hexSigned = datagram.subarray(0, Math.max(0, datagram.length - HEX_DIGEST_BYTES));
  const hexDigest = datagram.subarray(hexSigned.length);
  const rawSigned = datagram.subarray(0, datagram.length - RAW_DIGEST_BYTES);
  const rawDigest = datagram.subarray(rawSigned.length);
  for (const key of keys) {
    const expected = Buffer.from(createHmac('sha256', key).update(hexSigned).digest('hex'), 'ascii');
    if (hexSigned.length > 0 && timingSafeEqual(expected, hexDigest)) return hexSigned;
  }
  for (const key of keys) {
    if (timingSafeEqual(createHmac('sha256', key).update(rawSigned).digest(), rawDigest)) return rawSigned;
  }
  return undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function parseMessage(text: string): Heartbeat | undefined {
  try {
    return readMessage(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function readMessage(json: unknown): Heartbeat {
  const fields = asFields(json);
  const ver = fields['ver'] ?? 1;
  if (ver !== 1 && ver !== 2 && ver !== 3) throw new SyntaxError('unknown version of a heartbeat');
  const rawListeners = Object.entries(asFields(fields['listeners'] ?? {}));
  const nested = rawListeners.flatMap(([listener, beat]) =>
    Object.entries(asFields(asFields(beat)['pools'] ?? {})).map(([pool, value]) => [`${pool}:${listener}`, value] as const),
  );
  const rawPools = ver === 1 ? nested : Object.entries(asFields(fields['pools'] ?? {}));
  const [boot, haproxy] = [fields['boot_id'], fields['haproxy']];
  return {
    ver,
    id: asText(fields['id']),
    seq: asNumber(fields['seq'] ?? 0),
    ...(boot === undefined ? {} : { boot_id: asText(boot) }),
    ...(haproxy === undefined ? {} : { haproxy: readHaproxy(asFields(haproxy)) }),
    // Object.fromEntries defines own properties: a key `__proto__` stays a key.
    listeners: Object.fromEntries(rawListeners.map(([id, beat]) => [id, readListener(asFields(beat))])),
    pools: Object.fromEntries(rawPools.map(([id, beat]) => [id, readPool(asFields(beat))])),
  };
}

function readHaproxy(fields: Fields): HaproxyReport {
  const count = (name: string): number => asNumber(fields[name]);
  const list = fields['last_reloads'];
  if (!Array.isArray(list)) throw new SyntaxError('a list was expected');
  const last_reloads = list.map((each) => {
    const { at, reason, took_ms } = asFields(each);
    return { at: asText(at), reason: asText(reason), took_ms: asNumber(took_ms) };
  });
  const counts = { by_commands: count('by_commands'), reloads: count('reloads'), starts: count('starts'), crashes: count('crashes') };
  // An agent of before does not count them.
  const lost_log_lines = asNumber(fields['lost_log_lines'] ?? 0);
  return { maxconn_limit: count('maxconn_limit'), lost_log_lines, ...counts, repairs: count('repairs'), last_reloads };
}

function readListener(fields: Fields): ListenerBeat {
  const { status } = fields;
  if (status !== 'OPEN' && status !== 'FULL') throw new SyntaxError('unknown status of a listener');
  const stats = asFields(fields['stats'] ?? {});
  const count = (name: string): number => asNumber(stats[name] ?? 0);
  return { status, stats: { tx: count('tx'), rx: count('rx'), conns: count('conns'), totconns: count('totconns'), ereq: count('ereq') } };
}

function readPool(fields: Fields): PoolBeat {
  const { status } = fields;
  if (status !== 'UP' && status !== 'DOWN') throw new SyntaxError('unknown status of a pool');
  const members = Object.entries(asFields(fields['members'] ?? {})).map(([id, word]) => [id, asText(word)] as const);
  return { status, members: Object.fromEntries(members) };
}

function asFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError('an object was expected');
  return value as Fields;
}

function asText(value: unknown): string {
  if (typeof value !== 'string') throw new SyntaxError('a text was expected');
  return value;
}

/** Counters are whole and never negative; anything else would spoil sums that are kept for years. */
function asNumber(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new SyntaxError('a count was expected');
  return value as number;
}
