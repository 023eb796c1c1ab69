/** Whatever is sent, the API answers for itself: never a 500, and never anything half-done. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  anything,
  array,
  assert as forAll,
  asyncProperty,
  constant,
  constantFrom,
  double,
  integer,
  oneof,
  record,
  string,
} from 'fast-check';
import {
  availabilityZoneFields,
  availabilityZoneProfileFields,
  type Fields,
  flavorFields,
  flavorProfileFields,
  healthmonitorFields,
  l7policyFields,
  l7ruleFields,
  listenerFields,
  loadbalancerFields,
  memberFields,
  poolFields,
} from '../../src/model/index.ts';
import { type ApiTest, withApi } from '../support/api.ts';

const SUBNET = 'c55e7725-894c-400e-bd00-57a04ae1e676';

/** How many bodies each target gets; more by `OCTAVIA_FUZZ_RUNS`. */
const runs = Number(process.env['OCTAVIA_FUZZ_RUNS'] ?? 40);

const value = oneof(
  constant(null),
  constant(SUBNET),
  string(),
  string({ unit: 'binary' }),
  integer(),
  double(),
  constantFrom(true, false, '', '5', 'HTTP', 'TCP', 'UDP', '192.0.2.1', '2001:db8::1', '10.0.0.0/8', '\u0000', '\ud800', 2 ** 53),
  array(constantFrom('a', null, 5, {}, SUBNET), { maxLength: 3 }),
  anything({ maxDepth: 2, withNullPrototype: false }),
);

/** Bodies that are right but for a few fields. */
const bodyOf = (fields: Fields, base: Record<string, unknown>) =>
  record(Object.fromEntries(Object.keys(fields).map((name) => [name, value])), { requiredKeys: [] })
    .chain((odd) => constantFrom(...subsets(Object.entries(odd))))
    .map((some) => ({ ...base, ...Object.fromEntries(some) }));

/** A few of the entries at a time, so that not every body fails at its first field. */
function subsets(entries: [string, unknown][]): [string, unknown][][] {
  return [[], ...entries.map((entry) => [entry]), ...entries.slice(1).map((entry, index) => [entries[index] as [string, unknown], entry])];
}

/** JSON text, also of what JSON cannot say. */
const textOf = (body: unknown): string => {
  try {
    return JSON.stringify(body, (_key, each: unknown) => (typeof each === 'bigint' ? Number(each) : each)) ?? 'null';
  } catch {
    return '{}';
  }
};

type Target = readonly ['POST' | 'PUT', string, string, Fields, Record<string, unknown>];

/** A flavor and an availability zone to change, and others to make. */
async function makeProfiles(api: ApiTest): Promise<Target[]> {
  const flavor_profile = { name: 'p', provider_name: 'amphora', flavor_data: '{}' };
  const zone_profile = { name: 'p', provider_name: 'noop_driver', availability_zone_data: '[]' };
  const make = async (path: string, root: string, body: object) => (await api.call('POST', path, { [root]: body })).body[root];
  const flavor_profile_id = (await make('/flavorprofiles', 'flavorprofile', flavor_profile)).id;
  const availability_zone_profile_id = (await make('/availabilityzoneprofiles', 'availability_zone_profile', zone_profile)).id;
  const flavor = await make('/flavors', 'flavor', { name: 'f', flavor_profile_id });
  await make('/availabilityzones', 'availability_zone', { name: 'z', availability_zone_profile_id });
  const unused = (await make('/flavorprofiles', 'flavorprofile', flavor_profile)).id;
  return [
    ['POST', '/flavorprofiles', 'flavorprofile', flavorProfileFields, flavor_profile],
    ['PUT', `/flavorprofiles/${unused}`, 'flavorprofile', flavorProfileFields, {}],
    ['POST', '/flavors', 'flavor', flavorFields, { name: 'g', flavor_profile_id }],
    ['PUT', `/flavors/${flavor.id}`, 'flavor', flavorFields, {}],
    ['POST', '/availabilityzoneprofiles', 'availability_zone_profile', availabilityZoneProfileFields, zone_profile],
    ['POST', '/availabilityzones', 'availability_zone', availabilityZoneFields, { name: 'y', availability_zone_profile_id }],
    ['PUT', '/availabilityzones/z', 'availability_zone', availabilityZoneFields, {}],
    ['POST', '/loadbalancers', 'loadbalancer', loadbalancerFields, { project_id: 'p', vip_subnet_id: SUBNET, flavor_id: flavor.id }],
  ];
}

