/** The kernel's side of passing datagrams on, through nft(8) and conntrack(8); runs in the traffic namespace. */
import { readdirSync, writeFileSync } from 'node:fs';
import { CommandError, run } from '../../lib/run.ts';
import { type Present, TABLE } from './nft.ts';

/** Packets and bytes of a named counter. */
export type Counter = { readonly packets: number; readonly bytes: number };

type Listed = { readonly nftables: readonly Readonly<Record<string, ListedObject>>[] };
type ListedObject = {
  readonly name: string;
  readonly packets?: number;
  readonly bytes?: number;
  readonly elem?: readonly (readonly [{ readonly elem?: { readonly val: unknown } } | string, unknown])[];
};

/** Is nft(8) there, without which no datagram is passed on? It needs no right to say its version. */
export async function canPassDatagrams(): Promise<boolean> {
  return run('nft', ['--version']).then(
    () => true,
    () => false,
  );
}

/** Packets may cross the namespace; which of them do is the rules' to say. */
export function allowForwarding(): void {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  // Clients and members may be on one wire: nobody is to be told of a shorter way that would lead around the rules.
  for (const link of readdirSync('/proc/sys/net/ipv4/conf')) writeFileSync(`/proc/sys/net/ipv4/conf/${link}/send_redirects`, '0');
  try {
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  } catch (error) {
    // A kernel without IPv6 has nothing to forward.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Runs a script of nft as one transaction. Throws `CommandError` with its words; then nothing has changed. */
export async function applyScript(script: string): Promise<void> {
  await run('nft', ['-f', '-'], { input: script });
}

/** The names in the table; none when there is no table. */
export async function readPresent(): Promise<Present> {
  const objects = await list(['list', 'table', ...TABLE.split(' ')]);
  const named = (kind: string): string[] => objects.flatMap((each) => (each[kind] === undefined ? [] : [each[kind].name]));
  return {
    chains: new Map(named('chain').map((name) => [name, null])),
    counters: new Set(named('counter')),
    maps: new Map(named('map').map((name) => [name, null])),
  };
}

/** All counters of the table by name. */
export async function readCounters(): Promise<ReadonlyMap<string, Counter>> {
  const objects = await list(['list', 'counters', 'table', ...TABLE.split(' ')]);
  return new Map(
    objects.flatMap(({ counter }) =>
      counter === undefined ? [] : [[counter.name, { packets: counter.packets ?? 0, bytes: counter.bytes ?? 0 }] as const],
    ),
  );
}

/** Takes the table away. */
export async function removeTable(): Promise<void> {
  // Added first, as the deletion of what is not there is an error.
  await applyScript(`add table ${TABLE}\ndelete table ${TABLE}\n`);
}

/** Flows by mark. Each line of conntrack has the mark of its flow. */
export async function countFlows(families: readonly ('ipv4' | 'ipv6')[]): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>();
  for (const family of families)
    for (const protocol of ['udp', 'sctp']) {
      const text = await conntrack(['-L', '-f', family, '-p', protocol]);
      for (const [, mark] of text.matchAll(/ mark=(\d+) /gu)) counts.set(Number(mark), (counts.get(Number(mark)) ?? 0) + 1);
    }
  return counts;
}

/** Ends the flows with a mark: their next packets choose anew. */
export async function endFlows(mark: number): Promise<void> {
  for (const family of ['ipv4', 'ipv6'])
    for (const protocol of ['udp', 'sctp']) await conntrack(['-D', '-f', family, '-p', protocol, '-m', String(mark)]);
}

/** Forgets the clients that a map remembers with one of these marks. */
export async function forgetClients(map: string, marks: ReadonlySet<number>): Promise<void> {
  const objects = await list(['list', 'map', ...TABLE.split(' '), map]);
  const elements = objects.flatMap((each) => each['map']?.elem ?? []);
  const keys = elements.flatMap(([key, mark]) => {
    const address = typeof key === 'string' ? key : key.elem?.val;
    return typeof address === 'string' && marks.has(Number(mark)) ? [address] : [];
  });
  // One that runs out meanwhile is gone as well.
  for (let at = 0; at < keys.length; at += 1000)
    await applyScript(`delete element ${TABLE} ${map} { ${keys.slice(at, at + 1000).join(', ')} }\n`).catch(() => undefined);
}

async function list(args: readonly string[]): Promise<Listed['nftables']> {
  try {
    return (JSON.parse(await run('nft', ['-j', ...args])) as Listed).nftables;
  } catch (error) {
    if (error instanceof CommandError && error.stderr.includes('No such file or directory')) return [];
    throw error;
  }
}

/** conntrack ends with 1 when there was nothing to do. Without the program flows stay with a dead member until they are silent. */
async function conntrack(args: readonly string[]): Promise<string> {
  try {
    return await run('conntrack', args);
  } catch (error) {
    if (error instanceof CommandError && (error.code === 1 || error.reason === 'ENOENT')) return error.stdout;
    throw error;
  }
}
