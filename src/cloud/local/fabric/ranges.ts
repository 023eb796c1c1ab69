/** Which addresses the networks of a new state get: ranges that this machine does not use yet. */
import { run } from '../../../lib/run.ts';

/** A network in the form `198.18.0.0/24`. */
export type Cidr = string;

type Range = { readonly first: number; readonly last: number };

/** The part of `ip -j route` that matters. */
export type RouteEntry = { readonly dst?: string };
/** The part of `ip -j addr` that matters. */
export type AddressEntry = {
  readonly addr_info?: readonly { readonly family?: string; readonly local?: string; readonly prefixlen?: number }[];
};

/**
 * The IPv4 ranges that routes and addresses of a machine claim; the default route claims nothing.
 *
 * @param routes `ip -j -4 route show table all`
 * @param addresses `ip -j -4 addr`
 */
export function takenRanges(routes: readonly RouteEntry[], addresses: readonly AddressEntry[]): readonly Cidr[] {
  const routed = routes.flatMap((route) =>
    route.dst === undefined || route.dst === 'default' || route.dst === '0.0.0.0/0' ? [] : [route.dst],
  );
  const owned = addresses
    .flatMap((entry) => entry.addr_info ?? [])
    .flatMap((address) => (address.local === undefined ? [] : [`${address.local}/${address.prefixlen ?? 32}`]));
  return [...routed, ...owned].filter((cidr) => parse(cidr) !== null);
}

/**
 * The first free networks of a pool, as many as wanted.
 *
 * Throws when the pool has not enough. The default pool is RFC 2544's benchmark range, which no site routes.
 */
export function chooseRanges(
  taken: readonly Cidr[],
  wanted: number,
  options: { readonly pool?: Cidr; readonly prefix?: number } = {},
): readonly Cidr[] {
  const pool = parse(options.pool ?? '198.18.0.0/15');
  const prefix = options.prefix ?? 24;
  if (pool === null) throw new Error(`not an IPv4 range: ${options.pool}`);
  const size = 2 ** (32 - prefix);
  const occupied = taken.flatMap((cidr) => parse(cidr) ?? []);
  const chosen: Cidr[] = [];
  for (let first = pool.first; first + size - 1 <= pool.last && chosen.length < wanted; first += size) {
    const last = first + size - 1;
    if (!occupied.some((range) => range.first <= last && first <= range.last)) chosen.push(`${dotted(first)}/${prefix}`);
  }
  if (chosen.length < wanted) {
    throw new Error(
      `only ${chosen.length} of ${wanted} free /${prefix} networks are left in ${options.pool ?? '198.18.0.0/15'}: configure another range`,
    );
  }
  return chosen;
}

/** An IPv6 /64 of a unique local prefix (RFC 4193 section 3.2.2): `random` is five bytes drawn once for a state, `subnet` numbers its networks. */
export function uniqueLocalRange(random: Uint8Array, subnet: number): Cidr {
  const hex = Buffer.from(random.subarray(0, 5)).toString('hex').padStart(10, '0');
  const groups = [`fd${hex.slice(0, 2)}`, hex.slice(2, 6), hex.slice(6, 10), (subnet & 0xffff).toString(16)];
  return `${groups.map((group) => group.replace(/^0+(?=.)/u, '')).join(':')}::/64`;
}

/** What this machine claims now. Throws `CommandError` when `ip` is missing. */
export async function readTakenRanges(): Promise<readonly Cidr[]> {
  const [routes, addresses] = await Promise.all([
    run('ip', ['-j', '-4', 'route', 'show', 'table', 'all']),
    run('ip', ['-j', '-4', 'addr', 'show']),
  ]);
  return takenRanges(JSON.parse(routes || '[]') as RouteEntry[], JSON.parse(addresses || '[]') as AddressEntry[]);
}

function parse(cidr: string): Range | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/u.exec(cidr);
  if (match === null) return null;
  const octets = match.slice(1, 5).map(Number);
  const prefix = match[5] === undefined ? 32 : Number(match[5]);
  if (octets.some((octet) => octet > 255) || prefix > 32) return null;
  const address = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const size = 2 ** (32 - prefix);
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1 };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
