/** What the whole program holds before it is fuzzed: one of each kind, certificates, tokens, and instances as a data plane would leave them. */
import type { Database } from '../../src/db/database.ts';
import { insertAmphora } from '../access/world.ts';
import { readBody, type Received, type Sent } from '../conformance/normal-form.ts';
import { fixtureText } from '../support/tls-fixtures.ts';
import { CANARY } from './facade-bodies.ts';
import type { Known } from './known.ts';
import type { WholeProgram } from './program.ts';

/** Sends a request and learns from the answer. */
export type Ask = (method: string, path: string, body?: unknown) => Promise<unknown>;

/** A way to ask as the administrator. Its answers of success are learned. */
export function asker(send: (sent: Sent) => Promise<Received>, token: string, known: Known): Ask {
  return async (method, path, body) => {
    const data = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const headers = { accept: 'application/json', 'x-auth-token': token, ...(data !== null && { 'content-type': 'application/json' }) };
    const received = await send({ method, path, headers, data });
    const answer = readBody(received.body);
    if (received.status >= 300) throw new Error(`${method} ${path}: ${received.status} ${received.body.toString().slice(0, 300)}`);
    known.learn(method, path, answer);
    return answer;
  };
}

const lists = [
  ...['domains', 'projects', 'users', 'roles', 'services', 'regions'].map((each) => `/identity/v3/${each}`),
  ...['networks', 'subnets', 'security-groups', 'extensions', 'qos/rule-types', 'network-ip-availabilities', 'routers'].map(
    (each) => `/network/v2.0/${each}`,
  ),
];

type Made = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Makes it. Throws when anything is refused. */
export async function makeWholeWorld(program: WholeProgram, db: Database, known: Known, ask: Ask): Promise<void> {
  for (const path of lists) await ask('GET', path);
  await makeKeys(ask, known);
  await makeIdentity(program, ask, known);
  await makeNetworks(ask, known);
  await makeLoadBalancers(program, db, ask, known);
}

async function makeKeys(ask: Ask, known: Known): Promise<void> {
  const secrets = '/key-manager/v1/secrets';
  const store = async (payload: string): Promise<string> =>
    String(
      ((await ask('POST', secrets, { name: 'pem', payload, payload_content_type: 'text/plain' })) as Record<string, string>)['secret_ref'],
    );
  const certificate = await store(fixtureText('ecdsa.crt'));
  const private_key = await store(fixtureText('ecdsa.key'));
  const secret_refs = [
    { name: 'certificate', secret_ref: certificate },
    { name: 'private_key', secret_ref: private_key },
  ];
  const made = (await ask('POST', '/key-manager/v1/containers', { type: 'certificate', secret_refs })) as Record<string, string>;
  known.add('certificates', String(made['container_ref']).split('/').at(-1) ?? '');
  const generic = (await ask('POST', '/key-manager/v1/containers', { type: 'generic' })) as Record<string, string>;
  const path = new URL(generic['container_ref'] ?? '').pathname;
  await ask('POST', `${path}/consumers`, { name: 'c', URL: 'http://127.0.0.1/1' });
  await ask('POST', `${new URL(certificate).pathname}/metadata`, { key: 'a', value: 'b' });
}

async function makeIdentity({ tokens, ids }: WholeProgram, ask: Ask, known: Known): Promise<void> {
  known.add('tokens', tokens.demo);
  const path = `/identity/v3/users/${ids.admin_user}/application_credentials`;
  const made = (await ask('POST', path, { application_credential: { name: 'app', secret: `${CANARY}app`, unrestricted: true } })) as Made;
  known.add('application_credentials', made['application_credential']?.['id'] ?? '');
  await ask('PUT', `/identity/v3/projects/${ids.admin_project}/tags/a`);
  const service = (await ask('POST', '/identity/v3/services', { service: { type: 'dns', name: 'dns' } })) as Made;
  const endpoint = { service_id: service['service']?.['id'], url: 'http://127.0.0.1:1/', interface: 'public' };
  await ask('POST', '/identity/v3/endpoints', { endpoint });
  await ask('POST', '/identity/v3/regions', { region: { id: 'elsewhere' } });
}

async function makeNetworks(ask: Ask, known: Known): Promise<void> {
  const at = (path: string): string => `/network/v2.0/${path}`;
  const networks = ((await ask('GET', at('networks'))) as { networks: readonly { id: string; name: string }[] }).networks;
  const [tenant, external] = ['private', 'public'].map((name) => networks.find((each) => each.name === name)?.id ?? '');
  known.add('external', external ?? '');
  await ask('POST', at('ports'), { port: { network_id: tenant, name: 'p' } });
  await ask('POST', at('floatingips'), { floatingip: { floating_network_id: external } });
  const policy = ((await ask('POST', at('qos/policies'), { policy: { name: 'q' } })) as Made)['policy']?.['id'] ?? '';
  await ask('POST', at(`qos/policies/${policy}/bandwidth_limit_rules`), { bandwidth_limit_rule: { max_kbps: 1000 } });
  const group = ((await ask('POST', at('security-groups'), { security_group: { name: 'g' } })) as Made)['security_group']?.['id'] ?? '';
  await ask('POST', at('security-group-rules'), { security_group_rule: { security_group_id: group, direction: 'ingress' } });
}

async function makeLoadBalancers(program: WholeProgram, db: Database, ask: Ask, known: Known): Promise<void> {
  const make = async (path: string, root: string, body: object): Promise<string> => {
    const made = (await ask('POST', `/v2/lbaas/${path}`, { [root]: body })) as Made;
    await program.drain();
    return made[root]?.['id'] ?? made[root]?.['name'] ?? '';
  };
  const subnets = ((await ask('GET', '/network/v2.0/subnets?name=private-subnet')) as { subnets: readonly { id: string }[] }).subnets;
  const loadbalancer_id = await make('loadbalancers', 'loadbalancer', { vip_subnet_id: subnets[0]?.id, name: 'world' });
  const listener_id = await make('listeners', 'listener', { loadbalancer_id, protocol: 'HTTP', protocol_port: 80 });
  const pool_id = await make('pools', 'pool', { listener_id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' });
  await make(`pools/${pool_id}/members`, 'member', { address: '192.0.2.1', protocol_port: 80 });
  await make('healthmonitors', 'healthmonitor', { pool_id, type: 'HTTP', delay: 5, timeout: 3, max_retries: 3 });
  const l7policy = await make('l7policies', 'l7policy', { listener_id, action: 'REJECT' });
  await make(`l7policies/${l7policy}/rules`, 'rule', { type: 'PATH', compare_type: 'STARTS_WITH', value: '/' });
  const offered = { name: 'o', provider_name: 'amphora' };
  const flavor_profile_id = await make('flavorprofiles', 'flavorprofile', { ...offered, flavor_data: '{}' });
  await make('flavors', 'flavor', { name: 'f', flavor_profile_id });
  const zone_profile = { ...offered, availability_zone_data: '{"compute_zone": "nova"}' };
  const availability_zone_profile_id = await make('availabilityzoneprofiles', 'availability_zone_profile', zone_profile);
  await make('availabilityzones', 'availability_zone', { name: 'z', availability_zone_profile_id });
  for (let at = 0; at < 8; at += 1) {
    const id = await insertAmphora(db, loadbalancer_id, listener_id, at % 2 !== 0);
    known.add('/v2/octavia/amphorae', id);
  }
}
