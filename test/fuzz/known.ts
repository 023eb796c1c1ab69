/** What exists: ids by the collection that they were seen in, so that requests name things that are there. */
import { newId } from '../../src/lib/ids.ts';
import { onceIn, pick, type Random } from './odd-values.ts';

/** The most ids that are remembered of one collection. */
const MAX_IDS = 40;

/** Parameters whose values are seen elsewhere: `<path so far>` or the parameter's name → collection. */
const elsewhere: readonly (readonly [at: RegExp, collection: string])[] = [
  [/^\/v2\/lbaas\/quotas$/u, '/identity/v3/projects'],
  [/^\/network\/v2\.0\/quotas$/u, '/identity/v3/projects'],
  [/^\/v2\/lbaas\/providers$/u, 'providers'],
  [/^\/identity\/v3\/(?:projects|domains)\/[^/]+\/users$/u, '/identity/v3/users'],
  [/^\/identity\/v3\/system\/users$/u, '/identity/v3/users'],
  [/\/users\/[^/]+\/roles$/u, '/identity/v3/roles'],
  [/\/alias-bandwidth-limit-rules$/u, 'bandwidth_limit_rules'],
];

/** Names of attributes that say what they refer to → collection. */
export const references: Readonly<Record<string, string>> = {
  loadbalancer_id: '/v2/lbaas/loadbalancers',
  listener_id: '/v2/lbaas/listeners',
  pool_id: '/v2/lbaas/pools',
  default_pool_id: '/v2/lbaas/pools',
  redirect_pool_id: '/v2/lbaas/pools',
  flavor_id: '/v2/lbaas/flavors',
  flavor_profile_id: '/v2/lbaas/flavorprofiles',
  availability_zone: '/v2/lbaas/availabilityzones',
  availability_zone_profile_id: '/v2/lbaas/availabilityzoneprofiles',
  project_id: '/identity/v3/projects',
  tenant_id: '/identity/v3/projects',
  network_id: '/network/v2.0/networks',
  vip_network_id: '/network/v2.0/networks',
  subnet_id: '/network/v2.0/subnets',
  vip_subnet_id: '/network/v2.0/subnets',
  vip_port_id: '/network/v2.0/ports',
  port_id: '/network/v2.0/ports',
  qos_policy_id: '/network/v2.0/qos/policies',
  vip_qos_policy_id: '/network/v2.0/qos/policies',
  security_group_id: '/network/v2.0/security-groups',
  remote_group_id: '/network/v2.0/security-groups',
  vip_sg_ids: '/network/v2.0/security-groups',
  security_groups: '/network/v2.0/security-groups',
  service_id: '/identity/v3/services',
  region_id: '/identity/v3/regions',
  domain_id: '/identity/v3/domains',
  default_project_id: '/identity/v3/projects',
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Could it take away what the path names? */
const isHarmful = (method: string, path: string): boolean =>
  (method === 'DELETE' || method === 'PATCH' || (method === 'PUT' && !path.includes('/roles/'))) &&
  !/\/tags\b|\/quotas\/|\/application_credentials\//u.test(path);

/** What is known to exist. */
export class Known {
  readonly #ids = new Map<string, string[]>([['providers', ['amphora', 'octavia', 'noop_driver']]]);
  /** What the fuzzer itself stands on: rarely removed or changed. */
  readonly #spared = new Set<string>();

  /** An id of a collection; undefined: none is known. */
  find(random: Random, collection: string): string | undefined {
    const ids = this.#ids.get(collection) ?? [];
    return ids.length === 0 ? undefined : pick(random, onceIn(random, 2) ? ids.slice(-4) : ids);
  }

  /** An id of anything. */
  any(random: Random): string {
    return this.find(random, pick(random, [...this.#ids.keys()])) ?? newId();
  }

  /** Forgets everything but the providers. */
  reset(): void {
    for (const collection of [...this.#ids.keys()]) if (collection !== 'providers') this.#ids.delete(collection);
    this.#spared.clear();
  }

  /** Lets requests rarely remove or change what is in these collections now. */
  spareAll(collections: readonly string[]): void {
    for (const collection of collections) for (const id of this.#ids.get(collection) ?? []) this.#spared.add(id);
  }

  add(collection: string, id: string): void {
    const ids = this.#ids.get(collection) ?? [];
    this.#ids.set(collection, [...ids.filter((each) => each !== id), id].slice(-MAX_IDS));
  }

  remove(collection: string, id: string): void {
    this.#ids.set(
      collection,
      (this.#ids.get(collection) ?? []).filter((each) => each !== id),
    );
  }

  /** The path with what exists in the place of parameters. */
  fill(random: Random, method: string, path: string): string {
    let filled = '';
    for (let attempt = 0; attempt < 8; attempt += 1) {
      let isWhole = true;
      filled = '';
      for (const segment of path.split('/').slice(1)) {
        const own = segment.startsWith(':') ? this.find(random, filled) : segment;
        const id = own ?? this.#elsewhere(random, filled);
        isWhole &&= id !== undefined && (own !== undefined || !filled.endsWith('/roles') || method === 'PUT');
        filled = `${filled}/${encodeURIComponent(id ?? newId())}`;
      }
      const isSpared = isHarmful(method, filled) && filled.split('/').some((each) => this.#spared.has(each));
      if (isWhole && (!isSpared || onceIn(random, 30))) break;
    }
    return filled;
  }

  #elsewhere(random: Random, at: string): string | undefined {
    const other = elsewhere.find(([pattern]) => pattern.test(at))?.[1];
    return other === undefined ? undefined : this.find(random, other);
  }

  /** Remembers what an answer of success shows or took away. */
  learn(method: string, url: string, body: unknown): void {
    const path = url.split('?', 1)[0] ?? '';
    const cut = path.lastIndexOf('/');
    const [parent, last] = [path.slice(0, cut), path.slice(cut + 1)];
    if (method === 'DELETE') return void this.remove(parent, last);
    if (method === 'PUT' && (!isObject(body) || parent.endsWith('/quotas'))) return void this.add(parent, last);
    if (!isObject(body)) return;
    for (const value of Object.values(body)) {
      if (Array.isArray(value)) for (const each of value.slice(0, MAX_IDS)) this.#note(path, each);
      else if (method === 'POST' && !this.#note(path, value)) this.#note(path, body);
    }
  }

  #note(collection: string, item: unknown): boolean {
    if (typeof item === 'string' && collection.endsWith('/tags')) return this.#keep(collection, item);
    if (!isObject(item)) return false;
    const ref = item['secret_ref'] ?? item['container_ref'];
    const id =
      ref === undefined ? (item['id'] ?? item['name'] ?? item['alias'] ?? item['type'] ?? item['key']) : String(ref).split('/').at(-1);
    return typeof id === 'string' && id !== '' && this.#keep(collection, id);
  }

  #keep(collection: string, id: string): boolean {
    this.add(collection, id);
    if (collection.endsWith('/bandwidth_limit_rules')) this.add('bandwidth_limit_rules', id);
    return true;
  }
}