test('no body and no query makes the server fail', async (t) => {
  const api = await withApi(t);
  const lb = (await api.act('POST', '/loadbalancers', { loadbalancer: { project_id: 'p', vip_subnet_id: SUBNET } })).body.loadbalancer.id;
  const pool = (await api.act('POST', '/pools', { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } })).body.pool
    .id;
  const listener = (await api.act('POST', '/listeners', { listener: { loadbalancer_id: lb, protocol: 'HTTP', protocol_port: 1 } })).body
    .listener.id;
  const policy = (await api.act('POST', '/l7policies', { l7policy: { listener_id: listener, action: 'REJECT' } })).body.l7policy.id;
  const rule = { type: 'PATH', compare_type: 'REGEX', value: '/' };
  const profiles = await makeProfiles(api);
  const monitor = { pool_id: pool, type: 'HTTP', delay: 1, timeout: 1, max_retries: 1 };
  const targets: readonly Target[] = [
    ['POST', '/loadbalancers', 'loadbalancer', loadbalancerFields, { project_id: 'p', vip_subnet_id: SUBNET }],
    ['PUT', `/loadbalancers/${lb}`, 'loadbalancer', loadbalancerFields, {}],
    ['POST', '/listeners', 'listener', listenerFields, { loadbalancer_id: lb, protocol: 'TCP', protocol_port: 2 }],
    ['PUT', `/listeners/${listener}`, 'listener', listenerFields, {}],
    ['POST', '/pools', 'pool', poolFields, { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }],
    ['PUT', `/pools/${pool}`, 'pool', poolFields, {}],
    ['POST', `/pools/${pool}/members`, 'member', memberFields, { address: '192.0.2.1', protocol_port: 80 }],
    ['POST', '/healthmonitors', 'healthmonitor', healthmonitorFields, monitor],
    ['POST', '/l7policies', 'l7policy', l7policyFields, { listener_id: listener, action: 'REJECT' }],
    ['PUT', `/l7policies/${policy}`, 'l7policy', l7policyFields, {}],
    ['POST', `/l7policies/${policy}/rules`, 'rule', l7ruleFields, rule],
    ...profiles,
    ['PUT', '/quotas/p', 'quota', { pool: listenerFields.connection_limit, member: listenerFields.connection_limit }, {}],
  ];
  const statuses = new Map<number, number>();
  const send = async (method: 'POST' | 'PUT' | 'GET', path: string, payload: string | undefined): Promise<void> => {
    const headers = payload === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await api.app.inject({ method, url: `/v2/lbaas${path}`, headers, ...(payload !== undefined && { payload }) });
    statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
    assert.ok(
      answer.statusCode < 500 || answer.statusCode === 501,
      `${answer.statusCode} for ${method} ${path} ${payload}: ${answer.body}`,
    );
    await api.worker?.drain();
  };
  for (const [method, path, root, fields, base] of targets)
    await forAll(
      asyncProperty(bodyOf(fields, base), (body) => send(method, path, textOf({ [root]: body }))),
      { numRuns: runs },
    );
  await forAll(
    asyncProperty(anything({ maxDepth: 3 }), (body) => send('POST', '/loadbalancers', textOf(body))),
    { numRuns: runs },
  );
  const name = constantFrom(
    'name',
    'sort',
    'limit',
    'marker',
    'fields',
    'tags',
    'not-tags-any',
    'page_reverse',
    'protocol_port',
    'admin_state_up',
    'created_at',
    '__proto__',
    'x',
  );
  await forAll(
    asyncProperty(array(record({ name, text: string({ unit: 'grapheme' }) }), { maxLength: 4 }), (args) =>
      send('GET', `/listeners?${args.map((each) => `${each.name}=${encodeURIComponent(each.text)}`).join('&')}`, undefined),
    ),
    { numRuns: runs },
  );
  assert.ok(statuses.has(201) && statuses.has(400), `statuses seen: ${JSON.stringify([...statuses])}`);
});
