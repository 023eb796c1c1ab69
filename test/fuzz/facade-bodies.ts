/** What the bodies of identity, network and key manager hold: these services have no schemas, so their attributes stand here. */
import { firstPasswords } from './program.ts';
import { references } from './known.ts';
import { below, onceIn, pick } from './odd-values.ts';
import type { Maker } from './schema-bodies.ts';

type Make = (maker: Maker) => unknown;

/** A body: what it needs, and what it may have besides; `root` null: the attributes are the body. */
export type BodyForm = {
  readonly root: string | null;
  readonly needs: Readonly<Record<string, Make>>;
  readonly may: Readonly<Record<string, Make>>;
};

/** Begins every secret that the fuzzer makes up: no answer may hold one but where it was asked for. */
export const CANARY = 'canary-';

const oneOf =
  (...words: readonly unknown[]): Make =>
  ({ random }) =>
    pick(random, words);
const id =
  (collection: string): Make =>
  ({ random, known }) =>
    known.find(random, collection) ?? null;
const named: Make = ({ random }) => `n${below(random, 1e6)}`;
const canary: Make = ({ random }) => `${CANARY}${below(random, 1e9)}`;
const flag = oneOf(true, false);
const described = { description: oneOf('', 'd', 'é☃') };
const tags = oneOf([], ['a'], ['a', 'b']);
const refs = Object.fromEntries(Object.entries(references).map(([name, collection]) => [name, id(collection)])) as Readonly<
  Record<string, Make>
>;
const ref = (name: string): Readonly<Record<string, Make>> => ({ [name]: refs[name] ?? id(name) });
const address: Make = ({ random }) => `198.18.1.${2 + below(random, 250)}`;
const fixedIps: Make = (maker) =>
  pick(maker.random, [
    [],
    [{ subnet_id: refs['subnet_id']?.(maker) }],
    [{ ip_address: address(maker) }],
    [{ subnet_id: refs['subnet_id']?.(maker), ip_address: address(maker) }],
  ]);
const groups: Make = (maker) => (onceIn(maker.random, 2) ? [] : [refs['security_groups']?.(maker)]);
const secretRef: Make = ({ random, known }) =>
  `http://127.0.0.1/key-manager/v1/secrets/${known.find(random, '/key-manager/v1/secrets') ?? 'x'}`;
const secretRefs: Make = (maker) => pick(maker.random, [[], [{ name: named(maker), secret_ref: secretRef(maker) }]]);

const form = (root: string | null, needs: BodyForm['needs'], may: BodyForm['may'] = {}): BodyForm => ({ root, needs, may });
const changed = ({ root, needs, may }: BodyForm, without: readonly string[] = []): BodyForm =>
  form(root, {}, Object.fromEntries(Object.entries({ ...needs, ...may }).filter(([name]) => !without.includes(name))));

const domain = form('domain', { name: named }, { enabled: flag, ...described });
const project = form('project', { name: named }, { ...ref('domain_id'), enabled: flag, tags, is_domain: oneOf(false), ...described });
const user = form(
  'user',
  { name: named, password: canary },
  { ...ref('domain_id'), ...ref('default_project_id'), email: oneOf('a@example.test', null), enabled: flag, ...described },
);
const role = form('role', { name: named }, described);
const service = form('service', { type: oneOf('dns', 'image', 'compute') }, { name: named, enabled: flag, ...described });
const endpoint = form(
  'endpoint',
  {
    service_id: id('/identity/v3/services'),
    url: oneOf('http://127.0.0.1:1/', 'https://example.test/%(project_id)s'),
    interface: oneOf('public', 'internal', 'admin'),
  },
  { ...ref('region_id'), enabled: flag },
);
const region = form('region', {}, { id: named, parent_region_id: id('/identity/v3/regions'), ...described });
const credential = form(
  'application_credential',
  { name: named },
  {
    secret: canary,
    expires_at: oneOf('2099-01-01T00:00:00', '2099-01-01T00:00:00.000000Z', null),
    roles: ({ random, known }) => pick(random, [[], [{ name: 'member' }], [{ id: known.find(random, '/identity/v3/roles') ?? null }]]),
    unrestricted: flag,
    access_rules: oneOf([], [{ path: '/v2.1/servers', method: 'GET', service: 'compute' }]),
    ...described,
  },
);

const adminUser = { name: 'admin', domain: { id: 'default' }, password: firstPasswords.admin };
/** Logins that come through, and some that nearly do. */
const auth: Make = (maker) => {
  const { random, known } = maker;
  const password = { methods: ['password'], password: { user: pick(random, [adminUser, { ...adminUser, password: canary(maker) }]) } };
  const token = { methods: ['token'], token: { id: known.find(random, 'tokens') ?? 'x' } };
  const application_credential = { id: known.find(random, 'application_credentials') ?? 'x', secret: `${CANARY}app` };
  const identity = pick(random, [password, password, token, { methods: ['application_credential'], application_credential }]);
  const project_id = known.find(random, '/identity/v3/projects') ?? 'x';
  const scopes = [
    undefined,
    { project: { id: project_id } },
    { project: { name: 'admin', domain: { name: 'Default' } } },
    { domain: { id: 'default' } },
    { system: { all: true } },
    'unscoped',
  ];
  const scope = pick(random, scopes);
  return { identity, ...(scope !== undefined && { scope }) };
};

