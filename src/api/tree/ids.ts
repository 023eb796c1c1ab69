/** Ids in the order of creation. */
import { randomBytes } from 'node:crypto';

let last = 0n;

/**
 * A UUID version 7 (RFC 9562): begins with the time, and each one of this process is greater than the one before. Times
 * in the API are whole seconds, so it is the id that keeps the order in which things of one second were made.
 */
export function newOrderedId(now_ms: number): string {
  const bytes = randomBytes(10);
  // 48 bits of milliseconds and 12 of a counter that begins anywhere in its lower half.
  const earliest = (BigInt(now_ms) << 12n) | BigInt(bytes.readUInt16BE(0) & 0x7ff);
  last = earliest > last ? earliest : last + 1n;
  const head = last.toString(16).padStart(15, '0');
  const tail = bytes.subarray(2);
  tail[0] = ((tail[0] ?? 0) & 0x3f) | 0x80;
  const hex = tail.toString('hex');
  return `${head.slice(0, 8)}-${head.slice(8, 12)}-7${head.slice(12)}-${hex.slice(0, 4)}-${hex.slice(4)}`;
}
