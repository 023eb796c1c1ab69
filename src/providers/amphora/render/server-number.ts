/** Numbers of servers: HAProxy places a server on the ring of a consistent hash by its number, not by its name. */

const offsetBasis = 0x81_1c_9d_c5;
const prime = 0x01_00_01_93;
const largest = 0x7f_ff_ff_ff;

/**
 * A number from 1 to 2^31 − 1 for each id, unique among them and drawn from the id itself (FNV-1a), so that a server
 * keeps its place on the ring when others come and go, after a reload and in the other amphora. Numbered by position, as
 * HAProxy does on its own, a deleted member would move the clients of all that follow it.
 */
export function serverNumbers(ids: readonly string[]): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const numbers = new Map<string, number>();
  for (const id of ids) {
    let number = hash(id);
    while (taken.has(number)) number = (number % largest) + 1;
    taken.add(number);
    numbers.set(id, number);
  }
  return numbers;
}

function hash(id: string): number {
  let state = offsetBasis;
  for (let index = 0; index < id.length; index += 1) state = Math.imul(state ^ id.charCodeAt(index), prime);
  return ((state >>> 0) % largest) + 1;
}