const network = form(
  'network',
  {},
  {
    name: named,
    admin_state_up: flag,
    mtu: oneOf(1280, 1500, 9000),
    port_security_enabled: flag,
    ...ref('qos_policy_id'),
    tags,
    shared: flag,
    host_reachable: flag,
    'router:external': oneOf(false, false, true),
    ...ref('project_id'),
    ...described,
  },
);
const subnetRange: Make = ({ random }) =>
  pick(random, [`10.${below(random, 256)}.${below(random, 256)}.0/24`, `fd00:${below(random, 9999)}::/64`]);
const subnet = form(
  'subnet',
  { ...ref('network_id'), cidr: subnetRange },
  {
    ip_version: oneOf(4, 6),
    name: named,
    gateway_ip: oneOf(null, '10.0.0.1'),
    allocation_pools: oneOf([], [{ start: '10.0.0.2', end: '10.0.0.9' }]),
    host_routes: oneOf([], [{ destination: '10.9.0.0/16', nexthop: '10.0.0.1' }]),
    dns_nameservers: oneOf([], ['192.0.2.53']),
    enable_dhcp: flag,
    tags,
    ...described,
  },
);
const port = form('port', ref('network_id'), {
  name: named,
  fixed_ips: fixedIps,
  admin_state_up: flag,
  device_id: oneOf('', 'server-1'),
  device_owner: oneOf('', 'compute:nova', 'Octavia'),
  security_groups: groups,
  allowed_address_pairs: oneOf([], [{ ip_address: '198.18.1.77' }], [{ ip_address: '10.0.0.0/8' }]),
  ...ref('qos_policy_id'),
  port_security_enabled: flag,
  mac_address: oneOf('fa:16:3e:00:00:01', 'fa:16:3e:00:00:02'),
  'binding:vnic_type': oneOf('normal', 'direct'),
  dns_name: oneOf('', null),
  tags,
  ...ref('project_id'),
  ...described,
});
const group = form('security_group', {}, { name: named, stateful: flag, tags, ...ref('project_id'), ...described });
const rule = form(
  'security_group_rule',
  { ...ref('security_group_id'), direction: oneOf('ingress', 'egress') },
  {
    ethertype: oneOf('IPv4', 'IPv6'),
    protocol: oneOf('tcp', 'udp', 'icmp', null, 6, '17'),
    port_range_min: oneOf(1, 80, null),
    port_range_max: oneOf(80, 65_535, null),
    remote_ip_prefix: oneOf('10.0.0.0/8', '192.0.2.1', null, '::/0'),
    ...ref('remote_group_id'),
    ...described,
  },
);
const policy = form('policy', { name: named }, { shared: flag, tags, is_default: oneOf(false), ...ref('project_id'), ...described });
const limit = form(
  'bandwidth_limit_rule',
  { max_kbps: oneOf(1, 1000, 2_147_483_647) },
  { max_burst_kbps: oneOf(0, 100), direction: oneOf('ingress', 'egress') },
);
const floating = form(
  'floatingip',
  { floating_network_id: id('external') },
  {
    floating_ip_address: ({ random }) => `203.0.113.${2 + below(random, 250)}`,
    ...ref('port_id'),
    fixed_ip_address: address,
    tags,
    ...ref('project_id'),
    ...described,
  },
);
const router = form('router', { name: named }, { external_gateway_info: oneOf(null, {}) });

const secret = form(
  null,
  {},
  {
    name: named,
    payload: canary,
    payload_content_type: oneOf('text/plain', 'text/plain', 'application/octet-stream'),
    payload_content_encoding: oneOf(null, 'base64'),
    secret_type: oneOf('opaque', 'certificate', 'private', 'public', 'symmetric', 'passphrase'),
    algorithm: oneOf('aes', null),
    mode: oneOf('cbc', null),
    bit_length: oneOf(128, 256, null),
    expiration: oneOf('2099-01-01T00:00:00', '2099-01-01', null),
  },
);
const container = form(null, { type: oneOf('generic', 'generic', 'certificate', 'rsa') }, { name: named, secret_refs: secretRefs });
const acl = form(
  null,
  {},
  {
    read: ({ random, known }) =>
      pick(random, [{}, { 'project-access': false }, { users: [known.find(random, '/identity/v3/users') ?? 'x'], 'project-access': true }]),
  },
);
const secretConsumer = form(null, { service: oneOf('image'), resource_type: oneOf('image'), resource_id: oneOf('1', '2') });
const containerConsumer = form(null, { name: oneOf('c'), URL: oneOf('http://127.0.0.1/1', 'http://127.0.0.1/2') });
const reference = form(null, { secret_ref: secretRef }, { name: oneOf('one', null) });

const tagList = form(null, { tags });
const of = (path: string, body: BodyForm, methods = 'POST'): readonly (readonly [string, BodyForm])[] =>
  methods.split(' ').map((method) => [`${method} ${path}`, body] as const);
const id3 = '/identity/v3';
const net2 = '/network/v2.0';
const key1 = '/key-manager/v1';
const grown = (root: string, path: string, body: BodyForm, change: string): readonly (readonly [string, BodyForm])[] => [
  ...of(`${root}${path}`, body),
  ...of(
    `${root}${path}/:id`,
    changed(body, [
      'project_id',
      'network_id',
      'cidr',
      'ip_version',
      'tags',
      'mac_address',
      'host_reachable',
      'router:external',
      'floating_network_id',
      'floating_ip_address',
      'domain_id',
      'id',
    ]),
    change,
  ),
];
const absent = [
  'groups',
  'credentials',
  'policies',
  'limits',
  'registered_limits',
  'OS-TRUST/trusts',
  'OS-FEDERATION/identity_providers',
  'OS-FEDERATION/mappings',
];

/** `<METHOD> <route>` → body. */
export const facadeBodies: ReadonlyMap<string, BodyForm> = new Map([
  ...of(`${id3}/auth/tokens`, form(null, { auth })),
  ...grown(id3, '/domains', domain, 'PATCH'),
  ...grown(id3, '/projects', project, 'PATCH'),
  ...of(`${id3}/projects/:id/tags`, tagList, 'PUT'),
  ...grown(id3, '/users', user, 'PATCH'),
  ...of(
    `${id3}/users/:id/password`,
    form('user', { password: oneOf(firstPasswords.admin), original_password: oneOf(firstPasswords.admin, 'wrong') }),
  ),
  ...grown(id3, '/roles', role, 'PATCH'),
  ...of(`${id3}/users/:user/application_credentials`, credential),
  ...grown(id3, '/services', service, 'PATCH'),
  ...grown(id3, '/endpoints', endpoint, 'PATCH'),
  ...grown(id3, '/regions', region, 'PATCH'),
  ...absent.flatMap((name) => of(`${id3}/${name}`, form(null, {}, { name: named }))),
  ...grown(net2, '/networks', network, 'PUT'),
  ...grown(net2, '/subnets', subnet, 'PUT'),
  ...grown(net2, '/ports', port, 'PUT'),
  ...grown(net2, '/security-groups', group, 'PUT'),
  ...of(`${net2}/security-group-rules`, rule),
  ...grown(net2, '/qos/policies', policy, 'PUT'),
  ...of(`${net2}/qos/policies/:policy/bandwidth_limit_rules`, limit),
  ...of(`${net2}/qos/policies/:policy/bandwidth_limit_rules/:rule`, changed(limit), 'PUT'),
  ...of(`${net2}/qos/alias-bandwidth-limit-rules/:rule`, changed(limit), 'PUT'),
  ...grown(net2, '/floatingips', floating, 'PUT'),
  ...grown(net2, '/routers', router, 'PUT'),
  ...['networks', 'subnets', 'ports', 'security-groups', 'qos/policies', 'floatingips'].flatMap((name) =>
    of(`${net2}/${name}/:id/tags`, tagList, 'PUT'),
  ),
  ...of(`${key1}/secrets`, secret),
  ...of(`${key1}/containers`, container),
  ...of(`${key1}/containers/:id/secrets`, reference, 'POST DELETE'),
  ...['secrets', 'containers'].flatMap((name) => of(`${key1}/${name}/:id/acl`, acl, 'PUT PATCH')),
  ...of(`${key1}/secrets/:id/consumers`, secretConsumer, 'POST DELETE'),
  ...of(`${key1}/containers/:id/consumers`, containerConsumer, 'POST DELETE'),
  ...of(`${key1}/secrets/:id/metadata`, form(null, { metadata: oneOf({}, { a: 'b' }) }), 'PUT'),
  ...of(`${key1}/secrets/:id/metadata`, form(null, { key: oneOf('a', 'b', 'c'), value: oneOf('v') })),
  ...of(`${key1}/secrets/:id/metadata/:key`, form(null, { key: oneOf('a', 'b', 'c'), value: oneOf('w') }), 'PUT'),
]);

/** A body of this form. */
export function formBody(maker: Maker, { root, needs, may }: BodyForm): unknown {
  const { random } = maker;
  const share = pick(random, [8, 4, 2]);
  const chosen = [...Object.entries(needs), ...Object.entries(may).filter(() => onceIn(random, share))];
  const made = Object.fromEntries(chosen.map(([name, make]) => [name, make(maker)]));
  return root === null ? made : { [root]: made };
}
